"""The PostgreSQL half: a schema of a server's. One writer at a time, by an advisory lock; leases by others.

A lock goes with its connection, and that with its process, however it ends.
"""

import hashlib
import json
import logging
import os
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from nearer.core.errors import NearerError, WorkspaceBusy, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.store import database as either
from nearer.store.postgres_address import address_parts, connect, first_line, shown
from nearer.store.postgres_staging import staged_rows
from nearer.store.schema import bring_up_to_date
from nearer.store.tables import documents, metadata

_log = logging.getLogger(__name__)
_WRITER = "writer"
_NOT_FREE = "55P03"
_OF_THE_USE = ("22", "23")
"""Classes of errors that our own statements cause: of data, and of references; all others are the server's."""
_HELD = """
    SELECT activity.application_name FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.classid::bigint = :high AND held.objid::bigint = :low
"""
"""Source: postgresql.org/docs/current/view-pg-locks.html, of advisory locks with one bigint key."""
_START = "the server must run and be reached: see what the address says, and PGPASSWORD or ~/.pgpass"


class PostgresDatabase:
    """The tables in the schema that a connection finds first."""

    def __init__(self, parts: dict[str, str]) -> None:
        self._parts = parts
        self._engine = _engine(parts)
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._is_read_only = False
        self._schema = ""
        self._end = weakref.finalize(self, self._engine.dispose)

    @classmethod
    def open(cls, address: str, *, creates: bool = True, said: str = "store.url") -> "PostgresDatabase":
        """Open the database of an address, as libpq takes it; ``said`` is what named it.

        Raises InputError for what is no address, WorkspaceError where it cannot be opened.
        """
        database = cls(address_parts(address, said=said))
        try:
            database._look()
            bring_up_to_date(database, creates=creates)
            database._see_rights()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def name(self) -> str:
        """Its address without the password."""
        return shown(self._parts)

    @property
    def num_bytes(self) -> int:
        """The size of the tables with their indexes."""
        size = sa.text("SELECT pg_total_relation_size(to_regclass(:name))")
        with self.read() as connection:
            return sum(int(connection.scalar(size, {"name": name}) or 0) for name in metadata.tables)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot for all statements. Raises WorkspaceError when it cannot be read."""
        try:
            with self._reading.connect() as connection:
                yield connection
        except (sa.exc.DatabaseError, sa.exc.TimeoutError, json.JSONDecodeError) as error:
            raise self._refused(error, "cannot be read", hint=_START) from error

    @contextmanager
    def write(
        self, *, wait_s: float | None = None, holder: str = "", staged: Path | None = None
    ) -> Iterator[Connection]:
        """A transaction of the one writer; the rows of ``staged`` are sent before it begins, while others may write.

        Raises WorkspaceBusy, WorkspaceError.
        """
        is_committing = False
        try:
            with self._engine.connect() as connection, staged_rows(connection, staged):
                try:
                    self._begin(connection, wait_s=wait_s, holder=holder)
                    yield connection
                    failpoint("postgres.commit")
                    is_committing = True
                    connection.commit()
                except BaseException:
                    with suppress(sa.exc.DBAPIError):  # of a connection that is gone the server has undone it
                        connection.rollback()
                    raise
        except (sa.exc.DatabaseError, sa.exc.TimeoutError) as error:
            if _state(error)[:2] in _OF_THE_USE:
                raise
            hint = "nothing was changed; see that the server runs and lets you write, then repeat the command"
            if is_committing:
                hint = (
                    "whether it was written only the database knows: look (nearer status), then repeat what is missing"
                )
            raise self._refused(error, "cannot be written", hint=hint) from error

    def _begin(self, connection: Connection, *, wait_s: float | None, holder: str) -> None:
        """Be the writer."""
        patience_s = either.PATIENCE_S if wait_s is None else wait_s
        while True:
            try:
                connection.exec_driver_sql(
                    f"SET LOCAL lock_timeout = {max(1, round(1000 * patience_s))};"
                    f"SELECT pg_advisory_xact_lock({self._key(_WRITER)});"
                    "SET LOCAL lock_timeout TO DEFAULT"
                )
                break
            except sa.exc.OperationalError as error:
                if _state(error) != _NOT_FREE:
                    raise
                connection.rollback()
                other = self._holder(connection, _WRITER) or "another process"
                connection.rollback()
                if wait_s is not None:
                    message = f"the database cannot be written: busy with {other}"
                    raise WorkspaceBusy(message, hint="wait until the other process has ended") from error
                _log.warning("waits for %s to end, to write what was done", other)
        if holder:
            _call_itself(connection, holder, only_now=True)

    @contextmanager
    def lease(self, resource: str, *, holder: str) -> Iterator[None]:
        """Hold a lock on a connection of its own. Raises WorkspaceBusy; WorkspaceError where no server answers."""
        with self._connection_of_its_own() as connection:
            lock = sa.text("SELECT pg_try_advisory_lock(:key)")
            if not connection.scalar(lock, {"key": self._key(resource)}):
                other = self._holder(connection, resource) or "another process"
                raise WorkspaceBusy(f"{resource}: busy with {other}", hint="wait until it has ended")
            _call_itself(connection, holder)
            yield

    @contextmanager
    def _connection_of_its_own(self) -> Iterator[Connection]:
        """One outside the pool, which ends with the block: then its locks are gone."""
        try:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
        except sa.exc.DatabaseError as error:
            raise self._refused(error, "cannot be reached", hint=_START) from error
        try:
            yield connection
        finally:
            with suppress(sa.exc.DBAPIError):  # its lock went with it
                connection.close()

    def holder_of(self, resource: str) -> str | None:
        """Who has the lease of a resource."""
        with self.read() as connection:
            return self._holder(connection, resource)

    def _holder(self, connection: Connection, resource: str) -> str | None:
        key = self._key(resource) % 2**64
        found = connection.scalar(sa.text(_HELD), {"high": key >> 32, "low": key % 2**32})
        return None if found is None else str(found) or "another process"

    def _key(self, resource: str) -> int:
        """The number of a lock: PostgreSQL has them by number, for the whole database."""
        digest = hashlib.sha256(f"nearer {self._schema} {resource}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def refuse_read_only(self) -> None:
        """Raises WorkspaceError where nothing can be written."""
        if self._is_read_only:
            raise WorkspaceError(
                f"{self.name}: may only be read by this user, and what is measured is to be kept there",
                hint="give the user the right to write, or measure in a copy: nearer store copy --to FOLDER",
            )

    def empty_log(self) -> None:
        """Nothing: PostgreSQL's own vacuum takes away what was deleted, and its log is its administrator's."""

    def close(self) -> None:
        """Give back the connections."""
        self._end()

    def _look(self) -> None:
        """See whether the server can be used at all. Raises WorkspaceError."""
        try:
            with self._engine.connect() as connection:
                row = connection.exec_driver_sql(
                    "SELECT current_schema(), current_setting('server_encoding'), current_setting('server_version_num')"
                ).one()
        except sa.exc.DatabaseError as error:
            raise self._refused(error, "cannot be opened", hint=_START) from error
        schema, encoding, version = row
        if schema is None:
            hint = "make it: CREATE SCHEMA ...; or see the search_path of the address or the user"
            raise WorkspaceError(f"{self.name}: its search_path names no schema that is there", hint=hint)
        if encoding != "UTF8" or int(version) < 130_000:
            hint = "take PostgreSQL 13 or newer, and: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
            raise WorkspaceError(f"{self.name}: PostgreSQL {int(version) // 10_000}, encoding {encoding}", hint=hint)
        self._schema = str(schema)

    def _see_rights(self) -> None:
        may_write = sa.text("SELECT NOT pg_is_in_recovery() AND has_table_privilege(to_regclass(:name), 'INSERT')")
        with self.read() as connection:
            self._is_read_only = not connection.scalar(may_write, {"name": documents.name})

    def _refused(self, error: Exception, what: str, *, hint: str) -> NearerError:
        """An error with its remedy; no text of a statement, and no password, is in it."""
        reason = first_line(getattr(error, "orig", None) or error)
        if password := self._parts.get("password"):
            reason = reason.replace(password, "***")
        return WorkspaceError(f"{self.name}: {what}: {reason}", hint=hint)


def _engine(parts: dict[str, str]) -> Engine:
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(parts),
        pool_pre_ping=True,  # a server that was restarted is connected to anew
        hide_parameters=True,
    )


def _call_itself(connection: Connection, holder: str, *, only_now: bool = False) -> None:
    """Tell others of the server who this is, in the 63 bytes that there are."""
    host = socket.gethostname().split(".")[0]
    name = f"{holder} (process {os.getpid()} on {host})"
    connection.execute(
        sa.text("SELECT set_config('application_name', :name, :only_now)"), {"name": name[:63], "only_now": only_now}
    )


def _state(error: Any) -> str:
    """The SQLSTATE of an error, empty where it has none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""
