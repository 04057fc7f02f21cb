"""The files of the event log: lines with checksums, which become Parquet once nobody writes to them any more."""

import logging
import os
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from nearer.core.failpoints import failpoint
from nearer.store.events.forgetting import read_forgotten, without, write_table
from nearer.store.events.records import SCHEMAS, Kind, as_tables
from nearer.store.files import sync

_log = logging.getLogger(__name__)
_CHECKSUM = 9
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-(?P<token>[0-9a-f]{32})-[0-9a-f]{8}\.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """The whole lines of a file; ``num_torn_bytes`` at its end were being written when its process ended.

    ``num_damaged`` lines before the last whole one do not have their checksum: something else changed them.
    """

    lines: tuple[bytes, ...]
    num_torn_bytes: int
    num_damaged: int


def framed(lines: Sequence[bytes]) -> bytes:
    r"""Lines as they are written: each with its checksum.

    >>> framed([b"{}"])
    b'a3a6bf43 {}\n'
    """
    return b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)


def scan(data: bytes) -> Scanned:
    r"""What was written, as far as it is whole.

    >>> scan(framed([b"a", b"b"])[:-2])
    Scanned(lines=(b'a',), num_torn_bytes=9, num_damaged=0)
    """
    lines, whole_end, start, broken, num_damaged = [], 0, 0, 0, 0
    for raw in data.split(b"\n")[:-1]:
        end = start + len(raw) + 1
        if _is_whole(raw):
            lines.append(raw[_CHECKSUM:])
            whole_end, num_damaged = end, broken
        else:
            broken += 1
        start = end
    return Scanned(lines=tuple(lines), num_torn_bytes=len(data) - whole_end, num_damaged=num_damaged)


def open_files(folder: Path) -> list[Path]:
    """The files that are, or were, written to, oldest hour first."""
    return sorted(path for path in folder.glob("*.log") if _NAME.fullmatch(path.name) and not path.is_symlink())


def seal(path: Path) -> None:
    """Turn a file that nobody writes to into Parquet; where another process does the same, both make the same.

    What was torn off its end was never acknowledged: it goes, and a warning says so. A damaged file stays aside, under
    a name of its own. Raises OSError.
    """
    try:
        scanned = scan(path.read_bytes())
    except FileNotFoundError:  # another process was first
        return
    forgotten = read_forgotten(path.parent)
    for kind, whole in as_tables(scanned.lines).items():
        if (table := without(forgotten, kind, whole)).num_rows:
            write_table(sealed_name(path, kind), table)
    failpoint("events.sealed")
    if scanned.num_torn_bytes:
        _log.warning("%s: its last %d bytes were never acknowledged: they go", path.name, scanned.num_torn_bytes)
    if scanned.num_damaged:
        _log.error("%s: %d lines are damaged; it stays beside the rest", path.name, scanned.num_damaged)
        path.replace(path.with_suffix(".damaged"))
    else:
        path.unlink(missing_ok=True)
    sync(path.parent)


def seal_ended(folder: Path, *, is_live: Callable[[str], bool]) -> None:
    """Seal what processes left that have ended. Raises OSError."""
    for path in open_files(folder):
        found = _NAME.fullmatch(path.name)
        if found and not is_live(found["token"]):
            seal(path)


def sealed_name(path: Path, kind: Kind) -> Path:
    """What the records of one kind of a file are called once it is sealed."""
    return path.with_name(f"{path.stem}.{kind}.parquet")


def read_file(path: Path) -> tuple[dict[Kind, pa.Table], Scanned | None]:
    """The records of a file, sealed or not, and of one that is not what its end is like.

    Raises OSError, FileNotFoundError too where it was sealed meanwhile.
    """
    if path.suffix == ".log":
        scanned = scan(path.read_bytes())
        return as_tables(scanned.lines), scanned
    kind: Kind = "impressions" if path.name.endswith("impressions.parquet") else "events"
    with path.open("rb") as file:
        return {kind: pyarrow.parquet.read_table(file, schema=SCHEMAS[kind])}, None


class OpenFile:
    """The file that this process writes to; what ``append`` was given is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        self.path, self.num_bytes = path, 0
        self._file = path.open("xb", buffering=0)
        sync(path.parent)

    def append(self, data: bytes) -> None:
        """Write at the end, durably. Raises OSError; then nobody knows what is there, and the file must not go on."""
        written = 0
        while written < len(data):
            written += self._file.write(data[written:])
        os.fsync(self._file.fileno())
        self.num_bytes += written

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def _is_whole(raw: bytes) -> bool:
    try:
        return raw[8:_CHECKSUM] == b" " and int(raw[:8], 16) == zlib.crc32(raw[_CHECKSUM:])
    except ValueError:
        return False
