"""What a file of events brings, as tables of the event log, and the faults of its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import Fault, FaultLog, InputError
from nearer.core.ids import content_id

_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Incoming:
    """Impressions and events of a file, and what must be said of how it was taken."""

    impressions: pa.Table
    events: pa.Table
    notes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Faults:
    """The faults of the rows of one file; ``first_line`` is where its first row stands."""

    path: Path
    first_line: int = 1
    log: FaultLog = field(default_factory=FaultLog)
    rows: set[int] = field(default_factory=set)

    def add(self, row: int, reason: str, remedy: str) -> None:
        """Note what is wrong with a row, which counts from 0."""
        self.rows.add(row)
        self.log.add(Fault(file=str(self.path), line=row + self.first_line, reason=reason, remedy=remedy))

    def mark(self, is_bad_I: Bools, reason: str, remedy: str) -> None:
        """Note the same of several rows."""
        for row in np.flatnonzero(is_bad_I).tolist():
            self.add(row, reason, remedy)

    def sound(self, num_rows: int) -> Bools:
        """The rows without a fault."""
        found = np.ones(num_rows, bool)
        found[sorted(self.rows)] = False
        return found


def settled(zeros: int, ones: int, path: Path, *, what: str = "lists") -> int:
    """What a file calls its first rank, by how many lists show it as 0 and as 1. Raises InputError where both do."""
    if zeros and ones:
        raise InputError(
            f"{path}: {zeros} {what} start at position 0 and {ones} at 1, so nobody knows what 1 means",
            hint="say it in the recipe: first_rank = 0 or 1 under [events]",
        )
    return 0 if zeros else 1


def times_of(column: pa.ChunkedArray) -> tuple[pa.Array, Bools]:
    """Times, and which rows hold none that can be read.

    Numbers are seconds since 1970, or milli- or microseconds where they are as large; texts are ISO 8601, in UTC where
    they have no offset, or numbers.
    """
    column = column.combine_chunks()
    if pa.types.is_timestamp(column.type):
        zoned = column if column.type.tz else pc.assume_timezone(column, "UTC")
        return zoned.cast(_TIME, safe=False), np.zeros(len(column), bool)
    if pa.types.is_date(column.type):
        return pc.assume_timezone(column.cast(pa.timestamp("us")), "UTC"), np.zeros(len(column), bool)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
        try:
            return _from_numbers(column.cast(pa.float64()))
        except pa.ArrowInvalid:
            return _from_texts(column)
    return _from_numbers(column.cast(pa.float64()))


def _from_numbers(column: pa.Array) -> tuple[pa.Array, Bools]:
    numbers = np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    size = float(np.nanmax(np.abs(numbers), initial=0.0))
    scale = 1 if size > 1e14 else 1e3 if size > 1e11 else 1e6
    is_none = np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), bool)
    is_bad = ~is_none & ~(np.abs(numbers * scale) < 2**62)
    whole = np.where(is_none | is_bad, 0, np.round(numbers * scale)).astype(np.int64)
    return pa.array(whole, pa.int64(), mask=is_none | is_bad).cast(_TIME), is_bad


def _from_texts(column: pa.Array) -> tuple[pa.Array, Bools]:
    for type_ in (_TIME, pa.timestamp("us")):
        try:
            found = column.cast(type_)
        except pa.ArrowInvalid:
            continue
        return (found if type_.tz else pc.assume_timezone(found, "UTC")), np.zeros(len(column), bool)
    times, bad = [], np.zeros(len(column), bool)
    for row, text in enumerate(column.to_pylist()):
        try:
            each = None if text is None else datetime.fromisoformat(text)
            times.append(each and (each if each.tzinfo else each.replace(tzinfo=UTC)).astimezone(UTC))
        except (ValueError, OverflowError):
            times.append(None)
            bad[row] = True
    return pa.array(times, _TIME), bad


def lists_of(values: pa.Array, sizes: Ints) -> pa.ListArray:
    """One list after the other, of these sizes."""
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32()), values)


def table_of(schema: pa.Schema, columns: Mapping[str, pa.Array]) -> pa.Table:
    """A table of columns; those that a file does not bring are empty."""
    size = len(next(iter(columns.values())))
    return pa.table({each.name: columns.get(each.name, pa.nulls(size, each.type)) for each in schema}, schema=schema)


def constant(text: str, number: int) -> pa.Array:
    """A column of one text."""
    return pa.repeat(pa.scalar(text, pa.string()), number)


def ids_of(prefix: str, parts: Sequence[Sequence[object]]) -> pa.Array:
    """An id for each row of columns, by their content."""
    return pa.array([content_id(prefix, list(row), num_hex=32) for row in zip(*parts, strict=True)], pa.string())
