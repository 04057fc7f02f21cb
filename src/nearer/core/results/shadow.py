"""A candidate in the shadow of live: what both answered to the same queries."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearer.core.results.base import OMITTED, Result
from nearer.core.results.measuring import ApiUse, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread(Result):
    """Where values lie: the 5 %, 50 %, 95 % and 99 % quantiles."""

    p5: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSide(Result):
    """One of the two: milliseconds of an answer, its scores, and the queries to which it found nothing.

    ``top_scores`` are those of the first result of each query, ``scores`` those of all; None where there were none.
    """

    latency_ms: Spread
    top_scores: Spread | None
    scores: Spread | None
    num_zero_results: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowHit(Result):
    """A document that one of the two found."""

    doc_id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowQuery(Result):
    """A query, and what live and the candidate found for it, best first."""

    query: str
    overlap: float
    rank_biased_overlap: float
    live: tuple[ShadowHit, ...]
    shadow: tuple[ShadowHit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowAgreement(Result):
    """How alike the answers are, as means over queries: overlap of the ten best, and rank-biased overlap."""

    num_queries: int
    overlap: Interval
    rank_biased_overlap: Interval
    sides: Mapping[str, ShadowSide]
    most_different: tuple[ShadowQuery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport(Result):
    """A candidate that is asked a share of what live is asked, and what both answered.

    ``num_offered`` queries were drawn; ``num_dropped`` found no room, ``num_failed`` had no answer. Compared is what
    was answered beside ``live_release_id``, the release that was live last; ``num_of_others`` were beside another.
    """

    shadow_id: str
    system: str
    model_id: str
    space_id: str
    share: float
    started_at: str
    ended_at: str | None
    num_offered: int
    num_dropped: int
    num_failed: int
    live_release_id: str | None = None
    num_of_others: int = 0
    agreement: ShadowAgreement | None = None
    api: ApiUse | None = field(default=None, metadata=OMITTED)
