"""What the stages of a composed system do to rankings: alike for many queries over a corpus, and for one over an index.

Shapes: Q queries, K ranked documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nearer.core.recipe import SearchRecipe
from nearer.core.records import Document, Query
from nearer.measure.topk import TopK
from nearer.retrieval.fusion import reciprocal_rank_fusion, weighted_sum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was found for queries by vectors, and by words: rankings whose rows are places in ``documents``.

    ``documents`` are in order of doc_id. A ranking that no stage wants is not there.
    """

    queries: Sequence[Query]
    documents: Sequence[Document]
    dense: TopK | None
    lexical: TopK | None


def wants_vectors(stages: Sequence[str]) -> bool:
    """Whether documents are ranked by vectors."""
    return "bm25" not in stages


def wants_words(stages: Sequence[str]) -> bool:
    """Whether documents are ranked by words.

    >>> wants_words(("filter", "hybrid")), wants_words(("filter",))
    (True, False)
    """
    return not {"bm25", "rrf", "hybrid"}.isdisjoint(stages)


def combine(stages: Sequence[str], search: SearchRecipe, found: Found, *, k: int) -> TopK:
    """The ``k`` best documents of each query after all stages but the filter, which was there before."""
    ranked = _fused(stages, search, found, k=max(k, search.depth))
    return TopK(rows_QK=ranked.rows_QK[:, :k], scores_QK=ranked.scores_QK[:, :k])


def _fused(stages: Sequence[str], search: SearchRecipe, found: Found, *, k: int) -> TopK:
    rankings = [each for each in (found.dense, found.lexical) if each is not None]
    if "rrf" in stages:
        return reciprocal_rank_fusion(rankings, k=k)
    if "hybrid" in stages:
        return weighted_sum(rankings, (search.dense_weight, 1 - search.dense_weight), k=k)
    [only] = rankings
    return only
