"""What the report tells, gathered from the workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nearer.core.recipe import Recipe
from nearer.store.registry import Event, Model, Registry, Release
from nearer.store.workspace import Workspace

JSON = Mapping[str, Any]
DECISIONS = ("promote", "refuse", "rollback")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that the page shows.

    ``events`` are the history, oldest first, each with the ``model_id`` it was about. ``evaluation`` is the comparison
    that the page explains, and ``origin`` says in words where it comes from; ``apart`` are those of other test splits.
    ``suite`` is the regression suite's last run, ``advice`` the last that was given, ``sizes`` the last curve of
    shorter and smaller vectors, ``merge`` the last merge.
    """

    name: str
    generated_at: str
    version: str
    recipe: Recipe = field(default_factory=Recipe)
    events: Sequence[JSON] = ()
    live: JSON | None = None
    evaluation: JSON | None = None
    origin: str = ""
    apart: Sequence[JSON] = ()
    models: Mapping[str, JSON] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    suite: JSON | None = None
    advice: JSON | None = None
    sizes: JSON | None = None
    merge: JSON | None = None


def gather(workspace: Workspace, *, generated_at: str) -> ReportData:
    """Read what the report needs; no model is loaded."""
    registry, collection = workspace.registry, workspace.collection
    live, history = registry.live(), registry.history()
    model_of = {event.release_id: _model_of(registry, event) for event in history if event.release_id}
    evaluation, origin = choose_evaluation(history, live, registry.evaluations())
    return ReportData(
        name=workspace.recipe.name,
        generated_at=generated_at,
        version=_version(),
        recipe=workspace.recipe,
        events=[
            {**asdict(event), "model_id": model_of.get(event.release_id or "") or event.detail.get("model_id")}
            for event in history
            if event.action not in ("advise", "compress", "train_reranker", "merge")
        ],
        live=asdict(live) if live else None,
        evaluation=evaluation,
        origin=origin,
        apart=measured_apart(registry.evaluations(), evaluation),
        models={model.model_id: _describe(model) for model in registry.models()},
        counts=collection.counts(),
        splits=collection.splits(),
        suite=registry.last_suite_run(),
        advice=_last(history, "advise"),
        sizes=_last(history, "compress"),
        merge=_last(history, "merge"),
    )


def choose_evaluation(
    history: Sequence[Event], live: Release | None, evaluations: Sequence[JSON]
) -> tuple[JSON | None, str]:
    """The evaluation that explains the last decision, and where it comes from.

    A refusal's own comes first, then that of the live release, then the last comparison on a test split, then whatever
    was measured last.
    """
    decisions = [event for event in history if event.action in DECISIONS]
    if decisions and decisions[-1].action == "refuse":
        own = refused_evaluation(decisions[-1], evaluations)
        if own:
            return own, "the comparison behind the refusal"
    released = live.evidence.get("evaluation") if live else None
    if live and released and released.get("comparisons"):
        return released, f"the comparison that {live.release_id} was promoted on"
    judged = [each for each in evaluations if each.get("comparisons") and str(each.get("split")).startswith("test")]
    if judged:
        return judged[-1], "the last comparison on a test split"
    if live and released:
        return released, f"the measurement that {live.release_id} was promoted on"
    if evaluations:
        return evaluations[-1], "the last measurement"
    return None, ""


def measured_apart(evaluations: Sequence[JSON], chosen: JSON | None) -> list[JSON]:
    """The last evaluation of every test split but that of the chosen one, by name."""
    last = {str(each.get("split")): each for each in evaluations if each.get("results")}
    splits = sorted(split for split in last if split.startswith("test"))
    return [last[split] for split in splits if chosen and split != chosen.get("split")]


def refused_evaluation(event: Event, evaluations: Sequence[JSON]) -> JSON | None:
    """What a refused model was measured with: kept with the refusal, or else the last test comparison of that model."""
    kept = event.detail.get("evaluation")
    if isinstance(kept, Mapping) and kept.get("comparisons"):
        return kept
    model_id = event.detail.get("model_id")
    for each in reversed(evaluations):
        is_test = str(each.get("split")).startswith("test") and each.get("comparisons")
        if is_test and model_id in [result.get("model_id") for result in each["results"][1:]]:
            return each
    return None


def _last(history: Sequence[Event], action: str) -> JSON | None:
    """What was recorded of an action last, with the time under ``at``."""
    return next(({**each.detail, "at": each.at} for each in reversed(history) if each.action == action), None)


def _model_of(registry: Registry, event: Event) -> str:
    assert event.release_id is not None
    return registry.release(event.release_id).model_id


def _describe(model: Model) -> JSON:
    return {
        "model_id": model.model_id,
        "encoder_id": model.encoder_id,
        "space_id": model.space_id,
        "parent_model_id": model.parent_model_id,
        "created_at": model.created_at,
        "training": model.training,
    }


def _version() -> str:
    try:
        return version("nearer")
    except PackageNotFoundError:
        return "unknown"
