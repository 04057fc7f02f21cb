"""Which documents are excluded from a query's ranking: the query itself, as a document on which nobody judged.

One rule for all that ranks to measure or to learn. A judged document is never excluded, whatever its text or id.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Ints
from nearer.core.records import EXCLUDED_IDS, Document, Query
from nearer.core.results.measuring import ExcludedDocuments
from nearer.core.sections import Exclude
from nearer.core.text import NEAR_DUPLICATE, normalise, shingles
from nearer.store.workspace import Workspace

Pairs = tuple[Ints, Ints]
Place = tuple[int, int]
"""The row of a query, and that of a document."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exclusions:
    """Pairs (query row, document row) that no ranking holds, and how they were found."""

    pairs: Pairs
    counts: ExcludedDocuments


def find_exclusions(
    workspace: Workspace,
    queries: Sequence[Query],
    documents: Sequence[Document],
    *,
    judged: Collection[tuple[str, str]] | None = None,
) -> Exclusions:
    """What the recipe's ``evaluate.exclude`` and the queries' own ``excluded_ids`` exclude, less what is judged.

    ``judged`` holds the judged pairs (query_id, doc_id); by default those of the workspace, whatever their grade.
    """
    rule = workspace.recipe.evaluate.exclude
    by_rule, num_same_id = _by_rule(rule, queries, documents)
    named, num_unknown = _named(queries, documents)
    wanted = by_rule | named
    if judged is None:
        judged = workspace.collection.judged({queries[place].query_id for place, _ in wanted})
    kept = {each for each in wanted if (queries[each[0]].query_id, documents[each[1]].doc_id) in judged}
    excluded = sorted(wanted - kept)
    return Exclusions(
        pairs=_arrays(excluded),
        counts=ExcludedDocuments(
            rule=rule,
            num_documents=len(excluded),
            num_queries=len({place for place, _ in excluded}),
            num_named=len(named.intersection(excluded)),
            num_judged=len(kept),
            num_same_id=num_same_id,
            num_unknown=num_unknown,
        ),
    )


def nothing_excluded() -> Exclusions:
    """As in live search, which excludes nothing: who types the text of a document finds it."""
    none = ExcludedDocuments(
        rule="none", num_documents=0, num_queries=0, num_named=0, num_judged=0, num_same_id=0, num_unknown=0
    )
    return Exclusions(pairs=_arrays([]), counts=none)


def same_text(queries: Sequence[Query], documents: Sequence[Document]) -> set[Place]:
    """Where a document's text, with or without its title, is the query's."""
    rows_of: dict[str, list[int]] = {}
    for row, document in enumerate(documents):
        for text in {normalise(document.text), normalise(document.full_text)}:
            rows_of.setdefault(text, []).append(row)
    return {(place, row) for place, query in enumerate(queries) for row in rows_of.get(normalise(query.text), ())}


def same_text_pairs(queries: Sequence[Query], documents: Sequence[Document]) -> Pairs:
    """The same as two arrays."""
    return _arrays(sorted(same_text(queries, documents)))


def own_documents(queries: Sequence[Query], documents: Sequence[Document]) -> set[Place]:
    """Where a document is the query itself: it has its text; or its id, and most of its text.

    An id alone says nothing where queries and documents are both numbered from 1.
    """
    return same_text(queries, documents) | {
        each for each in _same_id(queries, documents) if _is_about_the_same(queries[each[0]], documents[each[1]])
    }


def _by_rule(rule: Exclude, queries: Sequence[Query], documents: Sequence[Document]) -> tuple[set[Place], int]:
    """What a rule excludes, and how many documents of a query's id it leaves in for their other text."""
    if rule == "none":
        return set(), 0
    with_id = set(_same_id(queries, documents))
    if rule == "same-id":
        return with_id, 0
    found = own_documents(queries, documents)
    return found, len(with_id - found)


def _same_id(queries: Sequence[Query], documents: Sequence[Document]) -> Iterator[Place]:
    place_of = {query.query_id: place for place, query in enumerate(queries)}
    for row, document in enumerate(documents):
        if (place := place_of.get(document.doc_id)) is not None:
            yield place, row


def _is_about_the_same(query: Query, document: Document) -> bool:
    """Whether the title is the query, or one of the two texts holds nearly all of the other.

    Source: Broder, On the resemblance and containment of documents (1997), section 2 (containment).
    """
    if normalise(document.title) == normalise(query.text):
        return True
    left, right = shingles(query.text), shingles(document.full_text)
    return len(left & right) >= NEAR_DUPLICATE * min(len(left), len(right))


def excluded_by_name(queries: Sequence[Query], documents: Sequence[Document]) -> set[Place]:
    """The documents that the queries' own ``excluded_ids`` name."""
    return _named(queries, documents)[0]


def _named(queries: Sequence[Query], documents: Sequence[Document]) -> tuple[set[Place], int]:
    """The same, and how many of the names no document has."""
    if not any(EXCLUDED_IDS in query.metadata for query in queries):
        return set(), 0
    row_of = {document.doc_id: row for row, document in enumerate(documents)}
    found, num_unknown = set(), 0
    for place, query in enumerate(queries):
        for doc_id in _ids(query.metadata.get(EXCLUDED_IDS)):
            if doc_id in row_of:
                found.add((place, row_of[doc_id]))
            else:
                num_unknown += 1
    return found, num_unknown


def _ids(value: object) -> list[str]:
    """Ids given as a list, as a JSON list in text, or parted by white space.

    >>> _ids(["d1", 2]), _ids('["a b"]'), _ids("d1 d2"), _ids(None)
    (['d1', '2'], ['a b'], ['d1', 'd2'], [])
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return _ids(json.loads(value))
        except ValueError:
            return value.split()
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return [] if value is None else [str(value)]


def _arrays(places: Sequence[Place]) -> Pairs:
    queries_E, documents_E = np.array(places, np.int64).reshape(-1, 2).T
    return queries_E, documents_E
