"""What the stages of a composed system do to rankings: alike for many queries over a corpus, and for one over an index.

Shapes: Q queries, N documents, K ranked documents, U pairs of a query and a document.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from nearer.core.arrays import Floats32
from nearer.core.records import Document, Metadata, Query
from nearer.core.sections import SearchRecipe
from nearer.retrieval.boost import Boost, as_number, boosted, values_of
from nearer.retrieval.fusion import reciprocal_rank_fusion, weighted_sum
from nearer.retrieval.rerank import rerank
from nearer.systems import System
from nearer.vectors.topk import TopK

PassageOf = Callable[[int, int], str]
"""The passage of a document (its row) that is nearest to a query (its row)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was found for queries by vectors, and by words: rankings whose rows are places in ``documents``.

    ``documents`` are in order of doc_id; their metadata among ``texts`` is text whatever it looks like. A ranking that
    no stage wants is not there.
    """

    queries: Sequence[Query]
    documents: Sequence[Document]
    texts: Collection[str] = ()
    dense: TopK | None
    lexical: TopK | None
    passage_of: PassageOf


def wants_vectors(stages: Sequence[str]) -> bool:
    """Whether documents are ranked by vectors."""
    return "bm25" not in stages


def wants_bm25(stages: Sequence[str]) -> bool:
    """Whether documents are ranked by words.

    >>> wants_bm25(("filter", "hybrid")), wants_bm25(("filter",))
    (True, False)
    """
    return not {"bm25", "rrf", "hybrid"}.isdisjoint(stages)


def combine(system: System, found: Found, *, k: int) -> TopK:
    """The ``k`` best documents of each query after all stages but the filter, which was there before."""
    search = system.search
    ranked = _fused(system.stages, search, found, k=max(k, search.depth))
    if "boost" in system.stages:
        ranked = _boosted(search, found, ranked)
    if system.reranker is not None:
        score = _scorer(system, found)
        ranked = rerank(ranked, score, depth=search.rerank.depth)
    return TopK(rows_QK=ranked.rows_QK[:, :k], scores_QK=ranked.scores_QK[:, :k])


def _fused(stages: Sequence[str], search: SearchRecipe, found: Found, *, k: int) -> TopK:
    rankings = [each for each in (found.dense, found.lexical) if each is not None]
    if "rrf" in stages:
        return reciprocal_rank_fusion(rankings, k=k)
    if "hybrid" in stages:
        return weighted_sum(rankings, (search.dense_weight, 1 - search.dense_weight), k=k)
    [only] = rankings
    return only


def _boosted(search: SearchRecipe, found: Found, ranked: TopK) -> TopK:
    """The ranking with the recipe's boosts; a field that none of these documents has adds nothing."""
    metadata: list[Metadata] = [document.metadata for document in found.documents]
    doc_ids = [document.doc_id for document in found.documents]
    held = [field for field in search.boosts if any(each.get(field) is not None for each in metadata)]
    values = {field: values_of(field, doc_ids=doc_ids, documents=metadata, texts=found.texts) for field in held}
    boosts = [
        Boost(field=field, weight=each.weight, low=as_number(each.low), high=as_number(each.high))
        for field, each in search.boosts.items()
        if field in held
    ]
    return boosted(ranked, boosts, values, depth=search.depth)


def _scorer(system: System, found: Found) -> Callable[[list[tuple[int, int]]], Floats32]:
    reranker = system.reranker
    assert reranker is not None

    def score(pairs_U: list[tuple[int, int]]) -> Floats32:
        texts = [(found.queries[query].text, found.passage_of(query, document)) for query, document in pairs_U]
        return reranker.scores(texts)

    return score
