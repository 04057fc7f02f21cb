"""What every remedy is measured on: judged queries of train and dev, dealt into folds, and what base finds for them.

Shapes: Q queries, N documents, P passages, D dimensions, K ranked documents.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from nearer.advice.queries import read_advice_queries_with
from nearer.advice.timing import refuse_long_encoding
from nearer.core.arrays import Floats64, Ints
from nearer.core.progress import Progress, phase
from nearer.core.records import Query
from nearer.core.results.measuring import Comparison
from nearer.core.text import normalise
from nearer.encode.corpus import Corpus, refuse_edited
from nearer.encode.embedded import Corpora, EmbeddedCorpus
from nearer.encode.unknown import MOST_READ, count_unknown
from nearer.evaluation.corpus_ranker import CorpusRanker
from nearer.evaluation.exclusions import find_exclusions
from nearer.evaluation.grades import scale_of
from nearer.evaluation.judged_split import JudgedSplit
from nearer.measure.metrics import Measure, score
from nearer.measure.significance import compare_all
from nearer.retrieval.fusion import folds_of
from nearer.retrieval.rules import Pairs
from nearer.store.workspace import Workspace
from nearer.systems import BASE, System, open_described, open_system
from nearer.systems.lexical import Bm25, read_bm25
from nearer.training.deadline import Deadline
from nearer.vectors.topk import NO_ROW, TopK

MAIN = Measure.parse("nDCG@10")
"""What remedies are chosen by."""
NUM_FOLDS = 5
"""Of whole groups of queries: what is tuned without a fold is judged on it. Source: Stone 1974, section 2."""


class AdviceData:
    """The data on which remedies compete; a query is always judged by what was tuned without its fold."""

    def __init__(
        self,
        workspace: Workspace,
        progress: Progress,
        *,
        corpora: Corpora | None = None,
        judged: JudgedSplit | None = None,
        deadline: Deadline | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        recipe = workspace.recipe
        self.workspace, self.progress = workspace, progress
        self.corpora = corpora or Corpora(workspace, progress)
        self.judged = judged or read_advice_queries_with(self.corpora)
        self.queries: Sequence[Query] = self.judged.queries
        self.folds_Q = _folds(self.judged, seed=recipe.evaluate.seed)
        self.system: System = open_system(workspace, BASE)
        described = recipe.other_encoders.items()
        self.others = {name: open_described(workspace, each, name=name) for name, each in described}
        if deadline:
            refuse_long_encoding(workspace, self.system, deadline, clock=clock)
        with phase(progress, "cut documents into passages"):
            self.embedded = self.corpora.embedded(self.system.encoder)
        refuse_edited(self.corpus.revision, self.judged.revision)
        self.depth = recipe.search.depth
        self.passage_emb_PD = self.embedded.passage_emb_PD
        self.query_emb_QD = self.embedded.embed_queries(self.queries)
        self.exclusions = find_exclusions(workspace, self.queries, self.corpus.documents)
        self.ranker = CorpusRanker(
            queries=self.queries,
            corpus=self.corpus,
            k=self.depth,
            excluded=self.exclusions.pairs,
        )

    @property
    def corpus(self) -> Corpus:
        """The documents, cut for base."""
        return self.embedded.corpus

    @cached_property
    def unread(self) -> str | None:
        """What the base's tokenizer does not know of queries or documents; None where it can read them."""
        texts = {"queries": [query.text for query in self.queries], "documents": self.corpus.passages[:: self._stride]}
        found = []
        for name, some in texts.items():
            unknown = count_unknown(self.system.encoder, some, of_queries=name == "queries")
            if unknown and unknown.is_unreadable:
                found.append(f"{unknown.described} of the tokens of {name}")
        return " and ".join(found) or None

    @property
    def _stride(self) -> int:
        return -(-len(self.corpus.passages) // MOST_READ) or 1

    @cached_property
    def dense(self) -> TopK:
        """What base finds."""
        return self.ranker.by_vectors(self.query_emb_QD, self.passage_emb_PD)

    @cached_property
    def bm25(self) -> Bm25:
        """BM25 over the documents."""
        return read_bm25(self.workspace, language=self.workspace.recipe.search.language, read=self.corpora.snapshot)

    @cached_property
    def lexical(self) -> TopK:
        """What BM25 finds."""
        return self.ranker.by_bm25(self.bm25)

    @property
    def splits(self) -> list[str]:
        """The splits that the queries are of: train and dev, or the one of them that there is."""
        return self.judged.split.split("+")

    @property
    def num_folds(self) -> int:
        """How many folds there are."""
        return int(self.folds_Q.max()) + 1

    @cached_property
    def num_pairs(self) -> int:
        """Pairs that could be trained on: positive judgments of train, and pairs given as text."""
        collection = self.workspace.collection
        positive = scale_of(self.workspace).positive_from
        judged = sum(judgment.grade >= positive for judgment in collection.judgments("train"))
        return judged + collection.counts()["pairs"]

    @cached_property
    def relevant(self) -> Pairs:
        """The row of each query beside that of each document that is relevant to it."""
        row_of = {doc_id: row for row, doc_id in enumerate(self.corpus.doc_ids)}
        answers = [self.judged.relevant[query.query_id] for query in self.queries]
        rows = [row_of[doc_id] for each in answers for doc_id in each]
        return np.repeat(np.arange(len(answers)), [len(each) for each in answers]), np.array(rows, np.int64)

    @cached_property
    def base(self) -> dict[str, Floats64]:
        """The values of base in every measure of the recipe, and in the main one."""
        return self.values(self.dense.rows_QK)

    @cached_property
    def measures(self) -> list[Measure]:
        """The main measure and the recipe's, but those of prompts, each once."""
        named = map(Measure.parse, self.workspace.recipe.evaluate.measures)
        return list(dict.fromkeys([MAIN, *(each for each in named if not each.is_of_prompt)]))

    def found_in(self, other: EmbeddedCorpus) -> TopK:
        """What is found for the queries in the documents cut otherwise, or by another encoder."""
        passage_emb_PD = other.passage_emb_PD
        return replace(self.ranker, corpus=other.corpus).by_vectors(other.embed_queries(self.queries), passage_emb_PD)

    def judged_by(self, fold: int) -> Ints:
        """The rows of the queries that a fold judges."""
        return np.flatnonzero(self.folds_Q == fold)

    def tuned_on(self, fold: int) -> Ints:
        """The rows of the queries on which may be tuned what a fold judges."""
        return np.flatnonzero(self.folds_Q != fold)

    def values(self, rows_QK: Ints) -> dict[str, Floats64]:
        """The values of every query in every measure."""
        return {str(name): values for name, values in score(self.measures, rows_QK, self.judged.qrels).items()}

    def main(self, rows_QK: Ints) -> Floats64:
        """The values of every query in the main measure."""
        return score([MAIN], rows_QK, self.judged.qrels)[MAIN]

    def main_of(self, rows_SK: Ints, queries_S: Ints) -> Floats64:
        """The values of some queries in the main measure, from their rankings alone."""
        rows_QK = np.full((len(self.queries), rows_SK.shape[1]), NO_ROW, np.int64)
        rows_QK[queries_S] = rows_SK
        return self.main(rows_QK)[queries_S]

    def compare(self, values_S: Floats64, queries_S: Ints) -> Comparison:
        """Some queries' values in the main measure against base's, groups kept whole."""
        recipe = self.workspace.recipe.evaluate
        [found] = compare_all(
            self.base[str(MAIN)][queries_S][:, None],
            values_S[:, None],
            metrics=[str(MAIN)],
            groups_Q=self.judged.groups_of(queries_S),
            num_resamples=recipe.num_resamples,
            confidence=recipe.confidence,
            seed=recipe.seed,
        )
        return found

    def sample(self, number: int, *, seed: int = 0, without_train: bool = False) -> Ints:
        """Rows of at most so many queries, drawn at random, ascending; on request none that may be trained on."""
        drawn = np.random.default_rng(seed).permutation(len(self.queries))
        if without_train:
            learned = {query.query_id for query in self.workspace.collection.queries("train")}
            drawn = drawn[[self.queries[row].query_id not in learned for row in drawn]]
        return np.sort(drawn[:number])


def _folds(judged: JudgedSplit, *, seed: int) -> Ints:
    """Folds of whole groups; the same text is one group in any case."""
    groups = judged.groups or [normalise(query.text) for query in judged.queries]
    return folds_of(groups, num_folds=NUM_FOLDS, seed=seed)
