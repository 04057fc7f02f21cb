"""Put advice into the recipe; what else stands in the file, comments too, stays as it is."""

import os
from collections.abc import Mapping
from typing import Any

import tomlkit

from nearer.core.errors import RecipeError, WorkspaceError
from nearer.core.recipe import RECIPE_FILE, Recipe, as_toml_value, set_keys
from nearer.store.files import write_atomic
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
    path = workspace.folder / RECIPE_FILE
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
        set_keys(document, changes)
        text = tomlkit.dumps(document)
        Recipe.model_validate(tomlkit.parse(text).unwrap())
        write_atomic(path, text)
    except OSError as error:
        raise WorkspaceError(
            f"{path}: cannot be written: {error.strerror}", hint="make it writable, then repeat the command"
        ) from error
    except (ValueError, TypeError) as error:
        raise RecipeError(
            f"{path}: the advice cannot be put into it: {error}", hint="set the keys by hand: see nearer advise"
        ) from error
    return [f"{key} = {as_toml_value(value)}" for key, value in changes.items()]
