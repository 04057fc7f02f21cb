"""What experiments with users say."""

from dataclasses import dataclass
from typing import Literal

from nearer.core.results.base import JSON, Result

ExperimentVerdict = Literal["broken", "harm", "too early", "better", "worse", "not shown"]
"""What follows from an experiment. Broken: its arms are not as they should be, so nothing can be believed."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmValue(Result):
    """A metric in one arm, and the units (users, or sessions) that it comes from."""

    num_units: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEffect(Result):
    """What the treatment does to a metric: the difference, and the same as a share of control.

    ``adjusted`` is the difference with the noise taken out that the time before explains (CUPED), ``share_removed``
    how much of the variance that was; ``faults`` say why it may not be believed.
    """

    metric: str
    meaning: str
    better: Literal["higher", "lower"]
    control: ArmValue
    treatment: ArmValue
    absolute: Effect
    relative: Effect | None
    adjusted: Effect | None
    share_removed: float | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailEffect(Result):
    """A metric that must not get worse by more than ``margin``; neither safe nor harmed: nobody knows yet."""

    metric: str
    margin: float
    effect: MetricEffect | None
    is_safe: bool
    is_harmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEffect(Result):
    """The effect on the primary metric up to the end of a day, the first of which is 1."""

    day: int
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEffect(Result):
    """The effect on a part of the users or searches; ``p_adjusted`` is corrected for all segments (Holm)."""

    segment: str
    num_units: int
    effect: Effect
    p_adjusted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InterleavedResult(Result):
    """How far users preferred the treatment where both rankings were mixed in one list; a winner a user.

    ``preference`` is from -1/2 to 1/2, above 0 for the treatment.
    """

    num_wins: int
    num_losses: int
    num_ties: int
    preference: Effect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPlan(Result):
    """What an experiment can show, by the traffic of the days before: ``num_days`` of them were seen.

    ``smallest_effect`` is what ``days`` days find with a power of 80 %, as a share of control's ``mean``.
    ``days_for`` says for some effects how many days they take.
    """

    plan_hash: str
    metric: str
    num_days: float
    units_a_day: float
    mean: float
    days: int
    smallest_effect: float | None
    days_for: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentStatus(Result):
    """An experiment: what was planned, and since when, or how long, it ran."""

    experiment_id: str
    name: str
    kind: str
    state: Literal["running", "stopped"]
    plan: JSON
    plan_hash: str
    control: str
    treatment: str
    started_at: str
    ended_at: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentReport(Result):
    """What an experiment found so far, or in the end; ``verdict`` says what follows, ``reasons`` why."""

    experiment: ExperimentStatus
    verdict: ExperimentVerdict
    reasons: tuple[str, ...]
    day: int
    num_units: dict[str, int]
    num_searches: dict[str, int]
    num_without_unit: int
    num_mixed_units: int
    sample_ratio: SampleRatio | None
    primary: MetricEffect | None
    metrics: tuple[MetricEffect, ...]
    guardrails: tuple[GuardrailEffect, ...]
    by_day: tuple[DayEffect, ...]
    segments: tuple[SegmentEffect, ...]
    interleaved: InterleavedResult | None
    offline: JSON | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedExperiment(Result):
    """An experiment that began; ``reasons`` say why the gate refused the treatment, where it did."""

    verdict: Literal["started", "refused"]
    reasons: tuple[str, ...]
    experiment: ExperimentStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(Result):
    """Whether offline differences forecast online effects, over experiments that ended.

    ``share_same_sign``: of experiments where both went the same way. ``tau`` is the rank correlation. ``slope`` is the
    online effect for an offline difference of 1, with its interval. ``may_decide``: there are enough to act on it.
    """

    num_experiments: int
    share_same_sign: float | None
    tau: float | None
    slope: float | None
    slope_low: float | None
    slope_high: float | None
    may_decide: bool
    min_experiments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy(Result):
    """Clicks a search that another ranking would have got, from a log where results were randomised.

    ``ips`` is unbiased, ``snips`` varies less, ``doubly_robust`` rests on a model of clicks too; each with its interval
    by resampling searches. ``effective_size`` is what the weighted log is worth in searches.
    """

    num_searches: int
    logged: float
    ips: float
    ips_low: float
    ips_high: float
    snips: float
    snips_low: float
    snips_high: float
    doubly_robust: float
    doubly_robust_low: float
    doubly_robust_high: float
    effective_size: float
    share_matched: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutEffect(Result):
    """What everything since the first release did for users: all others (treatment) against those held out (control).

    ``effect`` is on click-through since ``since``, may be read at any time, and is None while an arm has too few users.
    """

    release_id: str
    since: str
    num_units: dict[str, int]
    effect: MetricEffect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentList(Result):
    """Every experiment, the newest first, and how well offline differences forecast their effects.

    ``holdout`` is None where nobody is held out.
    """

    experiments: tuple[ExperimentStatus, ...]
    agreement: Agreement
    holdout: HoldoutEffect | None
