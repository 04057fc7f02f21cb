"""Rank the whole corpus with a system, and score the rankings, query by query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats32, Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.records import Query
from nearer.core.results.measuring import ExcludedDocuments
from nearer.core.sections import EvaluateRecipe
from nearer.encode.corpus import count_truncated, refuse_other_documents
from nearer.encode.embedded import Corpora, EmbeddedCorpus
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
from nearer.systems.pipeline import Found, combine, wants_bm25, wants_vectors
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


def measure(corpora: Corpora, system: System, judged: JudgedSplit) -> Measured:
    """Rank the whole corpus for every query of the split and score the rankings. Raises Conflict when it changed."""
    embedded, ranked, exclusions = rank(corpora, system, judged.queries)
    corpora.refuse_edited(judged.revision)
    passages = embedded.corpus.passages
    return Measured(
        system=system,
        values=_values(
            corpora.workspace,
            ranked.rows_QK,
            judged.qrels,
            prompts=lambda: prompts_of(embedded, judged, ranked.rows_QK),
        ),
        rows_QK=ranked.rows_QK,
        excluded=exclusions.counts,
        num_truncated=count_truncated(passages, system.encoder),
        num_passages=len(passages),
    )


def rank(
    corpora: Corpora, system: System, queries: Sequence[Query], *, k: int = 1, as_served: bool = False
) -> tuple[EmbeddedCorpus, TopK, Exclusions]:
    """The corpus, its best documents for every query, imported or not, and what is excluded from these.

    They are as many as the recipe measures, and ``k`` at least. With ``as_served`` nothing is
    excluded, as in live search.
    """
    workspace, embedded = corpora.workspace, corpora.embedded(system.encoder, chunk=system.chunk)
    corpus = embedded.corpus
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
    vectors = _Vectors(embedded, queries)
    if wants_vectors(system.stages):  # documents first: what they cost is told before a query is paid for
        embedded.encode()
    found = Found(
        queries=queries,
        documents=corpus.documents,
        texts=workspace.recipe.columns.documents.texts,
        dense=ranker.by_vectors(vectors.query_emb_QD, embedded.passage_emb_PD)
        if wants_vectors(system.stages)
        else None,
        lexical=ranker.by_bm25(read_bm25(workspace, language=system.search.language, read=corpora.snapshot))
        if wants_bm25(system.stages)
        else None,
        passage_of=vectors.passage_of,
    )
    return embedded, combine(system, found, k=k), exclusions


class _Vectors:
    """The vectors of queries that are asked of a corpus, encoded when they are first wanted."""

    def __init__(self, embedded: EmbeddedCorpus, queries: Sequence[Query]) -> None:
        self._embedded, self._queries = embedded, queries
        self._query_emb_QD: Floats32 | None = None

    @property
    def query_emb_QD(self) -> Floats32:
        """Those of all queries, shape (Q, D)."""
        if self._query_emb_QD is None:
            self._query_emb_QD = self._embedded.embed_queries(self._queries)
        return self._query_emb_QD

    def passage_of(self, query_row: int, document_row: int) -> str:
        """The passage of a document that is nearest to a query."""
        corpus = self._embedded.corpus
        rows = corpus.passages_of(document_row)
        if len(rows) == 1:  # no vectors are needed
            return corpus.passages[rows.start]
        return self._embedded.passages_by_nearness(document_row, self.query_emb_QD[query_row])[0]


def measure_run(corpora: Corpora, name: str, judged: JudgedSplit) -> Measured:
    """Score the rankings of a run, as deep as those of a system, with the same documents excluded."""
    workspace, documents = corpora.workspace, corpora.documents
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
