"""Measure systems on a split: every metric with an interval, by slice, and compared pair by pair."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearer.core.errors import Conflict, InputError
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import EvaluateRecipe
from nearer.core.records import Document, Query
from nearer.flows.embedding import Corpus, count_truncated, embed_corpus, embed_queries, own_documents, read_corpus
from nearer.flows.grades import scale_of
from nearer.flows.runs import RunCounts, RunSystem, is_run, rank_run
from nearer.flows.splits import ensure_splits
from nearer.flows.systems import System, open_system, spent
from nearer.measure.metrics import Measure, Qrels, score
from nearer.measure.significance import Comparison, compare_all, mean_intervals
from nearer.measure.slices import slices
from nearer.measure.topk import TopK, top_k
from nearer.store.collection import Collection
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace

Values = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SEEN_DOCUMENT = "seen_document"
"""Slices by whether a query has a relevant document which training queries have too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """The queries of a split that have a relevant document, and how they are judged, grouped and sliced."""

    split: str
    queries: tuple[Query, ...]
    num_without_relevant: int
    doc_ids: tuple[str, ...]
    relevant: dict[str, tuple[str, ...]]
    qrels: Qrels
    groups: tuple[str, ...] | None
    slices: dict[str, Mask]

    def groups_of(self, rows: Ints) -> list[str] | None:
        """The groups to resample whole; none for a slice that is one group, whose queries are all there is to draw."""
        groups = [self.groups[row] for row in rows] if self.groups else []
        return groups if len(set(groups)) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one system did: per-query values by measure, and the documents it ranked (rows of the corpus, -1 none).

    Of a run only the rankings are known, and ``run`` counts what it holds beside them.
    """

    system: System | RunSystem
    values: dict[str, Values]
    rows_QK: Ints
    num_truncated: int | None = None
    num_passages: int | None = None
    run: RunCounts | None = None

    def columns(self, metrics: Sequence[str]) -> Values:
        """The values of every query, one column a metric, shape (Q, M)."""
        return np.stack([self.values[metric] for metric in metrics], axis=1)


def evaluate(
    workspace: Workspace,
    systems: Sequence[str] = ("base",),
    *,
    split: str = "dev",
    progress: Progress | None = None,
    purpose: str = "evaluate",
) -> dict[str, Any]:
    """Measure ``systems`` on ``split`` and compare each with the first; ``run:FILE`` is another engine's TREC run.

    Raises InputError when the split has no judged queries or a run has faults, NotFound for an unknown system.
    """
    progress = progress or Silent()
    ensure_splits(workspace)
    opened = {name: open_system(workspace, name) for name in systems if not is_run(name)}
    test_set = read_test_set(workspace, split)
    runs = {name: measure_run(workspace, name, test_set) for name in systems if is_run(name)}
    measured = [runs.get(name) or measure(workspace, opened[name], test_set, progress=progress) for name in systems]
    result = summarise(workspace, test_set, measured, purpose=purpose)
    Registry(workspace.database).add_evaluation(split=split, result=result)
    return result


def read_test_set(workspace: Workspace, split: str) -> TestSet:
    """The judged queries of a split. Raises InputError, naming the splits there are, when it has none."""
    collection, recipe = Collection(workspace.database), workspace.recipe
    scale, judgments = scale_of(workspace), collection.judgments(split)
    relevant: dict[str, list[str]] = {}
    for judgment in judgments:
        if judgment.grade >= scale.relevant_from:
            relevant.setdefault(judgment.query_id, []).append(judgment.doc_id)
    members = collection.queries(split)
    queries = tuple(query for query in members if query.query_id in relevant)
    if not queries:
        known = ", ".join(f"{name} ({count})" for name, count in collection.splits().items()) or "none"
        raise InputError(
            f"split {split!r} has no query with a relevant document; splits: {known}",
            hint="name another with --split, or import judgments: nearer add judgments FILE",
        )
    doc_ids = tuple(collection.document_hashes())
    query_ids = [query.query_id for query in queries]
    qrels = Qrels.build(query_ids, doc_ids, judgments, relevant_from=scale.relevant_from)
    field = recipe.group_field
    groups = tuple(_group(query, field) for query in queries) if field else None
    fields = dict.fromkeys((*recipe.evaluate.slice_fields, *((field,) if field else ())))
    masks = slices([query.metadata for query in queries], list(fields))
    seen = _seen_documents(collection, queries, relevant, relevant_from=scale.relevant_from)
    if seen.any():
        masks |= {f"{SEEN_DOCUMENT}=yes": seen, f"{SEEN_DOCUMENT}=no": ~seen}
    return TestSet(
        split=split,
        queries=queries,
        num_without_relevant=len(members) - len(queries),
        doc_ids=doc_ids,
        relevant={query_id: tuple(found) for query_id, found in relevant.items()},
        qrels=qrels,
        groups=groups,
        slices={name: mask for name, mask in masks.items() if mask.any()},
    )


def measure(workspace: Workspace, system: System, test_set: TestSet, *, progress: Progress) -> Measured:
    """Rank the whole corpus for every query of the test set and score the rankings."""
    corpus, ranked = rank(workspace, system, test_set, progress=progress)
    return Measured(
        system=system,
        values=_values(workspace, ranked.rows_QK, test_set.qrels),
        rows_QK=ranked.rows_QK,
        num_truncated=count_truncated(corpus, system.encoder),
        num_passages=len(corpus.passages),
    )


def rank(workspace: Workspace, system: System, test_set: TestSet, *, progress: Progress) -> tuple[Corpus, TopK]:
    """The best documents for every query of the test set, as deep as the recipe measures, and the corpus they are of.

    Raises Conflict when documents came or went meanwhile.
    """
    corpus = read_corpus(workspace, system.encoder, chunk=system.chunk)
    _refuse_other_documents(corpus.doc_ids, test_set)
    passage_emb_PD, _ = embed_corpus(workspace, system.encoder, corpus, progress)
    query_emb_QD = embed_queries(workspace, system.encoder, test_set.queries, progress)
    ranked = top_k(
        query_emb_QD,
        passage_emb_PD,
        k=_depth(workspace.recipe.evaluate),
        starts_N=corpus.starts_N,
        excluded=own_documents(test_set.queries, corpus.documents),
    )
    return corpus, ranked


def measure_run(workspace: Workspace, name: str, test_set: TestSet) -> Measured:
    """Score the rankings of a run, as deep as those of a system and without the queries' own documents too."""
    documents = Collection(workspace.database).documents()
    _refuse_other_documents(tuple(document.doc_id for document in documents), test_set)
    k, excluded = _depth(workspace.recipe.evaluate), own_documents(test_set.queries, documents)
    rows_QK, counts = rank_run(workspace, name, test_set.queries, test_set.doc_ids, k=k, excluded=excluded)
    return Measured(
        system=RunSystem(name=name),
        values=_values(workspace, rows_QK, test_set.qrels.with_unjudged(k)),
        rows_QK=np.where(rows_QK < len(documents), rows_QK, -1),
        run=counts,
    )


