"""Measured systems with intervals, by slice, and compared pair by pair."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.progress import Progress
from nearer.core.sections import EvaluateRecipe
from nearer.evaluation.examples import examples
from nearer.evaluation.judged_split import JudgedSplit
from nearer.evaluation.ranking import Measured
from nearer.measure.metrics import Measure
from nearer.measure.power import Spread, detectable, num_queries_needed, spreads
from nearer.measure.significance import Comparison, compare_all, holm, mean_intervals, min_units
from nearer.store.workspace import Workspace
from nearer.systems import System, spent

FEWER_JUDGED = 0.05
"""A fall in Judged that is pointed out: half a document of the first ten. Our rule.

Source for why: Thakur et al., BEIR (arXiv 2104.08663), section 6: documents that nobody judged made dense systems look
worse than they were.
"""


def compare_measured(
    baseline: Measured,
    candidate: Measured,
    *,
    metrics: Sequence[str],
    judged: JudgedSplit,
    recipe: EvaluateRecipe,
    mask: Bools | None = None,
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
    workspace: Workspace,
    judged: JudgedSplit,
    measured: Sequence[Measured],
    *,
    ledger: dict[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """The evaluation as JSON: results, comparisons with the first system, examples, and the ledger's entry of it."""
    recipe = workspace.recipe.evaluate
    baseline, *candidates = measured
    comparisons = with_adjusted_p(
        [each for candidate in candidates for each in _compare(baseline, candidate, judged=judged, recipe=recipe)]
    )
    return {
        "split": judged.split,
        "num_queries": len(judged.queries),
        "num_without_relevant": judged.num_without_relevant,
        "num_groups": len(set(judged.groups)) if judged.groups else None,
        "settings": workspace.recipe.evaluate.model_dump(mode="json"),
        "results": [_result(each, judged, recipe) for each in measured],
        "comparisons": comparisons,
        "notes": [_unjudged(each) for each in comparisons if _is_judged_less(each)],
        "examples": examples(workspace, judged, measured, metric=recipe.measures[0], progress=progress),
        "ledger": ledger,
        **spent(each.system for each in measured if isinstance(each.system, System)),
    }


def with_adjusted_p(comparisons: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Comparisons with ``p_adjusted``: Holm's, over all candidates that were compared in the same measure.

    Measures are not adjusted for each other: the first decides, the others describe.
    """
    adjusted = [dict(each) for each in comparisons]
    for metric in {each["metric"] for each in adjusted}:
        family = [each for each in adjusted if each["metric"] == metric]
        for each, p_value in zip(family, holm([each["p_value"] for each in family]), strict=True):
            each["p_adjusted"] = p_value
    return adjusted


def _compare(
    baseline: Measured, candidate: Measured, *, judged: JudgedSplit, recipe: EvaluateRecipe
) -> list[dict[str, Any]]:
    """Candidate minus baseline in every measure, what the queries would show, and how many more are needed."""
    metrics = recipe.measures
    compared = compare_measured(baseline, candidate, metrics=metrics, judged=judged, recipe=recipe)
    differences_QM = candidate.columns(metrics) - baseline.columns(metrics)
    return [
        {
            "baseline": baseline.system.name,
            "candidate": candidate.system.name,
            **asdict(comparison),
            "detectable": detectable(spread, alpha=1 - recipe.confidence),
            **_needed(spread, recipe),
        }
        for comparison, spread in zip(compared, _spreads(differences_QM, judged, recipe), strict=True)
    ]


def _spreads(values_QM: Floats64, judged: JudgedSplit, recipe: EvaluateRecipe) -> list[Spread]:
    groups = judged.groups_of(_rows(judged, None))
    return spreads(values_QM, groups_Q=groups, confidence=recipe.confidence)


def _needed(spread: Spread, recipe: EvaluateRecipe) -> dict[str, int | None]:
    needed = num_queries_needed(spread, half_width=recipe.wanted_precision, confidence=recipe.confidence)
    more = None if needed is None else max(0, needed - spread.num_queries)
    return {"num_queries_needed": needed, "num_queries_more": more}


def _is_judged_less(comparison: dict[str, Any]) -> bool:
    return Measure.parse(comparison["metric"]).name == "Judged" and comparison["difference"] < -FEWER_JUDGED


def _unjudged(comparison: dict[str, Any]) -> str:
    return (
        f"{comparison['candidate']} returns fewer judged documents than {comparison['baseline']} "
        f"({comparison['metric']} {comparison['difference']:+.3f}); those that nobody judged count as not relevant, "
        "so it may be better than it looks"
    )


def _result(measured: Measured, judged: JudgedSplit, recipe: EvaluateRecipe) -> dict[str, Any]:
    model = measured.system.model
    [spread] = _spreads(measured.columns(recipe.measures[:1]), judged, recipe)
    return {
        "system": measured.system.name,
        "model_id": model.model_id if model else None,
        "encoder_id": model.encoder_id if model else None,
        "space_id": model.space_id if model else None,
        "run": asdict(measured.run) if measured.run else None,
        "metrics": _intervals(measured, judged, recipe, metrics=recipe.measures),
        **_needed(spread, recipe),
        "slices": {name: _slice(measured, judged, recipe, mask) for name, mask in judged.slices.items()},
        "num_truncated": measured.num_truncated,
        "num_passages": measured.num_passages,
    }


def _slice(measured: Measured, judged: JudgedSplit, recipe: EvaluateRecipe, mask: Bools) -> dict[str, Any]:
    """A slice in the first measure; where it is too small for an interval to mean anything, only how small."""
    rows = np.flatnonzero(mask)
    groups = judged.groups_of(rows)
    num_groups = len(set(groups)) if groups else None
    num_units = num_groups or len(rows)
    is_small = len(rows) < recipe.min_slice_queries or num_units < min_units(recipe.confidence)
    metrics = None if is_small else _intervals(measured, judged, recipe, metrics=recipe.measures[:1], mask=mask)
    return {"num_queries": len(rows), "num_groups": num_groups, "metrics": metrics}


def _intervals(
    measured: Measured,
    judged: JudgedSplit,
    recipe: EvaluateRecipe,
    *,
    metrics: Sequence[str],
    mask: Bools | None = None,
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


def _rows(judged: JudgedSplit, mask: Bools | None) -> Ints:
    return np.arange(len(judged.queries)) if mask is None else np.flatnonzero(mask)
