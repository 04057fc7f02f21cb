"""Put advice into the recipe; what else stands in the file, comments too, stays as it is."""

import os
from collections.abc import Mapping
from typing import Any

from nearer.core.errors import WorkspaceError
from nearer.core.recipe import RECIPE_FILE, as_toml_value
from nearer.store.recipe_file import set_in_recipe
from nearer.store.workspace import Workspace


def refuse_unwritable(workspace: Workspace) -> None:
    """Raises WorkspaceError, before the advice is measured, where it could not be put into the recipe."""
    if not os.access(workspace.folder, os.W_OK, effective_ids=True):
        raise WorkspaceError(
            f"{workspace.folder / RECIPE_FILE}: the folder may not be written", hint="make it writable, or omit --write"
        )


def write_changes(workspace: Workspace, changes: Mapping[str, Any]) -> list[str]:
    """Set keys such as ``search.dense_weight`` in nearer.toml; the lines that were set, as they may be given to --set.

    Raises WorkspaceError when it cannot be written, RecipeError when it would no longer be a recipe.
    """
    set_in_recipe(workspace.folder, changes)
    return [f"{key} = {as_toml_value(value)}" for key, value in changes.items()]