def _depth(recipe: EvaluateRecipe) -> int:
    return max(recipe.depth, *(each.cutoff or 1 for each in measures_of(recipe)))


def _values(workspace: Workspace, rows_QK: Ints, qrels: Qrels) -> dict[str, Values]:
    values = score(measures_of(workspace.recipe.evaluate), rows_QK, qrels)
    return {str(name): per_query for name, per_query in values.items()}


def _refuse_other_documents(doc_ids: tuple[str, ...], test_set: TestSet) -> None:
    if doc_ids != test_set.doc_ids:
        raise Conflict("documents were added or removed while they were being measured", hint="repeat the command")


def measures_of(recipe: EvaluateRecipe) -> list[Measure]:
    """The measures the recipe names. Raises InputError for a name that is none, or when there is none at all."""
    if not recipe.measures:
        raise InputError("evaluate.measures is empty", hint='for example: evaluate.measures = ["nDCG@10"]')
    return [Measure.parse(name) for name in recipe.measures]


def compare_measured(
    baseline: Measured,
    candidate: Measured,
    *,
    metrics: Sequence[str],
    test_set: TestSet,
    recipe: EvaluateRecipe,
    mask: Mask | None = None,
) -> list[Comparison]:
    """Candidate minus baseline in every metric on the queries of ``mask`` (all by default), groups kept whole."""
    rows = _rows(test_set, mask)
    return compare_all(
        baseline.columns(metrics)[rows],
        candidate.columns(metrics)[rows],
        metrics=metrics,
        groups_Q=test_set.groups_of(rows),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )


def summarise(workspace: Workspace, test_set: TestSet, measured: Sequence[Measured], *, purpose: str) -> dict[str, Any]:
    """The evaluation as JSON: results, comparisons with the first system, examples, and the ledger's entry."""
    recipe = workspace.recipe.evaluate
    baseline, *candidates = measured
    names = [each.system.name for each in measured]
    comparisons = [
        {"baseline": baseline.system.name, "candidate": candidate.system.name, **asdict(comparison)}
        for candidate in candidates
        for comparison in compare_measured(
            baseline, candidate, metrics=recipe.measures, test_set=test_set, recipe=recipe
        )
    ]
    main = recipe.measures[0]
    documents = Collection(workspace.database).documents() if candidates else []
    return {
        "split": test_set.split,
        "num_queries": len(test_set.queries),
        "num_without_relevant": test_set.num_without_relevant,
        "num_groups": len(set(test_set.groups)) if test_set.groups else None,
        "settings": workspace.recipe.evaluate.model_dump(mode="json"),
        "results": [_result(each, test_set, recipe) for each in measured],
        "comparisons": comparisons,
        "examples": [
            example
            for candidate in candidates
            for example in _examples(baseline, candidate, metric=main, test_set=test_set, documents=documents)
        ],
        "ledger": _ledger(workspace, test_set.split, names, purpose),
        **spent(each.system for each in measured if isinstance(each.system, System)),
    }


