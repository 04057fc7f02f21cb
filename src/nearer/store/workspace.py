"""A workspace: a folder with a recipe, and beside it everything Nearer keeps.

nearer.toml              the recipe
prompts/                 what language models are asked, once they are
.nearer/control.sqlite   documents, queries, judgments, models, releases, history; or in PostgreSQL: [store] url
.nearer/models/          one folder a model, named by its encoder id, or a cross-encoder's id
.nearer/training/        the training runs that are not finished yet: an encoder's, in reranker/ a cross-encoder's
.nearer/indexes/         one folder a space
.nearer/lexical/         the words of the documents, one folder a revision of them
.nearer/embeddings/      one file a space
.nearer/events/          what was shown and what users did: see store/events
.nearer/reports/         HTML pages
.nearer/locks/           who is at work: on a training run, on an index, and which processes there are
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nearer.core.errors import WorkspaceError
from nearer.core.purse import Purse
from nearer.core.recipe import RECIPE_FILE, Recipe, as_toml, load_recipe, with_keys
from nearer.core.records import JudgmentSource
from nearer.store.files import write_atomic
from nearer.store.leases import enter, is_held, lease, leave, sweep

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from nearer.store.collection import Collection
    from nearer.store.database import Database
    from nearer.store.registry import Registry
    from nearer.store.results import Results

STATE_FOLDER = ".nearer"
PROMPTS_FOLDER = "prompts"
"""Where the team's own prompts are: beside the recipe, to be edited."""
DATABASE = "control.sqlite"
_VERSION = "format_version"
FORMAT_VERSION = 1


