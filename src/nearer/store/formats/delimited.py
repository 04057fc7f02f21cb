"""CSV (RFC 4180: quoted fields may hold commas and line breaks) and TSV (tabs; nothing is quoted), with a header.

TSV files of judgments and queries may go without a header: BEIR's three columns, and the two of TREC's topics.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nearer.core.errors import Fault, InputError
from nearer.store.formats import source
from nearer.store.formats.columns import JUDGMENTS, QUERIES, Columns, Plan
from nearer.store.formats.rows import Fields, Found, read_each_line, shown
from nearer.store.formats.source import WholeFile, decode, fault_of, no_rows, read_lines, too_long, truncated

Cells = tuple[int, tuple[list[str], bool]]
"""A row's first line, its cells, and whether its last line has a line end."""

_SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "bar": "|"}
_INTEGER = re.compile(r"-?[0-9]+")
_WITHOUT_HEADER = {QUERIES.section: ("query_id", "text"), JUDGMENTS.section: ("query_id", "doc_id", "grade")}
_HEADER_WORDS = frozenset({"id", "qid", "query", "topic", "number", "query-id", "topic-id", "topic_id", "queryid"})


def read_csv(path: Path, columns: Columns) -> Iterator[Found]:
    """The fields of every row of a CSV file, or what is wrong with it."""
    return _read(path, _csv_rows(path), _Table(columns, separator="comma"))


def read_tsv(path: Path, columns: Columns) -> Iterator[Found]:
    """The fields of every row of a TSV file, or what is wrong with it."""
    return _read(path, _tsv_rows(path), _Table(columns, separator="tab"))


def _read(path: Path, rows: Iterator[Cells | Fault], table: "_Table") -> Iterator[Found]:
    num_rows = 0
    for item in rows:
        found: Found
        if isinstance(item, Fault):
            found = item if table.has_begun else replace(item, line=0)
        else:
            line, (cells, is_whole) = item
            try:
                if table.takes_header(cells):
                    continue
                found = line, table.fields(cells, is_whole=is_whole)
            except InputError as error:
                found = fault_of(str(path), line, error)
        num_rows += 1
        yield found
        if isinstance(found, Fault) and found.line == 0:
            return
    if num_rows == 0:
        yield no_rows(str(path), has_header=table.has_begun)


