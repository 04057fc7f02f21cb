"""What experiments with users say."""

from dataclasses import dataclass

from nearer.core.results.base import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect(Result):
    """Treatment minus control, or a share of control where the effect is relative; ``low`` to ``high`` its interval.

    ``p_value`` is two-sided. In a sequential test it may be looked at after every user, and so may the interval.
    """

    effect: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail(Result):
    """Whether a metric is proven to be no worse than control by more than ``margin``; "not significant" is not enough.

    ``is_safe``: the interval lies above minus the margin. ``is_harmed``: it lies below it. Neither: nobody knows yet.
    """

    effect: Effect
    margin: float
    is_safe: bool
    is_harmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio(Result):
    """Whether the arms have as many units as they should: an alarm is a fault of the experiment, not a result."""

    p_value: float
    is_alarm: bool
