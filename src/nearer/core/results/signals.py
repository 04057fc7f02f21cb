"""What click logs say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nearer.core.results.base import OMITTED, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickFit(Result):
    """A click model fitted to a log.

    ``propensities`` says how likely each rank is looked at, relative to the first; None where the log cannot tell.
    ``intervals`` are their 95 % intervals (bootstrap over users, or lists). Perplexity and log-likelihood are those of
    the test file, or of the log itself without one. "not identified": the log cannot tell attraction from position.
    """

    verdict: Literal["fitted", "not identified"]
    model: str
    why: str
    hint: str | None = field(default=None, metadata=OMITTED)
    log_likelihood: float | None
    perplexity: float | None
    perplexity_at: tuple[float, ...]
    propensities: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    num_sessions: int
    num_lists: int
    num_pairs: int
    num_impressions: int
    num_clicks: int
    num_repeated: int
    num_test_lists: int
    measured_on: Literal["test", "the log itself", "nothing"]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAgreement(Result):
    """How far a source agrees with people and files on the pairs that both judged; None where that is not defined.

    ``mean_bias`` is the mean of its grade less theirs.
    """

    source: str
    num_pairs: int
    kendall_tau: float | None
    weighted_kappa: float | None
    mean_bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickJudgments(Result):
    """Judgments made of what users did. "not identified": the log cannot tell attraction from position.

    ``num_too_few`` of ``num_pairs`` were shown too seldom, or to too few people. ``num_preferences`` are pairs of
    documents of one query of which one is better. ``effective_size`` is that of the clicks, each weighed by how seldom
    its place is looked at. ``apart`` counts events that are kept apart.
    """

    verdict: Literal["judged", "not identified"]
    model: str
    why: str
    hint: str | None = field(default=None, metadata=OMITTED)
    num_judgments: int
    num_queries: int
    num_new_queries: int
    num_pairs: int
    num_too_few: int
    num_preferences: int
    by_grade: Mapping[str, int]
    num_impressions: int
    num_clicks: int
    num_users: int
    effective_size: float | None
    propensities: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    agreement: tuple[JudgeAgreement, ...]
    apart: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedJudgment(Result):
    """A judgment of clicks that changed; None where there is none."""

    query_id: str
    doc_id: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenUser(Result):
    """What was removed of a user, and the judgments of clicks that changed with it."""

    num_impressions: int
    num_events: int
    num_changed: int
    changed: tuple[ChangedJudgment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts(Result):
    """What the event log holds: events that count, ``by_action``, and those kept ``apart``, by reason.

    ``num_repeated`` events were sent again and are counted once. ``last_hour`` counts impressions and events of the
    hour before now. ``num_damaged`` lines of the log cannot be read; ``num_torn_bytes`` at the end of a file were being
    written.
    """

    num_impressions: int
    num_explored: int
    num_events: int
    by_action: Mapping[str, int]
    num_apart: int
    apart: Mapping[str, int]
    num_repeated: int
    num_users: int
    num_sessions: int
    num_queries: int
    first_at: str | None
    last_at: str | None
    last_hour: Mapping[str, int]
    num_files: int
    num_bytes: int
    num_torn_bytes: int
    num_damaged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated(Result):
    """What simulated users were shown and clicked on, and where it was written or sent ``to``."""

    to: str
    users: str
    num_sessions: int
    num_impressions: int
    num_clicks: int
