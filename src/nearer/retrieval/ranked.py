"""Documents from passages that a store gives best first."""

from collections.abc import Callable

from nearer.retrieval.entries import Ranking

_GROWTH = 4
Fetch = Callable[[int], tuple[list[str], list[float]]]
"""The ids and scores of so many passages at most, best first."""


def ranked(fetch: Fetch, *, k: int, limit: int) -> Ranking:
    """The ``k`` best documents, from passages fetched best first: more of them until no other can reach place ``k``."""
    while True:
        doc_ids, scores = fetch(limit)
        best: dict[str, float] = {}
        for doc_id, score in zip(doc_ids, scores, strict=True):
            best.setdefault(doc_id, score)
        ranking = sorted(best.items(), key=lambda entry: (entry[1], entry[0].encode()), reverse=True)
        if len(doc_ids) < limit or (len(ranking) >= k and ranking[k - 1][1] > scores[-1]):
            return ranking[:k]
        limit *= _GROWTH


def first_limit(k: int, *, num_passages: int, num_documents: int) -> int:
    """How many passages are likely to hold ``k`` documents, and one to tell whether the last place is tied."""
    return max(1, min(num_passages, -(-k * num_passages // max(1, num_documents)) + 1))
