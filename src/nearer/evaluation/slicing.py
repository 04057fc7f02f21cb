"""Which slices the queries of a split fall into: those that the recipe names, and those that every query has."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan

import numpy as np

from nearer.core.analysis import analyse, words
from nearer.core.arrays import Floats64
from nearer.core.errors import InputError
from nearer.core.records import Document, Metadata, Query
from nearer.core.types import as_number, is_missing
from nearer.measure.slices import Slices, by_field, by_frequency, by_length, by_overlap, by_year
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace

DOCUMENT = "document."
"""What the name of a field of the relevant documents begins with, where a field of the query could stand too."""
SEEN_DOCUMENT = "seen_document"
"""Slices by whether a query has a relevant document which training queries have too."""
OWN_NAMES = ("length", "overlap", "frequency", "time", SEEN_DOCUMENT)

_ISO_DATE = re.compile(r"([1-9]\d{3})(-\d\d(-\d\d([T ].*)?)?)?")


def slices_of(
    workspace: Workspace, queries: Sequence[Query], relevant: Mapping[str, Sequence[str]], *, relevant_from: int
) -> Slices:
    """The slices of the queries, as masks over them. ``relevant`` has the ids of each query's relevant documents.

    Raises InputError for a field that nobody has, and for values that the recipe's field cannot hold.
    """
    collection, recipe = workspace.collection, workspace.recipe
    fields = [*recipe.evaluate.slice_fields, *_group_fields(workspace, queries)]
    if taken := [field for field in fields if field in OWN_NAMES]:
        hint = "import the field under another name, or take it out of evaluate.slice_fields"
        raise InputError(f"slices called {taken[0]!r} are made of every query, not of a field", hint=hint)
    wanted = {doc_id for query in queries for doc_id in relevant[query.query_id]}
    documents = {document.doc_id: document for document in collection.documents(sorted(wanted))}
    answers = [[documents[each] for each in relevant[query.query_id] if each in documents] for query in queries]
    masks = by_field([_metadata(*both) for both in zip(queries, answers, strict=True)], fields)
    masks |= by_length([len(words(query.text)) for query in queries])
    masks |= by_overlap(_overlaps(queries, answers, language=recipe.search.language))
    if recipe.evaluate.time_field:
        masks |= by_year(_years(queries, answers, recipe.evaluate.time_field))
    if recipe.evaluate.frequency_field:
        masks |= _by_frequency(queries, collection.queries(), recipe.evaluate.frequency_field)
    return masks | _by_seen_document(collection, queries, relevant, relevant_from=relevant_from)


def _group_fields(workspace: Workspace, queries: Sequence[Query]) -> list[str]:
    """The field of the groups, unless these queries lack it and others have it: those of a log have no fields."""
    field = workspace.recipe.group_field
    if field is None:
        return []
    is_elsewhere_alone = not _any_has(queries, field) and _any_has(workspace.collection.queries(), field)
    return [] if is_elsewhere_alone else [field]


def _any_has(queries: Sequence[Query], field: str) -> bool:
    return any(query.metadata.get(field) is not None for query in queries)


def _metadata(query: Query, answers: Iterable[Document]) -> Metadata:
    """The query's own fields, and those of its relevant documents, each a list of what the documents have there."""
    found: dict[str, list[object]] = {}
    for document in answers:
        for name, value in document.metadata.items():
            found.setdefault(f"{DOCUMENT}{name}", []).append(value)
    return {**query.metadata, **found}


def _overlaps(queries: Sequence[Query], answers: Sequence[Sequence[Document]], *, language: str) -> Floats64:
    """The share of each query's terms that the relevant document with most of them holds (Q); NaN without any."""
    terms = [frozenset(analyse(query.text, language=language)) for query in queries]
    rows_of: dict[str, tuple[Document, list[int]]] = {}
    for row, documents in enumerate(answers):
        for document in documents if terms[row] else ():
            rows_of.setdefault(document.doc_id, (document, []))[1].append(row)
    shares_Q = np.full(len(queries), nan)
    for document, rows in rows_of.values():
        held = set(analyse(document.full_text, language=language))
        for row in rows:
            shares_Q[row] = np.fmax(shares_Q[row], len(terms[row] & held) / len(terms[row]))
    return shares_Q


