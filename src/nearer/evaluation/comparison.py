"""Measured systems with intervals, by slice, and compared pair by pair."""

from collections.abc import Sequence
from dataclasses import asdict

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.records import TRUSTED
from nearer.core.results.measuring import (
    ComparedSystems,
    Comparison,
    Evaluation,
    Interval,
    Ledger,
    RunRows,
    SliceValues,
    SystemValues,
)
from nearer.core.sections import EvaluateRecipe
from nearer.encode.embedded import Corpora
from nearer.evaluation.examples import examples
from nearer.evaluation.judged_split import JudgedSplit
from nearer.evaluation.ranking import Measured
from nearer.evaluation.ready import waiting
from nearer.evaluation.splits import few_queries
from nearer.measure.metrics import Measure
from nearer.measure.power import Spread, detectable, num_queries_needed, spreads
from nearer.measure.significance import compare_all, holm, mean_intervals, min_units
from nearer.store.workspace import Workspace
from nearer.systems import System, api_use

_WIDTHS = (0.1, 0.05, 0.02)
"""Half widths of intervals of which is told how many queries they need, where queries are few."""

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
    """Candidate minus baseline in every metric on the queries of ``mask`` (all by default), groups kept whole.

    Each metric is taken over those of them that it tells of.
    """
    found: dict[str, Comparison] = {}
    for names, rows in _together(judged, metrics, mask):
        compared = compare_all(
            baseline.columns(names)[rows],
            candidate.columns(names)[rows],
            metrics=names,
            groups_Q=judged.groups_of(rows),
            num_resamples=recipe.num_resamples,
            confidence=recipe.confidence,
            seed=recipe.seed,
        )
        found |= {each.metric: each for each in compared}
    return [found[metric] for metric in metrics]


def _together(judged: JudgedSplit, metrics: Sequence[str], mask: Bools | None) -> list[tuple[list[str], Ints]]:
    """The measures that are taken over the same queries, and the rows of these."""
    found: dict[bytes, tuple[list[str], Ints]] = {}
    for metric in metrics:
        rows = judged.rows_of(metric, mask)
        found.setdefault(rows.tobytes(), ([], rows))[0].append(metric)
    return list(found.values())


def summarise(corpora: Corpora, judged: JudgedSplit, measured: Sequence[Measured], *, ledger: Ledger) -> Evaluation:
    """The evaluation: results, comparisons with the first system, examples, and the ledger's entry of it."""
    workspace = corpora.workspace
    recipe = workspace.recipe.evaluate
    metrics = judged.measurable(recipe.measures)
    baseline, *candidates = measured
    names = [each.system.name for each in measured]
    comparisons = [
        compared
        for candidate in candidates
        for compared in _compare(baseline, candidate, metrics=metrics, judged=judged, recipe=recipe)
    ]
    p_adjusted = adjusted_p([each for each, _ in comparisons])
    systems = [each.system.name for each in measured[1:] for _ in metrics]
    compared = tuple(
        _compared(each, spread, recipe, baseline=names[0], candidate=name, p_adjusted=p_value)
        for name, (each, spread), p_value in zip(systems, comparisons, p_adjusted, strict=True)
    )
    return Evaluation(
        split=judged.split,
        num_queries=len(judged.queries),
        num_with_relevant=int(judged.has_relevant_Q.sum()),
        num_without_gain=judged.num_without_gain,
        num_unjudged=judged.num_unjudged,
        relevant_from=judged.qrels.relevant_from,
        num_groups=len(set(judged.groups)) if judged.groups else None,
        settings=recipe.model_dump(mode="json"),
        results=tuple(_result(each, judged, recipe) for each in measured),
        comparisons=compared,
        excluded=measured[0].excluded,
        notes=(
            *_judged_by(workspace),
            *_few(workspace, measured, judged),
            *(_unjudged(each) for each in compared if _is_judged_less(each)),
        ),
        examples=examples(corpora, judged, measured, metric=recipe.measures[0]),
        ledger=ledger,
        judged_by=workspace.collection.measured_by,
        api=api_use(each.system for each in measured if isinstance(each.system, System)),
    )


def _judged_by(workspace: Workspace) -> list[str]:
    """Whose judgments these are, where they are not those of people alone."""
    sources = workspace.collection.measured_by
    return [] if sources == TRUSTED else [f"every number here is by judgments of {', '.join(sources)}"]


def _compared(
    comparison: Comparison,
    spread: Spread,
    recipe: EvaluateRecipe,
    *,
    baseline: str,
    candidate: str,
    p_adjusted: float,
) -> ComparedSystems:
    needed, more = _needed(spread, recipe)
    return ComparedSystems(
        baseline=baseline,
        candidate=candidate,
        **comparison.to_dict(),
        detectable=detectable(spread, alpha=1 - recipe.confidence),
        num_queries_needed=needed,
        num_queries_more=more,
        p_adjusted=p_adjusted,
    )


def adjusted_p(comparisons: Sequence[Comparison]) -> list[float]:
    """Holm's p-value of each comparison, over all candidates that were compared in the same measure.

    Measures are not adjusted for each other: the first decides, the others describe.
    """
    adjusted = [each.p_value for each in comparisons]
    for metric in {each.metric for each in comparisons}:
        places = [place for place, each in enumerate(comparisons) if each.metric == metric]
        for place, p_value in zip(places, holm([adjusted[place] for place in places]), strict=True):
            adjusted[place] = p_value
    return adjusted


