"""The lines of a text file that a stranger wrote, plain or gzipped, and what is wrong with them.

A fault with line 0 is about the file as a whole and ends the reading; after any other fault reading goes on with
the next line. Memory stays constant.
"""

import gzip
import stat
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from nearer.core.errors import Fault, InputError

MAX_LINE_BYTES = 16 * 2**20
GZIP = ".gz"

_MOST_UNPACKED = 64 * 2**20
_MOST_TIMES = 100
"""Of a gzip file: more bytes than the former, and than so many times its own size, are refused; text has 3 to 30."""

_UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BINARY_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PAR1": "parquet",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"ARROW1": "arrow",
    b"SQLite format 3": "SQLite",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"%PDF-": "PDF",
    b"\xd0\xcf\x11\xe0": "Microsoft Office",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\x7fELF": "ELF",
}
_HTML = (b"<!doctype htm", b"<html")
_NAME_IT = {"gzip": "end its name in .gz", "parquet": "end its name in .parquet"}
_TO_UTF8 = "convert it, for example: iconv -f {source} -t utf-8 OLD > NEW"


class WholeFile(InputError):
    """A fault of the file as a whole: nothing of it can be read."""


def read_lines(path: Path) -> Iterator[tuple[int, bytes] | Fault]:
    """The lines of a file, each with its number from 1 and the line end it came with, or what is wrong.

    A name that ends in .gz is unpacked while it is read.
    """
    try:
        with open_regular(path) as file, unpacked(file, path) as content:
            _refuse_binary(content.peek(64)[:64])
            most_bytes = sys.maxsize if content is file else _most_unpacked(path)
            yield from _split(content, name=str(path), most_bytes=most_bytes)
            return
    except gzip.BadGzipFile as error:
        reason, remedy = f"not a whole gzip file: {error}", "pack or copy it again; name it without .gz if it is text"
        fault = Fault(file=str(path), line=0, reason=reason, remedy=remedy)
    except (EOFError, zlib.error):
        reason = "the gzip file is cut off or damaged"
        fault = Fault(file=str(path), line=0, reason=reason, remedy="pack or copy it again; try: gzip -t FILE")
    except OSError as error:
        fault = fault_of(str(path), 0, explain(error))
    except InputError as error:
        fault = fault_of(str(path), 0, error)
    yield fault


def open_regular(path: Path) -> BufferedReader:
    """The open file. Raises WholeFile when it is not a regular file, OSError when it cannot be read."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise WholeFile("is a folder, not a file", hint="name the file")
    if not stat.S_ISREG(mode):
        raise WholeFile("not a regular file", hint="write its content to a file first")
    return path.open("rb")


def unpacked(file: BufferedReader, path: Path) -> BufferedReader:
    """The file, or what it holds when its name says gzip."""
    if path.suffix.lower() != GZIP:
        return file
    return BufferedReader(gzip.GzipFile(fileobj=file), buffer_size=2**17)


def explain(error: OSError) -> InputError:
    """What an error of the system means for who named the file."""
    match error:
        case FileNotFoundError():
            return InputError("no such file", hint="check the path")
        case PermissionError():
            return InputError("no permission to read the file", hint="allow it, for example: chmod u+r FILE")
    return InputError(f"cannot be read: {error.strerror}", hint="check the path and the disk")


def decode(raw: bytes) -> str:
    """A line as text.

    Raises InputError for a NUL and for what is not UTF-8.
    """
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


def fault_of(file: str, line: int, error: InputError) -> Fault:
    """An error as the fault of a line, or of the whole file."""
    line = 0 if isinstance(error, WholeFile) else line
    return Fault(file=file, line=line, reason=error.message, remedy=error.hint)


def truncated() -> InputError:
    """The fault of a last row that was cut off."""
    return InputError("the file ends in the middle of a row", hint="copy or export the file again")


def too_long() -> InputError:
    """The fault of a row beyond ``MAX_LINE_BYTES``."""
    return InputError(f"longer than {MAX_LINE_BYTES // 2**20} MiB", hint="split the text")


def no_rows(file: str, *, has_header: bool = False) -> Fault:
    """The fault of a file without rows."""
    reason = "no rows after the header" if has_header else "the file is empty"
    return Fault(file=file, line=0, reason=reason, remedy="write at least one row")


def _refuse_binary(head: bytes) -> None:
    if head.startswith(_UTF8_BOM):
        raise InputError("begins with a byte order mark", hint="save the file as UTF-8 without BOM")
    if head.startswith(_OTHER_BOMS):
        raise InputError("UTF-16 or UTF-32, not UTF-8", hint=_TO_UTF8.format(source="utf-16"))
    for magic, name in _BINARY_MAGIC.items():
        if head.startswith(magic):
            hint = _NAME_IT.get(name, "unpack or export it as text first")
            raise InputError(f"compressed or binary ({name}), not text", hint=hint)
    if b"\0" in head[:4]:
        raise InputError("a NUL among the first bytes: UTF-16, UTF-32 or binary", hint=_TO_UTF8.format(source="utf-16"))
    if head.lstrip().lower().startswith(_HTML):
        raise InputError("an HTML page: perhaps the download failed", hint="look into it, and fetch the file again")


def _most_unpacked(path: Path) -> int:
    return max(_MOST_UNPACKED, _MOST_TIMES * path.stat().st_size)


def _split(file: BufferedReader, *, name: str, most_bytes: int) -> Iterator[tuple[int, bytes] | Fault]:
    number = num_bytes = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            _refuse_carriage_returns(raw)
        is_whole = len(raw) <= MAX_LINE_BYTES
        num_bytes += len(raw) if is_whole else len(raw) + _skip_rest(file, raw, most_bytes=most_bytes)
        if num_bytes > most_bytes:
            hint = "if it is what you expect, unpack it yourself: gunzip FILE"
            raise InputError(f"unpacks to more than {_MOST_TIMES} times its size", hint=hint)
        yield (number, raw) if is_whole else fault_of(name, number, too_long())


def _skip_rest(file: BufferedReader, raw: bytes, *, most_bytes: int) -> int:
    """Read to the end of a line, or beyond ``most_bytes``; how many bytes that were."""
    num_bytes = 0
    while raw and not raw.endswith(b"\n") and num_bytes <= most_bytes:
        raw = file.readline(MAX_LINE_BYTES)
        num_bytes += len(raw)
    return num_bytes


def _refuse_carriage_returns(first: bytes) -> None:
    if not first.endswith(b"\n") and b"\r" in first.rstrip(b"\r"):
        hint = "convert it, for example: tr '\\r' '\\n' < OLD > NEW"
        raise InputError("the lines end in a carriage return alone", hint=hint)