def _result(measured: Measured, test_set: TestSet, recipe: EvaluateRecipe) -> dict[str, Any]:
    model = measured.system.model
    main = recipe.measures[:1]
    return {
        "system": measured.system.name,
        "model_id": model.model_id if model else None,
        "encoder_id": model.encoder_id if model else None,
        "space_id": model.space_id if model else None,
        "run": asdict(measured.run) if measured.run else None,
        "metrics": _intervals(measured, test_set, recipe, metrics=recipe.measures),
        "slices": {
            name: {
                "num_queries": int(mask.sum()),
                "metrics": _intervals(measured, test_set, recipe, metrics=main, mask=mask),
            }
            for name, mask in test_set.slices.items()
        },
        "num_truncated": measured.num_truncated,
        "num_passages": measured.num_passages,
    }


def _intervals(
    measured: Measured, test_set: TestSet, recipe: EvaluateRecipe, *, metrics: Sequence[str], mask: Mask | None = None
) -> dict[str, dict[str, float]]:
    rows = _rows(test_set, mask)
    intervals = mean_intervals(
        measured.columns(metrics)[rows],
        groups_Q=test_set.groups_of(rows),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )
    return {metric: asdict(interval) for metric, interval in zip(metrics, intervals, strict=True)}


def _rows(test_set: TestSet, mask: Mask | None) -> Ints:
    return np.arange(len(test_set.queries)) if mask is None else np.flatnonzero(mask)


def _group(query: Query, field: str) -> str:
    """The query's group; a query without one is its own."""
    value = query.metadata.get(field)
    return query.query_id if value is None else str(value)


def _seen_documents(
    collection: Collection, queries: Sequence[Query], relevant: dict[str, list[str]], *, relevant_from: int
) -> Mask:
    """Which queries have a relevant document that is relevant to a training query too."""
    seen = {judgment.doc_id for judgment in collection.judgments("train") if judgment.grade >= relevant_from}
    return np.asarray([not seen.isdisjoint(relevant[query.query_id]) for query in queries], dtype=np.bool_)


def _ledger(workspace: Workspace, split: str, systems: list[str], purpose: str) -> dict[str, Any]:
    """Enter a look at a test split; dev and train may be looked at freely."""
    if not split.startswith("test"):
        return {"split": split, "num_looks": None}
    num_looks = Registry(workspace.database).look(split=split, systems=systems, purpose=purpose)
    return {"split": split, "num_looks": num_looks}


def _examples(
    baseline: Measured,
    candidate: Measured,
    *,
    metric: str,
    test_set: TestSet,
    documents: Sequence[Document],
    number: int = 5,
) -> list[dict[str, Any]]:
    """The queries with the largest gains and losses, with what each system put first."""
    difference_Q = candidate.values[metric] - baseline.values[metric]
    order = np.argsort(difference_Q, kind="stable")
    losses = [row for row in order[:number] if difference_Q[row] < 0]
    wins = [row for row in order[::-1][:number] if difference_Q[row] > 0]
    text_of = {document.doc_id: document.full_text for document in documents}
    found = []
    for kind, rows in (("win", wins), ("loss", losses)):
        for row in rows:
            query = test_set.queries[row]
            relevant = test_set.relevant[query.query_id]
            found.append(
                {
                    "kind": kind,
                    "candidate": candidate.system.name,
                    "query_id": query.query_id,
                    "query": query.text,
                    "metric": metric,
                    "baseline_value": float(baseline.values[metric][row]),
                    "candidate_value": float(candidate.values[metric][row]),
                    "relevant": [{"doc_id": doc_id, "text": text_of.get(doc_id, "")} for doc_id in relevant[:3]],
                    "baseline_top": _top(baseline.rows_QK[row], documents, relevant),
                    "candidate_top": _top(candidate.rows_QK[row], documents, relevant),
                }
            )
    return found


def _top(rows_K: Ints, documents: Sequence[Document], relevant: Sequence[str], number: int = 3) -> list[dict[str, Any]]:
    shown = [documents[row] for row in rows_K[:number] if row >= 0]
    return [
        {"doc_id": document.doc_id, "text": document.full_text, "relevant": document.doc_id in relevant}
        for document in shown
    ]
