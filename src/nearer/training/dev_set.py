"""What chooses a checkpoint: dev queries over a small fixed corpus.

Arrays: Q queries, N documents, P passages, K ranked documents, D dimensions.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats32, Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.records import Document, Judgment, Query
from nearer.core.results.training_plan import DevSize
from nearer.encode.adapter import Adapter
from nearer.encode.corpus import CachedEncoder, Corpus, embed_passages, embed_queries
from nearer.encode.embedded import EmbeddedCorpus
from nearer.encode.encoder import Encoder, TextEncoder
from nearer.evaluation.exclusions import Pairs, find_exclusions
from nearer.evaluation.grades import scale_of
from nearer.evaluation.judged_split import read_judged_split
from nearer.evaluation.ready import choosing_split
from nearer.measure.metrics import Measure, Qrels, score
from nearer.store.workspace import Workspace
from nearer.vectors.topk import top_k

DEV_MEASURE = Measure.parse("nDCG@10")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevSet:
    """Queries over a small fixed corpus: their relevant documents, and distractors that the base ranks high."""

    queries: tuple[Query, ...]
    passages: tuple[str, ...]
    starts_N: Ints
    qrels: Qrels
    excluded: tuple[Ints, Ints]

    @classmethod
    def over(
        cls,
        documents: Sequence[Document],
        passages: Sequence[Sequence[str]],
        queries: Sequence[Query],
        judgments: Sequence[Judgment],
        *,
        relevant_from: int,
        excluded: Pairs,
    ) -> "DevSet":
        """The queries, as they are judged, over these documents and the passages of each."""
        starts = np.cumsum([0, *(len(each) for each in passages)])[:-1]
        return cls(
            queries=tuple(queries),
            passages=tuple(text for each in passages for text in each),
            starts_N=np.asarray(starts, dtype=np.int64),
            qrels=Qrels.build(
                [query.query_id for query in queries],
                [document.doc_id for document in documents],
                judgments,
                relevant_from=relevant_from,
            ),
            excluded=excluded,
        )

    def measure(self, encoder: Encoder) -> float:
        """The mean of nDCG@10 of the model as it is now, nan if its vectors are not numbers; nothing is cached."""
        return float(self.values(encoder, encoder.encode_documents(self.passages)).mean())

    def values(self, encoder: Encoder | CachedEncoder, passage_emb_PD: Floats32) -> Floats64:
        """The same of each query, shape (Q,), with the passages' vectors given."""
        return self.values_of(encoder.encode_queries([query.text for query in self.queries]), passage_emb_PD)

    def values_of(self, query_emb_QD: Floats32, passage_emb_PD: Floats32) -> Floats64:
        """The same with all vectors given."""
        if not (np.isfinite(query_emb_QD).all() and np.isfinite(passage_emb_PD).all()):
            return np.full(len(self.queries), np.nan)
        cutoff = DEV_MEASURE.cutoff
        assert cutoff is not None
        ranked = top_k(query_emb_QD, passage_emb_PD, k=cutoff, starts_N=self.starts_N, excluded=self.excluded)
        return score([DEV_MEASURE], ranked.rows_QK, self.qrels)[DEV_MEASURE]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DevVectors:
    """A dev set with its vectors by one encoder, through the cache: what adapters of these are measured on."""

    set: DevSet
    query_emb_QD: Floats32
    passage_emb_PD: Floats32

    @classmethod
    def of(cls, workspace: Workspace, encoder: TextEncoder, dev: DevSet, progress: Progress) -> "DevVectors":
        """Those of this encoder."""
        return cls(
            set=dev,
            query_emb_QD=embed_queries(workspace, encoder, dev.queries, progress),
            passage_emb_PD=embed_passages(workspace, encoder, dev.passages, progress)[0],
        )

    def values(self, adapter: Adapter) -> Floats64:
        """Dev's measure of each query with an adapter, shape (Q,)."""
        return self.set.values_of(
            adapter.apply_queries(self.query_emb_QD), adapter.apply_documents(self.passage_emb_PD)
        )

    def measure(self, adapter: Adapter) -> float:
        """The mean of the same."""
        return float(self.values(adapter).mean())


