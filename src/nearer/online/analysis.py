"""What an experiment found: each metric's effect by unit, guardrails, days, segments, and what follows.

Arrays: I searches, U units of an arm.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.results.online import (
    ArmValue,
    DayEffect,
    Effect,
    ExperimentVerdict,
    GuardrailEffect,
    MetricEffect,
    SegmentEffect,
)
from nearer.measure.significance import holm
from nearer.online.compare import compare, not_worse
from nearer.online.cuped import adjust
from nearer.online.metrics import LATENCY, Metric, UnitSums, by_unit, latency_metric, metric_of
from nearer.online.moments import Moments
from nearer.online.outcomes import Outcomes
from nearer.online.plan import Plan

CONTROL, TREATMENT = "control", "treatment"
ARMS = (CONTROL, TREATMENT)
MIN_UNITS = 20
"""Units an arm below which no interval is shown: the sums of fewer are far from normal. Our rule."""


def named(name: str, outcomes: Outcomes) -> Metric:
    """The metric of that name; that of latency is measured by control's own."""
    return latency_metric(outcomes, CONTROL) if name == LATENCY else metric_of(name)


def effect_of(metric: Metric, outcomes: Outcomes, plan: Plan, *, before: Outcomes | None = None) -> MetricEffect | None:
    """The effect of the treatment on a metric; None where an arm has too few units, or nothing to divide by.

    With the searches ``before`` the experiment, also the effect with the noise taken out that the past explains.
    """
    sums = {arm: by_unit(metric, outcomes, arm) for arm in ARMS}
    if any(int((each.below_U > 0).sum()) < MIN_UNITS for each in sums.values()):
        return None
    control, treatment = (Moments.of_ratio(sums[arm].top_U, sums[arm].below_U, name=arm) for arm in ARMS)
    absolute = _compared(control, treatment, plan, relative=False)
    adjusted = _adjusted(metric, sums, before, plan) if before is not None else None
    return MetricEffect(
        metric=metric.name,
        meaning=metric.meaning,
        better=metric.better,
        control=ArmValue(num_units=control.num, value=control.mean),
        treatment=ArmValue(num_units=treatment.num, value=treatment.mean),
        absolute=absolute,
        relative=_compared(control, treatment, plan, relative=True) if control.mean else None,
        adjusted=adjusted[0] if adjusted else None,
        share_removed=adjusted[1] if adjusted else None,
        faults=adjusted[2] if adjusted else (),
    )


def guardrails_of(outcomes: Outcomes, plan: Plan, *, is_over: bool) -> list[GuardrailEffect]:
    """What is known of every guardrail: safe, harmed, or neither yet.

    Until the experiment is over the intervals are those that may be read at any time: harm is looked for every day.
    """
    plan = plan if is_over else plan.model_copy(update={"sequential": True})
    found = []
    for name, margin in plan.guardrails.items():
        try:
            metric = named(name, outcomes)
            effect = effect_of(metric, outcomes, plan)
        except InputError:  # nothing was timed
            effect = None
        state = (
            not_worse(effect.absolute, margin=margin, higher_is_better=metric.better == "higher") if effect else None
        )
        found.append(
            GuardrailEffect(
                metric=name,
                margin=margin,
                effect=effect,
                is_safe=bool(state and state.is_safe),
                is_harmed=bool(state and state.is_harmed),
            )
        )
    return found


def by_day(metric: Metric, outcomes: Outcomes, plan: Plan) -> list[DayEffect]:
    """The effect up to the end of each day; a novelty that wears off shows here."""
    days = np.unique(outcomes.day_I).tolist()
    found = [(day, effect_of(metric, outcomes.of(outcomes.day_I <= day), plan)) for day in days]
    return [DayEffect(day=day + 1, effect=each.absolute) for day, each in found if each]


def by_segment(metric: Metric, outcomes: Outcomes, plan: Plan) -> list[SegmentEffect]:
    """The effect on parts of the users and searches, with p-values corrected for how many were looked at (Holm)."""
    effects = {
        name: effect
        for name, chosen_I in _segments(outcomes).items()
        if (effect := effect_of(metric, outcomes.of(chosen_I), plan)) is not None
    }
    corrected = holm([each.absolute.p_value for each in effects.values()])
    return [
        SegmentEffect(segment=name, effect=effect.absolute, num_units=_num(effect), p_adjusted=p_value)
        for (name, effect), p_value in zip(effects.items(), corrected, strict=True)
    ]


