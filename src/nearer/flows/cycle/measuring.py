"""The two measurements of a turn: dev chooses a candidate, and the gate decides on it."""

from collections.abc import Sequence

from nearer.core.progress import Progress
from nearer.core.results.base import JSON
from nearer.core.results.measuring import Evaluation
from nearer.flows.evaluate import evaluate
from nearer.flows.promote import promote
from nearer.store.workspace import Workspace
from nearer.systems import BASE
from nearer.turns.fresh import FRESH
from nearer.turns.stages import Outcome

_JUDGES = "human,import,clicks"
_WITHOUT_SLICES = {"evaluate.slice_fields": (), "evaluate.time_field": None, "evaluate.frequency_field": None}


def choose_candidate(workspace: Workspace, model_ids: Sequence[str], progress: Progress) -> Outcome:
    """Let dev choose among live and the models that were trained, and show the fresh slice."""
    candidates = [_named(workspace, each) for each in model_ids]
    if not candidates:
        why = "neither training made anything that is better on dev"
        return Outcome(summary=why, ends="nothing better", reasons=(why,))
    systems = ["live" if workspace.registry.live_id() else BASE, *candidates]
    dev = _values(workspace, evaluate(workspace, systems, progress=progress, purpose="cycle"))
    fresh = _fresh(workspace, systems, progress)
    best = max(candidates, key=dev.__getitem__)
    said = ", ".join(f"{name} {value:.4f}" for name, value in dev.items())
    outcome = {"dev": dev, "fresh": fresh, "candidate": best}
    if dev[best] <= dev[systems[0]]:
        why = f"what was trained is no better than {systems[0]} on dev ({said})"
        return Outcome(summary=why, result=outcome, ends="nothing better", reasons=(why,))
    newest = ", ".join(f"{name} {value:.4f}" for name, value in fresh.items())
    return Outcome(
        summary=f"dev: {said}; {best} it is" + (f"; new queries, by clicks: {newest}" if newest else ""),
        result=outcome,
    )


def _fresh(workspace: Workspace, systems: Sequence[str], progress: Progress) -> dict[str, float]:
    """The systems on the new queries, by whoever judged them; live is favoured, for its results were clicked."""
    here = workspace.measured_by(("human", "import", "clicks"))
    if not any(each.grade > 0 for each in here.collection.judgments(FRESH)):
        return {}
    here = workspace.with_values(_WITHOUT_SLICES)  # queries of the log have no fields
    found = evaluate(here, systems, split=FRESH, judgments=_JUDGES, progress=progress, purpose="cycle")
    return _values(workspace, found)


def ask_gate(workspace: Workspace, candidate: str, progress: Progress) -> Outcome:
    """Ask the gate, on test and in the suite; what it lets through becomes a release, not live yet."""
    found = promote(workspace, candidate, hold=True, progress=progress)
    why = "; ".join(found.reasons)
    result = {
        "verdict": found.verdict,
        "why": why,
        "release_id": found.release_id,
        "notes": list(found.notes),
        "metric": workspace.recipe.gate.measure,
        "measured": _intervals(workspace, found.evaluation) if found.evaluation else [],
    }
    if found.verdict == "refused":
        return Outcome(summary=f"refused: {why}", result=result, ends="refused", reasons=found.reasons)
    watched = "" if found.suite else "; no suite watches for what was forgotten (gate.suite)"
    return Outcome(summary=f"let through as {found.release_id}: {why}{watched}", result=result)


def _named(workspace: Workspace, model_id: str) -> str:
    """A model with the stages of what is live, so that it answers in the same way; alone where live has none."""
    live = workspace.registry.live()
    stages = [str(each) for each in live.system["stages"]] if live else []
    return "+".join([model_id, *stages]) if "bm25" not in stages else model_id


def _intervals(workspace: Workspace, found: Evaluation) -> list[JSON]:
    """The same with intervals, in the order of the systems: what is live, then the candidate."""
    metric = workspace.recipe.gate.measure
    return [{"system": each.system, **each.metrics[metric].to_dict()} for each in found.results]


def _values(workspace: Workspace, found: Evaluation) -> dict[str, float]:
    """What each system has in what the gate measures, by its name."""
    return {each.system: each.metrics[workspace.recipe.gate.measure].value for each in found.results}
