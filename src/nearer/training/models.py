"""Where trained models are kept: one folder each, named by the id of the encoder or cross-encoder."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from nearer.core.errors import NotFound
from nearer.core.failpoints import failpoint
from nearer.core.results.training import TrainingRecord
from nearer.encode.encoder import Encoder, model_id_of
from nearer.encode.paired import paired_id
from nearer.store.files import move_into_place, scratch_folder
from nearer.store.objects import try_push_models
from nearer.store.registered import Model
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace
from nearer.systems import LocalSystem
from nearer.training.model_card import write_card


def keep_model(workspace: Workspace, encoder_id: str, save: Callable[[Path], None]) -> str:
    """The source of a model that ``save`` writes into an empty folder, which then gets its name in one step.

    Then it goes to object storage, where the recipe names one.

    Raises WorkspaceError when the disk refuses.
    """
    from nearer.learn.checkpoint import (
        WRITE_FAILURES,
        cannot_write,
    )  # it loads torch, which reading names does not need

    try:
        workspace.models.mkdir(exist_ok=True)
        with scratch_folder(workspace.models) as scratch:
            save(scratch)
            move_into_place(scratch, workspace.models / encoder_id)
    except WRITE_FAILURES as error:
        raise cannot_write(workspace.models, error) from error
    try_push_models(workspace)
    return str(Path("models") / encoder_id)


def keep_trained(workspace: Workspace, parent: LocalSystem, training: TrainingRecord) -> Model:
    """The encoder of ``parent`` as it is trained now, kept under its id with a card, and what the registry enters.

    Trained for queries alone it is a pair with the parent, whose space it searches. Raises WorkspaceError when the disk
    refuses.
    """
    encoder = Encoder(parent.encoder.model, settings=parent.encoder.settings, batch_size=parent.encoder.batch_size)
    encoder_id, settings = encoder.encoder_id, asdict(encoder.settings)
    if workspace.recipe.train.sides == "query":
        encoder_id = paired_id(encoder_id, parent.model.encoder_id)
        settings = {"queries": settings, "space_id": parent.model.space_id}

    def save(folder: Path) -> None:
        encoder.save(folder)
        made_from = parent.model.model_id
        write_card(folder, encoder_id=encoder_id, parent=made_from, settings=encoder.settings, training=training)

    source = keep_model(workspace, encoder_id, save)
    failpoint("train.model")
    return Model(
        model_id=model_id_of(encoder_id),
        encoder_id=encoder_id,
        source=source,
        encoder=settings,
        parent_model_id=parent.model.model_id,
    )


def entry_of(encoder: Encoder, *, source: str, parent_model_id: str) -> Model:
    """What the registry enters of an encoder that is kept in ``source``."""
    return Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=source,
        encoder=asdict(encoder.settings),
        parent_model_id=parent_model_id,
    )


def newest_model(registry: Registry) -> str:
    """The model that the last training made. Raises NotFound when there is none, or it was no better."""
    training = registry.last_training(("train", "adapt"))
    if training is None:
        raise NotFound("no trained model", hint="train one: nearer train; or begin with: nearer promote base")
    model_id, is_improved = training
    if not is_improved:
        raise NotFound("the last training brought nothing better", hint="name a model: nearer promote MODEL")
    return str(model_id)
