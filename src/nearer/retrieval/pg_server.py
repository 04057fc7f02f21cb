"""Where the PostgreSQL of an index is, and connections to it, which are closed with the index.

The manifest of an index has the address without a password. NEARER_POSTGRES_URL, where it is set, goes before it; a
password is best in PGPASSWORD or ~/.pgpass, where PostgreSQL's own library reads it.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nearer.core.errors import InputError, NearerError, WorkspaceError
from nearer.core.extras import extra
from nearer.core.sections import HERE
from nearer.store.postgres_address import first_line, start_here

if TYPE_CHECKING:
    from psycopg import Connection

URL_ENV = "NEARER_POSTGRES_URL"

MOST_CONNECTIONS = 8
"""Of one index in one process; more threads wait. Our rule: PostgreSQL takes 100 unless told otherwise."""
_SETTINGS = {"hnsw.iterative_scan": "strict_order"}
"""Without it a filter that passes one row in a hundred was answered with 2 rows of 10."""


def require_postgres() -> None:
    """Raises InputError where the extra is not installed."""
    with extra("postgres", used_for="an index of kind pgvector"):
        import pgvector  # noqa: F401
        import psycopg  # noqa: F401


def chosen_server(url: str | None) -> str:
    """The address that an index is to be built at, as its manifest keeps it: without a password.

    ``url`` is the recipe's. Raises InputError where there is none, or it is no address.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    chosen = os.environ.get(URL_ENV, "").strip() or url
    if not chosen:
        hint = f"set it: export {URL_ENV}=postgresql://USER@HOST/DATABASE; or index.url in nearer.toml"
        raise InputError("index.kind = pgvector needs the address of a PostgreSQL", hint=hint)
    if chosen == HERE:
        return HERE
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(chosen).items() if name != "password"}
    except ProgrammingError as error:
        hint = "for example: postgresql://USER@HOST/DATABASE"
        raise InputError(
            f"{URL_ENV if chosen != url else 'index.url'} is no address of a PostgreSQL", hint=hint
        ) from error
    return make_conninfo(**parts)


class Server:
    """Connections to the PostgreSQL of an index folder, ``MOST_CONNECTIONS`` at once; closed with the index."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder, self._server = folder, server
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._idle: list[Connection] = []
        self._process = os.getpid()
        self._end = weakref.finalize(self, _close_all, self._idle, self._process)

    @contextmanager
    def transaction(self) -> "Iterator[Connection]":
        """A transaction on a connection of its own; what the server refuses becomes an error with its remedy.

        Raises WorkspaceError.
        """
        with explained(self._folder), self._free:
            connection = self._taken()
            try:
                with connection.transaction():
                    yield connection
            finally:
                if connection.closed or connection.broken:
                    connection.close()
                else:
                    self._idle.append(connection)

    def close(self) -> None:
        """Close every connection."""
        self._end()

    def _taken(self) -> "Connection":
        if self._process != os.getpid():  # forked: its connections are the parent's
            self._idle, self._process = [], os.getpid()
            self._end.detach()
            self._end = weakref.finalize(self, _close_all, self._idle, self._process)
        try:
            return self._idle.pop()
        except IndexError:
            return _connect(self._folder, self._server)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the server, or the way to it, raises into an error with its remedy."""
    import psycopg

    try:
        yield
    except NearerError:
        raise
    except psycopg.OperationalError as error:
        hint = f"start it, or set {URL_ENV} to where it is now; then repeat the command"
        raise WorkspaceError(f"{folder}: the PostgreSQL of this index: {first_line(error)}", hint=hint) from error
    except psycopg.errors.UndefinedTable as error:
        raise WorkspaceError(
            f"{folder}: its table is gone: {first_line(error)}", hint="rebuild: nearer index"
        ) from error
    except psycopg.Error as error:
        hint = "the user needs pgvector 0.8 or newer (CREATE EXTENSION vector), and CREATE on the schema"
        raise WorkspaceError(f"{folder}: PostgreSQL refuses: {first_line(error)}", hint=hint) from error


def _connect(folder: Path, server: str) -> "Connection":
    import psycopg
    from pgvector.psycopg import register_vector

    url = os.environ.get(URL_ENV, "").strip() or server
    address = start_here(folder.resolve().parent.parent) if url == HERE else url
    connection = psycopg.connect(address, autocommit=True, connect_timeout=10)
    connection.prepare_threshold = None  # a plan for any limit would not use the vector index
    try:
        if not connection.execute("SELECT 1 FROM pg_type WHERE typname = 'vector'").fetchone():
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        for name, value in _SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            [(kept,)] = connection.execute("SELECT current_setting(%s)", (name,)).fetchall()
            if kept != value:  # an older pgvector only warns
                raise WorkspaceError(
                    f"{folder}: PostgreSQL has no {name}", hint="upgrade pgvector to 0.8: ALTER EXTENSION vector UPDATE"
                )
    except BaseException:
        connection.close()
        raise
    return connection


def _close_all(idle: "list[Connection]", process: int) -> None:
    while idle and process == os.getpid():
        idle.pop().close()
