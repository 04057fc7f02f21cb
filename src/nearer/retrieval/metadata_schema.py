"""What documents' metadata offers to filters and boosts: which fields may be used, and the rules worth trying."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nearer.core.errors import InputError
from nearer.core.filters import DERIVED, Comparator, Fields, written
from nearer.core.records import Document, Metadata
from nearer.core.types import FieldType, Value, item_text, items_of, read_as
from nearer.retrieval.fields import FieldTypes
from nearer.retrieval.rules import Rule, condition_of, parse_rules, refuse_derived

MOST_VALUES = 20
"""A document field of more values than this is no candidate for a rule that is the same for every query."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetadataSchema:
    """The document fields of one plain type each, with the documents' values in them, and the rules to try.

    Those are ``=``, ``<=`` and ``>=`` between every query-time field and the document field of its name (only ``=`` for
    true and false, and for text that is not all dates such as 2024-05-31, whose order means something), and then
    ``field=value`` for fields of at most 20 values, if some document does not pass. A field ``label_*`` is not used.
    ``excluded`` says of other fields why they cannot be.
    """

    doc_ids: tuple[str, ...]
    documents: tuple[Metadata, ...]
    fields: Fields
    rules: tuple[Rule, ...]
    excluded: Mapping[str, str]

    @classmethod
    def read(
        cls,
        documents: Sequence[Document],
        queries: Sequence[Metadata],
        *,
        query_time_fields: Collection[str],
        texts: Collection[str],
    ) -> "MetadataSchema":
        """What the documents offer to these queries; the fields among ``texts`` are text whatever they look like.

        Raises InputError for a query-time field ``label_*``.
        """
        for name in query_time_fields:
            refuse_derived(name, where="query_time_fields")
        fields, excluded = _fields(documents, texts)
        kept = tuple({name: each.metadata[name] for name in fields if name in each.metadata} for each in documents)
        rules: list[Rule] = []
        for name in query_time_fields:
            try:
                rules += _between(name, fields, kept, queries) if name in fields else ()
            except InputError as error:
                excluded[name] = error.message
        rules += [rule for name in fields for rule in _of_values(name, fields, kept)]
        doc_ids = tuple(each.doc_id for each in documents)
        return cls(doc_ids=doc_ids, documents=kept, fields=fields, rules=tuple(rules), excluded=excluded)


def _fields(documents: Sequence[Document], texts: Collection[str]) -> tuple[dict[str, FieldType], dict[str, str]]:
    """The type of every field, and why those that have none are left out."""
    names = dict.fromkeys(name for each in documents for name in each.metadata if not name.startswith(DERIVED))
    fields: dict[str, FieldType] = {}
    excluded = {}
    for name in names:
        types = FieldTypes([name], texts=texts)
        try:
            for document in documents:
                types.see(document.doc_id, document.metadata)
            fields |= types.found()
        except InputError as error:
            excluded[name] = error.message
    return fields, excluded


def _between(name: str, fields: Fields, documents: Sequence[Metadata], queries: Sequence[Metadata]) -> tuple[Rule, ...]:
    """The rules between the query's field and the documents', the strictest first.

    Raises InputError for a name that cannot be written in a rule, and where a query's value cannot be compared.
    """
    ordered: tuple[Comparator, ...] = ("eq", "lte", "gte")
    kinds = ordered if fields[name] in ("integer", "number", "date") else ordered[:1]
    texts = [written(kind, name, f"query.{name}") for kind in kinds]
    rules = parse_rules(texts, fields=fields, query_time_fields=[name])
    for query in queries:
        condition_of(rules, query)
    return rules


def _of_values(name: str, fields: Fields, documents: Sequence[Metadata]) -> list[Rule]:
    """The rules that a document has a value, for each value that can be written as one and that not all have."""
    if fields[name] == "list":
        held = {item for each in documents if each.get(name) is not None for item in items_of(each[name])}
        return (
            [rule for item in sorted(held) for rule in _equality(name, item, fields)]
            if len(held) <= MOST_VALUES
            else []
        )
    values = {value: None for each in documents if isinstance(value := each.get(name), Value)}
    divides = len(values) > 1 or any(each.get(name) is None for each in documents)
    if len(values) > MOST_VALUES or not divides:
        return []
    rules = [rule for value in sorted(values, key=repr) for rule in _equality(name, value, fields)]
    return list(dict.fromkeys(rules))  # 1.1 and 1.10 are one number


def _equality(name: str, value: Value, fields: Fields) -> tuple[Rule, ...]:
    text = written("eq", name, str(value))
    try:
        [rule] = parse_rules([text], fields=fields, query_time_fields=())
    except InputError:
        return ()
    kept = item_text(value) if fields[name] == "list" else read_as(value, fields[name])
    return (rule,) if (rule.key, rule.value) == (name, kept) else ()