class _Table:
    """The header of a file, and the fields of the rows below it."""

    def __init__(self, columns: Columns, *, separator: str) -> None:
        self._columns = columns
        self._separator = separator
        self._header: Sequence[str] = ()
        self._plan: Plan | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the header was read, or its absence found."""
        return self._plan is not None

    def takes_header(self, cells: list[str]) -> bool:
        """Whether a row is the header. Raises WholeFile when the first row shows that nothing can be read."""
        if self._plan is not None:
            return False
        self._refuse_other_formats(cells)
        columns, section = self._columns, self._columns.kind.section
        if self._separator == "tab" and section in _WITHOUT_HEADER and not self._names_columns(cells):
            self._refuse_if_no_row(cells, _WITHOUT_HEADER[section])
            columns, self._header = Columns(columns.kind), _WITHOUT_HEADER[section]
            has_header = False
        else:
            columns.check_header(cells)
            self._header = cells
            has_header = True
        self._plan = columns.plan(self._header, has_header=True, is_text=True)
        return has_header

    def fields(self, cells: list[str], *, is_whole: bool) -> Fields:
        """The fields of a row. Raises InputError."""
        assert self._plan is not None, "the header comes first"
        if len(cells) != len(self._header):
            raise self._wrong_number(cells) if is_whole or len(cells) > len(self._header) else truncated()
        if not is_whole and not cells[-1] and not self._columns.kind.optional.fullmatch(self._header[-1]):
            raise truncated()
        return self._plan.fields(dict(zip(self._header, cells, strict=True)))

    def _names_columns(self, cells: list[str]) -> bool:
        return any(map(self._columns.knows, cells)) or cells[0].casefold() in _HEADER_WORDS

    def _refuse_other_formats(self, cells: list[str]) -> None:
        if cells[0].lstrip().startswith(("{", "[")):
            reason = f"not {self._separator}-separated but perhaps JSON Lines: begins with {shown(cells[0])}"
            raise WholeFile(reason, hint="end the file's name in .jsonl")
        for name, character in _SEPARATORS.items():
            if len(cells) == 1 and character in cells[0]:
                hint = (
                    "end its name in .tsv, or write it with commas"
                    if name == "tab"
                    else f"write it with {self._separator}s"
                )
                raise WholeFile(f"separated by {name}s, not {self._separator}s", hint=hint)

    def _refuse_if_no_row(self, cells: list[str], header: Sequence[str]) -> None:
        """Raises WholeFile when the first row of a file without a header is not a row either."""
        self._header = header
        if len(cells) != len(header):
            error = self._wrong_number(cells)
            raise WholeFile(error.message, hint=error.hint)
        if header[-1] == "grade" and not _INTEGER.fullmatch(cells[-1]):
            reason = f"the first line is neither the header nor a judgment: {shown('	'.join(cells))}"
            raise WholeFile(reason, hint="write query-id, corpus-id and score, separated by tabs")

    def _wrong_number(self, cells: list[str]) -> InputError:
        names = ", ".join(self._header[:8])
        hint = f"write {names}, separated by {self._separator}s"
        if self._separator == "comma":
            hint += "; a field that holds a comma belongs in quotes"
        elif self._columns.kind is JUDGMENTS and len(cells) == 4:
            hint += "; if these are TREC qrels, end the file's name in .qrels"
        return InputError(f"{len(cells)} {self._separator}-separated fields, not {len(self._header)}", hint=hint)


def _tsv_rows(path: Path) -> Iterator[Cells | Fault]:
    return read_each_line(path, lambda raw, _: (decode(raw).rstrip("\r\n").split("\t"), raw.endswith(b"\n")))


def _csv_rows(path: Path) -> Iterator[Cells | Fault]:
    csv.field_size_limit(max(csv.field_size_limit(), source.MAX_LINE_BYTES))  # of the process; _Feed bounds a row
    file, feed = str(path), _Feed(path)
    reader = csv.reader(feed, strict=True)
    while True:
        feed.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield fault_of(file, feed.line, feed.error or _explain(error))
            continue
        except InputError as error:
            yield fault_of(file, feed.line, error)
            continue
        if feed.error:
            yield fault_of(file, feed.line, feed.error)
        elif len(cells) > 1 or "".join(cells).strip():
            yield feed.line, (cells, feed.is_whole)


class _Feed:
    """The lines of a file for the csv module, which takes several while a quoted field is open.

    A line that cannot be read is kept as ``error`` and fed as far as it can, so that the end of its row is found.
    """

    def __init__(self, path: Path) -> None:
        self._lines = read_lines(path)
        self.begin_row()

    def begin_row(self) -> None:
        """Forget the row before."""
        self.line, self.is_whole = 0, True
        self.error: InputError | None = None
        self._num_bytes = 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        item = next(self._lines)
        if isinstance(item, Fault):
            self.line = self.line or item.line
            error = InputError if item.line else WholeFile
            raise error(item.reason, hint=item.remedy)
        line, raw = item
        self.line = self.line or line
        self.is_whole = raw.endswith(b"\n")
        self._num_bytes += len(raw)
        if self._num_bytes > source.MAX_LINE_BYTES:
            raise too_long()
        try:
            return decode(raw)
        except InputError as error:
            self.error = self.error or error
            return raw.decode("utf-8", errors="replace").replace("\0", "")


def _explain(error: csv.Error) -> InputError:
    match str(error):
        case "unexpected end of data":
            return truncated()
        case reason if "expected after" in reason:
            hint = 'write "" for a quote inside a quoted field, and close each quote in its own row'
            return InputError("a quoted field goes on after its closing quote", hint=hint)
        case reason if "new-line character" in reason:
            hint = "end rows with a line feed, and put fields with line breaks in quotes"
            return InputError("a carriage return in the middle of a row", hint=hint)
    return InputError(f"invalid CSV: {error}", hint="export the file again")