def _segments(outcomes: Outcomes) -> Mapping[str, Bools]:
    asked = np.unique(outcomes.unit_I, return_inverse=True, return_counts=True)
    often_I = asked[2][asked[1]]
    middle = float(np.median(asked[2])) if len(asked[2]) else 0.0
    return {
        "new users": ~outcomes.is_returning_I,
        "returning users": outcomes.is_returning_I,
        "users who search little": often_I <= middle,
        "users who search much": often_I > middle,
    }


def _num(effect: MetricEffect) -> int:
    return effect.control.num_units + effect.treatment.num_units


def _compared(control: Moments, treatment: Moments, plan: Plan, *, relative: bool) -> Effect:
    effect = treatment.mean - control.mean
    if control.variance == 0 and treatment.variance == 0:
        if not all(0 <= each.mean <= 1 for each in (control, treatment)):  # nothing says how sure it is
            width = 2 * abs(effect)
            return Effect(effect=effect, low=effect - width, high=effect + width, p_value=1.0)
        control, treatment = _with_two_more(control), _with_two_more(treatment)
    return compare(control, treatment, relative=relative, sequential=plan.sequential, confidence=plan.confidence)


def _with_two_more(share: Moments) -> Moments:
    """A share that no unit differs in, as with one more unit of either kind, so that it does not look certain.

    Source: Agresti and Caffo, Simple and Effective Confidence Intervals for Proportions (The American Statistician 54,
    2000).
    """
    mean = (share.mean * share.num + 1) / (share.num + 2)
    return Moments(num=share.num + 2, mean=mean, variance=mean * (1 - mean))


def _adjusted(
    metric: Metric, sums: Mapping[str, UnitSums], before: Outcomes, plan: Plan
) -> tuple[Effect, float, tuple[str, ...]] | None:
    """CUPED on the metric made linear: what a unit has more than control's ratio would give its searches.

    Source of the linear form: Budylin, Drutsa, Katsev and Tsoy, Consistent Transformation of Ratio Metrics (WSDM 2018).
    """
    past = by_unit(metric, before, before.arms[0])
    if not len(past.units_U) or not past.below_U.sum():
        return None
    control = sums[CONTROL]
    ratio, past_ratio = control.top_U.sum() / control.below_U.sum(), past.top_U.sum() / past.below_U.sum()
    scale = np.concatenate([each.below_U for each in sums.values()]).mean()
    linear_past = past.top_U - past_ratio * past.below_U
    pairs = []
    for arm in ARMS:
        own = sums[arm]
        pairs.append(((own.top_U - ratio * own.below_U) / scale, _aligned(own.units_U, past.units_U, linear_past)))
    if not any(values_U.any() for _, values_U in pairs):
        return None
    found = adjust(*pairs, confidence=plan.confidence)
    effect = _compared(found.control, found.treatment, plan, relative=False)
    return effect, found.share_removed, found.faults


def _aligned(units_U: Ints, past_units: Ints, values: Floats64) -> Floats64:
    """The past of every unit, 0 for one that has none."""
    place = np.minimum(np.searchsorted(past_units, units_U), max(len(past_units) - 1, 0))
    return np.where(past_units[place] == units_U, values[place], 0.0)


def verdict_of(
    plan: Plan,
    *,
    is_over: bool,
    ratio_alarm: bool,
    primary: MetricEffect | None,
    guardrails: Sequence[GuardrailEffect],
) -> tuple[ExperimentVerdict, tuple[str, ...]]:
    """What follows, and why: ``broken``, ``harm``, ``too early``, ``better``, ``worse`` or ``not shown``."""
    if ratio_alarm:
        return "broken", ("the arms do not have the users that they should have, so no effect can be believed",)
    if harmed := [each.metric for each in guardrails if each.is_harmed]:
        return "harm", (f"proven worse than its margin: {', '.join(harmed)}",)
    if primary is None:
        return "too early", (f"an arm has fewer than {MIN_UNITS} {plan.unit}s with {plan.primary}",)
    if not (is_over or plan.sequential):
        return "too early", (f"a fixed horizon is read once, after {plan.days} days",)
    sign = 1 if primary.better == "higher" else -1
    low, high = sorted((sign * primary.absolute.low, sign * primary.absolute.high))
    if high < 0:
        return "worse", (f"{plan.primary} is proven worse",)
    unsafe = [each.metric for each in guardrails if not each.is_safe]
    if low <= 0:
        return ("not shown" if is_over else "too early"), (f"the interval of {plan.primary} includes 0",)
    if unsafe:
        return "not shown", (
            f"{plan.primary} is proven better, but not yet that {', '.join(unsafe)} is within its margin",
        )
    return "better", (f"{plan.primary} is proven better, and every guardrail safe",)
