"""Releases: what became live, what is, and what was."""

from dataclasses import dataclass, field
from typing import Literal

from nearer.core.results.base import OMITTED, Result
from nearer.core.results.measuring import ApiUse, ComparedSystems, Evaluation, SuiteRun, SystemValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Result):
    """What the gate decided, why, and what it saw; without an evaluation where a former release came back.

    ``share`` is of the users that the release answers, where that is not all of them.
    """

    verdict: Literal["promoted", "refused"]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    release_id: str | None
    evaluation: Evaluation | None
    suite: SuiteRun | None
    share: float | None = field(default=None, metadata=OMITTED)
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStatus(Result):
    """A release that answers a share of the users beside the live one, since when, and until when."""

    arm_id: str
    release_id: str
    live_release_id: str
    share: float
    started_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Result):
    """The release that is live again, its model, and the release before (``previous``)."""

    release_id: str
    model_id: str
    previous: str
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent(Result):
    """A decision on what is live: "promote", "refuse", "rollback", "arm" or "hold" of a model, and why.

    ``forced`` is the reason why a model that the gate refused is live all the same.
    """

    at: str
    action: str
    model_id: str
    release_id: str | None
    previous_release_id: str | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    forced: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History(Result):
    """Everything that happened to the live pointer, oldest first."""

    events: tuple[HistoryEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp(Result):
    """A backup: where it lies, what is live in it, and the spaces whose damaged indexes it lacks."""

    file: str
    made_at: str
    release_id: str | None
    num_files: int
    num_bytes: int
    indexes_left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Result):
    """A workspace made of a backup; ``faults`` are those of the live index, which ``nearer index`` mends."""

    workspace: str
    made_at: str
    release_id: str | None
    num_documents: int
    num_files: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport(Result):
    """Where the HTML page lies, and of how many evaluations it tells."""

    report: str
    num_evaluations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo(Result):
    """What the demo's candidate was against the base on test, what the gate said, and where the page lies."""

    base: SystemValues
    candidate: SystemValues
    comparison: ComparedSystems | None
    num_test_uses: int | None
    verdict: str
    reasons: tuple[str, ...]
    report: str
    duration_s: float
