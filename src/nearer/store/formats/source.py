"""The lines of a text file that a stranger wrote, plain or gzipped, and what is wrong with them.

A fault with line 0 is about the file as a whole and ends the reading; after any other fault reading goes on with
the next line. Memory stays constant.
"""

import gzip
import stat
import sys
import zlib
from collections.abc import Iterator
from functools import cached_property
from io import BufferedReader
from pathlib import Path

from nearer.core.errors import Fault, InputError
from nearer.store.formats.encodings import (
    CONTROLS,
    UTF8,
    UTF8_BOM,
    Guess,
    Transcoded,
    by_zeros,
    explained,
    guesses,
    known_encoding,
    marked,
)
from nearer.store.formats.notes import Notes

MAX_LINE_BYTES = 16 * 2**20
GZIP = ".gz"

_MOST_UNPACKED = 64 * 2**20
_MOST_TIMES = 100
"""Of a gzip file: more bytes than the former, and than so many times its own size, are refused; text has 3 to 30."""

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
_NAME_IT = {
    "gzip": "end its name in .gz",
    "parquet": "end its name in .parquet",
    "zip": "if it is a spreadsheet (.xlsx, .ods), save the sheet as CSV UTF-8; else unpack it first",
    "Microsoft Office": "save the sheet as CSV UTF-8",
}
_SAMPLE_BYTES = 2**16
_SAMPLE_READ = 2**24
"""How many bytes of lines that are not ASCII show a file's encoding, and how far they are looked for."""


class WholeFile(InputError):
    """A fault of the file as a whole: nothing of it can be read."""


