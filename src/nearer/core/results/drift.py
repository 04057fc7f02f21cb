"""What the watch on drift says."""

from dataclasses import dataclass
from typing import Literal

from nearer.core.results.base import Result
from nearer.core.results.online import Effect

DriftState = Literal["drift", "steady", "too little"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period(Result):
    """A time of the event log: from ``since`` to before ``until``; searches of nobody are not among those counted."""

    since: str
    until: str
    num_searches: int
    num_people: int
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSignal(Result):
    """One thing that was compared between the periods.

    ``p_value`` is that of a test whose false alarms are ``false_alarm_rate``. ``size`` says of queries how far they
    moved, from 0 to 1; of a metric there are its values and the difference, newest minus before, with its interval.
    """

    name: str
    meaning: str
    state: DriftState
    p_value: float | None
    false_alarm_rate: float
    size: float | None
    newest: float | None
    before: float | None
    effect: Effect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDay(Result):
    """A day of both periods, the oldest first: what the metrics were on it."""

    day: str
    num_searches: int
    zero_results: float
    metric: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Result):
    """Whether what users ask, or what becomes of it, is not as it was.

    ``verdict`` is "drift" where one signal is. ``new_queries`` are those least like what was asked before.
    ``against`` is what queries were compared with: the period before, or the training queries.
    """

    verdict: DriftState
    signals: tuple[DriftSignal, ...]
    against: Literal["before", "training"]
    metric: str
    period: Period
    before: Period
    days: tuple[DriftDay, ...]
    new_queries: tuple[str, ...]
    encoder_id: str
    notes: tuple[str, ...]
