"""The reading side of the event log: all records, each once."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from nearer.core.errors import WorkspaceError
from nearer.store.events.forgetting import read_forgotten, without
from nearer.store.events.records import IMPORT, SCHEMAS, Kind, as_tables
from nearer.store.events.segments import open_files, read_file, scan, sealed_name

_TAIL_BYTES = 1 << 21
"""How much of the end of a file is read for the newest records: some thousands of searches."""
_KEYS: dict[Kind, str] = {"impressions": "query_id", "events": "event_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Impressions and events, each once, in the order of their files; ``num_repeated`` events were there again.

    ``num_torn_bytes`` were being written; ``num_damaged`` lines cannot be read.
    """

    impressions: pa.Table
    events: pa.Table
    num_repeated: int
    num_torn_bytes: int
    num_damaged: int
    num_files: int


def read_events(folder: Path) -> Logged:
    """All that the event log in ``folder`` holds, also what other processes are writing.

    Raises WorkspaceError when a file cannot be read.
    """
    tables: dict[Kind, list[pa.Table]] = {"impressions": [], "events": []}
    num_torn_bytes = num_damaged = num_files = 0
    waiting = _files(folder)
    while waiting:
        path = waiting.pop(0)
        try:
            found, scanned = read_file(path)
        except FileNotFoundError:  # sealed meanwhile
            waiting = [each for kind in SCHEMAS if (each := sealed_name(path, kind)).exists()] + waiting
            continue
        except (OSError, pa.ArrowException, ValueError) as error:
            raise WorkspaceError(f"{path}: cannot be read: {error}", hint="restore it from a backup") from error
        num_files += 1
        for kind, table in found.items():
            tables[kind].append(table)
        if scanned is not None:
            num_torn_bytes += scanned.num_torn_bytes
            num_damaged += scanned.num_damaged
    num_damaged += sum(scan(path.read_bytes()).num_damaged for path in folder.glob("*.damaged"))
    whole = {kind: pa.concat_tables([schema.empty_table(), *tables[kind]]) for kind, schema in SCHEMAS.items()}
    forgotten = read_forgotten(folder)
    once = {kind: _once(without(forgotten, kind, whole[kind]), _KEYS[kind]) for kind in SCHEMAS}
    return Logged(
        impressions=once["impressions"],
        events=once["events"],
        num_repeated=without(forgotten, "events", whole["events"]).num_rows - once["events"].num_rows,
        num_torn_bytes=num_torn_bytes,
        num_damaged=num_damaged,
        num_files=num_files,
    )


def read_newest(folder: Path, *, num_impressions: int) -> dict[Kind, pa.Table]:
    """The newest impressions and events, of all processes that write: the ends of their files.

    Files that were sealed are read too, newest first, until there are ``num_impressions`` or more. Raises OSError.
    """
    ends = as_tables([line for path in open_files(folder) for line in _last_lines(path)])
    found: dict[Kind, list[pa.Table]] = {kind: [ends[kind]] for kind in SCHEMAS}
    for path in sorted(folder.glob("*.impressions.parquet"), reverse=True):
        if sum(table.num_rows for table in found["impressions"]) >= num_impressions:
            break
        beside = path.with_name(path.name.replace(".impressions.", ".events."))
        for each in (path, beside):
            with suppress(FileNotFoundError):  # nothing of this kind, or too old meanwhile
                for kind, table in read_file(each)[0].items():
                    found[kind].append(table)
    forgotten = read_forgotten(folder)
    return {kind: without(forgotten, kind, pa.concat_tables(tables)) for kind, tables in found.items()}


def _last_lines(path: Path) -> tuple[bytes, ...]:
    """The whole lines at the end of a file; none of one that was sealed meanwhile."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return scan(file.read()).lines
    except FileNotFoundError:
        return ()


def _files(folder: Path) -> list[Path]:
    """Files to read: of one that is being sealed, what it is sealed from."""
    unsealed = open_files(folder)  # first: what is sealed from here on is found among the Parquet files or gone
    names = {path.stem for path in unsealed}
    sealed = [path for path in folder.glob("*.parquet") if path.name.split(".")[0] not in names]
    sealed += folder.glob(f"{IMPORT}*/*.parquet")
    return sorted([*unsealed, *(path for path in sealed if not path.is_symlink())])


def _once(table: pa.Table, key: str) -> pa.Table:
    """The first of the rows of each key."""
    codes = table[key].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.unique(codes, return_index=True)[1]
    return table if len(first) == table.num_rows else table.take(pa.array(np.sort(first)))
