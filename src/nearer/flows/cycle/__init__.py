"""One turn of the loop: learn from what is new, and let it go live if the gate, and users, say so."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from nearer.core.errors import BudgetSpent, InputError
from nearer.core.progress import Progress, Silent
from nearer.core.purse import Purse
from nearer.core.results.loop import Cycle, CycleList, CycleStep, CycleVerdict
from nearer.flows.cycle.stages import STAGES, TurnOptions, stages_of
from nearer.flows.retention import enforce_retention
from nearer.store.cycles import CycleEntry, Cycles
from nearer.store.workspace import Workspace
from nearer.turns.news import read_news, why_nothing_to_learn
from nearer.turns.stages import planned_steps, run_stages, steps_of


def cycle(  # noqa: PLR0913 (what a turn is asked)
    workspace: Workspace,
    *,
    dry_run: bool = False,
    until: str | None = None,
    sources: str = "",
    budget: str | None = None,
    max_cost: float | None = None,
    shadow: float = 0.0,
    canary: float = 0.0,
    days: int = 7,
    progress: Progress | None = None,
) -> Cycle:
    """Do one turn, or go on with the one that was cut short; without news do nothing and say why.

    Click judgments are made anew, and models are trained from live and from the base; dev chooses among them and live,
    the gate compares with live on test, and what it lets through goes live. With a ``shadow`` share it is asked beside
    live first, and with a ``canary`` share it answers so many of the users for ``days``: these wait for users, and the
    next call goes on. ``budget`` is the time for both trainings, ``max_cost`` the US dollars that this call may pay to
    services: before more it stops, and the next call goes on. ``sources`` says whose judgments are learned from.

    Raises InputError for what cannot be asked and data that nothing can be learned from, WorkspaceBusy while another
    process is at it, and what its stages raise: then the next call goes on where it stopped.
    """
    progress = progress or Silent()
    if until is not None and until not in STAGES:
        raise InputError(f"--until {until!r} is no stage", hint=f"one of {', '.join(STAGES)}")
    if not (0 <= shadow <= 1 and 0 <= canary < 1 and days >= 1):
        raise InputError("a share is from 0 to 1, and a canary lives a day at least", hint="nearer cycle --canary 0.1")
    options = TurnOptions(sources=sources, budget=budget, shadow=shadow, canary=canary, days=days)
    cycles, purse = Cycles(workspace.database), Purse(max_cost)
    if dry_run:
        return _planned(workspace, cycles)
    workspace = workspace.paying_from(purse)
    with workspace.lease("cycle", verb="cycle"):
        enforce_retention(workspace)
        entry, why = _entry(workspace, cycles)
        if entry is None:
            return _answer(None, (), verdict="nothing to learn", reasons=(why,))
        stages = stages_of(workspace, entry, options, progress, before=cycles.last())
        try:
            ran = run_stages(cycles, entry, stages, until=until, say=progress.say)
        except BudgetSpent as error:
            steps = planned_steps(STAGES, cycles.stages(entry.cycle_id))
            left = ", ".join(each.stage for each in steps if each.state == "to do")
            said = (error.message, f"left out: {left}")
            return _answer(entry, steps, verdict="stopped", reasons=said, purse=purse)
        if ran.verdict in ("waiting", "stopped"):
            return _answer(entry, ran.steps, verdict=ran.verdict, reasons=ran.reasons, purse=purse)
        verdict, reasons = ran.verdict or "promoted", ran.reasons or (str(ran.results["gate"]["why"]),)
        entry = cycles.end(entry.cycle_id, verdict=verdict, reasons=reasons)
        return _answer(entry, ran.steps, verdict=verdict, reasons=reasons, purse=purse)


def cycles(workspace: Workspace) -> CycleList:
    """Every turn with its stages, the newest first."""
    store, found = Cycles(workspace.database), []
    for each in store.all():
        steps = steps_of(store.stages(each.cycle_id))
        is_waiting = any(step.state == "waiting" for step in steps)
        verdict = cast(CycleVerdict, each.verdict or ("waiting" if is_waiting else "stopped"))
        found.append(_answer(each, steps, verdict=verdict, reasons=each.reasons))
    return CycleList(cycles=tuple(found))


def _entry(workspace: Workspace, cycles: Cycles) -> tuple[CycleEntry | None, str]:
    """The turn to do: the one that was cut short, or a new one where there is news; else why there is none."""
    if unfinished := cycles.unfinished():
        return unfinished, ""
    news, last = read_news(workspace), cycles.last()
    if why := why_nothing_to_learn(news, last.news if last else None):
        return None, why
    return cycles.begin(asdict(news), live_release_id=workspace.registry.live_id()), ""


def _planned(workspace: Workspace, cycles: Cycles) -> Cycle:
    """What a turn would do; nothing is done or written."""
    entry, last = cycles.unfinished(), cycles.last()
    kept = cycles.stages(entry.cycle_id) if entry else {}
    why = None if entry else why_nothing_to_learn(read_news(workspace), last.news if last else None)
    if why:
        return _answer(None, (), verdict="nothing to learn", reasons=(why,))
    steps = planned_steps(STAGES, kept)
    reason = f"turn {entry.number} goes on" if entry else "a new turn"
    return _answer(entry, steps, verdict="planned", reasons=(reason,))


def _answer(
    entry: CycleEntry | None,
    steps: Sequence[CycleStep],
    *,
    verdict: CycleVerdict,
    reasons: tuple[str, ...],
    purse: Purse | None = None,
) -> Cycle:
    release_id = next((each.result.get("release_id") for each in steps if each.stage == "promote"), None)
    return Cycle(
        cycle_id=entry.cycle_id if entry else None,
        number=entry.number if entry else None,
        verdict=verdict,
        reasons=reasons,
        stages=tuple(steps),
        release_id=release_id,
        live_before=entry.live_release_id if entry else None,
        started_at=entry.started_at if entry else None,
        ended_at=entry.ended_at if entry else None,
        cost_usd=purse.spent_usd if purse and purse.is_known else None,
        max_cost_usd=purse.limit_usd if purse else None,
    )
