"""The lines of a text file that a stranger wrote, plain or gzipped, and what is wrong with them.

A fault with line 0 is about the file as a whole and ends the reading; after any other fault reading goes on with
the next line. Memory stays constant.
"""

import gzip
import stat
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from nearer.core.errors import Fault, InputError

MAX_LINE_BYTES = 16 * 2**20
GZIP = ".gz"

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
}
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
            _refuse_binary(content.peek(16)[:16])
            yield from _split(content, name=str(path))
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


def _split(file: BufferedReader, *, name: str) -> Iterator[tuple[int, bytes] | Fault]:
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            _skip_rest(file, raw)
            yield fault_of(name, number, too_long())
            continue
        yield number, raw


def _skip_rest(file: BufferedReader, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MAX_LINE_BYTES)
