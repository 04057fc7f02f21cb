"""The control plane: one database, SQLite in the workspace or PostgreSQL by URL, with its two kinds of transaction.

Its tables are in ``store/tables.py``; ``store/schema.py`` makes them, and changes older ones. What differs between the
two is in ``store/database_sqlite.py`` and ``store/database_postgres.py``, and here in ``insert_into``.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Union

import sqlalchemy as sa
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = Union[sqlite.Insert, postgresql.Insert]  # noqa: UP007

PATIENCE_S = 5.0
"""How long a writer waits before it says for whom, and again each time."""


class Database(Protocol):
    """One database. A writer excludes other writers; a reader sees one state, however many statements it takes."""

    @property
    def name(self) -> str:
        """What messages call it: its file, or its address without a password."""
        ...

    @property
    def num_bytes(self) -> int:
        """What it takes on the disk."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """A consistent view of what was committed. Raises WorkspaceError when it cannot be read."""
        ...

    def write(
        self, *, wait_s: float | None = None, holder: str = "", staged: Path | None = None
    ) -> AbstractContextManager[Connection]:
        """A transaction that holds the write lock: all of it is committed, or none.

        It waits as long as another holds the lock, and says so, or for ``wait_s``; ``holder`` is shown to those who
        wait for this one. What the SQLite file ``staged`` holds can be read too, see ``store/staging.py``.
        Raises WorkspaceBusy when waiting was not enough, WorkspaceError when it cannot be written.
        """
        ...

    def lease(self, resource: str, *, holder: str) -> AbstractContextManager[None]:
        """Be the only one of all machines on a resource, as long as this process lives.

        Raises WorkspaceBusy with the name of who is at it. In a workspace's own SQLite the locks of its folder do that.
        """
        ...

    def holder_of(self, resource: str) -> str | None:
        """Who has the lease of a resource; always None of a workspace's own SQLite."""
        ...

    def refuse_read_only(self) -> None:
        """Raises WorkspaceError where nothing can be written, for long jobs whose end writes, before they begin."""
        ...

    def empty_log(self) -> None:
        """Have what was deleted go from the disk too, as far as that is the program's to do."""
        ...

    def close(self) -> None:
        """Give back the file, or the connections."""
        ...


def open_database(address: Path | str, *, creates: bool = True) -> Database:
    """Open the SQLite file of that path, or the PostgreSQL of that address, and bring its schema up to date.

    ``creates`` makes the tables where there are none. What may only be read is opened for reading alone.
    Raises WorkspaceError when it cannot be opened, is not a database of Nearer's, or was made by a newer version;
    InputError where what PostgreSQL needs is not installed.
    """
    if isinstance(address, Path):
        from nearer.store.database_sqlite import SqliteDatabase

        return SqliteDatabase.open(address, creates=creates)
    from nearer.store.database_postgres import PostgresDatabase

    return PostgresDatabase.open(address, creates=creates)


def insert_into(connection: Connection, table: sa.Table) -> "Insert":
    """An insert, which counts its rows, that can say what is done ``on_conflict``, as the database writes it."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).execution_options(preserve_rowcount=True)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).execution_options(preserve_rowcount=True)
