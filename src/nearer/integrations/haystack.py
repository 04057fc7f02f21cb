"""A retriever for Haystack (``pip install haystack-ai``)."""

from typing import Any

from haystack import Document, component

from nearer.core.errors import InputError
from nearer.integrations.source import AnyFilter, source_of
from nearer.serving.searcher import Searcher

_OPERATORS = {"==": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "in": "in", "not in": "nin"}


@component
class NearerRetriever:
    """Asks ``source``, a service's address or a ``Searcher``, for the ``top_k`` best passages that pass ``filters``.

    Raises InputError for a filter that Nearer does not have, such as NOT.
    """

    def __init__(self, source: str | Searcher, *, top_k: int = 10, filters: dict[str, Any] | None = None) -> None:
        self._ask, self.top_k, self.filters = source_of(source), top_k, filters

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The best documents; filters of a call go before those of the component, as Haystack's own retrievers do."""
        chosen = filters or self.filters
        found = self._ask(query, k=top_k or self.top_k, where=_where(chosen) if chosen else None)
        return {
            "documents": [
                Document(id=each.doc_id, content=each.text, meta=dict(each.metadata), score=each.score)
                for each in found
            ]
        }


def _where(filters: Any) -> AnyFilter:
    operator = filters.get("operator") if isinstance(filters, dict) else None
    if operator in ("AND", "OR") and filters.get("conditions"):
        return {"type": operator.lower(), "filters": [_where(each) for each in filters["conditions"]]}
    if operator not in _OPERATORS or filters.keys() != {"field", "operator", "value"}:
        raise InputError(
            f"the filter {str(filters)[:100]} is not supported",
            hint=f"give field, operator and value, with one of: {', '.join(_OPERATORS)}; join them by AND or OR",
        )
    key = str(filters["field"]).removeprefix("meta.")
    return {"type": _OPERATORS[operator], "key": key, "value": filters["value"]}
