"""What the report tells, gathered from the workspace."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from nearer.core.recipe import Recipe
from nearer.core.results.advice import Advice
from nearer.core.results.measuring import Evaluation, SuiteRun
from nearer.core.results.releases import HistoryEvent
from nearer.core.results.shadow import ShadowReport
from nearer.core.results.training import TrainingRecord
from nearer.core.results.vectors import CompressionCurve, Merged
from nearer.html_report.loop import TurnData
from nearer.serving.shadow_report import last_shadow
from nearer.store.cycles import Cycles
from nearer.store.registered import Decision, Model, Release
from nearer.store.registry import Registry
from nearer.store.results import EvaluationEntry, Kept
from nearer.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that the page shows.

    ``events`` are the history, oldest first, and ``notes`` what the gate could not settle when ``live`` was promoted,
    or when the last candidate was refused. ``evaluation`` is the comparison that the page explains, and ``origin`` says
    in words where it comes from; ``apart`` are those of other test splits. ``trained`` is the model whose training is
    shown. The others are what verbs answered last.
    """

    name: str
    generated_at: str
    version: str
    recipe: Recipe = field(default_factory=Recipe)
    events: Sequence[HistoryEvent] = ()
    notes: Sequence[str] = ()
    live: Release | None = None
    evaluation: Evaluation | None = None
    origin: str = ""
    apart: Sequence[Evaluation] = ()
    models: Mapping[str, Model] = field(default_factory=dict)
    trained: tuple[Model, TrainingRecord] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    suite: Kept[SuiteRun] | None = None
    advice: Kept[Advice] | None = None
    sizes: Kept[CompressionCurve] | None = None
    merge: Kept[Merged] | None = None
    shadow: ShadowReport | None = None
    turns: Sequence[TurnData] = ()


def gather(workspace: Workspace, *, generated_at: str) -> ReportData:
    """Read what the report needs; no model is loaded."""
    registry, results = workspace.registry, workspace.results
    live, last, entries = registry.live(), registry.last_decision(), results.evaluations()
    promotion = registry.last_decision(release_id=live.release_id) if live else None
    chosen, origin = choose_evaluation(last, promotion, live, entries)
    evaluation = results.read(chosen, Evaluation) if isinstance(chosen, int) else chosen
    measured = [each.model_id for each in evaluation.results] if evaluation else []
    wanted = dict.fromkeys(each for each in (*measured, live.model_id if live else None) if each)
    apart = measured_apart(entries, evaluation.split) if evaluation else []
    explained = last if last and last.action == "refuse" else promotion
    return ReportData(
        name=workspace.recipe.name,
        generated_at=generated_at,
        version=_version(),
        recipe=workspace.recipe,
        events=registry.history(),
        notes=explained.notes if explained else (),
        live=live,
        evaluation=evaluation,
        origin=origin,
        apart=[results.read(each, Evaluation) for each in apart],
        models={model_id: model for model_id in wanted if (model := registry.find_model(model_id))},
        trained=_trained(registry, reversed(wanted) if len(measured) < 2 else [measured[-1] or "", *reversed(wanted)]),
        counts=workspace.collection.counts(),
        splits=workspace.collection.splits(),
        suite=results.last("suite", SuiteRun),
        advice=results.last("advise", Advice),
        sizes=results.last("compress", CompressionCurve),
        merge=results.last("merge", Merged),
        shadow=last_shadow(workspace),
        turns=_turns(workspace),
    )


def _turns(workspace: Workspace) -> list[TurnData]:
    """The turns of the loop, the oldest first."""
    store = Cycles(workspace.database)
    return [TurnData(entry=each, stages=store.stages(each.cycle_id)) for each in reversed(store.all())]


def choose_evaluation(
    last: Decision | None, promotion: Decision | None, live: Release | None, evaluations: Sequence[EvaluationEntry]
) -> tuple[Evaluation | int | None, str]:
    """The evaluation that explains the last decision, or the number it was kept under, and where it comes from.

    A refusal's own comes first, then that of the live release, which ``promotion`` made live, then the last comparison
    on a test split, then whatever was measured last.
    """
    if last and last.action == "refuse" and (own := refused_evaluation(last, evaluations)):
        return own, "the comparison behind the refusal"
    released = promotion.evaluation if promotion else None
    if live and released and released.comparisons:
        return released, f"the comparison that {live.release_id} was promoted on"
    if judged := [each for each in evaluations if each.is_comparison and each.is_of_test]:
        return judged[-1].result_id, "the last comparison on a test split"
    if live and released:
        return released, f"the measurement that {live.release_id} was promoted on"
    if evaluations:
        return evaluations[-1].result_id, "the last measurement"
    return None, ""


def measured_apart(evaluations: Sequence[EvaluationEntry], split: str) -> list[int]:
    """The number of the last evaluation of every test split but this one, by name."""
    last = {each.split: each.result_id for each in evaluations if each.is_of_test}
    return [last[name] for name in sorted(last) if name != split]


def refused_evaluation(refusal: Decision, evaluations: Sequence[EvaluationEntry]) -> Evaluation | int | None:
    """What a refused model was measured with: kept with the refusal, or else the last test comparison of that model."""
    if refusal.evaluation and refusal.evaluation.comparisons:
        return refusal.evaluation
    for each in reversed(evaluations):
        if each.is_of_test and refusal.model_id in each.model_ids[1:]:
            return each.result_id
    return None


def _trained(registry: Registry, wanted: Iterable[str]) -> tuple[Model, TrainingRecord] | None:
    """The first of these models that was made here, else the newest that was, and how."""
    known = registry.model_ids()
    newest = [part_id for part_id in reversed(registry.trained_parts()) if part_id in known]
    for model_id in (*wanted, *newest):
        if model_id in newest and (training := registry.training_of(model_id)):
            return registry.model(model_id), training
    return None


def _version() -> str:
    try:
        return version("nearer")
    except PackageNotFoundError:
        return "unknown"
