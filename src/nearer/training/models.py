"""Where trained models are kept: one folder each, named by the id of the encoder or cross-encoder."""

from collections.abc import Callable
from pathlib import Path

from nearer.learn.checkpoint import WRITE_FAILURES, cannot_write
from nearer.store.files import move_into_place, scratch_folder
from nearer.store.objects import try_push_models
from nearer.store.workspace import Workspace


def keep_model(workspace: Workspace, encoder_id: str, save: Callable[[Path], None]) -> str:
    """The source of a model that ``save`` writes into an empty folder, which then gets its name in one step.

    Then it goes to object storage, where the recipe names one.

    Raises WorkspaceError when the disk refuses.
    """
    try:
        workspace.models.mkdir(exist_ok=True)
        with scratch_folder(workspace.models) as scratch:
            save(scratch)
            move_into_place(scratch, workspace.models / encoder_id)
    except WRITE_FAILURES as error:
        raise cannot_write(workspace.models, error) from error
    try_push_models(workspace)
    return str(Path("models") / encoder_id)
