"""What click logs say."""

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
