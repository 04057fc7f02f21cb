"""Merge a trained model with the one it came from, against forgetting."""

from collections.abc import Mapping

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.training import MergedWeight, MergedWith, TrainingRecord
from nearer.core.results.vectors import Merged
from nearer.encode.encoder import Encoder
from nearer.encode.fingerprint import parts_of
from nearer.evaluation.ready import ready_to_measure, refuse_unjudged
from nearer.evaluation.suite import gate_suite
from nearer.learn.checkpoint import weights_of
from nearer.learn.matrices import align
from nearer.learn.merge import interpolated, refuse_unlike
from nearer.store.registered import Model, Training
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LocalSystem, open_local
from nearer.training.dev_set import DEV_MEASURE
from nearer.training.models import entry_of, keep_model
from nearer.training.weight_points import WeightMeasure, WeightPoint


def merge(
    workspace: Workspace,
    system: str,
    other: str = BASE,
    *,
    weight: float,
    progress: Progress | None = None,
) -> Merged:
    """Register the model whose weights lie between ``other``'s, at 0, and ``system``'s, at 1.

    Dev and the cases of ``gate.suite`` are measured there and at both ends. An end is a model that is there already,
    and nothing is registered. Test is not looked at.

    Raises InputError for a weight outside 0 to 1 and for models that do not fit, ImportFaults for a suite with faults.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"--weight {weight:g} is not between 0 and 1", hint="0 is the other model, 1 is the first")
    progress = progress or Silent()
    ready_to_measure(workspace)
    refuse_unjudged(workspace, "dev")
    suite = gate_suite(workspace)
    workspace.begin_writing()
    first, second = open_local(workspace, other), open_local(workspace, system)
    align(first.encoder.model, second.encoder.model)
    _refuse(first, second)
    measure = WeightMeasure.read(workspace, suite, progress)
    encoder, ends = second.encoder, (weights_of(first.encoder.model), weights_of(second.encoder.model))
    weights = sorted({0.0, weight, 1.0})
    points = []
    for share in progress.track(weights, label="merge and measure weights", total=len(weights)):
        encoder.model.load_state_dict(interpolated(*ends, share))
        points.append(measure.measured(encoder, share, progress))
    chosen = next(each for each in points if each.weight == weight)
    encoder.model.load_state_dict(interpolated(*ends, chosen.weight))
    measured = tuple(each.described(points[0]) for each in points)
    model = _register(workspace, second, first, chosen, measured)
    parents = (second.model.model_id, first.model.model_id)
    result = Merged(
        model_id=model.model_id,
        is_new=model.model_id not in parents,
        system=second.name,
        other=first.name,
        parents=parents,
        weight=chosen.weight,
        metric=str(DEV_MEASURE),
        num_queries=len(measure.dev.queries),
        points=measured,
        broken=chosen.broken(points[0]),
    )
    workspace.results.keep("merge", result)
    failpoint("merge.registered")
    return result


def _refuse(first: LocalSystem, second: LocalSystem) -> None:
    """Raise InputError when the two are one, or are not of a kind."""
    names = (second.name, first.name)
    if first.model.model_id == second.model.model_id:
        raise InputError(
            f"{names[0]} and {names[1]} are one model", hint="name another: nearer merge MODEL --with SYSTEM"
        )
    refuse_unlike(_parts(second.encoder), _parts(first.encoder), names=names)


def _parts(encoder: Encoder) -> Mapping[str, object]:
    """What must be the same in two models, by what an error calls it."""
    parts = parts_of(encoder.model)
    return {
        "architecture": (parts.config, parts.shapes),
        "tokenizer": parts.tokenizer,
        "modules": parts.modules,
        "prompts and maximum length": encoder.settings,
    }


def _register(
    workspace: Workspace,
    second: LocalSystem,
    first: LocalSystem,
    chosen: WeightPoint,
    measured: tuple[MergedWeight, ...],
) -> Model:
    """Save the merged model under its id, then enter it; an end is there already."""
    if chosen.weight in (0, 1):
        return second.model if chosen.weight else first.model
    encoder = Encoder(second.encoder.model, settings=second.encoder.settings, batch_size=second.encoder.batch_size)
    source = keep_model(workspace, encoder.encoder_id, encoder.save)
    failpoint("merge.model")
    merged = MergedWith(model_id=first.model.model_id, weight=chosen.weight, points=measured)
    record = entry_of(encoder, source=source, parent_model_id=second.model.model_id)
    training = Training(
        verb="merge",
        part_id=record.model_id,
        is_improved=True,
        record=TrainingRecord(recipe=workspace.recipe.model_dump(mode="json"), merged=merged),
    )
    for each in (first.model, second.model):
        workspace.registry.add_model(each)
    workspace.registry.add_training(training, made=record)
    return record
