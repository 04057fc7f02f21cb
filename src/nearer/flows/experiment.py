"""Experiments with users: plan, start, report, stop, list. The service shares out the users."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nearer.core.errors import Conflict, InputError, NotFound
from nearer.core.progress import Progress, Silent
from nearer.core.results.online import (
    ExperimentList,
    ExperimentReport,
    PowerPlan,
    StartedExperiment,
)
from nearer.flows.promote import promote, shared
from nearer.online.agreement import agreement
from nearer.online.plan import Plan, read_plan
from nearer.serving.experiment_report import offline_of, power_of, report_experiment, status_of
from nearer.serving.holdout import holdout_effect
from nearer.store.arms import Arms
from nearer.store.events.reading import EventReader
from nearer.store.events.sharing import event_folder
from nearer.store.experiments import Experiment, Experiments
from nearer.store.registered import Decision
from nearer.store.workspace import Workspace

Now = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def plan_experiment(workspace: Workspace, path: str | Path, *, now: Now = _utc_now) -> PowerPlan:
    """What the experiment in a TOML file can show, by the traffic of the days before. Raises InputError."""
    return power_of(workspace, read_plan(Path(path)), now=now())


def start_experiment(
    workspace: Workspace,
    path: str | Path,
    *,
    force_reason: str | None = None,
    progress: Progress | None = None,
) -> StartedExperiment:
    """Freeze the plan in a TOML file and share out the users, if the gate lets the treatment through.

    Raises InputError for a plan that cannot be, NotFound while nothing is live, Conflict where an experiment runs or a
    release answers a share of the users.
    """
    return begin_experiment(workspace, read_plan(Path(path)), force_reason=force_reason, progress=progress)


def begin_experiment(
    workspace: Workspace, plan: Plan, *, force_reason: str | None = None, progress: Progress | None = None
) -> StartedExperiment:
    """The same for a plan that is there already."""
    store = Experiments(workspace.database)
    if running := store.running():
        raise Conflict(
            f"{running.experiment_id} runs: one experiment at a time",
            hint="end it first: nearer experiment stop --reason TEXT",
        )
    Arms(workspace.database).refuse_active()
    live = workspace.registry.live()
    if live is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    if plan.kind == "aa":
        workspace.begin_writing()
        release_id, offline = live.release_id, None
        decision = Decision(action="arm", model_id=live.model_id, reasons=("against itself (A/A)",))
    else:
        held = promote(workspace, plan.treatment, hold=True, force_reason=force_reason, progress=progress or Silent())
        if held.release_id is None:
            return StartedExperiment(verdict="refused", reasons=held.reasons, experiment=None)
        release_id, offline = held.release_id, offline_of(workspace, held)
        gate = workspace.registry.last_decision(release_id=release_id)
        decision = Decision(
            action="arm",
            model_id=workspace.registry.release(release_id).model_id,
            reasons=held.reasons,
            notes=held.notes,
            forced=gate.forced if gate else force_reason,
        )
    started = store.start(
        shared(decision, plan.share),
        plan.model_dump(mode="json"),
        plan_hash=plan.plan_hash,
        live_id=live.release_id,
        release_id=release_id,
        offline=offline,
    )
    return StartedExperiment(verdict="started", reasons=(), experiment=status_of(started))


def experiment_report(
    workspace: Workspace,
    experiment_id: str | None = None,
    *,
    now: Now = _utc_now,
    log: EventReader | None = None,
) -> ExperimentReport:
    """What an experiment found, so far or in the end: the one that runs, or the newest, unless one is named.

    Who asks again and again gives a reader of the ``log``, which goes on from where it was.

    Raises NotFound where there is none.
    """
    found = _named(workspace, experiment_id)
    if found.report:
        return ExperimentReport.read(found.report)
    event_folder(workspace)
    return report_experiment(workspace, found, now=now(), log=log)


def stop_experiment(workspace: Workspace, *, reason: str, now: Now = _utc_now) -> ExperimentReport:
    """End the experiment that runs: live answers everybody again, and what was found is kept.

    Raises NotFound where none runs, InputError without a reason.
    """
    if not reason.strip():
        raise InputError("an experiment ends for a reason", hint='for example: --reason "after 14 days"')
    running = Experiments(workspace.database).running()
    if running is None:
        raise NotFound("no experiment runs", hint="see: nearer experiment list")
    event_folder(workspace)
    return _end(workspace, running, reason=reason, now=now())


def guard_experiment(
    workspace: Workspace, *, now: Now = _utc_now, log: EventReader | None = None
) -> ExperimentReport | None:
    """End a canary that does harm, or that has run its days; the service asks for it every minute. None: nothing to do.

    Live then answers everybody again.
    """
    running = Experiments(workspace.database).running()
    if running is None or Plan.model_validate(running.plan).kind != "canary":
        return None
    found = report_experiment(workspace, running, now=now(), log=log)
    if found.verdict in ("harm", "worse"):
        return _end(workspace, running, reason=f"ended by itself: {found.reasons[0]}", now=now(), log=log)
    return None


def experiments(workspace: Workspace, *, log: EventReader | None = None) -> ExperimentList:
    """Every experiment, the newest first, and how well offline differences forecast what they found."""
    found = Experiments(workspace.database).all()
    pairs = [pair for each in found if (pair := _pair(each)) is not None]
    return ExperimentList(
        experiments=tuple(status_of(each) for each in found),
        agreement=agreement([offline for offline, _ in pairs], [online for _, online in pairs]),
        holdout=holdout_effect(workspace, log=log),
    )


def _end(
    workspace: Workspace, running: Experiment, *, reason: str, now: datetime, log: EventReader | None = None
) -> ExperimentReport:
    ended_at = now.isoformat(timespec="milliseconds")
    found = report_experiment(workspace, replace(running, ended_at=ended_at, reason=reason), now=now, log=log)
    Experiments(workspace.database).end(running, reason=reason, ended_at=ended_at, report=found.to_dict())
    return found


def _named(workspace: Workspace, experiment_id: str | None) -> Experiment:
    store = Experiments(workspace.database)
    if experiment_id:
        return store.get(experiment_id)
    found = store.running() or next(iter(store.all()), None)
    if found is None:
        raise NotFound("there was no experiment yet", hint="begin: nearer experiment start PLAN.toml")
    return found


def _pair(experiment: Experiment) -> tuple[float, float] | None:
    """The offline difference and the online effect, above 0 for the better; None where one is missing."""
    if not (experiment.offline and experiment.report):
        return None
    primary = ExperimentReport.read(experiment.report).primary
    if primary is None:
        return None
    sign = 1 if primary.better == "higher" else -1
    return float(experiment.offline["difference"]), sign * primary.absolute.effect