def _years(queries: Sequence[Query], answers: Sequence[Sequence[Document]], field: str) -> list[list[int]]:
    """The years of each query. Raises InputError where nobody has the field, and for what is no year or date."""
    name = field.removeprefix(DOCUMENT)
    sources: Sequence[Sequence[Query | Document]] = [[query] for query in queries]
    if field.startswith(DOCUMENT):
        sources = answers
    if not any(name in each.metadata for found in sources for each in found):
        _refuse_unknown(field, [each.metadata for found in sources for each in found], key="time_field")
    return [[year for each in found for year in _years_in(each.metadata.get(name), each, field)] for found in sources]


def _years_in(value: object, source: Query | Document, field: str) -> list[int]:
    match value:
        case None | "":
            return []
        case str() if is_missing(value):
            return []
        case list() | tuple():
            return [year for each in value for year in _years_in(each, source, field)]
        case str() if date := _ISO_DATE.fullmatch(value.strip()):
            return [int(date[1])]
        case int() | float() if not isinstance(value, bool) and 1000 <= value < 10_000 and value == int(value):
            return [int(value)]
    raise InputError(
        f"{_named(source)} has {str(value)[:40]!r} in {field!r}, which is neither a year nor an ISO date",
        hint="write times as 2024 or 2024-01-31, or take evaluate.time_field out of nearer.toml",
    )


def _by_frequency(queries: Sequence[Query], everyone: Sequence[Query], field: str) -> Slices:
    """Raises InputError where no query has the field, and for what is no frequency."""
    if not any(field in query.metadata for query in everyone):
        _refuse_unknown(field, [query.metadata for query in everyone], key="frequency_field")
    return by_frequency(
        [_frequency(query, field) for query in queries],
        all_frequencies=[_frequency(query, field) for query in everyone],
    )


def _frequency(query: Query, field: str) -> float:
    value = query.metadata.get(field)
    if value is None or is_missing(value):
        return nan
    if isinstance(value, str):
        value = as_number(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0:
        return float(value)
    raise InputError(
        f"{_named(query)} has {str(query.metadata[field])[:40]!r} in {field!r}, which is no number of times that it is "
        "asked",
        hint="give a number from 0",
    )


def _refuse_unknown(field: str, metadata: Iterable[Metadata], *, key: str) -> None:
    prefix, what = (DOCUMENT, "relevant document") if field.startswith(DOCUMENT) else ("", "query")
    known = ", ".join(sorted({f"{prefix}{name}" for each in metadata for name in each})) or "none"
    raise InputError(f"evaluate.{key}: no {what} has the field {field!r}", hint=f"the fields are: {known}")


def _named(source: Query | Document) -> str:
    return f"query {source.query_id!r}" if isinstance(source, Query) else f"document {source.doc_id!r}"


def _by_seen_document(
    collection: Collection, queries: Sequence[Query], relevant: Mapping[str, Sequence[str]], *, relevant_from: int
) -> Slices:
    """The queries that have a relevant document which is relevant to a training query too; none if none has."""
    seen = {judgment.doc_id for judgment in collection.judgments("train") if judgment.grade >= relevant_from}
    seen_Q = np.asarray([not seen.isdisjoint(relevant[query.query_id]) for query in queries], dtype=np.bool_)
    masks = {f"{SEEN_DOCUMENT}=yes": seen_Q, f"{SEEN_DOCUMENT}=no": ~seen_Q} if seen_Q.any() else {}
    return {name: mask_Q for name, mask_Q in masks.items() if mask_Q.any()}
