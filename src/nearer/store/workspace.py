"""A workspace: a folder with a recipe, and beside it everything Nearer keeps.

nearer.toml              the recipe
.nearer/control.sqlite   documents, queries, judgments, models, releases, history
.nearer/models/          one folder a model, named by its encoder id, or a cross-encoder's id
.nearer/training/        the training runs that are not finished yet: an encoder's, in reranker/ a cross-encoder's
.nearer/indexes/         one folder a space
.nearer/lexical/         the words of the documents, one folder a revision of them
.nearer/embeddings/      one file a space
.nearer/reports/         HTML pages
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from nearer.core.errors import WorkspaceError
from nearer.core.recipe import RECIPE_FILE, Recipe, load_recipe
from nearer.core.toml import dump_toml
from nearer.store.collection import Collection
from nearer.store.database import Database
from nearer.store.files import remove_tree, remove_unfinished, write_atomic
from nearer.store.lease import lease
from nearer.store.registry import Registry

STATE_FOLDER = ".nearer"
DATABASE = "control.sqlite"
_LOCK = "writer.lock"
FORMAT_VERSION = 1


class Workspace:
    """An open workspace."""

    def __init__(self, *, folder: Path, recipe: Recipe, database: Database) -> None:
        self.folder = folder
        self.recipe = recipe
        self.database = database
        self.collection = Collection(database)
        self.registry = Registry(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def init(cls, folder: Path | str, *, recipe: dict[str, object] | None = None) -> "Workspace":
        """Make ``folder`` a workspace; ``recipe`` holds what differs from the defaults.

        A recipe that is there already stays, unless ``recipe`` would differ from it, and what a killed ``init`` left
        is finished. Raises WorkspaceError when it is a workspace already or cannot be written.
        """
        folder = Path(folder)
        has_recipe = (folder / RECIPE_FILE).exists()
        if has_recipe and (recipe is not None or (folder / STATE_FOLDER).exists()):
            raise WorkspaceError(f"{folder} is a workspace already", hint="choose another folder, or use it as it is")
        try:
            (folder / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
            write_atomic(folder / STATE_FOLDER / "format_version", f"{FORMAT_VERSION}\n")
            if not has_recipe:
                write_atomic(folder / RECIPE_FILE, dump_toml({"name": folder.resolve().name, **(recipe or {})}))
        except OSError as error:
            raise WorkspaceError(
                f"{folder}: cannot make a workspace: {error.strerror}", hint="choose a folder that you may write to"
            ) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path | str, *, overrides: tuple[str, ...] = ()) -> "Workspace":
        """Open the workspace in ``folder`` with ``section.key=value`` overrides for this run.

        Raises WorkspaceError when the folder is not a workspace or its format is newer than this version,
        RecipeError when the recipe holds a value that cannot work.
        """
        folder = Path(folder)
        state = folder / STATE_FOLDER
        if not is_workspace(folder):
            raise WorkspaceError(f"{folder.resolve()} is not a workspace", hint=f"make one: nearer init {folder}")
        _check_format(state)
        _check_database(state / DATABASE)
        recipe = load_recipe(folder / RECIPE_FILE, overrides=overrides)
        return cls(folder=folder, recipe=recipe, database=Database.open(state / DATABASE))

    def with_recipe(self, recipe: Recipe) -> "Workspace":
        """The same open workspace under another recipe, which is not written down."""
        return Workspace(folder=self.folder, recipe=recipe, database=self.database)

    @property
    def state(self) -> Path:
        """The folder of everything that Nearer keeps."""
        return self.folder / STATE_FOLDER

    @property
    def models(self) -> Path:
        """The folder of trained models."""
        return self.state / "models"

    @property
    def training(self) -> Path:
        """The folder of the training run that is not finished yet."""
        return self.state / "training"

    @property
    def indexes(self) -> Path:
        """The folder of indexes, one a space."""
        return self.state / "indexes"

    @property
    def lexical(self) -> Path:
        """The folder of the documents' words."""
        return self.state / "lexical"

    @property
    def embeddings(self) -> Path:
        """The folder of cached vectors, one file a space."""
        return self.state / "embeddings"

    @property
    def reports(self) -> Path:
        """The folder of reports."""
        return self.state / "reports"

    @contextmanager
    def writer(self, verb: str) -> Iterator[None]:
        """Be the one process that changes this workspace; the lock goes with the process, however it ends.

        What killed processes left half written is removed first. Raises WorkspaceBusy when another process is at it.
        """
        with lease(self.state / _LOCK, holder=f"nearer {verb}"):
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        """Remove what killed processes left; but reports are written without the lock."""
        try:
            remove_unfinished(self.state, spared=self.reports)
            for scratch in self.state.glob("train-*"):
                remove_tree(scratch)
        except OSError as error:
            raise WorkspaceError(
                f"{error.filename}: left by a killed process, cannot be removed: {error.strerror}",
                hint="remove it, or make it writable",
            ) from error

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def is_workspace(folder: Path) -> bool:
    """Whether a folder is a workspace: it has a recipe and what Nearer keeps."""
    return (folder / STATE_FOLDER).is_dir() and (folder / RECIPE_FILE).is_file()


def _check_format(state: Path) -> None:
    try:
        version = int((state / "format_version").read_text())
        if version < 1:
            raise ValueError(version)
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{state / 'format_version'} is missing or damaged", hint=f"write {FORMAT_VERSION} into it, or restore it"
        ) from error
    if version > FORMAT_VERSION:
        raise WorkspaceError(
            f"{state.parent}: format {version} is newer than this program's {FORMAT_VERSION}",
            hint="upgrade: pip install --upgrade nearer",
        )


def _check_database(path: Path) -> None:
    """Refuse to begin anew where a database was: there is a lock since something was first changed."""
    if path.with_name(_LOCK).exists() and not (path.exists() and path.stat().st_size):
        raise WorkspaceError(f"{path} is gone, or empty", hint="restore it from a backup")
