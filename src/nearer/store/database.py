"""The control plane: one database. Its tables are in ``store/tables.py``; ``store/migrations.py`` changes older ones.

SQLite by default. Writers take the write lock when a transaction begins, so a reader never sees half a change.
"""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from nearer.core.errors import WorkspaceBusy, WorkspaceError
from nearer.store.leases import holder_in
from nearer.store.migrations import FIRST, MIGRATIONS
from nearer.store.tables import metadata, migrations

_log = logging.getLogger(__name__)
_MAGIC = b"SQLite format 3\0"
_PATIENCE_S = 5.0
"""How long a writer waits before it says for whom, and again each time."""


class Database:
    """One database and its two kinds of transaction."""

    def __init__(self, engine: Engine, *, is_read_only: bool = False) -> None:
        self._engine = engine
        self._is_read_only = is_read_only

    @classmethod
    def open(cls, path: Path) -> "Database":
        """Open or create the SQLite database at ``path`` and bring its schema up to date.

        In a folder that may not be written it is opened for reading alone. Raises WorkspaceError when the file is not
        a database or was made by a newer version.
        """
        is_read_only = path.exists() and not _is_writable(path)
        database = cls(_read_only(path) if is_read_only else _writable(path), is_read_only=is_read_only)
        try:
            database._migrate()
        except sa.exc.DatabaseError as error:
            raise WorkspaceError(
                f"{path}: cannot be opened as a database: {error.orig}",
                hint="check that the folder is writable, or restore the file from a backup",
            ) from error
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of what was committed. Raises WorkspaceError when it cannot be read."""
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                yield connection
        except (sa.exc.DatabaseError, json.JSONDecodeError) as error:
            reason = error.orig if isinstance(error, sa.exc.DatabaseError) else f"a row is not JSON: {error}"
            hint = "see that the folder may be read; if the file is damaged, restore it from a backup"
            raise WorkspaceError(f"{self._engine.url.database}: cannot be read: {reason}", hint=hint) from error

    @contextmanager
    def write(
        self, *, wait_s: float | None = None, holder: str = "", attached: Mapping[str, Path] | None = None
    ) -> Iterator[Connection]:
        """A transaction that holds the write lock: all of it is committed, or none.

        It waits as long as another holds the lock, and says so, or for ``wait_s``; ``holder`` is shown to those who
        wait for this one. ``attached`` databases can be read by their names. Raises WorkspaceBusy when waiting was not
        enough, WorkspaceError when the disk is full or may not be written.
        """
        with self._engine.connect() as connection, _attached(connection, attached or {}):
            self._begin(connection, wait_s=wait_s)
            if holder:
                with suppress(OSError):  # a name for others to read, no more
                    self._note.write_text(f"{holder} (process {os.getpid()})", encoding="utf-8")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException as error:
                _roll_back(connection)
                if isinstance(error, sa.exc.OperationalError) or type(error) is sa.exc.DatabaseError:
                    hint = "nothing was changed; see that the disk has room and is writable, then repeat the command"
                    raise WorkspaceError(f"the database cannot be written: {error.orig}", hint=hint) from error
                raise

    def _begin(self, connection: Connection, *, wait_s: float | None) -> None:
        """Take the write lock."""
        patience_s = _PATIENCE_S if wait_s is None else wait_s
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * patience_s:.0f}")
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except sa.exc.OperationalError as error:
                is_busy = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
                if is_busy and wait_s is None:
                    _log.warning("waits for %s to end, to write what was done", holder_in(self._note))
                    continue
                hint = "wait until the other process has ended; the folder must be writable"
                raise WorkspaceBusy(f"the database cannot be written: {error.orig}", hint=hint) from error

    @property
    def _note(self) -> Path:
        """Where the name of who last wrote something large stands."""
        return Path(str(self._engine.url.database)).with_suffix(".holder")

    def refuse_read_only(self) -> None:
        """Raises WorkspaceError where nothing can be written, for long jobs whose end writes, before they begin."""
        if self._is_read_only:
            raise WorkspaceError(
                f"{self._engine.url.database}: this folder may only be read, and what is measured is to be kept there",
                hint="make it writable, or measure in a copy of the workspace",
            )

    def empty_log(self) -> None:
        """Bring the log of commits into the file, so that what was deleted is in neither; readers may delay that."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 2000")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give back the file."""
        self._engine.dispose()

    def _migrate(self) -> None:
        """Make the tables, or bring older ones up to date."""
        with self.read() as connection:
            tables = sa.inspect(connection).get_table_names()
            if tables and migrations.name not in tables:
                hint = "restore the file from a backup"
                raise WorkspaceError(f"{self._engine.url.database}: not a database of Nearer's", hint=hint)
            if tables and self._applied(connection) == set(_names()):
                return
        with self.write() as connection:
            if not sa.inspect(connection).has_table(migrations.name):
                metadata.create_all(connection)
                connection.execute(migrations.insert(), [{"name": name} for name in _names()])
                return
            applied = self._applied(connection)
            if unknown := applied - set(_names()):
                raise WorkspaceError(
                    f"the workspace was made by a newer version ({', '.join(sorted(unknown))})",
                    hint="upgrade: pip install --upgrade nearer",
                )
            for migration in MIGRATIONS:
                if migration.__name__ not in applied:
                    migration(connection)
                    connection.execute(migrations.insert().values(name=migration.__name__))

    @staticmethod
    def _applied(connection: Connection) -> set[str]:
        return set(connection.scalars(sa.select(migrations.c.name)))


def is_database(path: Path) -> bool:
    """Whether a file is one of SQLite's."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while others write to it. Raises WorkspaceError."""
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(source.resolve()))}?mode=ro", uri=True)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer)
            [(found,)] = writer.execute("PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        raise WorkspaceError(f"{source}: cannot be copied: {error}", hint="see: nearer status") from error
    if found != "ok":
        raise WorkspaceError(f"{source}: damaged: {found}", hint="restore it from an earlier backup")


@contextmanager
def _attached(connection: Connection, databases: Mapping[str, Path]) -> Iterator[None]:
    for name, path in databases.items():
        connection.exec_driver_sql(f"ATTACH DATABASE ? AS {name}", (str(path),))
    try:
        yield
    finally:
        for name in databases:
            connection.exec_driver_sql(f"DETACH DATABASE {name}")


def _names() -> list[str]:
    return [FIRST, *(migration.__name__ for migration in MIGRATIONS)]


def _is_writable(path: Path) -> bool:
    return all(os.access(each, os.W_OK, effective_ids=True) for each in (path.parent, path))


def _writable(path: Path) -> Engine:
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _configure_sqlite)
    return engine


def _read_only(path: Path) -> Engine:
    """An engine that needs no lock files; where a log of commits lies beside the database, SQLite must read it too.

    Source: sqlite.org/wal.html, section 7, read-only databases.
    """
    log = path.with_name(f"{path.name}-wal")
    immutable = "" if log.exists() and log.stat().st_size else "&immutable=1"
    engine = sa.create_engine(f"sqlite:///file:{quote(str(path))}?mode=ro{immutable}&uri=true")
    sa.event.listen(engine, "connect", _begin_only_when_told)
    return engine


def _roll_back(connection: Connection) -> None:
    """Undo the transaction, unless SQLite did so itself on an error of the disk."""
    if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("ROLLBACK")


def _begin_only_when_told(connection: object, _record: object) -> None:
    """No transaction that the driver begins by itself."""
    connection.isolation_level = None  # type: ignore[attr-defined]


def _configure_sqlite(connection: object, record: object) -> None:
    """Durable commits and enforced references."""
    _begin_only_when_told(connection, record)
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
