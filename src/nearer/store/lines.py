"""The lines of a text file that a stranger wrote, and the rows or faults that they become.

A fault with line 0 is about the file as a whole and ends the reading; after any other fault reading goes on with
the next line. Memory stays constant, except for the keys kept to find duplicates.
"""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Generic, TypeVar

from nearer.core.errors import Fault, InputError

T = TypeVar("T")

MAX_LINE_BYTES = 16 * 2**20
MAX_ID_CHARACTERS = 512
DEFAULT_MAX_GRADE = 4

_UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BINARY_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PAR1\x15": "parquet",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"ARROW1": "arrow",
    b"SQLite format 3": "SQLite",
}
_TO_UTF8 = "convert it, for example: iconv -f {source} -t utf-8 OLD > NEW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[T]):
    """A record and the line, from 1, that it was read from."""

    line: int
    record: T


def read_rows(
    path: Path,
    *,
    parse: Callable[[str], T],
    is_header: Callable[[str], bool],
    key: Callable[[T], str] | None,
) -> Iterator[Row[T] | Fault]:
    """The rows of a file, or what is wrong with them; never raises for what the file holds.

    ``parse`` makes a record of a line, ``is_header`` judges the first line that is not blank, both raising
    InputError for a fault (from ``is_header`` it is the whole file's); ``key`` names what may occur only once.
    """
    file = str(path)
    is_first, num_rows = True, 0
    first_line_of: dict[str, int] = {}
    for item in read_lines(path):
        if isinstance(item, Fault):
            is_first, num_rows = False, num_rows + 1
            yield item
            continue
        number, text = item
        try:
            if is_first:
                is_first = False
                if is_header(text):
                    continue
        except InputError as error:
            yield _fault(file, 0, error)
            return
        num_rows += 1
        try:
            record = parse(text)
            if key is not None:
                _refuse_duplicate(key(record), number, first_line_of)
        except InputError as error:
            yield _fault(file, number, error)
            continue
        yield Row(line=number, record=record)
    if num_rows == 0:
        reason = "the file is empty" if is_first else "no rows after the header"
        yield Fault(file=file, line=0, reason=reason, remedy="write at least one row")


def read_lines(path: Path) -> Iterator[tuple[int, str] | Fault]:
    """The lines that are not blank, each with its number from 1 and the line end it came with, or what is wrong."""
    try:
        with _open(path) as file:
            _refuse_binary(file.peek(16)[:16])
            yield from _split(file, name=str(path))
            return
    except OSError as error:
        fault = _fault(str(path), 0, _explain(error))
    except InputError as error:
        fault = _fault(str(path), 0, error)
    yield fault


def check_id(value: object, *, key: str) -> str:
    """``value`` when it can serve as an id in every format.

    Raises InputError.
    """
    if not isinstance(value, str):
        raise InputError(f"{key} is {type_name(value)}, not text", hint="quote the id")
    if not value or value.isspace():
        raise InputError(f"{key} is empty", hint="give each row an id")
    if len(value) > MAX_ID_CHARACTERS:
        raise InputError(
            f"{key} has {len(value)} characters, more than {MAX_ID_CHARACTERS}", hint="shorten the id everywhere"
        )
    if "\t" in value or "\n" in value or "\r" in value:
        raise InputError(f"{key} holds a tab or a line break: {shown(value)}", hint="replace it by another character")
    return value


def check_grade(grade: int, *, max_grade: int) -> int:
    """``grade`` when it lies in 0 to ``max_grade``.

    Raises InputError.
    """
    if grade < 0:
        raise InputError(f"the grade {shown_number(grade)} is negative", hint="write 0 for not relevant")
    if grade > max_grade:
        raise InputError(
            f"the grade {shown_number(grade)} is above {max_grade}",
            hint="correct it, or raise grades.max_grade in the recipe",
        )
    return grade


def truncated() -> InputError:
    """The fault of a last line that was cut off."""
    return InputError("the file ends in the middle of a row", hint="copy or export the file again")


def type_name(value: object) -> str:
    """The kind of a JSON value in words.

    >>> type_name(True), type_name(1.5), type_name(None)
    ('true or false', 'a number', 'null')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def shown(text: str) -> str:
    r"""A text as it can be printed: quoted, escaped, and cut when long.

    >>> shown("a\tb")
    "'a\\tb'"
    """
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def shown_number(value: int) -> str:
    """An integer as it can be printed, cut when absurdly long."""
    return str(value) if abs(value) < 10**12 else "of more than 12 digits"


def _fault(file: str, line: int, error: InputError) -> Fault:
    return Fault(file=file, line=line, reason=error.message, remedy=error.hint)


def _refuse_duplicate(key: str, number: int, first_line_of: dict[str, int]) -> None:
    first = first_line_of.setdefault(key, number)
    if first != number:
        what = " + ".join(shown(part) for part in key.split("\t"))
        raise InputError(f"{what} is already on line {first}", hint="keep one of the two rows")


def _open(path: Path) -> BufferedReader:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise InputError("is a folder, not a file", hint="name the file")
    if not stat.S_ISREG(mode):
        raise InputError("not a regular file", hint="write its content to a file first")
    return path.open("rb")


def _explain(error: OSError) -> InputError:
    match error:
        case FileNotFoundError():
            return InputError("no such file", hint="check the path")
        case PermissionError():
            return InputError("no permission to read the file", hint="allow it, for example: chmod u+r FILE")
    return InputError(f"cannot be read: {error.strerror}", hint="check the path and the disk")


def _refuse_binary(head: bytes) -> None:
    if head.startswith(_UTF8_BOM):
        raise InputError("begins with a byte order mark", hint="save the file as UTF-8 without BOM")
    if head.startswith(_OTHER_BOMS):
        raise InputError("UTF-16 or UTF-32, not UTF-8", hint=_TO_UTF8.format(source="utf-16"))
    for magic, name in _BINARY_MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"compressed or binary ({name}), not text", hint="unpack or export it as text first")
    if b"\0" in head[:4]:
        raise InputError("a NUL among the first bytes: UTF-16, UTF-32 or binary", hint=_TO_UTF8.format(source="utf-16"))


def _split(file: BufferedReader, *, name: str) -> Iterator[tuple[int, str] | Fault]:
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        try:
            if len(raw) > MAX_LINE_BYTES:
                _skip_rest(file, raw)
                raise InputError(f"longer than {MAX_LINE_BYTES // 2**20} MiB", hint="split the text")
            if raw.isspace():
                continue
            text = _decode(raw)
        except InputError as error:
            yield _fault(name, number, error)
            continue
        yield number, text


def _skip_rest(file: BufferedReader, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MAX_LINE_BYTES)


def _decode(raw: bytes) -> str:
    if b"\0" in raw:
        raise InputError(f"a NUL character at byte {raw.index(0) + 1} of the line", hint="remove it")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not raw.endswith(b"\n"):
            raise truncated() from None
        raise InputError(
            f"not UTF-8 at byte {error.start + 1} of the line", hint=_TO_UTF8.format(source="latin1")
        ) from None
