"""What a turn of the loop says."""

from dataclasses import dataclass
from typing import Literal

from nearer.core.results.base import JSON, Result
from nearer.core.results.measuring import Interval

CycleStage = Literal[
    "collect", "judge", "check", "train_live", "train_base", "evaluate", "gate", "shadow", "canary", "promote", "report"
]
CycleVerdict = Literal["promoted", "refused", "nothing better", "nothing to learn", "waiting", "stopped", "planned"]
"""What came of a turn; the last three leave it open, or have not begun it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleStep(Result):
    """A stage of a turn. ``input_hash`` is of what it was given: where that is as before, its result is kept.

    ``state``: "done" in this call, "kept" from one before, "waiting" for users, "skipped", or "to do".
    """

    stage: CycleStage
    state: Literal["done", "kept", "waiting", "skipped", "to do"]
    summary: str
    input_hash: str | None
    at: str | None
    took_s: float
    result: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle(Result):
    """One turn of the loop, as far as it went; ``release_id`` is what it made live.

    ``cycle_id`` is None where no turn began, ``ended_at`` while it goes on with the next call. ``cost_usd`` is what
    this call paid to services that encode, None where that is unknown, and ``max_cost_usd`` what it was allowed.
    """

    cycle_id: str | None
    number: int | None
    verdict: CycleVerdict
    reasons: tuple[str, ...]
    stages: tuple[CycleStep, ...]
    release_id: str | None
    live_before: str | None
    started_at: str | None
    ended_at: str | None
    cost_usd: float | None = None
    max_cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleList(Result):
    """All turns, the newest first."""

    cycles: tuple[Cycle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTurn(Result):
    """A turn of the demo: nDCG@10 on test of what was live and of the candidate, where the gate was asked."""

    number: int
    verdict: CycleVerdict
    reasons: tuple[str, ...]
    before: float | None
    after: float | None
    release_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopDemo(Result):
    """The loop on this machine: the base on test, the turns, and where the page lies."""

    base: Interval
    turns: tuple[LoopTurn, ...]
    report: str
    duration_s: float
