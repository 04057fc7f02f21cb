"""All rows of one database copied into another, and compared."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import InputError, WorkspaceError
from nearer.core.progress import Progress
from nearer.store.collection import BATCH, batches
from nearer.store.tables import event_files, metadata

TABLES = tuple(table for table in metadata.sorted_tables if table is not event_files)
"""What is copied: each after the tables that it refers to. Events are in the folder too, and come from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSum:
    """How many rows a table has, and the sum of their SHA-256, which no order changes."""

    num_rows: int = 0
    total: int = 0

    def plus(self, row: sa.Row[tuple[object, ...]]) -> "RowSum":
        """With one row more."""
        values = [value.hex() if isinstance(value, bytes) else value for value in row]
        digest = hashlib.sha256(json.dumps(values).encode()).digest()
        return RowSum(num_rows=self.num_rows + 1, total=(self.total + int.from_bytes(digest)) % 2**256)

    @property
    def sha256(self) -> str:
        """The sum as 64 hexadecimal digits."""
        return f"{self.total:064x}"


def refuse_full(target: Connection, *, name: str) -> None:
    """Raises InputError where a table has rows."""
    for table in TABLES:
        if target.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)):
            hint = "name an empty one; nothing is written over, so move the old one away first"
            raise InputError(f"{name} holds {table.name} already", hint=hint)


def copy_rows(source: Connection, target: Connection, *, name: str, progress: Progress) -> dict[str, RowSum]:
    """Copy every table into one without rows, and read it again; ``name`` is what messages call the target.

    Raises InputError where the target holds something, WorkspaceError where a table is not the same there.
    """
    refuse_full(target, name=name)
    copied = {}
    for table in progress.track(TABLES, label="copy tables", total=len(TABLES)):
        copied[table.name] = _copy(source, target, table)
        _count_on(target, table)
        there = RowSum()
        for row in _rows(target, table):
            there = there.plus(row)
        if there != copied[table.name]:
            raise WorkspaceError(f"{name}: {table.name} is not the same there", hint="nothing was kept; ask for help")
    return copied


def _copy(source: Connection, target: Connection, table: sa.Table) -> RowSum:
    found = RowSum()
    for batch in batches(_rows(source, table)):
        for row in batch:
            found = found.plus(row)
        target.execute(table.insert(), [dict(row._mapping) for row in batch])
    return found


def _rows(connection: Connection, table: sa.Table) -> Iterator[sa.Row[tuple[object, ...]]]:
    with connection.execute(sa.select(table), execution_options={"yield_per": BATCH}) as rows:
        yield from rows


def _count_on(target: Connection, table: sa.Table) -> None:
    """Have PostgreSQL number new rows after those that were copied, as SQLite does by itself."""
    number = table.autoincrement_column
    if target.dialect.name == "postgresql" and number is not None:
        last = sa.select(sa.func.max(number)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence(table.name, number.name)
        target.execute(sa.select(sa.func.setval(sequence, last)).where(last.is_not(None)))
