"""Move what a workspace knows to another database: all of it or nothing, compared row by row."""

import time
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy.engine import Connection

from nearer.core.errors import Conflict, InputError, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.data import CopiedTable, StoreCopied
from nearer.core.sections import HERE
from nearer.store.copying import copy_rows, refuse_full
from nearer.store.database import Database, open_database
from nearer.store.events.sharing import event_folder
from nearer.store.leases import num_others
from nearer.store.postgres_address import resolved
from nearer.store.recipe_file import set_in_recipe
from nearer.store.workspace import DATABASE, STATE_FOLDER, Workspace, is_workspace

_WAIT_S = 30.0
"""For an empty target nobody should be at; the same database under another name waits for itself."""


def copy_store(
    workspace: Workspace, to: str | Path, *, write: bool = False, progress: Progress | None = None
) -> StoreCopied:
    """Copy every table into the PostgreSQL of an address, as ``store.url`` takes it, or into the folder of a workspace.

    Others wait to write meanwhile. With ``write`` the recipe names the copy in the same step, and nobody else may have
    the workspace open. Files stay where they are: models, indexes, cached vectors, events; shared events are fetched.

    Raises InputError for a target that holds something or is none, Conflict where others are at work,
    WorkspaceError where it cannot be reached or written; then nothing was copied.
    """
    began, target_url = time.perf_counter(), _url_in(to)
    if write and (others := num_others(workspace.locks)):
        hint = "end them (nearer serve, a training), then repeat: they would go on writing to the old database"
        raise Conflict(f"{others} other processes have the workspace open", hint=hint)
    event_folder(workspace)
    target = open_database(_address(workspace, target_url, to))
    try:
        if target.name == workspace.database.name:
            raise InputError(f"{target.name} is where it lies already", hint="name another place")
        with target.read() as connection:
            refuse_full(connection, name=target.name)
        with (
            _unchanged(workspace.database) as source,
            target.write(holder="nearer store copy", wait_s=_WAIT_S) as connection,
        ):
            copied = copy_rows(source, connection, name=target.name, progress=progress or Silent())
            failpoint("copy.compared")
        failpoint("copy.kept")
        if write:
            set_in_recipe(workspace.folder if target_url else Path(to), {"store.url": target_url})
        name = target.name
    finally:
        target.close()
    return StoreCopied(
        source=workspace.database.name,
        target=name,
        tables={name: CopiedTable(num_rows=each.num_rows, sha256=each.sha256) for name, each in copied.items()},
        num_rows=sum(each.num_rows for each in copied.values()),
        is_in_recipe=write,
        duration_s=time.perf_counter() - began,
    )


def _url_in(to: str | Path) -> str | None:
    text = str(to)
    is_url = isinstance(to, str) and (text == HERE or text.startswith("$") or "://" in text)
    return text if is_url else None


def _address(workspace: Workspace, url: str | None, to: str | Path) -> str | Path:
    if url is not None:
        return resolved(url, state=workspace.state, said="--to")
    if not is_workspace(Path(to)):
        hint = f"make one first: nearer init {to}; or name an address: postgresql://USER@HOST/DATABASE"
        raise InputError(f"{to} is no workspace", hint=hint)
    return Path(to) / STATE_FOLDER / DATABASE


def _unchanged(database: Database) -> AbstractContextManager[Connection]:
    """The database while nobody writes; one that may only be read, as it is now."""
    try:
        database.refuse_read_only()
    except WorkspaceError:
        return database.read()
    return database.write(holder="nearer store copy")
