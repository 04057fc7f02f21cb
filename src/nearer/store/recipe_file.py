"""Keys of a recipe, set in its file; what else stands there, comments too, stays as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearer.core.errors import RecipeError, WorkspaceError
from nearer.core.recipe import RECIPE_FILE, Recipe, set_keys
from nearer.store.files import write_atomic


def set_in_recipe(folder: Path, changes: Mapping[str, Any]) -> None:
    """Set keys such as ``search.dense_weight`` in nearer.toml, or take out those whose value is None.

    Raises WorkspaceError when it cannot be written, RecipeError when it would no longer be a recipe.
    """
    import tomlkit  # only those who write need it

    path = folder / RECIPE_FILE
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
        set_keys(document, {key: value for key, value in changes.items() if value is not None})
        for key in (key for key, value in changes.items() if value is None):
            section, _, name = key.rpartition(".")
            document.get(section, {}).pop(name, None)
        text = tomlkit.dumps(document)
        Recipe.model_validate(tomlkit.parse(text).unwrap())
        write_atomic(path, text)
    except OSError as error:
        raise WorkspaceError(
            f"{path}: cannot be written: {error.strerror}", hint="make it writable, then repeat the command"
        ) from error
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{path}: cannot be changed: {error}", hint=f"set by hand: {', '.join(changes)}") from error