class Workspace:
    """An open workspace."""

    def __init__(
        self, *, folder: Path, recipe: Recipe, database: "Database | None" = None, purse: Purse | None = None
    ) -> None:
        self.folder = folder
        self.recipe = recipe
        self.purse = purse
        if database:
            self.database = database
        self._is_present = False
        self._is_swept = False

    @cached_property
    def database(self) -> "Database":
        """Where all records are. Raises what ``open_database`` does."""
        from nearer.store.database import open_database

        return open_database(_address(self.state, self.recipe.store.url), creates=False)

    @cached_property
    def collection(self) -> "Collection":
        """Documents, queries, judgments."""
        from nearer.store.collection import Collection

        return Collection(self.database, trained_by=self.recipe.train.judged_by)

    @cached_property
    def registry(self) -> "Registry":
        """Models and releases."""
        from nearer.store.registry import Registry

        return Registry(self.database)

    @cached_property
    def results(self) -> "Results":
        """What verbs answered."""
        from nearer.store.results import Results

        return Results(self.database)

    @property
    def unopened_file(self) -> Path | None:
        """The file of its own SQLite, as long as that is not open here."""
        is_own = self.recipe.store.url is None
        return self.state / DATABASE if is_own and "database" not in vars(self) else None

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
        state, has_recipe = folder / STATE_FOLDER, (folder / RECIPE_FILE).exists()
        if has_recipe and (recipe is not None or (state / _VERSION).exists()):
            raise WorkspaceError(f"{folder} is a workspace already", hint="choose another folder, or use it as it is")
        try:
            state.mkdir(parents=True, exist_ok=True)
            if not has_recipe:
                write_atomic(folder / RECIPE_FILE, as_toml({"name": folder.resolve().name, **(recipe or {})}))
            from nearer.store.database import open_database

            url = load_recipe(folder / RECIPE_FILE).store.url
            open_database(_address(state, url)).close()
            write_atomic(state / _VERSION, f"{FORMAT_VERSION}\n")  # last: a workspace without it was never finished
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
        workspace = cls.look(folder, overrides=overrides)
        assert workspace.database  # which opens it
        workspace._enter()
        return workspace

    @classmethod
    def look(cls, folder: Path | str, *, overrides: tuple[str, ...] = ()) -> "Workspace":
        """The workspace in ``folder``, to be read alone; its database is opened when that is first asked for.

        Raises what ``open`` does.
        """
        folder = Path(folder)
        if not is_workspace(folder):
            raise WorkspaceError(f"{folder.resolve()} is not a workspace", hint=f"make one: nearer init {folder}")
        _check_format(folder / STATE_FOLDER)
        return cls(folder=folder, recipe=load_recipe(folder / RECIPE_FILE, overrides=overrides))

    def with_recipe(self, recipe: Recipe) -> "Workspace":
        """The same open workspace under another recipe, which is not written down."""
        other = Workspace(folder=self.folder, recipe=recipe, database=self.database, purse=self.purse)
        return other.measured_by(self.collection.measured_by)

    def measured_by(self, sources: tuple[JudgmentSource, ...]) -> "Workspace":
        """The same open workspace, in which systems are measured by judgments of these sources."""
        from nearer.store.collection import Collection

        other = Workspace(folder=self.folder, recipe=self.recipe, database=self.database, purse=self.purse)
        other.collection = Collection(self.database, measured_by=sources, trained_by=self.recipe.train.judged_by)
        return other

    def paying_from(self, purse: Purse) -> "Workspace":
        """The same open workspace, in which services are paid from a purse."""
        other = self.with_recipe(self.recipe)
        other.purse = purse
        return other

    @contextmanager
    def at_one_moment(self) -> Iterator["Workspace"]:
        """The same open workspace, all of whose documents, queries and judgments are read in one transaction."""
        other = self.with_recipe(self.recipe)
        with self.database.read() as connection:
            other.collection = self.collection.seen_by(connection)
            yield other

    def with_values(self, values: Mapping[str, Any]) -> "Workspace":
        """The same under other values of the recipe, by keys such as ``train.epochs``."""
        return self.with_recipe(with_keys(self.recipe, values))

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
    def events(self) -> Path:
        """The folder of the event log."""
        return self.state / "events"

    @property
    def reports(self) -> Path:
        """The folder of reports."""
        return self.state / "reports"

    @property
    def locks(self) -> Path:
        """The folder of locks."""
        return self.state / "locks"

    @contextmanager
    def lease(self, resource: str, *, verb: str) -> Iterator[None]:
        """Be the only one at work on a resource, such as a training run; the lock goes with the process.

        Raises WorkspaceBusy, naming the holder, when another is at it; WorkspaceError in a folder that may only be
        read.
        """
        self.begin_writing()
        holder = f"nearer {verb}"
        with lease(self.locks / f"{resource}.lock", holder=holder), self.database.lease(resource, holder=holder):
            yield

    def is_held(self, resource: str) -> bool:
        """Whether somebody is at work on a resource: in this folder, or on another machine with this database."""
        return is_held(self.locks / f"{resource}.lock") or self.database.holder_of(resource) is not None

    @contextmanager
    def write(self, verb: str, *, staged: Path | None = None) -> "Iterator[Connection]":
        """A short transaction of documents, queries, judgments or splits; who waits for it sees the verb.

        Raises WorkspaceError when the disk refuses.
        """
        self.begin_writing()
        with self.database.write(holder=f"nearer {verb}", staged=staged) as connection:
            yield connection

    def begin_writing(self) -> None:
        """Remove what killed processes left, once. Raises WorkspaceError where that cannot be done."""
        if self._is_swept:
            return
        try:
            self.locks.mkdir(exist_ok=True)
            sweep(self.state, self.locks)
        except OSError as error:
            raise WorkspaceError(
                f"{error.filename}: cannot be written or removed: {error.strerror}",
                hint="make the folder writable, and what a killed process left there",
            ) from error
        self._is_swept = True

    def _enter(self) -> None:
        """Show that this process is at work here, where anything may be written."""
        with suppress(OSError):
            enter(self.locks)
            self._is_present = True

    def close(self) -> None:
        """Close the database, and show that this process has left."""
        if "database" in vars(self):
            self.database.close()
        if self._is_present:
            leave(self.locks)
            self._is_present = False


def is_workspace(folder: Path) -> bool:
    """Whether a folder is a workspace: it has a recipe and what Nearer keeps."""
    return (folder / STATE_FOLDER).is_dir() and (folder / RECIPE_FILE).is_file()


def _check_format(state: Path) -> None:
    try:
        version = int((state / _VERSION).read_text())
        if version < 1:
            raise ValueError(version)
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{state / _VERSION} is missing or damaged",
            hint=f"after a killed init: nearer init {state.parent}; else write {FORMAT_VERSION} into it, or restore it",
        ) from error
    if version > FORMAT_VERSION:
        raise WorkspaceError(
            f"{state.parent}: format {version} is newer than this program's {FORMAT_VERSION}",
            hint="upgrade: pip install --upgrade nearer",
        )


def _address(state: Path, url: str | None) -> Path | str:
    """Where the database is that a recipe names. Raises InputError for what is no address."""
    if url is None:
        return state / DATABASE
    from nearer.store.postgres_address import resolved

    return resolved(url, state=state, said="store.url")