def build_dev_set(embedded: EmbeddedCorpus, *, excluded: frozenset[str], size: DevSize | None = None) -> DevSet:
    """Dev queries with their relevant documents and fixed distractors: half the base's best wrong ones, half random.

    The queries of ``excluded`` (those that leak into test) choose nothing. There are as many of both as ``size`` says,
    or the most of the recipe; distractors are counted in passages. Queries whose relevant documents are not all in the
    corpus, which may be a part, choose nothing either.
    """
    workspace, corpus = embedded.workspace, embedded.corpus
    recipe = workspace.recipe.train
    queries, judgments = dev_queries(workspace, corpus, excluded=excluded)
    rng = random.Random(recipe.seed)
    most = size.num_queries if size else recipe.most_dev_queries
    chosen = sorted(rng.sample(range(len(queries)), min(most, len(queries))))
    queries = tuple(queries[row] for row in chosen)
    wanted = judged_rows(queries, judgments, corpus)
    query_emb_QD = embedded.embed_queries(queries)
    number = size.num_distractors if size else recipe.most_dev_distractors
    hard = best_wrong(embedded, query_emb_QD, wanted, most_passages=num_hard(number))
    taken = wanted.union(hard)
    others = [row for row in range(len(corpus.documents)) if row not in taken]
    room = number - sum(len(corpus.passages_of(row)) for row in hard)
    rows = sorted(taken.union(first_within(rng.sample(others, len(others)), corpus, most_passages=room)))
    documents = [corpus.documents[row] for row in rows]
    return DevSet.over(
        documents,
        [texts_of(corpus, row) for row in rows],
        queries,
        judgments,
        relevant_from=scale_of(workspace).relevant_from,
        excluded=find_exclusions(workspace, queries, documents).pairs,
    )


def dev_queries(
    workspace: Workspace, corpus: Corpus, *, excluded: frozenset[str]
) -> tuple[tuple[Query, ...], Sequence[Judgment]]:
    """The dev queries that may choose: none of ``excluded``, with every relevant document in the corpus; judgments."""
    full = read_judged_split(workspace, choosing_split(workspace))
    judgments = workspace.collection.judgments(full.split)
    known = set(corpus.doc_ids)
    outside = {j.query_id for j in judgments if j.grade > 0 and j.doc_id not in known}
    return tuple(q for q in full.queries if q.query_id not in excluded and q.query_id not in outside), judgments


def read_dev_set(
    workspace: Workspace, encoder: TextEncoder, *, excluded: frozenset[str], progress: Progress
) -> tuple[DevSet, Corpus]:
    """The dev set by the base's vectors, and the corpus it is of. Raises InputError when no query is left."""
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=progress)
    dev = build_dev_set(embedded, excluded=excluded)
    if not dev.queries:
        raise InputError("no dev query with a relevant document, so nothing can be chosen", hint="see: nearer check")
    return dev, embedded.corpus


def judged_rows(queries: Sequence[Query], judgments: Sequence[Judgment], corpus: Corpus) -> set[int]:
    """The rows of the corpus's documents that are judged above 0 for one of these queries."""
    row_of = {doc_id: row for row, doc_id in enumerate(corpus.doc_ids)}
    asked = {query.query_id for query in queries}
    return {row_of[j.doc_id] for j in judgments if j.query_id in asked and j.grade > 0 and j.doc_id in row_of}


def texts_of(corpus: Corpus, row: int) -> list[str]:
    """The passages of a document."""
    return [corpus.passages[passage] for passage in corpus.passages_of(row)]


def num_hard(num_distractors: int) -> int:
    """How many of the distractors are of documents that the base ranks high."""
    return (num_distractors + 1) // 2


def best_wrong(embedded: EmbeddedCorpus, query_emb_QD: Floats32, right: set[int], *, most_passages: int) -> list[int]:
    """The rows of documents that the base wrongly puts first for some query, by rank, of so many passages in all."""
    hard_QK = embedded.top_k(query_emb_QD, k=10).rows_QK
    by_rank = [int(row) for row in hard_QK.T.ravel() if row >= 0]
    wrong = [row for row in dict.fromkeys(by_rank) if row not in right]
    return first_within(wrong, embedded.corpus, most_passages=most_passages)


def first_within(rows: Sequence[int], corpus: Corpus, *, most_passages: int) -> list[int]:
    """The first documents, as many as have at most so many passages together."""
    ends = np.cumsum([len(corpus.passages_of(row)) for row in rows])
    return list(rows[: int(np.searchsorted(ends, most_passages, side="right"))])
