"""What a cross-encoder learns from and is chosen by: what a retriever finds, for training queries and for dev's.

Arrays: Q queries, A distinct anchors, N documents, P passages, D dimensions, K ranked documents.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Ints
from nearer.core.ids import content_id
from nearer.core.records import Query
from nearer.core.results.training import MiningReport
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.corpus import embed_passages
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.exclusions import find_exclusions
from nearer.evaluation.grades import scale_of
from nearer.evaluation.judged_split import read_judged_split
from nearer.learn.candidates import Candidates
from nearer.learn.examples import Example, text_key
from nearer.learn.listwise import RankedList, make_ranked_lists
from nearer.learn.negatives import mine
from nearer.measure.metrics import Qrels, score
from nearer.retrieval.rerank import rerank
from nearer.training.dev_set import DEV_MEASURE
from nearer.training.examples import Excluded, passages_by_nearness
from nearer.vectors.topk import NO_ROW, TopK


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RerankDev:
    """Dev queries, what a retriever finds for them in the whole corpus, and the passage of each that is read.

    ``passages_QK`` are rows of the corpus's passages; ``depth`` documents of each query are read.
    """

    queries: tuple[Query, ...]
    found: TopK
    passages_QK: Ints
    texts: Sequence[str]
    qrels: Qrels
    depth: int

    @property
    def dev_id(self) -> str:
        """What tells one from another."""
        shown = [self.texts[row] if row >= 0 else "" for row in self.passages_QK.ravel().tolist()]
        return content_id("dev", [[query.text for query in self.queries], self.found.rows_QK.tolist(), shown])

    def as_found(self) -> float:
        """The mean of nDCG@10 in the retriever's own order."""
        return self._value(self.found)

    def reranked(self, reranker: CrossEncoder) -> float:
        """The same in the order of a cross-encoder; nan if its scores are not numbers."""
        places = [tuple(place) for place in np.argwhere(self.found.rows_QK[:, : self.depth] != NO_ROW).tolist()]
        texts = [(self.queries[q].text, self.texts[self.passages_QK[q, k]]) for q, k in places]
        scores_U = reranker.scores(texts)
        if not np.isfinite(scores_U).all():
            return float("nan")
        score_of = {(q, int(self.found.rows_QK[q, k])): value for (q, k), value in zip(places, scores_U, strict=True)}
        return self._value(
            rerank(
                self.found,
                lambda pairs: np.asarray([score_of[pair] for pair in pairs], np.float32),
                depth=self.depth,
            )
        )

    def _value(self, ranked: TopK) -> float:
        return float(score([DEV_MEASURE], ranked.rows_QK, self.qrels)[DEV_MEASURE].mean())


def build_rerank_dev(embedded: EmbeddedCorpus, *, excluded: Excluded) -> RerankDev:
    """A draw of dev's judged queries that do not leak into test, over the whole corpus."""
    workspace, corpus = embedded.workspace, embedded.corpus
    recipe, depth = workspace.recipe.reranker, workspace.recipe.search.rerank.depth
    full = read_judged_split(workspace, "dev", excluded=excluded.query_ids)
    chosen = random.Random(recipe.seed).sample(range(len(full.queries)), min(recipe.max_dev_queries, len(full.queries)))
    queries = tuple(full.queries[row] for row in sorted(chosen))
    query_emb_QD = embedded.embed_queries(queries)
    assert DEV_MEASURE.cutoff is not None
    found = embedded.top_k(
        query_emb_QD,
        k=max(depth, DEV_MEASURE.cutoff),
        excluded=find_exclusions(workspace, queries, corpus.documents).pairs,
    )
    return RerankDev(
        queries=queries,
        found=found,
        passages_QK=embedded.best_passages(query_emb_QD, found.rows_QK),
        texts=corpus.passages,
        qrels=Qrels.build(
            [query.query_id for query in queries],
            corpus.doc_ids,
            workspace.collection.judgments("dev"),
            relevant_from=scale_of(workspace).relevant_from,
        ),
        depth=depth,
    )


def mine_ranked_lists(
    embedded: EmbeddedCorpus, examples: Sequence[Example], *, excluded: Excluded
) -> tuple[list[RankedList], MiningReport]:
    """A list for each example, its negatives drawn from the documents that the reranker will read in search."""
    recipe = embedded.workspace.recipe
    depth = recipe.search.rerank.depth
    candidates = _candidates(embedded, examples, depth=depth)
    mined, report = mine(
        examples,
        candidates,
        recipe.mining.model_copy(
            update={"top_k": depth, "num_negatives": recipe.reranker.num_negatives, "reranker": None}
        ),
        near_duplicate=NEAR_DUPLICATE,
        seed=recipe.reranker.seed,
    )
    grades = _grades(embedded, excluded=excluded)
    most_graded = recipe.reranker.num_negatives
    return make_ranked_lists(mined, grades, most_graded=most_graded, seed=recipe.reranker.seed), report


def _candidates(embedded: EmbeddedCorpus, examples: Sequence[Example], *, depth: int) -> Candidates:
    """The documents that the retriever finds for each anchor, each as its nearest passage."""
    row_of = {anchor: row for row, anchor in enumerate(dict.fromkeys(example.anchor for example in examples))}
    anchors = [Query(query_id=str(row), text=anchor) for anchor, row in row_of.items()]
    anchor_emb_AD = embedded.embed_queries(anchors)
    positives = list(dict.fromkeys(example.positive for example in examples))
    positive_emb_TD, _ = embed_passages(embedded.workspace, embedded.encoder, positives, embedded.progress)
    found = embedded.top_k(anchor_emb_AD, k=depth)
    passages_AK = embedded.best_passages(anchor_emb_AD, found.rows_QK)
    anchors_Q = np.array([row_of[example.anchor] for example in examples], np.int64)
    place_of = {text: row for row, text in enumerate(positives)}
    positives_Q = np.array([place_of[example.positive] for example in examples], np.int64)
    return Candidates(
        texts=embedded.corpus.passages,
        rows_QK=passages_AK[anchors_Q],
        scores_QK=found.scores_QK[anchors_Q],
        positive_scores_Q=np.einsum("qd,qd->q", anchor_emb_AD[anchors_Q], positive_emb_TD[positives_Q]),
    )


def _grades(embedded: EmbeddedCorpus, *, excluded: Excluded) -> dict[str, dict[str, int]]:
    """The judged documents of each training query above grade 0, as their nearest passages, with the highest grade."""
    collection = embedded.workspace.collection
    queries = [query for query in collection.queries("train") if query.query_id not in excluded.query_ids]
    judgments = [j for j in collection.judgments("train") if j.query_id not in excluded.query_ids and j.grade > 0]
    texts_of = passages_by_nearness(embedded, queries, judgments)
    anchor_of = {query.query_id: text_key(query.text) for query in queries}
    grades: dict[str, dict[str, int]] = {}
    for judgment in judgments:
        text = texts_of[judgment.query_id, judgment.doc_id][0]
        judged = grades.setdefault(anchor_of[judgment.query_id], {})
        judged[text] = max(judgment.grade, judged.get(text, 0))
    return grades