def _compare(
    baseline: Measured,
    candidate: Measured,
    *,
    metrics: Sequence[str],
    judged: JudgedSplit,
    recipe: EvaluateRecipe,
) -> list[tuple[Comparison, Spread]]:
    """Candidate minus baseline in every measure, and how the differences are spread over queries."""
    compared = compare_measured(baseline, candidate, metrics=metrics, judged=judged, recipe=recipe)
    differences = {metric: candidate.values[metric] - baseline.values[metric] for metric in metrics}
    return [(each, _spread(differences[each.metric], each.metric, judged, recipe)) for each in compared]


def _spread(values_Q: Floats64, metric: str, judged: JudgedSplit, recipe: EvaluateRecipe) -> Spread:
    rows = judged.rows_of(metric)
    [found] = spreads(values_Q[rows][:, None], groups_Q=judged.groups_of(rows), confidence=recipe.confidence)
    return found


def _needed(spread: Spread, recipe: EvaluateRecipe) -> tuple[int | None, int | None]:
    """How many queries the wanted precision needs, and how many of them are missing."""
    needed = num_queries_needed(spread, half_width=recipe.wanted_precision, confidence=recipe.confidence)
    return needed, None if needed is None else max(0, needed - spread.num_queries)


def _few(workspace: Workspace, measured: Sequence[Measured], judged: JudgedSplit) -> list[str]:
    """What few judged queries tell, and how many more tell more."""
    number = few_queries(workspace)
    if number is None:
        return []
    recipe = workspace.recipe.evaluate
    first = recipe.measures[0]
    values_Q = measured[-1].values[first] - (measured[0].values[first] if len(measured) > 1 else 0.0)
    spread = _spread(values_Q, first, judged, recipe)
    what = f"the difference in {first}" if len(measured) > 1 else first
    wanted = [
        f"±{width:g}: {max(0, needed - spread.num_queries):,} more"
        for width in _WIDTHS
        if (needed := num_queries_needed(spread, half_width=width, confidence=recipe.confidence)) is not None
    ]
    return [waiting(number), *([f"an interval of {what} of {', '.join(wanted)} judged queries"] if wanted else [])]


def _is_judged_less(comparison: ComparedSystems) -> bool:
    return Measure.parse(comparison.metric).name == "Judged" and comparison.difference < -FEWER_JUDGED


def _unjudged(comparison: ComparedSystems) -> str:
    return (
        f"{comparison.candidate} returns fewer judged documents than {comparison.baseline} "
        f"({comparison.metric} {comparison.difference:+.3f}); those that nobody judged count as not relevant, "
        "so it may be better than it looks"
    )


def _result(measured: Measured, judged: JudgedSplit, recipe: EvaluateRecipe) -> SystemValues:
    model = measured.system.model
    first = recipe.measures[0]
    spread = _spread(measured.values[first], first, judged, recipe)
    needed, more = _needed(spread, recipe)
    return SystemValues(
        system=measured.system.name,
        model_id=model.model_id if model else None,
        encoder_id=model.encoder_id if model else None,
        space_id=model.space_id if model else None,
        run=RunRows(**asdict(measured.run)) if measured.run else None,
        metrics=_intervals(measured, judged, recipe, metrics=judged.measurable(recipe.measures)),
        num_queries_needed=needed,
        num_queries_more=more,
        slices={name: _slice(measured, judged, recipe, mask) for name, mask in judged.slices.items()},
        num_truncated=measured.num_truncated,
        num_passages=measured.num_passages,
        by_query={name: _by_query(measured, judged, name) for name in judged.measurable(recipe.measures)},
    )


def _by_query(measured: Measured, judged: JudgedSplit, metric: str) -> dict[str, float]:
    """The value of every query that a measure is taken over, by its id."""
    values_Q = measured.values[metric]
    return {judged.queries[row].query_id: float(values_Q[row]) for row in judged.rows_of(metric)}


def _slice(measured: Measured, judged: JudgedSplit, recipe: EvaluateRecipe, mask: Bools) -> SliceValues:
    """A slice in the first measure; where it is too small for an interval to mean anything, only how small."""
    rows = judged.rows_of(recipe.measures[0], mask)
    groups = judged.groups_of(rows)
    num_groups = len(set(groups)) if groups else None
    num_units = num_groups or len(rows)
    is_small = len(rows) < recipe.min_slice_queries or num_units < min_units(recipe.confidence)
    metrics = None if is_small else _intervals(measured, judged, recipe, metrics=recipe.measures[:1], mask=mask)
    return SliceValues(num_queries=len(rows), num_groups=num_groups, metrics=metrics)


def _intervals(
    measured: Measured,
    judged: JudgedSplit,
    recipe: EvaluateRecipe,
    *,
    metrics: Sequence[str],
    mask: Bools | None = None,
) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for names, rows in _together(judged, metrics, mask):
        intervals = mean_intervals(
            measured.columns(names)[rows],
            groups_Q=judged.groups_of(rows),
            num_resamples=recipe.num_resamples,
            confidence=recipe.confidence,
            seed=recipe.seed,
        )
        found |= dict(zip(names, intervals, strict=True))
    return {metric: found[metric] for metric in metrics}
