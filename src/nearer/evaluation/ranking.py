"""Rank the whole corpus with a system, and score the rankings, query by query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats32, Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.core.results.measuring import ExcludedDocuments
from nearer.core.sections import EvaluateRecipe
from nearer.encode.corpus import (
    Corpus,
    count_truncated,
    embed_corpus,
    embed_queries,
    read_corpus,
    refuse_edited,
    refuse_other_documents,
)
from nearer.encode.encoder import TextEncoder
from nearer.evaluation.context import prompts_of, prompts_of_run
from nearer.evaluation.corpus_ranker import CorpusRanker
from nearer.evaluation.exclusions import Exclusions, find_exclusions, nothing_excluded
from nearer.evaluation.judged_split import JudgedSplit
from nearer.evaluation.runs import RunCounts, RunSystem, rank_run
from nearer.measure.context import Prompts, score_prompts
from nearer.measure.metrics import Measure, Qrels, score
from nearer.store.workspace import Workspace
from nearer.systems import System
from nearer.systems.filtering import conditions_of
from nearer.systems.lexical import read_bm25
from nearer.systems.pipeline import Found, combine, passage_of, wants_bm25, wants_vectors
from nearer.vectors.topk import TopK


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one system did: per-query values by measure, and the documents it ranked (rows of the corpus, -1 none).

    Of a run only the rankings are known, and ``run`` counts what it holds beside them.
    """

    system: System | RunSystem
    values: dict[str, Floats64]
    rows_QK: Ints
    excluded: ExcludedDocuments
    num_truncated: int | None = None
    num_passages: int | None = None
    run: RunCounts | None = None

    def columns(self, metrics: Sequence[str]) -> Floats64:
        """The values of every query, one column a metric, shape (Q, M)."""
        return np.stack([self.values[metric] for metric in metrics], axis=1)


def measure(workspace: Workspace, system: System, judged: JudgedSplit, *, progress: Progress) -> Measured:
    """Rank the whole corpus for every query of the split and score the rankings."""
    corpus, ranked, exclusions = rank(workspace, system, judged.queries, progress=progress)
    refuse_edited(corpus, judged.revision)
    return Measured(
        system=system,
        values=_values(
            workspace,
            ranked.rows_QK,
            judged.qrels,
            prompts=lambda: prompts_of(workspace, system, judged, corpus, ranked.rows_QK, progress=progress),
        ),
        rows_QK=ranked.rows_QK,
        excluded=exclusions.counts,
        num_truncated=count_truncated(corpus.passages, system.encoder),
        num_passages=len(corpus.passages),
    )


def rank(
    workspace: Workspace,
    system: System,
    queries: Sequence[Query],
    *,
    k: int = 1,
    as_served: bool = False,
    progress: Progress,
) -> tuple[Corpus, TopK, Exclusions]:
    """The corpus, its best documents for every query, imported or not, and what is excluded from these.

    They are as many as the recipe measures, and ``k`` at least. With ``as_served`` nothing is
    excluded, as in live search.
    """
    corpus = read_corpus(workspace, system.encoder, chunk=system.chunk)
    k, depth = max(k, _depth(workspace.recipe.evaluate)), system.search.depth if system.stages else k
    exclusions = nothing_excluded() if as_served else find_exclusions(workspace, queries, corpus.documents)
    ranker = CorpusRanker(
        queries=queries,
        corpus=corpus,
        k=max(k, depth),
        excluded=exclusions.pairs,
        conditions=conditions_of(system.search, queries, corpus.documents, workspace.recipe.columns.documents.texts)
        if "filter" in system.stages
        else None,
    )
    vectors = _Vectors(workspace, system.encoder, corpus, queries, progress)
    found = Found(
        queries=queries,
        documents=corpus.documents,
        texts=workspace.recipe.columns.documents.texts,
        dense=ranker.by_vectors(*vectors.both()) if wants_vectors(system.stages) else None,
        lexical=ranker.by_bm25(read_bm25(workspace, language=system.search.language))
        if wants_bm25(system.stages)
        else None,
        passage_of=vectors.passage_of,
    )
    return corpus, combine(system, found, k=k), exclusions


class _Vectors:
    """The vectors of queries and of a corpus, encoded when they are first wanted."""

    def __init__(
        self,
        workspace: Workspace,
        encoder: TextEncoder,
        corpus: Corpus,
        queries: Sequence[Query],
        progress: Progress,
    ) -> None:
        self._workspace, self._encoder, self._progress = workspace, encoder, progress
        self._corpus, self._queries = corpus, queries
        self._both: tuple[Floats32, Floats32] | None = None

    def both(self) -> tuple[Floats32, Floats32]:
        """Those of the queries, and of the passages.

        No ``cached_property``: in Python 3.11 measurements in other threads would wait for the end of this one.
        """
        if self._both is None:
            passage_emb_PD, _ = embed_corpus(self._workspace, self._encoder, self._corpus, self._progress)
            queries_QD = embed_queries(self._workspace, self._encoder, self._queries, self._progress)
            self._both = queries_QD, passage_emb_PD
        return self._both

    def passage_of(self, query_row: int, document_row: int) -> str:
        """The passage of a document that is nearest to a query."""
        if len(self._corpus.passages_of(document_row)) == 1:  # no vectors are needed
            return self._corpus.passages[int(self._corpus.starts_N[document_row])]
        return passage_of(self._corpus, *self.both())(query_row, document_row)


def measure_run(workspace: Workspace, name: str, judged: JudgedSplit) -> Measured:
    """Score the rankings of a run, as deep as those of a system, with the same documents excluded."""
    documents = workspace.collection.documents()
    refuse_other_documents(documents, judged.doc_ids)
    k, exclusions = _depth(workspace.recipe.evaluate), find_exclusions(workspace, judged.queries, documents)
    rows_QK, counts = rank_run(workspace, name, judged.queries, judged.doc_ids, k=k, excluded=exclusions.pairs)
    qrels = judged.qrels.with_unjudged(k)
    return Measured(
        system=RunSystem(name=name),
        values=_values(workspace, rows_QK, qrels, prompts=lambda: prompts_of_run(judged, qrels, rows_QK, documents)),
        rows_QK=np.where(rows_QK < len(documents), rows_QK, -1),
        excluded=exclusions.counts,
        run=counts,
    )


def _depth(recipe: EvaluateRecipe) -> int:
    return max([recipe.depth, *(each.cutoff or 1 for each in measures_of(recipe) if not each.is_of_prompt)])


def _values(
    workspace: Workspace, rows_QK: Ints, qrels: Qrels, *, prompts: Callable[[], Prompts]
) -> dict[str, Floats64]:
    """The values of every measure of the recipe; ``prompts`` is asked for only where one of them is of prompts."""
    measures = measures_of(workspace.recipe.evaluate)
    values = score([each for each in measures if not each.is_of_prompt], rows_QK, qrels)
    if of_prompts := [each for each in measures if each.is_of_prompt]:
        values |= score_prompts(of_prompts, prompts())
    return {str(each): values[each] for each in measures}


def measures_of(recipe: EvaluateRecipe) -> list[Measure]:
    """The measures the recipe names. Raises InputError for a name that is none, or when there is none at all."""
    if not recipe.measures:
        raise InputError("evaluate.measures is empty", hint='for example: evaluate.measures = ["nDCG@10"]')
    return [Measure.parse(name) for name in recipe.measures]
