"""What each page shows, as a record: the template and the JSON twin have the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nearer.core.results.base import Result
from nearer.core.results.drift import Drift
from nearer.core.results.loop import Cycle
from nearer.core.results.online import ExperimentList, ExperimentReport
from nearer.core.results.releases import ArmStatus, HistoryEvent
from nearer.core.results.service import JobEntry
from nearer.core.results.serving import Link
from nearer.core.results.shadow import ShadowReport, Spread
from nearer.core.results.status import ReleaseStatus
from nearer.flows.arm import arm_status
from nearer.flows.cycle import cycles
from nearer.flows.experiment import experiment_report, experiments
from nearer.flows.job import STARTED_BY_HAND
from nearer.flows.lineage import lineage
from nearer.flows.status import status
from nearer.serving.shadow_report import last_shadow
from nearer.store.arms import Arms
from nearer.store.jobs import ENDED, JobLine, Jobs
from nearer.store.registry import MOVES
from nearer.web.service import Service
from nearer.web.traffic import MOST_SEEN, Traffic

_MOST_TURNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Result):
    """What is live, since when, on which evidence, and how the service does."""

    live: ReleaseStatus | None
    since: str | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    forced: str | None
    served: str | None
    index_lag: int
    num_searches: int
    p95_ms: float | None
    shadow: str | None
    arm: ArmStatus | None
    num_jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage(Result):
    """What happened to the live pointer, oldest first; ``previous`` is what a rollback returns to."""

    live: str | None
    previous: str | None
    events: tuple[HistoryEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPage(Result):
    """The newest searches of all processes; ``num_failed`` of them had no answer, through no fault of the query."""

    num_searches: int
    num_failed: int
    most: int
    latency_ms: Spread | None
    by_arm: Mapping[str, int]
    zero_results: tuple[tuple[str, int], ...]
    unclicked: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPage(Result):
    """The candidate in the shadow, or the last one."""

    report: ShadowReport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentsPage(Result):
    """The experiment that runs, or the one that was asked for, or the newest; and all of them."""

    report: ExperimentReport | None
    all: ExperimentList


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsPage(Result):
    """The newest turns of the loop, what the last look at drift said, and where what is live came from."""

    cycles: tuple[Cycle, ...]
    drift: Drift | None
    lineage: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsPage(Result):
    """The newest jobs, and what may be started."""

    verbs: tuple[str, ...]
    jobs: tuple[JobEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStep(Result):
    """How far a part of a job is; a ``total`` of 0 is unknown."""

    label: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage(Result):
    """One job: its parts, what it said, and the plain values of its result."""

    job: JobEntry
    is_at_work: bool
    steps: tuple[JobStep, ...]
    said: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def overview(service: Service) -> Overview:
    """The first page."""
    workspace = service.workspace
    current, events = status(workspace), workspace.registry.history()
    live_id = current.live.release_id if current.live else None
    moved = next((each for each in reversed(events) if each.release_id == live_id and each.action in MOVES), None)
    evidence = next((each for each in reversed(events) if each.release_id == live_id and each.reasons), moved)
    served, traffic, shadow = service.follower.served, Traffic.read(workspace.events), last_shadow(workspace)
    latency = traffic.latency()
    is_shared = Arms(workspace.database).active() is not None
    return Overview(
        live=current.live,
        since=moved.at if moved else None,
        reasons=evidence.reasons if evidence else (),
        notes=evidence.notes if evidence else (),
        forced=evidence.forced if evidence else None,
        served=served.release.release_id if served else None,
        index_lag=service.index_lag(),
        num_searches=len(traffic.searches),
        p95_ms=latency.p95 if latency else None,
        shadow=shadow.system if shadow and not shadow.ended_at else None,
        arm=arm_status(workspace) if is_shared else None,
        num_jobs=sum(each.state not in ENDED for each in Jobs(workspace).all()),
    )


def history_page(service: Service) -> HistoryPage:
    """What was live, and what a rollback returns to."""
    registry = service.workspace.registry
    previous = registry.previous()
    return HistoryPage(
        live=registry.live_id(),
        previous=previous.release_id if previous else None,
        events=tuple(registry.history()),
    )


def traffic_page(service: Service) -> TrafficPage:
    """What was searched lately."""
    traffic = Traffic.read(service.workspace.events)
    return TrafficPage(
        num_searches=len(traffic.searches),
        num_failed=sum(each.failed for each in traffic.searches),
        most=MOST_SEEN,
        latency_ms=traffic.latency(),
        by_arm=Counter(each.arm for each in traffic.searches),
        zero_results=tuple(traffic.zero_results()),
        unclicked=tuple(traffic.unclicked()),
    )


def experiments_page(service: Service, experiment_id: str = "") -> ExperimentsPage:
    """An experiment, and all of them. Raises NotFound for an unknown id."""
    every, report = experiments(service.workspace, log=service.log), None
    if every.experiments:
        report = experiment_report(service.workspace, experiment_id or None, log=service.log)
    return ExperimentsPage(report=report, all=every)


def shadow_page(service: Service) -> ShadowPage:
    """The shadow."""
    return ShadowPage(report=last_shadow(service.workspace))


def turns_page(service: Service) -> TurnsPage:
    """The turns of the loop."""
    workspace = service.workspace
    seen = workspace.results.last("drift", Drift)
    return TurnsPage(
        cycles=cycles(workspace).cycles[:_MOST_TURNS],
        drift=seen.result if seen else None,
        lineage=lineage(workspace).lineage if workspace.registry.live_id() else (),
    )


def jobs_page(service: Service) -> JobsPage:
    """The jobs."""
    return JobsPage(verbs=STARTED_BY_HAND, jobs=tuple(Jobs(service.workspace).all()))


def job_page(service: Service, job_id: str) -> JobPage:
    """One job. Raises NotFound."""
    jobs = Jobs(service.workspace)
    job = jobs.get(job_id)
    progress, _ = jobs.progress(job_id)
    return JobPage(
        job=job,
        is_at_work=job.state not in ENDED,
        steps=_steps(progress),
        said=tuple(str(each["text"]) for each in progress if "text" in each)[-50:],
        facts=tuple((name, str(value)) for name, value in (job.result or {}).items() if _is_plain(value)),
    )


def _steps(progress: Sequence[JobLine]) -> tuple[JobStep, ...]:
    """The newest of each part, in the order in which they began."""
    newest = {str(each["label"]): each for each in progress if "label" in each}
    return tuple(
        JobStep(label=label, done=int(each["done"]), total=int(each["total"])) for label, each in newest.items()
    )


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)
