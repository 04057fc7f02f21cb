"""Measure systems on a split: every metric with an interval, by slice, and compared pair by pair."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nearer.core.progress import Progress, Silent
from nearer.core.recipe import EvaluateRecipe
from nearer.flows.examples import examples
from nearer.flows.judged_split import Ints, JudgedSplit, Mask, read_judged_split
from nearer.flows.ranking import Measured, measure, measure_run
from nearer.flows.runs import is_run
from nearer.flows.splits import ensure_splits
from nearer.flows.systems import System, open_system, spent
from nearer.measure.significance import Comparison, compare_all, mean_intervals
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace


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
    judged = read_judged_split(workspace, split)
    runs = {name: measure_run(workspace, name, judged) for name in systems if is_run(name)}
    measured = [runs.get(name) or measure(workspace, opened[name], judged, progress=progress) for name in systems]
    result = summarise(workspace, judged, measured, purpose=purpose, progress=progress)
    Registry(workspace.database).add_evaluation(split=split, result=result)
    return result


def compare_measured(
    baseline: Measured,
    candidate: Measured,
    *,
    metrics: Sequence[str],
    judged: JudgedSplit,
    recipe: EvaluateRecipe,
    mask: Mask | None = None,
) -> list[Comparison]:
    """Candidate minus baseline in every metric on the queries of ``mask`` (all by default), groups kept whole."""
    rows = _rows(judged, mask)
    return compare_all(
        baseline.columns(metrics)[rows],
        candidate.columns(metrics)[rows],
        metrics=metrics,
        groups_Q=judged.groups_of(rows),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )


def summarise(
    workspace: Workspace, judged: JudgedSplit, measured: Sequence[Measured], *, purpose: str, progress: Progress
) -> dict[str, Any]:
    """The evaluation as JSON: results, comparisons with the first system, examples, and the ledger's entry."""
    recipe = workspace.recipe.evaluate
    baseline, *candidates = measured
    names = [each.system.name for each in measured]
    comparisons = [
        {"baseline": baseline.system.name, "candidate": candidate.system.name, **asdict(comparison)}
        for candidate in candidates
        for comparison in compare_measured(baseline, candidate, metrics=recipe.measures, judged=judged, recipe=recipe)
    ]
    return {
        "split": judged.split,
        "num_queries": len(judged.queries),
        "num_without_relevant": judged.num_without_relevant,
        "num_groups": len(set(judged.groups)) if judged.groups else None,
        "settings": workspace.recipe.evaluate.model_dump(mode="json"),
        "results": [_result(each, judged, recipe) for each in measured],
        "comparisons": comparisons,
        "examples": examples(workspace, judged, measured, metric=recipe.measures[0], progress=progress),
        "ledger": Registry(workspace.database).look(split=judged.split, systems=names, purpose=purpose),
        **spent(each.system for each in measured if isinstance(each.system, System)),
    }


def _result(measured: Measured, judged: JudgedSplit, recipe: EvaluateRecipe) -> dict[str, Any]:
    model = measured.system.model
    main = recipe.measures[:1]
    return {
        "system": measured.system.name,
        "model_id": model.model_id if model else None,
        "encoder_id": model.encoder_id if model else None,
        "space_id": model.space_id if model else None,
        "run": asdict(measured.run) if measured.run else None,
        "metrics": _intervals(measured, judged, recipe, metrics=recipe.measures),
        "slices": {
            name: {
                "num_queries": int(mask.sum()),
                "metrics": _intervals(measured, judged, recipe, metrics=main, mask=mask),
            }
            for name, mask in judged.slices.items()
        },
        "num_truncated": measured.num_truncated,
        "num_passages": measured.num_passages,
    }


def _intervals(
    measured: Measured, judged: JudgedSplit, recipe: EvaluateRecipe, *, metrics: Sequence[str], mask: Mask | None = None
) -> dict[str, dict[str, float]]:
    rows = _rows(judged, mask)
    intervals = mean_intervals(
        measured.columns(metrics)[rows],
        groups_Q=judged.groups_of(rows),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )
    return {metric: asdict(interval) for metric, interval in zip(metrics, intervals, strict=True)}


def _rows(judged: JudgedSplit, mask: Mask | None) -> Ints:
    return np.arange(len(judged.queries)) if mask is None else np.flatnonzero(mask)