class Source:
    """A file that is read: its path, what is said of its encoding, and the notes on how it was taken."""

    def __init__(
        self, path: Path, *, encoding: str | None = None, notes: Notes | None = None, is_import: bool = True
    ) -> None:
        self.path = path
        self._is_import = is_import
        self._to_name = "repeat with --encoding {}" if is_import else "convert it: iconv -f {} -t utf-8 OLD > NEW"
        self.notes = Notes() if notes is None else notes
        self.encoding = encoding and known_encoding(encoding)

    @property
    def keeps_controls(self) -> bool:
        """Whether C1 controls are text here: only where somebody says that the file is UTF-8 as it is."""
        return self.encoding == UTF8

    def lines(self) -> Iterator[tuple[int, bytes] | Fault]:
        """The lines as UTF-8, each with its number from 1 and the line end it came with, or what is wrong.

        A name that ends in .gz is unpacked while it is read.
        """
        path = self.path
        try:
            with open_regular(path) as file, unpacked(file, path) as content:
                most_bytes = sys.maxsize if content is file else _most_unpacked(path)
                for item in _split(self._as_utf8(content), name=str(path), most_bytes=most_bytes):
                    yield self._without_mark(item)
                return
        except gzip.BadGzipFile as error:
            reason, remedy = (
                f"not a whole gzip file: {error}",
                "pack or copy it again; name it without .gz if it is text",
            )
            fault = Fault(file=str(path), line=0, reason=reason, remedy=remedy)
        except (EOFError, zlib.error):
            reason = "the gzip file is cut off or damaged"
            fault = Fault(file=str(path), line=0, reason=reason, remedy="pack or copy it again; try: gzip -t FILE")
        except OSError as error:
            fault = self.fault(0, explain(error))
        except InputError as error:
            fault = self.fault(0, error)
        yield fault

    def decode(self, raw: bytes) -> str:
        """A line as text. Raises InputError for a NUL, for what is not UTF-8, and for C1 controls."""
        if b"\0" in raw:
            raise InputError(f"a NUL character at byte {raw.index(0) + 1} of the line", hint="remove it")
        try:
            text = raw.decode(UTF8)
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and not raw.endswith(b"\n"):
                raise truncated() from None
            raise InputError(f"not UTF-8 at byte {error.start + 1} of the line", hint=self._remedy(raw)) from None
        if not self.keeps_controls and not text.isascii():
            self.refuse_controls(text)
        return text

    def refuse_controls(self, text: str) -> None:
        """Raises InputError for C1 controls."""
        if found := CONTROLS.search(text):
            said = "" if self.encoding is None else f": the file is not {self.encoding}"
            raise InputError(
                f"a control character U+{ord(found[0]):04X}, which no text holds{said}",
                hint="text in cp1252 that was read as latin1 has them: take the file as it was before that"
                + (
                    ", with --encoding cp1252; or keep them: --encoding utf-8"
                    if self._is_import
                    else _as_escape(found[0])
                ),
            )

    def fault(self, line: int, error: InputError) -> Fault:
        """An error as the fault of a line, or of the whole file."""
        return fault_of(str(self.path), line, error)

    def _without_mark(self, item: tuple[int, bytes] | Fault) -> tuple[int, bytes] | Fault:
        """A line without a byte order mark before it: where files were joined, further ones begin with theirs."""
        if isinstance(item, Fault) or not item[1].startswith(UTF8_BOM):
            return item
        if item[0] > 1 or item[1].startswith(2 * UTF8_BOM):
            self.notes.say(self.path, "byte order marks before later lines, as where files were joined: excluded")
        text = item[1]
        while text.startswith(UTF8_BOM):
            text = text.removeprefix(UTF8_BOM)
        return item[0], text

    def _as_utf8(self, content: BufferedReader) -> BufferedReader:
        head = content.peek(64)[:64]
        mark, zeros = marked(head), by_zeros(head)
        encoding = self.encoding or mark or zeros or UTF8
        if mark and not encoding.startswith(mark):
            reason = f"begins with the byte order mark of {mark}, and is to be read as {encoding}"
            raise InputError(reason, hint="leave --encoding out")
        if mark:
            self.notes.say(self.path, f"{mark} with a byte order mark, which was excluded")
        elif self.encoding is None and zeros:
            self.notes.say(self.path, f"read as {zeros}: there is no byte order mark, but a zero in every character")
        elif self.encoding not in (None, UTF8):
            self.notes.say(self.path, f"read as {self.encoding}, as --encoding says")
        if encoding == UTF8:
            _refuse_binary(head)
            return content
        return BufferedReader(Transcoded(content, encoding), buffer_size=2**17)

    def _remedy(self, raw: bytes) -> str:
        guessed = self._guesses
        if guessed is None:
            return "other rows are UTF-8, so mend this one" + (
                "; or leave it out: --skip-bad" if self._is_import else ""
            )
        return explained(guessed, raw, remedy=self._to_name)

    @cached_property
    def _guesses(self) -> list[Guess] | None:
        """What the encoding may be; None where most lines that are not ASCII are UTF-8."""
        with open_regular(self.path) as file, unpacked(file, self.path) as content:
            sample, num_utf8, num_other = _sample(content)
        return None if num_utf8 > num_other else guesses(sample)


def _as_escape(character: str) -> str:
    return f" and convert it: iconv -f cp1252 -t utf-8 OLD > NEW; or escape them, as \\u{ord(character):04X}"


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
    for magic, name in _BINARY_MAGIC.items():
        if head.startswith(magic):
            hint = _NAME_IT.get(name, "unpack or export it as text first")
            raise InputError(f"compressed or binary ({name}), not text", hint=hint)
    if b"\0" in head[:4]:
        raise InputError("a NUL among the first bytes", hint="export it as text; or name its encoding")
    if head.lstrip().lower().startswith(_HTML):
        raise InputError("an HTML page: perhaps the download failed", hint="look into it, and fetch the file again")


def _most_unpacked(path: Path) -> int:
    return max(_MOST_UNPACKED, _MOST_TIMES * path.stat().st_size)


def _sample(content: BufferedReader) -> tuple[bytes, int, int]:
    """Lines that are not ASCII nor UTF-8, or bytes from the start; how many lines are UTF-8 and how many are not."""
    sample, num_utf8, num_other, num_read = bytearray(), 0, 0, 0
    while num_read < _SAMPLE_READ and len(sample) < _SAMPLE_BYTES and (raw := content.readline(2**16)):
        num_read += len(raw)
        if raw.isascii():
            continue
        try:
            raw.decode(UTF8)
            num_utf8 += 1
        except UnicodeDecodeError:
            num_other += 1
            sample += raw
    return bytes(sample), num_utf8, num_other


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
