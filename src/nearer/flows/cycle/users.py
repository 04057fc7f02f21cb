"""The stages of a turn that wait for users: each call looks, and the turn goes on once there is enough."""

from nearer.core.progress import Progress
from nearer.core.results.base import JSON
from nearer.flows.experiment import begin_experiment, experiment_report, guard_experiment, stop_experiment
from nearer.flows.shadow import shadow_report, start_shadow, stop_shadow
from nearer.online.plan import Plan
from nearer.store.experiments import Experiments
from nearer.store.shadows import Shadows
from nearer.store.workspace import Workspace
from nearer.turns.stages import Outcome

ENOUGH_ANSWERS = 100
"""Answers that a shadow is compared by. Our rule: they show a slow or failing candidate."""


def run_shadow(workspace: Workspace, candidate: str, begun: JSON, *, share: float, progress: Progress) -> Outcome:
    """Have the service ask the candidate beside live, until enough was answered; it decides nothing by itself."""
    active = Shadows(workspace.database).active()
    if not begun and not (active and active.system == candidate):  # it is there, where this was cut short
        shadow_id = start_shadow(workspace, candidate, share=share, progress=progress).shadow_id
    else:
        shadow_id = str(begun.get("shadow_id") or (active.shadow_id if active else ""))
    found = shadow_report(workspace)
    num_answers = found.agreement.num_queries if found.agreement else 0
    is_over = active is None and bool(begun)  # somebody ended it
    if num_answers < ENOUGH_ANSWERS and not is_over:
        return Outcome(
            summary=f"{num_answers} of {ENOUGH_ANSWERS} answers of {candidate} beside live; serve, and repeat the turn",
            result={"shadow_id": shadow_id},
            waits=True,
        )
    if not is_over:
        found = stop_shadow(workspace)
    return Outcome(
        summary=f"{num_answers} answers beside live, {found.num_failed} failed",
        result={"shadow_id": shadow_id, "num_answers": num_answers, "num_failed": found.num_failed},
    )


def run_canary(workspace: Workspace, release_id: str, begun: JSON, *, name: str, share: float, days: int) -> Outcome:
    """Let a release answer a share of the users for so many days; harm ends it, and the turn."""
    store = Experiments(workspace.database)
    mine = next((each for each in store.all() if each.treatment_release_id == release_id), None)
    if mine is None:
        plan = Plan(
            name=name,
            hypothesis="what passed the gate does users no harm",
            kind="canary",
            treatment=release_id,
            share=share,
            days=days,
            sequential=True,
        )
        begin_experiment(workspace, plan)
        mine = store.running()
        assert mine is not None, "it has just begun"
    begun = {"experiment_id": mine.experiment_id}
    if mine.ended_at is None:
        guard_experiment(workspace)  # where no service is running, nobody else looks
    found = experiment_report(workspace, mine.experiment_id)
    is_over = found.day > days or found.verdict in ("broken", "harm", "worse")
    if found.experiment.state == "running" and not is_over:
        return Outcome(
            summary=f"day {found.day} of {days}: {found.verdict}; serve, and repeat the turn", result=begun, waits=True
        )
    if found.experiment.state == "running":
        found = stop_experiment(workspace, reason=f"{name}: its {days} days are over")
    result = {**begun, "verdict": found.verdict, "reasons": list(found.reasons), "num_units": found.num_units}
    reasons = tuple(f"the canary: {each}" for each in found.reasons)
    if found.verdict in ("broken", "harm", "worse", "too early"):
        return Outcome(summary=f"ended: {found.verdict}", result=result, ends="refused", reasons=reasons)
    return Outcome(summary=f"after {days} days: {found.verdict}", result=result)
