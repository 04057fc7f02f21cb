"""A retriever for LlamaIndex (``pip install llama-index-core``)."""

from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores import MetadataFilters

from nearer.core.errors import InputError
from nearer.integrations.source import AnyFilter, source_of
from nearer.serving.searcher import Searcher

_OPERATORS = {"==": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "in": "in", "nin": "nin"}


class NearerRetriever(BaseRetriever):  # type: ignore[misc]
    """Asks ``source``, a service's address or a ``Searcher``, for the ``k`` best passages that pass ``filters``.

    Raises InputError for a filter that Nearer does not have, such as text_match.
    """

    def __init__(
        self, source: str | Searcher, *, k: int = 10, filters: MetadataFilters | None = None, **options: Any
    ) -> None:
        self._ask, self._k = source_of(source), k
        self._where = _where(filters) if filters is not None else None
        super().__init__(**options)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._ask(query_bundle.query_str, k=self._k, where=self._where)
        return [
            NodeWithScore(
                node=TextNode(id_=each.doc_id, text=each.text, metadata=dict(each.metadata)), score=each.score
            )
            for each in found
        ]


def _where(filters: Any) -> AnyFilter:
    if isinstance(filters, MetadataFilters):
        joined = str(getattr(filters.condition, "value", filters.condition))
        if joined not in ("and", "or") or not filters.filters:
            raise InputError(f"filters joined by {joined!r} are not supported", hint="join one or more by and, or or")
        return {"type": joined, "filters": [_where(each) for each in filters.filters]}
    operator = str(getattr(filters.operator, "value", filters.operator))
    if operator not in _OPERATORS:
        raise InputError(f"the filter {operator!r} is not supported", hint=f"use one of: {', '.join(_OPERATORS)}")
    return {"type": _OPERATORS[operator], "key": filters.key, "value": filters.value}
