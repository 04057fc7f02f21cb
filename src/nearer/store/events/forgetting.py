"""What goes from the event log: a person's records, and what is older than it may be kept.

What was forgotten is noted in ``forgotten.json`` before any file is written anew, so that nobody reads it from then on;
files that live processes write to lose it once they are sealed. Where machines share their events, a note of each stays
in ``forgotten-ID.json``.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from nearer.core.errors import WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.store.events.records import IMPORT, SCHEMAS, Kind
from nearer.store.files import write_atomic

Filter = Callable[[Kind, pa.Table], pa.Table]
_TIMES: dict[Kind, str] = {"impressions": "at", "events": "received_at"}
_NOTE, _NOTES = "forgotten.json", "forgotten-*.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """A person, hashed, whose records of up to ``before`` (microseconds) are gone, and those of their answers."""

    person: str
    before: int
    query_ids: tuple[str, ...]

    def without(self, kind: Kind, table: pa.Table) -> pa.Table:
        """The records that stay."""
        theirs = pc.is_in(table["query_id"], value_set=pa.array(self.query_ids, pa.string()))
        theirs = pc.or_(theirs, pc.fill_null(pc.equal(table["user"], self.person), False))
        times = table[_TIMES[kind]]
        late = pc.fill_null(pc.greater(times, pa.scalar(self.before, pa.int64()).cast(times.type)), False)
        return table.filter(pc.or_(pc.invert(theirs), late))


def read_forgotten(folder: Path) -> list[Forgotten]:
    """Who was forgotten, and may still be in a file. Raises WorkspaceError when a note is damaged."""
    return list(dict.fromkeys(each for path in (folder / _NOTE, *sorted(folder.glob(_NOTES))) for each in _read(path)))


def as_note(person: Forgotten) -> bytes:
    """What a file says of one who was forgotten."""
    return json.dumps([asdict(person)]).encode()


def note_of(person: Forgotten) -> str:
    """The name of that file, by what it says."""
    return f"forgotten-{hashlib.sha256(as_note(person)).hexdigest()[:32]}.json"


def forget_noted(folder: Path) -> None:
    """Take everybody of whom there is a note out of what is sealed. Raises OSError."""
    forgotten = read_forgotten(folder)
    rewrite(folder, lambda kind, table: without(forgotten, kind, table))


def _read(path: Path) -> list[Forgotten]:
    try:
        rows = json.loads(path.read_bytes())
        return [Forgotten(**{**row, "query_ids": tuple(row["query_ids"])}) for row in rows]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        raise WorkspaceError(f"{path}: damaged: {error}", hint="restore it from a backup") from error


def without(forgotten: Sequence[Forgotten], kind: Kind, table: pa.Table) -> pa.Table:
    """The records that stay after all of them."""
    for each in forgotten:
        table = each.without(kind, table)
    return table


def forget(folder: Path, person: Forgotten, *, is_written: bool) -> None:
    """Take a person's records out of the log; ``is_written`` while other processes may hold some in open files.

    Raises OSError.
    """
    forgotten = [*_read(folder / _NOTE), person]
    write_atomic(folder / _NOTE, json.dumps([asdict(each) for each in forgotten]))
    failpoint("events.forgotten")
    if is_written:
        forget_noted(folder)
    else:
        finish_forgetting(folder)


def is_forgetting(folder: Path) -> bool:
    """Whether somebody was forgotten of whom a file may still tell."""
    return (folder / _NOTE).exists()


def finish_forgetting(folder: Path) -> None:
    """Take everybody who was forgotten out of every file, and the note with them; nobody may be writing now."""
    if is_forgetting(folder):
        forget_noted(folder)
        (folder / _NOTE).unlink(missing_ok=True)


def remove_before(folder: Path, at: datetime) -> int:
    """Remove records older than a time from what is sealed; how many. Raises OSError."""

    def newer(kind: Kind, table: pa.Table) -> pa.Table:
        times = table[_TIMES[kind]]
        return table.filter(pc.fill_null(pc.greater_equal(times, pa.scalar(at, times.type)), True))

    return rewrite(folder, newer)


def rewrite(folder: Path, kept: Filter) -> int:
    """Write every sealed file anew, each in one step, with what stays of it; how many records went. Raises OSError."""
    num_removed = 0
    for path in sealed_files(folder):
        kind: Kind = "impressions" if path.name.endswith("impressions.parquet") else "events"
        with path.open("rb") as file:
            table = pyarrow.parquet.read_table(file, schema=SCHEMAS[kind])
        left = kept(kind, table)
        if left.num_rows < table.num_rows:
            num_removed += table.num_rows - left.num_rows
            write_table(path, left)
    return num_removed


def sealed_files(folder: Path) -> list[Path]:
    """The Parquet files, those of imports too; of an hour that is being sealed they are not whole yet."""
    return sorted([*folder.glob("*.parquet"), *folder.glob(f"{IMPORT}*/*.parquet")])


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table in one step. Raises OSError."""
    write_atomic(path, table_bytes(table))


def table_bytes(table: pa.Table) -> bytes:
    """A table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
