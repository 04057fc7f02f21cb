"""The rows of an import, sent to PostgreSQL: into tables that only this connection sees, and that go with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.failpoints import failpoint
from nearer.store.tables import STAGED_TABLES
from nearer.store.types import escaped

_BATCH = 1000


def staged_name(table: sa.Table) -> str:
    """What the staged rows of a table are called."""
    return f"staged_{table.name}"


@contextmanager
def staged_rows(connection: Connection, file: Path | None) -> Iterator[None]:
    """Have the rows of a staging file in temporary tables during the block."""
    if file is None:
        yield
        return
    with closing(sqlite3.connect(file)) as staged:
        for table in STAGED_TABLES:
            _send(connection, staged, table)
    connection.commit()
    failpoint("postgres.staged")
    try:
        yield
    finally:
        with suppress(sa.exc.DBAPIError):  # they go with the connection
            for table in STAGED_TABLES:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS pg_temp.{staged_name(table)}")
            connection.commit()


def _send(connection: Connection, staged: sqlite3.Connection, table: sa.Table) -> None:
    """Copy one table; JSON is the same text in both databases."""
    name, columns = staged_name(table), ", ".join(column.name for column in table.c)
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {name} (LIKE {table.name})")
    rows = staged.execute(f"SELECT {columns} FROM {table.name}")
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY pg_temp.{name} ({columns}) FROM STDIN") as copy:
        while batch := rows.fetchmany(_BATCH):
            for row in batch:
                copy.write_row([escaped(value) if isinstance(value, str) else value for value in row])
    connection.exec_driver_sql(f"ANALYZE pg_temp.{name}")
