"""Dev queries that measure models trained in between, over a part of the corpus that no model has chosen.

Arrays: A queries that are asked, M documents that they rank, P passages of these, D dimensions.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats32, Floats64, Ints
from nearer.core.records import Query
from nearer.encode.corpus import Corpus
from nearer.evaluation.exclusions import find_exclusions
from nearer.evaluation.judged_split import JudgedSplit, read_judged_split
from nearer.measure.metrics import score
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.workspace import Workspace
from nearer.training.dev_set import DEV_MEASURE, first_within
from nearer.vectors.topk import top_k

MOST_PASSAGES = 2000
"""What dev queries rank at most: relevant documents, those that BM25 ranks high, and random ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DevSample:
    """The dev queries of ``rows_A`` and the documents they rank, by their rows in the split and in the corpus."""

    judged: JudgedSplit
    rows_A: Ints
    documents_M: Ints
    passages_P: Ints
    starts_M: Ints
    excluded: tuple[Ints, Ints]

    @classmethod
    def read(
        cls, workspace: Workspace, corpus: Corpus, *, excluded: frozenset[str], most: int | None = None
    ) -> "DevSample":
        """The queries that leak into no test split, at most ``train.max_dev_queries`` of them, over a part of corpus.

        It has ``most`` passages, or ``MOST_PASSAGES``; of relevant documents all.

        Which documents are ranked does not depend on what the base finds: its own worst mistakes alone would make any
        training look good.
        """
        judged, recipe = read_judged_split(workspace, "dev"), workspace.recipe
        rng = random.Random(recipe.train.seed)
        usable = [row for row, query in enumerate(judged.queries) if query.query_id not in excluded]
        rows = sorted(rng.sample(usable, min(recipe.train.most_dev_queries, len(usable))))
        queries = [judged.queries[row] for row in rows]
        documents = _documents(
            judged,
            rows,
            corpus,
            [query.text for query in queries],
            most=MOST_PASSAGES if most is None else most,
            language=recipe.search.language,
            rng=rng,
        )
        ranges = [corpus.passages_of(row) for row in documents]
        return cls(
            judged=judged,
            rows_A=np.array(rows, np.int64),
            documents_M=np.array(documents, np.int64),
            passages_P=np.array([passage for each in ranges for passage in each], np.int64),
            starts_M=np.cumsum([0, *map(len, ranges)])[:-1].astype(np.int64),
            excluded=find_exclusions(workspace, queries, [corpus.documents[row] for row in documents]).pairs,
        )

    @property
    def queries(self) -> list[Query]:
        """The queries."""
        return [self.judged.queries[row] for row in self.rows_A]

    @property
    def groups(self) -> list[str] | None:
        """What is resampled whole, one label a query."""
        return self.judged.groups_of(self.rows_A)

    def values(self, query_emb_AD: Floats32, passage_emb_PD: Floats32) -> Floats64:
        """The measure of every query. Raises InputError when a vector is not finite."""
        k = DEV_MEASURE.cutoff
        assert k is not None
        ranked = top_k(query_emb_AD, passage_emb_PD, k=k, starts_N=self.starts_M, excluded=self.excluded).rows_QK
        rows_QK = np.full((len(self.judged.queries), k), -1, np.int64)
        rows_QK[self.rows_A] = np.where(ranked >= 0, self.documents_M[ranked], -1)
        return score([DEV_MEASURE], rows_QK, self.judged.qrels)[DEV_MEASURE][self.rows_A]


def _documents(
    judged: JudgedSplit,
    rows: Sequence[int],
    corpus: Corpus,
    texts: Sequence[str],
    *,
    most: int,
    language: str,
    rng: random.Random,
) -> list[int]:
    """All documents, or the judged ones of some queries, then BM25's best wrong ones and random ones, half of each.

    ``most`` is the number of passages they have in all; the judged ones stay in any case.
    """
    if len(corpus.passages) <= most:
        return list(range(len(corpus.documents)))
    queries_J, documents_J = np.divmod(judged.qrels.keys_J, judged.qrels.num_documents)
    is_wanted_J = np.isin(queries_J, rows) & (judged.qrels.grades_J > 0)
    chosen = dict.fromkeys(documents_J[is_wanted_J].tolist())
    room = most - sum(len(corpus.passages_of(row)) for row in chosen)
    bm25 = LexicalIndex([document.full_text for document in corpus.documents], language=language)
    by_bm25 = bm25.search(texts, k=10).rows_QK
    hard = [row for row in dict.fromkeys(by_bm25.T.ravel().tolist()) if row >= 0 and row not in chosen]
    chosen |= dict.fromkeys(first_within(hard, corpus, most_passages=room // 2))
    room = most - sum(len(corpus.passages_of(row)) for row in chosen)
    others = [row for row in range(len(corpus.documents)) if row not in chosen]
    return sorted([*chosen, *first_within(rng.sample(others, len(others)), corpus, most_passages=room)])
