"""The reading side of the event log: all records, each once."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa

from nearer.core.errors import WorkspaceError
from nearer.store.events.forgetting import Forgotten, read_forgotten, without
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


@dataclass(slots=True, kw_only=True)
class _File:
    """What was read of a file; of one that is written to, up to ``end``, the end of its last whole line."""

    stamp: tuple[int, int, int]
    tables: dict[Kind, list[pa.Table]]
    end: int = 0
    num_torn_bytes: int = 0
    num_damaged: int = 0


class EventReader:
    """Reads the event log in ``folder`` again and again: each time what is new, and keeps the records in memory.

    A sealed file is read once, one that is written to from where its reading ended; what was written anew, as when
    somebody is forgotten, is read anew. ``num_read_bytes`` counts what was read. Several threads may ask.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._files: dict[Path, _File] = {}
        self._last: tuple[object, Logged] | None = None
        self._read_at = clock()
        self._lock = Lock()
        self.num_read_bytes = 0

    def read(self) -> Logged:
        """All that the log holds, also what other processes are writing. Raises WorkspaceError for a damaged file."""
        with self._lock:
            self._files = dict(self._found())
            self._read_at = self._clock()
            forgotten = read_forgotten(self._folder)
            state = ({path: file.stamp for path, file in self._files.items()}, forgotten)
            if self._last is None or self._last[0] != state:
                self._last = state, self._logged(forgotten)
            return self._last[1]

    def let_go(self, *, unread_s: float) -> None:
        """Forget what was read where nobody has asked for so long; the next time all is read again."""
        with self._lock:
            if self._clock() - self._read_at >= unread_s:
                self._files, self._last = {}, None

    def _found(self) -> Iterator[tuple[Path, _File]]:
        """The files as they are now, in their order."""
        waiting = [*_files(self._folder), *self._folder.glob("*.damaged")]
        while waiting:
            path = waiting.pop(0)
            try:
                yield path, self._one(path)
            except FileNotFoundError:  # sealed meanwhile
                waiting = [each for kind in SCHEMAS if (each := sealed_name(path, kind)).exists()] + waiting
            except (OSError, pa.ArrowException, ValueError) as error:
                raise WorkspaceError(f"{path}: cannot be read: {error}", hint="restore it from a backup") from error

    def _one(self, path: Path) -> _File:
        known, found = self._files.get(path), path.stat()
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        if known and known.stamp == stamp:
            return known
        if path.suffix == ".parquet":
            self.num_read_bytes += found.st_size
            return _File(stamp=stamp, tables={kind: [table] for kind, table in read_file(path)[0].items()})
        goes_on = known and path.suffix == ".log" and found.st_size >= known.end
        return self._lines(path, known if known and goes_on else _File(stamp=stamp, tables={}), stamp)

    def _lines(self, path: Path, before: _File, stamp: tuple[int, int, int]) -> _File:
        """A file of lines, from where its reading ended."""
        with path.open("rb") as file:
            file.seek(before.end)
            data = file.read()
        self.num_read_bytes += len(data)
        scanned = scan(data)
        tables = {kind: list(before.tables.get(kind, ())) for kind in SCHEMAS}
        if path.suffix == ".log":
            for kind, table in as_tables(scanned.lines).items():
                tables[kind] += [table] if table.num_rows else []
        return _File(
            stamp=stamp,
            tables=tables,
            end=before.end + len(data) - scanned.num_torn_bytes,
            num_torn_bytes=scanned.num_torn_bytes,
            num_damaged=before.num_damaged + scanned.num_damaged,
        )

    def _logged(self, forgotten: Sequence[Forgotten]) -> Logged:
        records = {path: file for path, file in self._files.items() if path.suffix != ".damaged"}
        whole = {
            kind: pa.concat_tables([schema.empty_table(), *_tables(records.values(), kind)])
            for kind, schema in SCHEMAS.items()
        }
        kept = {kind: without(forgotten, kind, table) for kind, table in whole.items()}
        once = {kind: _once(table, _KEYS[kind]) for kind, table in kept.items()}
        return Logged(
            impressions=once["impressions"],
            events=once["events"],
            num_repeated=kept["events"].num_rows - once["events"].num_rows,
            num_torn_bytes=sum(each.num_torn_bytes for each in records.values()),
            num_damaged=sum(each.num_damaged for each in self._files.values()),
            num_files=len(records),
        )


def _tables(files: Iterable[_File], kind: Kind) -> Iterator[pa.Table]:
    for each in files:
        yield from each.tables.get(kind, ())


def read_events(folder: Path) -> Logged:
    """All that the event log in ``folder`` holds, also what other processes are writing.

    Raises WorkspaceError when a file cannot be read.
    """
    return EventReader(folder).read()


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
