"""What every format becomes: a record with the line it was read from, or a fault."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from nearer.core.errors import Fault, InputError, WorkspaceError
from nearer.store.formats.source import Source, no_rows

T = TypeVar("T")
Fields = dict[str, Any]
Found = tuple[int, Fields] | Fault
"""What a format makes of a row: its line and its named fields, or what is wrong with it."""


class LeftOut(Exception):
    """A row that is no record, by a rule that the notes tell: ``str`` of it is the note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[T]):
    """A record and the line, from 1, that it was read from; in Parquet the row."""

    line: int
    record: T


def read_each_line(source: Source, make: Callable[[bytes, bool], T]) -> Iterator[tuple[int, T] | Fault]:
    """What ``make`` makes of every line that is not blank, or what is wrong with it.

    ``make(line, is_first)`` raises InputError for a fault. A fault of the whole file ends the reading; that there is no
    line at all is one.
    """
    is_first = True
    for item in source.lines():
        found: tuple[int, T] | Fault
        if isinstance(item, Fault):
            found = item
        elif item[1].isspace():
            continue
        else:
            try:
                found = item[0], make(item[1], is_first)
            except InputError as error:
                found = source.fault(item[0], error)
        is_first = False
        yield found
        if isinstance(found, Fault) and found.line == 0:
            return
    if is_first:
        yield no_rows(str(source.path))


def read_rows(
    found: Iterator[Found],
    source: Source,
    *,
    make: Callable[[Fields], T],
    key: Callable[[T], str] | None,
    give_id: Callable[[Fields], bool] | None = None,
) -> Iterator[Row[T] | Fault]:
    """The records of a file in order, or what is wrong with them; never raises for what the file holds.

    ``make`` makes a record of fields, raising InputError for a fault and LeftOut for what is none; ``key`` names what
    may occur only once. ``give_id`` gives fields an id where they have none, and says whether it did: of several such
    rows that are equal the first stays.
    """
    with _Seen() as seen:
        for item in found:
            if isinstance(item, Fault):
                yield item
                continue
            line, fields = item
            try:
                is_made = give_id is not None and give_id(fields)
                record = make(fields)
                first = None if key is None else seen.first_line(key(record), line)
                if first and is_made:
                    raise LeftOut("rows that repeat another, excluded")
                if first and key:
                    what = " + ".join(shown(part) for part in key(record).split("\t"))
                    raise InputError(f"{what} is already on line {first}", hint="keep one of the two rows")
            except InputError as error:
                yield source.fault(line, error)
            except LeftOut as note:
                source.notes.count(source.path, str(note))
            else:
                yield Row(line=line, record=record)


def shown(text: str) -> str:
    r"""A text as it can be printed: quoted, escaped, and cut when long.

    >>> shown("a\tb")
    "'a\\tb'"
    """
    return ascii(text if len(text) <= 60 else text[:57] + "...")


class _Seen:
    """The keys so far and their lines, in a private database that moves to the disk when it grows."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._connection.execute("BEGIN")
        self._insert = self._connection.cursor()

    def first_line(self, key: str, line: int) -> int | None:
        """Keep a key; the line where it was first, None when it is new."""
        try:
            is_new = self._insert.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, line)).rowcount
        except sqlite3.OperationalError as error:
            hint = "make room in the folder of temporary files (TMPDIR), then repeat the command"
            raise WorkspaceError(f"the ids seen so far cannot be kept on the disk: {error}", hint=hint) from error
        if is_new:
            return None
        [first] = self._connection.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
        return int(first)

    def __enter__(self) -> "_Seen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
