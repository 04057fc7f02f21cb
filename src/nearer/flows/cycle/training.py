"""The two trainings of a turn: of what is live, and of the base."""

from dataclasses import dataclass

from nearer.core.durations import seconds_of
from nearer.core.progress import Progress
from nearer.flows.adapt import adapt
from nearer.flows.train import train
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_system
from nearer.training.sources import with_sources
from nearer.turns.stages import Outcome

_UNTRAINABLE = ("adapter", "queries", "compressed", "int8", "api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """Whose judgments are learned from, and the time for both trainings."""

    sources: str
    budget: str | None
    progress: Progress


def train_live(workspace: Workspace, asked: Learning) -> Outcome:
    """Train what is live further, where it can be."""
    live = workspace.registry.live()
    if live is None:
        return Outcome(summary="nothing is live: the base alone is trained", is_skipped=True)
    model = workspace.registry.model(live.model_id)
    if model.model_id == open_system(workspace, BASE).model.model_id:
        return Outcome(summary="the base is live: it is trained once", is_skipped=True)
    if kind := next((each for each in _UNTRAINABLE if each in model.encoder), None):
        return Outcome(summary=f"live ({kind}) cannot be trained: the base alone is", is_skipped=True)
    return _trained(workspace, model.model_id, asked, share=0.5)


def train_base(workspace: Workspace, asked: Learning, *, is_alone: bool) -> Outcome:
    """Train the base; of one behind an API, whose weights are not here, an adapter for queries."""
    return _trained(workspace, BASE, asked, share=1.0 if is_alone else 0.5)


def _trained(workspace: Workspace, start: str, asked: Learning, *, share: float) -> Outcome:
    seconds = seconds_of(asked.budget, option="--budget") * share if asked.budget else None
    sources = asked.sources or _sources(workspace)
    if start == BASE and workspace.recipe.encoder.api.endpoint is not None:
        found = adapt(with_sources(workspace, sources), "query", progress=asked.progress)
    else:
        found = train(workspace, start, sources=sources, budget=seconds, progress=asked.progress)
    learned = ", ".join(f"{each.num_pairs} of {each.source}" for each in found.sources) or f"{found.num_pairs} pairs"
    what = found.model_id if found.improved else "nothing better"
    return Outcome(
        summary=f"{what} from {start}, of {learned}; dev {found.dev.start:.4f} -> {found.dev.best:.4f}",
        result={
            "model_id": found.model_id if found.improved else None,
            "start": start,
            "num_pairs": found.num_pairs,
            "sources": [each.to_dict() for each in found.sources],
            "num_excluded": found.num_excluded.to_dict(),
        },
    )


def _sources(workspace: Workspace) -> str:
    """The sources of the recipe, and clicks where there are any; empty where those of the recipe are all."""
    there = {each.source for each in workspace.collection.all_judgments()}
    wanted = {*workspace.recipe.train.judged_by, "clicks"} & there
    return ",".join(sorted(wanted)) if "clicks" in wanted else ""
