"""What chooses a checkpoint: dev queries over a small fixed corpus.

Arrays: Q queries, N documents, P passages, K ranked documents, D dimensions.
"""

import math
import random
from dataclasses import dataclass

import numpy as np

from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.encode.encoder import Encoder
from nearer.flows.embedding import Corpus, Floats, Ints, embed_queries, own_documents
from nearer.flows.grades import scale_of
from nearer.flows.judged_split import read_judged_split
from nearer.measure.metrics import Measure, Qrels, score
from nearer.measure.topk import top_k
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace

DEV_MEASURE = Measure.parse("nDCG@10")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevSet:
    """Dev queries over a small fixed corpus: their relevant documents, and distractors that the base ranks high."""

    queries: tuple[Query, ...]
    passages: tuple[str, ...]
    starts_N: Ints
    qrels: Qrels
    excluded: tuple[Ints, Ints]

    def measure(self, encoder: Encoder) -> float:
        """The mean of nDCG@10 of the model as it is now, nan if its vectors are not numbers; nothing is cached."""
        query_emb_QD = encoder.encode_queries([query.text for query in self.queries])
        passage_emb_PD = encoder.encode_documents(self.passages)
        if not (np.isfinite(query_emb_QD).all() and np.isfinite(passage_emb_PD).all()):
            return math.nan
        cutoff = DEV_MEASURE.cutoff
        assert cutoff is not None
        ranked = top_k(query_emb_QD, passage_emb_PD, k=cutoff, starts_N=self.starts_N, excluded=self.excluded)
        return float(score([DEV_MEASURE], ranked.rows_QK, self.qrels)[DEV_MEASURE].mean())


def build_dev_set(
    workspace: Workspace,
    encoder: Encoder,
    corpus: Corpus,
    passage_emb_PD: Floats,
    *,
    left_out: frozenset[str],
    progress: Progress,
) -> DevSet:
    """Dev queries with their relevant documents and fixed distractors: half the base's best wrong ones, half random.

    The queries of ``left_out`` (those that leak into test) choose nothing.
    """
    recipe = workspace.recipe.train
    full = read_judged_split(workspace, "dev")
    usable = [row for row, query in enumerate(full.queries) if query.query_id not in left_out]
    rng = random.Random(recipe.seed)
    chosen = sorted(rng.sample(usable, min(recipe.max_dev_queries, len(usable))))
    queries = tuple(full.queries[row] for row in chosen)
    row_of = {doc_id: row for row, doc_id in enumerate(corpus.doc_ids)}
    asked = {query.query_id for query in queries}
    judgments = Collection(workspace.database).judgments(full.split)
    wanted = {row_of[j.doc_id] for j in judgments if j.query_id in asked and j.grade > 0}
    query_emb_QD = embed_queries(workspace, encoder, queries, progress)
    hard = top_k(query_emb_QD, passage_emb_PD, k=10, starts_N=corpus.starts_N).rows_QK
    wanted.update(_distractors(hard, wanted, corpus, number=recipe.num_dev_distractors, rng=rng))
    rows = sorted(wanted)
    documents = [corpus.documents[row] for row in rows]
    passages = [[corpus.passages[passage] for passage in corpus.passages_of(row)] for row in rows]
    starts = np.cumsum([0, *(len(each) for each in passages)])[:-1]
    return DevSet(
        queries=queries,
        passages=tuple(text for each in passages for text in each),
        starts_N=np.asarray(starts, dtype=np.int64),
        qrels=Qrels.build(
            [query.query_id for query in queries],
            [document.doc_id for document in documents],
            judgments,
            relevant_from=scale_of(workspace).relevant_from,
        ),
        excluded=own_documents(queries, documents),
    )


def _distractors(hard_QK: Ints, taken: set[int], corpus: Corpus, *, number: int, rng: random.Random) -> list[int]:
    """Documents the base puts first for some dev query, by rank, then random ones."""
    by_rank = [int(row) for row in hard_QK.T.ravel() if row >= 0]
    chosen = [row for row in dict.fromkeys(by_rank) if row not in taken][: (number + 1) // 2]
    others = [row for row in range(len(corpus.documents)) if row not in taken and row not in set(chosen)]
    return chosen + rng.sample(others, min(number - len(chosen), len(others)))
