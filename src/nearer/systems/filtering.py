"""The filter of a composed system: the recipe's rules, and what they ask of documents for each query."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from nearer.core.errors import InputError
from nearer.core.filters import Fields, Filter, fields_in
from nearer.core.records import Document, Metadata, Query
from nearer.core.sections import SearchRecipe
from nearer.retrieval.fields import FieldTypes
from nearer.retrieval.rules import Rule, condition_of, parse_rules


def refuse_unindexed(search: SearchRecipe, filter_fields: Sequence[str]) -> None:
    """Raise InputError for rules that compare a field which the index does not keep."""
    if missing := [name for name in fields_in(search.filters) if name not in filter_fields]:
        wanted = sorted({*filter_fields, *fields_in(search.filters)})
        raise InputError(
            f"+filter compares {missing[0]!r}, which the index does not keep",
            hint=f"set index.filter_fields = {json.dumps(wanted)} in nearer.toml",
        )


def types_of(names: Sequence[str], documents: Iterable[Document], texts: Collection[str] = ()) -> Fields:
    """The types of document fields; those among ``texts`` are text.

    Raises InputError for one that no document has, or whose values cannot be compared with one another.
    """
    types = FieldTypes(list(names), texts=texts)
    for document in documents:
        types.see(document.doc_id, document.metadata)
    found = types.found()
    if missing := [name for name in names if name not in found]:
        raise InputError(
            f"no document has the field {missing[0]!r} of search.filters",
            hint="correct the rule in nearer.toml, or take it out",
        )
    return found


def rules_of(search: SearchRecipe, fields: Fields) -> tuple[Rule, ...]:
    """The recipe's rules. Raises InputError for one that cannot filter documents with these fields."""
    return parse_rules(search.filters, fields=fields, query_time_fields=search.query_time_fields)


def conditions_of(
    search: SearchRecipe, queries: Sequence[Query], documents: Sequence[Document], texts: Collection[str] = ()
) -> list[Filter | None]:
    """What documents must pass for each query; nothing where the query has no field that a rule needs."""
    rules = rules_of(search, types_of(fields_in(search.filters), documents, texts))
    return [condition_of(rules, known_of(query.metadata, search)) for query in queries]


def known_of(metadata: Metadata, search: SearchRecipe) -> Mapping[str, object]:
    """What is known of a query when it is asked."""
    return {name: metadata[name] for name in search.query_time_fields if name in metadata}
