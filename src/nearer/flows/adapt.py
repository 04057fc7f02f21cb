"""Train an adapter: a model whose vectors are those of another model, mapped, so that no text is encoded again."""

import time
from collections.abc import Callable

from nearer.core.progress import Progress, Silent
from nearer.core.results.training import Trained
from nearer.store.workspace import Workspace
from nearer.systems import BASE
from nearer.training.adapters import (
    train_adapter,
)


def adapt(
    workspace: Workspace,
    sides: str,
    start: str = BASE,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Trained:
    """Train an adapter of ``start`` and register it; ``start`` itself when nothing was better on dev.

    ``sides`` says what it maps: ``query`` leaves the index as it is, ``shared`` and ``separate`` map the stored
    vectors too, by one product. It learns from the judged queries of train, chosen on dev as training has it; queries
    that leak are left out and counted.

    Raises InputError for another word, RecipeError for settings or data that cannot work, WorkspaceError when the
    disk refuses.
    """
    return train_adapter(workspace, sides, start, progress=progress or Silent(), clock=clock)
