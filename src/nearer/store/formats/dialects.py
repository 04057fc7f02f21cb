"""How a table of text is separated and quoted, told by its content: spreadsheets write what the country writes.

A separator is taken where the header has all columns that are needed under it and under no likelier one. In a file
separated by tabs quotes are quotes where that reads more of it, or where all of them stand as a writer sets them.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nearer.core.errors import Fault, InputError
from nearer.store.formats import source as limits
from nearer.store.formats.columns import Columns
from nearer.store.formats.headers import Header
from nearer.store.formats.source import Source

SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "bar": "|"}
SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_SEVERAL = 3
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A separator by its name, whether quotes quote, and how many lines stand before the header.

    ``has_space``: a space after each separator is part of the writing.
    """

    separator: str
    is_quoted: bool
    num_before: int = 0
    has_space: bool = False

    @property
    def character(self) -> str:
        """The separator itself."""
        return SEPARATORS[self.separator]

    def lines(self, source: Source) -> Iterator[tuple[int, bytes] | Fault]:
        """The lines from the header on."""
        for item in source.lines():
            if isinstance(item, Fault) or item[0] > self.num_before:
                yield item


def dialect_of(source: Source, columns: Columns, *, expected: str) -> Dialect:
    """How a file is written; ``expected`` is the separator that its name tells."""
    separator, num_before = expected, 0
    for number, text in _first_texts(source):
        found = SEP_LINE.fullmatch(text)
        said = next((name for name, each in SEPARATORS.items() if found and found[1] == each), None)
        if said and not num_before:
            separator, num_before = said, number
            source.notes.say(source.path, f"the line {text.strip()} says the separator")
            continue
        if not num_before:
            separator = _separator(text, columns, expected=expected)
        break
    if separator != expected:
        source.notes.say(source.path, f"separated by {separator}s, not {expected}s")
    has_space = separator != "tab" and _has_space(source, num_before, SEPARATORS[separator])
    if has_space:
        source.notes.say(source.path, f"a space after each {separator} is not part of the field")
    dialect = Dialect(separator=separator, is_quoted=True, num_before=num_before, has_space=has_space)
    if separator == "tab" and not _has_quotes(source, dialect):
        return Dialect(separator=separator, is_quoted=False, num_before=num_before)
    if separator == "tab":
        source.notes.say(source.path, "quotes around a field are not part of it")
    return dialect


def _first_texts(source: Source) -> Iterator[tuple[int, str]]:
    """The first lines that are not blank, while they can be read."""
    for item in Source(source.path, encoding=source.encoding).lines():
        if isinstance(item, Fault):
            return
        try:
            text = source.decode(item[1])
        except InputError:
            return
        if text.strip():
            yield item[0], text


def _has_space(source: Source, num_before: int, separator: str) -> bool:
    """Whether a space follows each separator of the header."""
    header = next((text for number, text in _first_texts(source) if number > num_before), "")
    first, *others = _cells(header, separator) or [""]
    is_json = first.startswith(("{", "["))
    return bool(others) and not is_json and all(cell.startswith(" ") and cell.strip() for cell in others)


def _separator(first: str, columns: Columns, *, expected: str) -> str:
    names = [expected, *(name for name in SEPARATORS if name != expected)]
    cells = {name: _cells(first, SEPARATORS[name]) for name in names}
    for name in names:
        if columns.suits(Header.read(cells[name], columns).names):
            return name
    return expected if len(cells[expected]) > 1 else max(names, key=lambda name: len(cells[name]))


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [""])
    except csv.Error:
        return [line]


def _has_quotes(source: Source, dialect: Dialect) -> bool:
    """Whether quotes in a file separated by tabs enclose fields, or are letters like others."""
    plain = Source(source.path, encoding=source.encoding)
    survey = _Survey()
    for item in dialect.lines(plain):
        if not isinstance(item, Fault):
            survey.see(item[1].decode(errors="replace").rstrip("\r\n"))
    if not survey.num_with_quotes:
        return False
    if not survey.num_ragged:
        return survey.is_as_written
    return _num_ragged_quoted(plain, dialect, survey.width) < survey.num_ragged


class _Survey:
    """What the lines of a file are when quotes are letters."""

    def __init__(self) -> None:
        self.width = self.num_with_quotes = self.num_ragged = 0
        self._num_needless = self._num_for_comma = self._num_plain_commas = 0
        self._has_quoted_header = False
        self._num_lines = 0
        self._quoted_places: set[tuple[int, ...]] = set()

    @property
    def is_as_written(self) -> bool:
        """Whether every quote stands where writers set one: around a field that holds quotes (Excel: or a comma).

        Or around the same fields of every line, of three at least.
        """
        always = len(self._quoted_places) == 1 and () not in self._quoted_places and self._num_lines >= _SEVERAL
        if self._has_quoted_header or always:
            return True
        return not self._num_needless and not (self._num_for_comma and self._num_plain_commas)

    def see(self, line: str) -> None:
        """Take note of a line."""
        if not line.strip():
            return
        cells = line.split("\t")
        if not self.width:
            self.width = len(cells)
            self._has_quoted_header = all(map(_QUOTED.fullmatch, cells))
        self._num_lines += 1
        if len(self._quoted_places) < 2:
            self._quoted_places.add(tuple(place for place, cell in enumerate(cells) if _QUOTED.fullmatch(cell)))
        self.num_ragged += len(cells) != self.width
        self.num_with_quotes += '"' in line
        for cell in cells:
            self._see_cell(cell)

    def _see_cell(self, cell: str) -> None:
        if '"' not in cell:
            self._num_plain_commas += "," in cell
            return
        inner = found[1] if (found := _QUOTED.fullmatch(cell)) else ""
        if '""' not in inner:
            self._num_for_comma += "," in inner
            self._num_needless += "," not in inner


def _num_ragged_quoted(source: Source, dialect: Dialect, width: int) -> int:
    """How many lines belong to rows of another number of cells when quotes enclose fields."""
    csv.field_size_limit(max(csv.field_size_limit(), limits.MAX_LINE_BYTES))
    lines = (item[1].decode(errors="replace") for item in dialect.lines(source) if not isinstance(item, Fault))
    reader, num_ragged, before = csv.reader(lines, delimiter="\t"), 0, 0
    header_width = 0
    while True:
        cells: Sequence[str] | None
        try:
            cells = next(reader)
        except StopIteration:
            return num_ragged
        except csv.Error:
            cells = None
        if cells is not None:
            header_width = header_width or len(cells) or width
        if cells is None or (cells and len(cells) != header_width):
            num_ragged += reader.line_num - before
        before = reader.line_num
