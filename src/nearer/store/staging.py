"""A place for the rows of an import: a database of its own, so that nobody waits while files are read.

What was staged is taken over in one transaction, by SQL alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import Conflict, WorkspaceError
from nearer.core.results.changes import Changes
from nearer.store import tables
from nearer.store.collection import revise, stamp_judgments
from nearer.store.files import unfinished_name

STAGED = "staged"
"""The name of the attached database."""
_NOTED = {tables.judgments.name: frozenset({"at", "document_hash"})}
"""Columns that say when and on what: where all others are the same, they stay."""
_TABLES = (tables.documents, tables.queries, tables.pairs, tables.judgments, tables.split_members)


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
            tables.metadata.create_all(connection, tables=[*_TABLES, tables.revisions])
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
    """Put what was staged, and is attached, in place; what that did to each kind of record.

    Raises Conflict when what the rows refer to was removed meanwhile.
    """
    try:
        changes = {table.name: _merged(connection, table) for table in _TABLES}
        stamp_judgments(connection)
    except sa.exc.IntegrityError as error:
        raise Conflict(
            "queries or documents that these rows refer to were removed meanwhile", hint="repeat the command"
        ) from error
    if changes["documents"].num_added or changes["documents"].num_updated:
        revise(connection, tables.documents)
    return changes


def _merged(connection: Connection, table: sa.Table) -> Changes:
    name = table.name
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.c if column.name not in keys]
    same = " AND ".join(f"t.{key} = s.{key}" for key in keys)
    compared = [column for column in others if column not in _NOTED.get(name, ())]
    differs = " OR ".join(f"t.{column} IS NOT s.{column}" for column in compared) or "0"
    joined = f"FROM {STAGED}.{name} AS s JOIN main.{name} AS t ON {same}"
    num_staged = _count(connection, f"FROM {STAGED}.{name}")
    num_known = _count(connection, joined)
    num_updated = _count(connection, f"{joined} WHERE {differs}") if others and num_known else 0
    columns = ", ".join([*keys, *others])
    changed = " OR ".join(f"main.{name}.{column} IS NOT excluded.{column}" for column in compared)
    values = ", ".join(f"{column} = excluded.{column}" for column in others)
    then = f"UPDATE SET {values} WHERE {changed}" if others else "NOTHING"
    connection.exec_driver_sql(
        f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM {STAGED}.{name} WHERE true "
        f"ON CONFLICT ({', '.join(keys)}) DO {then}".replace(f"main.{name}.", f"{name}.")
    )
    return Changes(num_added=num_staged - num_known, num_updated=num_updated, num_unchanged=num_known - num_updated)


def _count(connection: Connection, source: str) -> int:
    return cast(int, connection.exec_driver_sql(f"SELECT count(*) {source}").scalar())
