"""A retriever for LangChain (``pip install langchain-core``)."""

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from nearer.integrations.source import Where, source_of
from nearer.serving.searcher import Searcher


class NearerRetriever(BaseRetriever):  # type: ignore[misc]
    """Asks ``source``, a service's address or a ``Searcher``, for the ``k`` best passages that pass ``filter``.

    A filter has Nearer's grammar: {"type": "gte", "key": "year", "value": 2020}. What is not known is refused.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    source: str | Searcher
    k: int = 10
    filter: dict[str, Any] | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, filter: Where = None
    ) -> list[Document]:
        both = [each for each in (self.filter, filter) if each]
        where = both[0] if len(both) == 1 else {"type": "and", "filters": both} if both else None
        found = source_of(self.source)(query, k=self.k, where=where)
        return [
            Document(id=each.doc_id, page_content=each.text, metadata={**each.metadata, "score": each.score})
            for each in found
        ]
