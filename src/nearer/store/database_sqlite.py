"""The SQLite half: one file in the workspace. Writers take the write lock when a transaction begins."""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from nearer.core.errors import WorkspaceBusy, WorkspaceError
from nearer.store import database as either
from nearer.store.files import is_writable
from nearer.store.leases import holder_in
from nearer.store.schema import bring_up_to_date

_log = logging.getLogger(__name__)
_MAGIC = b"SQLite format 3\0"
STAGED = "staged"
"""The name of the attached database."""


class SqliteDatabase:
    """A database in one file."""

    def __init__(self, path: Path, *, is_read_only: bool) -> None:
        self._path, self._is_read_only = path, is_read_only
        self._engine = _read_only(path) if is_read_only else _writable(path)

    @classmethod
    def open(cls, path: Path, *, creates: bool = True) -> "SqliteDatabase":
        """Open or create the file; in a folder that may not be written it is opened for reading alone.

        Raises WorkspaceError when it is not a database or was made by a newer version.
        """
        if not creates and not (path.exists() and path.stat().st_size):
            raise WorkspaceError(f"{path} is gone, or empty", hint="restore it from a backup")
        is_read_only = path.exists() and not is_writable(path)
        database = cls(path, is_read_only=is_read_only)
        try:
            bring_up_to_date(database, creates=creates)
        except sa.exc.DatabaseError as error:
            raise WorkspaceError(
                f"{path}: cannot be opened as a database: {error.orig}",
                hint="check that the folder is writable, or restore the file from a backup",
            ) from error
        return database

    @property
    def name(self) -> str:
        """Its file."""
        return str(self._path)

    @property
    def num_bytes(self) -> int:
        """The size of the file."""
        with suppress(OSError):
            return self._path.stat().st_size
        return 0

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
            raise WorkspaceError(f"{self.name}: cannot be read: {reason}", hint=hint) from error

    @contextmanager
    def write(
        self, *, wait_s: float | None = None, holder: str = "", staged: Path | None = None
    ) -> Iterator[Connection]:
        """A transaction that holds the write lock; tables of ``staged`` are named as ``store/staging.py`` says.

        Raises WorkspaceBusy, WorkspaceError when the disk is full or may not be written.
        """
        with self._engine.connect() as connection, _attached(connection, staged):
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
        patience_s = either.PATIENCE_S if wait_s is None else wait_s
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
        return self._path.with_suffix(".holder")

    def lease(self, resource: str, *, holder: str) -> AbstractContextManager[None]:
        """Nothing: the locks of the folder are enough for one machine."""
        return nullcontext()

    def holder_of(self, resource: str) -> str | None:
        """None: the locks of the folder tell."""
        return None

    def refuse_read_only(self) -> None:
        """Raises WorkspaceError where nothing can be written."""
        if self._is_read_only:
            raise WorkspaceError(
                f"{self.name}: this folder may only be read, and what is measured is to be kept there",
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
def _attached(connection: Connection, staged: Path | None) -> Iterator[None]:
    if staged is None:
        yield
        return
    connection.exec_driver_sql(f"ATTACH DATABASE ? AS {STAGED}", (str(staged),))
    try:
        yield
    finally:
        connection.exec_driver_sql(f"DETACH DATABASE {STAGED}")


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
    sa.event.listen(engine, "connect", _turn_off_autobegin)
    return engine


def _roll_back(connection: Connection) -> None:
    """Undo the transaction, unless SQLite did so itself on an error of the disk."""
    if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("ROLLBACK")


def _turn_off_autobegin(connection: object, _record: object) -> None:
    """No transaction that the driver begins by itself."""
    connection.isolation_level = None  # type: ignore[attr-defined]


def _configure_sqlite(connection: object, record: object) -> None:
    """Durable commits and enforced references."""
    _turn_off_autobegin(connection, record)
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
