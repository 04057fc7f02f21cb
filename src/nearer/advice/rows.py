"""Remedies as the verdict sees them and as the answer shows them: what each brought, and what it takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearer.advice.advice_data import MAIN, AdviceData
from nearer.advice.expense import Rate, expense, latency_ms, query_ms
from nearer.advice.learning_curve import measure_curve, refuse_what_cannot_tell
from nearer.advice.remedies import Remedy
from nearer.advice.verdict import FINE_TUNE, Tried
from nearer.core.arrays import Floats64, Ints
from nearer.core.errors import InputError, RecipeError
from nearer.core.results.advice import LearningCurve, RemedyValues, SkippedRemedy
from nearer.core.results.measuring import Comparison, Interval
from nearer.evaluation.ready import waiting
from nearer.evaluation.splits import few_queries
from nearer.measure.significance import mean_intervals
from nearer.systems import BASE
from nearer.training.deadline import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRemedy:
    """A remedy as the verdict sees it, as the answer shows it, and the recipe's keys that make it so.

    ``on_dev`` is its difference from base on the queries that training never learns from.
    """

    tried: Tried
    described: RemedyValues
    changes: Mapping[str, Any]
    on_dev: Comparison | None = None


def row_of(data: AdviceData, remedy: Remedy, rate: Rate) -> MeasuredRemedy:
    """A remedy compared with base on the queries it was measured on, and what it takes."""
    main = str(MAIN)
    compared = data.compare(remedy.values[main], remedy.queries_S)
    value = float(data.base[main].mean()) + compared.difference  # a sample is judged by its difference
    latency = latency_ms(data, remedy.work)
    if other := data.others.get(remedy.name):
        before, after = (query_ms(data, each.encoder) for each in (data.system, other))
        latency = {name: round(after[name] - before[name], 3) for name in after}
    tried = Tried(
        name=remedy.name,
        word=remedy.word,
        value=value,
        difference=compared.difference,
        low=compared.low,
        high=compared.high,
    )
    takes = expense(data, remedy, rate, num_pairs=data.num_pairs)
    described = RemedyValues(
        name=remedy.name,
        word=remedy.word,
        origin="measured",
        num_queries=len(remedy.queries_S),
        metrics=_metrics(data, remedy.values, remedy.queries_S),
        difference=compared.difference,
        low=compared.low,
        high=compared.high,
        p_value=compared.p_value,
        num_wins=compared.num_wins,
        num_losses=compared.num_losses,
        latency_ms=latency,
        **takes,
        changes=dict(remedy.changes),
        notes=remedy.notes,
    )
    untrained_S = np.isin(remedy.queries_S, data.sample(len(data.queries), without_train=True))
    on_dev = None
    if untrained_S.any():
        on_dev = data.compare(remedy.values[main][untrained_S], remedy.queries_S[untrained_S])
    return MeasuredRemedy(tried=tried, described=described, changes=remedy.changes, on_dev=on_dev)


def on_the_same_queries(rows: Sequence[MeasuredRemedy]) -> list[MeasuredRemedy]:
    """The rows; that of fine-tuning, whose gain is of dev alone, says what the best of the others gains there."""
    others = [each for each in rows if each.on_dev is not None]
    if not others:
        return list(rows)

    def gain(row: MeasuredRemedy) -> float:
        return row.on_dev.difference if row.on_dev else 0.0

    best = max(others, key=gain)
    there = best.on_dev
    assert there is not None
    number = there.num_wins + there.num_losses + there.num_ties
    note = (
        f"{best.tried.name} gains {there.difference:+.3f} [{there.low:+.3f}, {there.high:+.3f}] on {number} dev queries"
    )
    return [_noted(each, note) if each.tried.word == FINE_TUNE else each for each in rows]


def _noted(row: MeasuredRemedy, note: str) -> MeasuredRemedy:
    """The same, the first of whose notes says this too."""
    first, *others = row.described.notes
    return replace(row, described=replace(row.described, notes=(f"{first}; {note}", *others)))


def base_row(data: AdviceData) -> RemedyValues:
    """What base does, as the first line of the answer."""
    queries_Q = np.arange(len(data.queries))
    return RemedyValues(
        name=BASE,
        word="leave",
        origin="measured",
        num_queries=len(queries_Q),
        metrics=_metrics(data, data.base, queries_Q),
        latency_ms={"p50": 0.0, "p95": 0.0},
    )


def _metrics(data: AdviceData, values: Mapping[str, Floats64], queries_S: Ints) -> dict[str, Interval]:
    recipe, found = data.workspace.recipe.evaluate, {}
    for name, values_S in values.items():
        is_counted_S = np.isin(queries_S, data.judged.rows_of(name))
        if is_counted_S.any():
            [interval] = mean_intervals(
                values_S[is_counted_S][:, None],
                groups_Q=data.judged.groups_of(queries_S[is_counted_S]),
                num_resamples=recipe.num_resamples,
                confidence=recipe.confidence,
                seed=recipe.seed,
            )
            found[name] = interval
    return found


def fine_tuning(
    data: AdviceData, rate: Rate, *, full_curve: bool, deadline: Deadline, clock: Callable[[], float]
) -> MeasuredRemedy | SkippedRemedy:
    """What fine-tuning would bring, from a learning curve on dev: its gain there, added to what base has here.

    It is left out where it could not tell, and has no more pairs than there is time for.
    """
    if (few := few_queries(data.workspace)) is not None:
        return SkippedRemedy(name=FINE_TUNE, reason=waiting(few))
    most = data.num_pairs if full_curve else None
    try:
        refuse_what_cannot_tell(data.workspace)
        curve = measure_curve(
            data.workspace,
            max_pairs=most,
            progress=data.progress,
            clock=clock,
            time_s=deadline.left_s,
            embedded=data.embedded,
        )
    except (InputError, RecipeError) as error:
        return SkippedRemedy(name=FINE_TUNE, reason=error.message)
    forecast, gain = curve.forecast, curve.forecast.gain
    base = data.base[str(MAIN)]
    is_forecast = forecast.num_pairs > max(each.num_pairs for each in curve.points)
    origin = "forecast" if is_forecast else "measured"
    tried = Tried(
        name=FINE_TUNE,
        word=FINE_TUNE,
        value=float(base.mean()) + gain.value,
        difference=gain.value,
        low=gain.low,
        high=gain.high,
        basis=f"{origin} {'from' if is_forecast else 'on'} {curve.num_queries} dev queries",
    )
    remedy = Remedy(
        name=FINE_TUNE,
        word=FINE_TUNE,
        queries_S=np.arange(len(base)),
        values={},
        ranked=data.dense,
        index_work="re-embed",
    )
    takes = expense(data, remedy, rate, num_pairs=data.num_pairs, training_hours=curve.hours)
    described = RemedyValues(
        name=FINE_TUNE,
        word=FINE_TUNE,
        origin=origin,
        num_queries=curve.num_queries,
        metrics={curve.metric: _added(float(base.mean()), gain)},
        difference=gain.value,
        low=gain.low,
        high=gain.high,
        latency_ms={"p50": 0.0, "p95": 0.0},
        **takes,
        notes=(_scale(curve, float(base.mean())), curve.method, *curve.notes),
        curve=curve,
    )
    return MeasuredRemedy(tried=tried, described=described, changes={})


def _added(base: float, gain: Interval) -> Interval:
    """What a gain makes of the base, no more than a share can be."""
    value, low, high = (min(1.0, max(0.0, base + each)) for each in (gain.value, gain.low, gain.high))
    return Interval(value=value, low=low, high=high)


def _scale(curve: LearningCurve, base: float) -> str:
    """On what the gain was measured, and why the value is not the curve's own."""
    own = curve.points[0].value
    return (
        f"the gain is of {curve.num_queries} dev queries over {curve.num_documents:,} documents, where base has "
        f"{own:.3f}; it is added to base's {base:.3f}, so that all values are on one scale"
    )
