"""Why a query failed: of all that was found out about it, the one cause.

Shapes: K ranked documents.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Cause = Literal[
    "absent",
    "stale_index",
    "unknown_tokens",
    "doubtful_label",
    "truncated",
    "structure",
    "exact_identifier",
    "chunking",
    "order",
    "depth",
    "recall",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a cause means, and what would mend it."""

    meaning: str
    remedy: str


CAUSES: Mapping[Cause, Explanation] = {
    "absent": Explanation(
        meaning="no relevant document is in the corpus",
        remedy="import what answers these queries and judge it: nearer add corpus FILE, nearer add judgments FILE",
    ),
    "stale_index": Explanation(
        meaning="the live index does not hold the relevant document as it is now",
        remedy="bring the index up to the documents: nearer index",
    ),
    "unknown_tokens": Explanation(
        meaning="the model's tokenizer does not know the script, so the model cannot read the text",
        remedy="take a base that knows the script: encoder.model; or search by words: bm25. Training does not mend it",
    ),
    "doubtful_label": Explanation(
        meaning="what stands above looks as relevant as the judged document, and nobody judged it",
        remedy="judge these documents, and import that: nearer add judgments FILE",
    ),
    "truncated": Explanation(
        meaning="the encoder never reads the part of the relevant document that answers",
        remedy="cut long documents into passages: chunk.enabled = true",
    ),
    "structure": Explanation(
        meaning="only documents that a rule on metadata excludes stand above",
        remedy="filter by the rule, in search.filters: nearer advise measures what that brings",
    ),
    "exact_identifier": Explanation(
        meaning="the query names something exactly, which words find and the embedding does not",
        remedy="search by words as well: hybrid search",
    ),
    "chunking": Explanation(
        meaning="cut otherwise, the relevant document would stand above",
        remedy="measure other passages: chunk.max_tokens, chunk.overlap_tokens",
    ),
    "order": Explanation(
        meaning="a relevant document is near the top, but not first",
        remedy="rerank the first results with a cross-encoder",
    ),
    "depth": Explanation(
        meaning="a relevant document is found, too deep for a reranker of the first results",
        remedy="rerank deeper, or improve the embedding: an adapter, nearer train",
    ),
    "recall": Explanation(
        meaning="no relevant document is found: the embedding's fault",
        remedy="improve the embedding: nearer train, or another base; or search by words as well",
    ),
}
"""Every cause in order of precedence, with what it means.

First what no training can mend: the document is missing, stale, unreadable, or rightly beaten; a model trained on that
would learn what is wrong. Then what is proven to be enough by itself, the cheapest to mend first: reading the whole
document, a filter, words, other passages. Only what is left is told apart by rank alone, and is the model's.
"""

BY_RANK: frozenset[Cause] = frozenset({"order", "depth", "recall"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Down to which rank a reranker reads a document, and down to which one it is found at all: the recipe's depths."""

    order_within: int = 20
    recall_within: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MissEvidence:
    """What was found out about a query that failed.

    ``rank`` is that of the missed document, from 1; None below all that was ranked. ``proven`` holds the causes that
    were shown to hold, in no order; what was not looked for is not in it.
    """

    rank: int | None
    proven: Collection[Cause] = ()


def cause_of(evidence: MissEvidence, limits: Limits) -> Cause:
    """The first of the causes that were proven; if none was, what the rank of the missed document says.

    >>> cause_of(MissEvidence(rank=30), Limits())
    'depth'
    >>> cause_of(MissEvidence(rank=30, proven=["structure", "truncated"]), Limits())
    'truncated'
    """
    assert not BY_RANK.intersection(evidence.proven), "these follow from the rank"
    for cause in CAUSES:
        if cause in evidence.proven:
            return cause
    if evidence.rank is None or evidence.rank > limits.recall_within:
        return "recall"
    return "order" if evidence.rank <= limits.order_within else "depth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The document that should have stood higher.

    ``rank`` counts from 1 and is None below all that was ranked; ``above`` holds the rows of the lower graded documents
    that stand above it, best first, -1 for one that is not in the corpus.
    """

    row: int
    rank: int | None
    above: tuple[int, ...]


def missed_document(
    rows_K: Sequence[int], grades_K: Sequence[int], wanted: Mapping[int, int], *, relevant_from: int
) -> Missed | None:
    """The best ranked relevant document that one of a lower grade outranks, or that is not ranked; None without any.

    ``rows_K`` and ``grades_K`` are the ranked documents' rows and grades without padding; ``wanted`` holds the grades
    above 0 of all documents judged so, by row. Where all relevant ones stand as they should, one of a lower grade may
    be missed.

    >>> missed_document([4, 7, 2], [0, 1, 0], {7: 1, 9: 1}, relevant_from=1)
    Missed(row=7, rank=2, above=(4,))
    """
    rank_of = {row: rank for rank, row in enumerate(rows_K, start=1) if row >= 0}

    def order(row: int) -> tuple[bool, int, int]:
        return wanted[row] < relevant_from, rank_of.get(row, len(rows_K) + 1), -wanted[row]

    for row in sorted(wanted, key=order):
        rank = rank_of.get(row)
        end = len(rows_K) if rank is None else rank - 1
        above = tuple(other for other, grade in zip(rows_K[:end], grades_K[:end], strict=True) if grade < wanted[row])
        if above or rank is None:
            return Missed(row=row, rank=rank, above=above)
    return None
