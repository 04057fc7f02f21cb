"""A smaller student: a model of some of the layers, which learns to give the vectors of a teacher."""

import time
from collections.abc import Callable

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.training import DistilledFrom, TrainingRecord
from nearer.core.results.vectors import Distilled
from nearer.encode.embedded import Corpora
from nearer.encode.encoder import Encoder
from nearer.evaluation.beside import quality_beside, shortcomings, speed_beside, timed_sample
from nearer.evaluation.judged_split import read_judged_with
from nearer.evaluation.ready import ready_to_measure
from nearer.learn.distil import distil as learn
from nearer.learn.distil import means
from nearer.learn.fewer_layers import num_layers
from nearer.store.registered import Model, Training
from nearer.store.workspace import Workspace
from nearer.systems import LocalSystem, System, api_use, open_local, open_system, refuse_stages
from nearer.training.models import entry_of, keep_model
from nearer.training.student import Texts, fewer_layers, number_of_steps, taught_by, with_layers

MOST_LOST = 0.01
"""Of nDCG@10: our rule, what two seeds of one training differ by."""
LEAST_SPEEDUP = 1.8
"""Of documents a second: our rule, below it a second model and a second index are not worth it."""


def distil(
    workspace: Workspace,
    system: str,
    *,
    layers: int,
    start: str | None = None,
    split: str = "dev",
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Distilled:
    """Register a model of so many layers that learned the vectors of a teacher on this workspace's own texts.

    The layers are those of ``start``, which is the teacher ``system`` itself unless given: those without which its
    vectors change the least. It learns on all passages and on the queries of train, judged or not, that do not leak.
    The teacher may be any encoder; its vectors are rotated into the start's dimensions where it is another one. Both
    are measured on the split, over all documents.
    A killed one leaves no model; the teacher's vectors are in the cache, so that it can be repeated.

    Raises InputError for layers that the model does not have, for a system of more than a model, and when the split
    has no judged queries.
    """
    progress, began = progress or Silent(), clock()
    refuse_stages(system)
    ready_to_measure(workspace)
    corpora = Corpora(workspace, progress)
    judged = read_judged_with(corpora, split)
    parent, teacher = _start(workspace, system, start), open_system(workspace, system)
    workspace.begin_writing()
    encoder, made, losses = _student(corpora, parent, teacher, layers)
    model = _kept(workspace, encoder, parent, teacher, made)
    small = System(name=model.model_id, model=model, encoder=encoder, chunk=parent.chunk)
    queries = [each.text for each in judged.queries]
    speed = speed_beside(parent.encoder, encoder, timed_sample(corpora, parent), queries, clock=time.perf_counter)
    quality = quality_beside(corpora, teacher, small, judged)
    reasons = shortcomings(speed, quality, least_speedup=LEAST_SPEEDUP, most_lost=MOST_LOST)
    return Distilled(
        model_id=model.model_id,
        encoder_id=model.encoder_id,
        space_id=model.space_id,
        parent_model_id=parent.model.model_id,
        teacher=teacher.model.model_id,
        layers=made.layers,
        num_layers=num_layers(parent.encoder.model),
        num_queries=made.num_queries,
        num_passages=made.num_passages,
        num_steps=made.num_steps,
        losses=means(losses),
        is_within=not reasons,
        reasons=reasons,
        speed=speed,
        quality=quality,
        duration_s=round(clock() - began, 1),
        ledger=workspace.registry.use_test_split(split=split, systems=[system], purpose="compress"),
        api=api_use([teacher]),
    )


def _student(
    corpora: Corpora, parent: LocalSystem, teacher: System, layers: int
) -> tuple[Encoder, DistilledFrom, tuple[float, ...]]:
    """The student, which has learned, what it was made of, and the loss of each step."""
    workspace, progress = corpora.workspace, corpora.progress
    texts = Texts.read(corpora, parent)
    recipe, whole = workspace.recipe.train, num_layers(parent.encoder.model)
    if layers == whole and parent.model.model_id != teacher.model.model_id:
        kept = tuple(range(whole))
    else:
        kept = fewer_layers(parent, layers, texts, seed=recipe.seed, progress=progress)
    student = with_layers(parent.encoder, kept, texts)
    progress.say(f"keeps layers {', '.join(str(each + 1) for each in kept)} of {whole}")
    sides = taught_by(workspace, teacher.encoder, parent.encoder, texts, progress)
    losses = learn(student.model, sides, num_steps=number_of_steps(texts), recipe=recipe, progress=progress)
    made = DistilledFrom(
        model_id=teacher.model.model_id,
        layers=kept,
        num_queries=len(texts.queries),
        num_passages=len(texts.passages),
        num_steps=len(losses),
    )
    now = Encoder(student.model, settings=student.settings, batch_size=student.batch_size)
    return now, made, losses


def _start(workspace: Workspace, system: str, start: str | None) -> LocalSystem:
    """The model whose layers are kept."""
    try:
        return open_local(workspace, start or system)
    except InputError as error:
        if start:
            raise
        hint = f"name a local model whose layers are kept: nearer compress {system} --layers N --from SYSTEM"
        raise InputError(error.message, hint=hint) from error


def _kept(workspace: Workspace, encoder: Encoder, parent: LocalSystem, teacher: System, made: DistilledFrom) -> Model:
    """Save the student under its id, then enter it."""
    source = keep_model(workspace, encoder.encoder_id, encoder.save)
    failpoint("distil.model")
    model = entry_of(encoder, source=source, parent_model_id=parent.model.model_id)
    record = TrainingRecord(recipe=workspace.recipe.model_dump(mode="json"), distilled=made)
    training = Training(verb="distil", part_id=model.model_id, is_improved=True, record=record)
    workspace.registry.add_model(teacher.model)
    workspace.registry.add_training(training, made=model, parent=parent.model)
    failpoint("distil.registered")
    return model
