"""A place for the rows of an import: a database of its own, so that nobody waits while files are read.

What was staged is taken over in one transaction, by SQL alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import Conflict, WorkspaceError
from nearer.core.results.changes import Changes
from nearer.store import tables
from nearer.store.changing import revise, stamp_judgments
from nearer.store.database import insert_into
from nearer.store.database_sqlite import STAGED
from nearer.store.files import unfinished_name
from nearer.store.postgres_staging import staged_name
from nearer.store.tables import STAGED_TABLES

_NOTED = {tables.judgments.name: frozenset({"at", "document_hash"})}
"""Columns that say when and on what: where all others are the same, they stay."""


@contextmanager
def staging(folder: Path) -> Iterator[tuple[Path, Connection]]:
    """A database in ``folder`` that goes with the block, with the tables of what is imported; nothing refers to others.

    Raises WorkspaceError when the disk refuses.
    """
    path = folder / unfinished_name("import.sqlite")
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            for pragma in ("journal_mode=OFF", "synchronous=OFF"):  # nobody needs it after a crash
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            tables.metadata.create_all(connection, tables=[*STAGED_TABLES, tables.revisions])
            connection.commit()
            yield path, connection
    except sa.exc.OperationalError as error:
        raise WorkspaceError(
            f"{folder}: the import cannot be written: {error.orig}",
            hint="nothing was changed; see that the disk has room and is writable, then repeat the command",
        ) from error
    finally:
        engine.dispose()
        path.unlink(missing_ok=True)


def take_over(connection: Connection) -> dict[str, Changes]:
    """Put what was staged, and can be read here, in place; what that did to each kind of record.

    Raises Conflict when what the rows refer to was removed meanwhile.
    """
    try:
        changes = {table.name: _merged(connection, table) for table in STAGED_TABLES}
        stamp_judgments(connection)
    except sa.exc.IntegrityError as error:
        raise Conflict(
            "queries or documents that these rows refer to were removed meanwhile", hint="repeat the command"
        ) from error
    if changes["documents"].num_added or changes["documents"].num_updated:
        revise(connection, tables.documents)
    return changes


def _merged(connection: Connection, table: sa.Table) -> Changes:
    staged = _staged(connection, table)
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.c if column.name not in keys]
    compared = [column for column in others if column not in _NOTED.get(table.name, ())]
    joined = staged.join(table, sa.and_(*(staged.c[key] == table.c[key] for key in keys)))
    differs = sa.or_(sa.false(), *(table.c[each].is_distinct_from(staged.c[each]) for each in compared))
    num_staged = _count(connection, staged)
    num_known = _count(connection, joined)
    num_updated = _count(connection, joined, where=differs) if others and num_known else 0
    rows = sa.select(*(staged.c[each] for each in [*keys, *others])).where(sa.true())  # which SQLite's grammar needs
    statement = insert_into(connection, table).from_select([*keys, *others], rows)
    if others:
        given = statement.excluded
        changed = sa.or_(sa.false(), *(table.c[each].is_distinct_from(given[each]) for each in compared))
        values = {each: given[each] for each in others}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values, where=changed))
    else:
        connection.execute(statement.on_conflict_do_nothing())
    return Changes(num_added=num_staged - num_known, num_updated=num_updated, num_unchanged=num_known - num_updated)


def _staged(connection: Connection, table: sa.Table) -> sa.FromClause:
    """The staged rows of a table: in the database that is attached, or in a temporary table."""
    columns = [sa.column(column.name, column.type) for column in table.c]
    if connection.dialect.name == "postgresql":
        return sa.table(staged_name(table), *columns, schema="pg_temp").alias("s")
    return sa.table(table.name, *columns, schema=STAGED).alias("s")


def _count(connection: Connection, source: sa.FromClause, *, where: sa.ColumnElement[bool] | None = None) -> int:
    statement = sa.select(sa.func.count()).select_from(source)
    return connection.scalar(statement if where is None else statement.where(where)) or 0
