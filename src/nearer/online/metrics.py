"""What an experiment measures: ratios of two sums over a unit's searches, with the unit as what was drawn.

Arrays: I searches, U units of an arm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.errors import InputError
from nearer.online.outcomes import Outcomes, summed

Parts = tuple[Floats64, Floats64]
"""What is counted a search, and what it is divided by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A ratio: the sum of the first of ``parts`` over that of the second; ``meaning`` is what a reader is told."""

    name: str
    better: Literal["higher", "lower"]
    meaning: str
    parts: Callable[[Outcomes], Parts]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitSums:
    """A metric by unit of one arm: the sums of both parts; units without anything to divide by are there with 0."""

    units_U: Ints
    top_U: Floats64
    below_U: Floats64


def metric_of(name: str) -> Metric:
    """The metric of that name; ``share:ACTION`` and ``value:ACTION`` are those of an action of your own.

    Raises InputError for another name.
    """
    if name in METRICS:
        return METRICS[name]
    kind, colon, action = name.partition(":")
    if colon and action and kind == "share":
        return Metric(
            name=name,
            better="higher",
            meaning=f"searches that {action!r} followed",
            parts=lambda each: (_share(_count(each, action) > 0), _ones(each)),
        )
    if colon and action and kind == "value":
        return Metric(
            name=name,
            better="higher",
            meaning=f"value of {action!r} a search",
            parts=lambda each: (_total(each, action), _ones(each)),
        )
    raise InputError(
        f"there is no metric {name!r}", hint=f"choose one of {', '.join(METRICS)}, share:ACTION or value:ACTION"
    )


def by_unit(metric: Metric, outcomes: Outcomes, arm: str) -> UnitSums:
    """The sums of a metric over the searches of each unit of an arm."""
    place = outcomes.arms.index(arm)
    is_arm_I = outcomes.arm_I == place
    top_I, below_I = metric.parts(outcomes)
    units_U, code_I = np.unique(outcomes.unit_I[is_arm_I], return_inverse=True)
    return UnitSums(
        units_U=units_U,
        top_U=summed(code_I, top_I[is_arm_I], len(units_U)),
        below_U=summed(code_I, below_I[is_arm_I], len(units_U)),
    )


def slower_than(limit_ms: float) -> Metric:
    """The share of searches that took longer; by control's 95th percentile it is what happens to its latency p95."""
    return Metric(
        name=LATENCY,
        better="lower",
        meaning=f"searches slower than control's 95th percentile, {limit_ms:.3g} ms",
        parts=lambda each: (_share(each.took_ms_I > limit_ms), _share(~np.isnan(each.took_ms_I))),
    )


def latency_metric(outcomes: Outcomes, control: str) -> Metric:
    """The metric of latency, measured by control. Raises InputError where no search of control was timed."""
    took_ms = outcomes.took_ms_I[(outcomes.arm_I == outcomes.arms.index(control)) & ~np.isnan(outcomes.took_ms_I)]
    if not len(took_ms):
        raise InputError("no search of control was timed", hint="leave latency out for logs of other systems")
    return slower_than(float(np.quantile(took_ms, 0.95)))


def _share(is_so_I: Bools) -> Floats64:
    return is_so_I.astype(np.float64)


def _ones(outcomes: Outcomes) -> Floats64:
    return np.ones(len(outcomes.unit_I))


def _count(outcomes: Outcomes, action: str) -> Floats64:
    return outcomes.actions[action][0] if action in outcomes.actions else np.zeros(len(outcomes.unit_I))


def _total(outcomes: Outcomes, action: str) -> Floats64:
    return outcomes.actions[action][1] if action in outcomes.actions else np.zeros(len(outcomes.unit_I))


def _within(outcomes: Outcomes, rank: int) -> Parts:
    return _share((outcomes.first_rank_I > 0) & (outcomes.first_rank_I <= rank)), _ones(outcomes)


def _clicked(outcomes: Outcomes) -> Bools:
    found: Bools = outcomes.num_clicks_I > 0
    return found


def _abandoned(outcomes: Outcomes) -> Bools:
    return (outcomes.num_shown_I > 0) & ~_clicked(outcomes) & ~outcomes.is_reformulated_I


LATENCY = "latency_p95"
_NAMED = (
    Metric(
        name="click_through",
        better="higher",
        meaning="searches with a click",
        parts=lambda each: (_share(_clicked(each)), _ones(each)),
    ),
    Metric(
        name="success@1",
        better="higher",
        meaning="searches whose first result was clicked",
        parts=lambda each: _within(each, 1),
    ),
    Metric(
        name="success@5",
        better="higher",
        meaning="searches with a click on the first five",
        parts=lambda each: _within(each, 5),
    ),
    Metric(
        name="time_to_success",
        better="lower",
        meaning="seconds to the first click, of searches that have one",
        parts=lambda each: (np.nan_to_num(each.to_click_s_I), _share(_clicked(each))),
    ),
    Metric(
        name="zero_results",
        better="lower",
        meaning="searches that showed nothing",
        parts=lambda each: (_share((each.num_shown_I == 0) & ~each.is_failed_I), _ones(each)),
    ),
    Metric(
        name="errors",
        better="lower",
        meaning="searches that failed",
        parts=lambda each: (_share(each.is_failed_I), _ones(each)),
    ),
    Metric(
        name="reformulation",
        better="lower",
        meaning="searches that were asked anew in other words, unclicked",
        parts=lambda each: (_share(each.is_reformulated_I), _ones(each)),
    ),
    Metric(
        name="abandonment",
        better="lower",
        meaning="searches with results that nobody clicked or asked anew",
        parts=lambda each: (_share(_abandoned(each)), _ones(each)),
    ),
    Metric(
        name="dwell_s",
        better="higher",
        meaning="seconds spent on what was clicked, a search",
        parts=lambda each: (each.dwell_s_I, _ones(each)),
    ),
    Metric(
        name="conversion",
        better="higher",
        meaning="searches that a purchase followed",
        parts=lambda each: (_share(_count(each, "purchase") > 0), _ones(each)),
    ),
    Metric(
        name="rating",
        better="higher",
        meaning="mean of the ratings given",
        parts=lambda each: (_total(each, "rating"), _count(each, "rating")),
    ),
)
METRICS: Mapping[str, Metric] = {each.name: each for each in _NAMED}
"""All metrics but latency, which needs control's own."""
