"""CSV and TSV with a header, as RFC 4180 has it and as spreadsheets write it: quoted fields may hold anything.

TSV files of judgments and queries may go without a header: BEIR's three columns, and the two of TREC's topics.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from nearer.core.errors import Fault, InputError
from nearer.store.formats import source as limits
from nearer.store.formats.columns import JUDGMENTS, QUERIES, Columns, Plan
from nearer.store.formats.dialects import Dialect, dialect_of
from nearer.store.formats.headers import Header
from nearer.store.formats.rows import Fields, Found, LeftOut, shown
from nearer.store.formats.source import Source, WholeFile, no_rows, too_long, truncated

Cells = tuple[int, tuple[list[str], bool]]
"""A row's first line, its cells, and whether its last line has a line end."""

_GRADE = re.compile(r"-?[0-9]+(?:\.0+)?")
_WITHOUT_HEADER = {QUERIES.section: ("query_id", "text"), JUDGMENTS.section: ("query_id", "doc_id", "grade")}
_HEADER_WORDS = frozenset({"id", "qid", "query", "topic", "number", "query-id", "topic-id", "topic_id", "queryid"})


def read_csv(source: Source, columns: Columns) -> Iterator[Found]:
    """The fields of every row of a CSV file, or what is wrong with it."""
    return _read(source, columns, separator="comma")


def read_tsv(source: Source, columns: Columns) -> Iterator[Found]:
    """The fields of every row of a TSV file, or what is wrong with it."""
    return _read(source, columns, separator="tab")


def _read(source: Source, columns: Columns, *, separator: str) -> Iterator[Found]:
    dialect = dialect_of(source, columns, expected=separator)
    table, num_rows = _Table(source, columns, dialect), 0
    for item in _quoted_rows(source, dialect) if dialect.is_quoted else _plain_rows(source, dialect):
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
                found = source.fault(line, error)
            except LeftOut as note:
                source.notes.count(source.path, str(note))
                continue
        num_rows += 1
        yield found
        if isinstance(found, Fault) and found.line == 0:
            return
    if num_rows == 0:
        yield no_rows(str(source.path), has_header=table.has_begun)


class _Table:
    """The header of a file, and the fields of the rows below it."""

    def __init__(self, source: Source, columns: Columns, dialect: Dialect) -> None:
        self._source, self._columns, self._dialect = source, columns, dialect
        self._header = Header.of(())
        self._plan: Plan | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the header was read, or its absence found."""
        return self._plan is not None

    def takes_header(self, cells: list[str]) -> bool:
        """Whether a row is the header. Raises WholeFile when the first row shows that nothing can be read."""
        if self._plan is not None:
            return False
        self._refuse_json(cells)
        columns, section = self._columns, self._columns.kind.section
        has_header = True
        if self._dialect.separator == "tab" and section in _WITHOUT_HEADER and not self._names_columns(cells):
            self._refuse_if_no_row(cells, _WITHOUT_HEADER[section])
            columns, self._header, has_header = Columns(columns.kind), Header.of(_WITHOUT_HEADER[section]), False
        else:
            self._header = Header.read(cells, columns)
            columns.check_header(self._header.names)
            self._header.tell(self._source)
        self._plan = columns.plan(self._header.names, has_header=True, is_text=True)
        return has_header

    def fields(self, cells: list[str], *, is_whole: bool) -> Fields:
        """The fields of a row. Raises InputError, and LeftOut for an empty row."""
        assert self._plan is not None, "the header comes first"
        header = self._header
        named = header.named(cells)
        if named is None:
            raise self._wrong_number(cells) if is_whole or len(cells) > header.width else truncated()
        is_cut = not is_whole and not cells[-1] and header.places[-1] == header.width - 1
        if is_cut and not self._columns.kind.optional.fullmatch(header.names[-1]):
            raise truncated()
        return self._plan.fields(dict(zip(header.names, named, strict=True)))

    def _names_columns(self, cells: list[str]) -> bool:
        names = Header.read(cells, self._columns).names
        return any(map(self._columns.knows, names)) or cells[0].strip().casefold() in _HEADER_WORDS

    def _refuse_json(self, cells: list[str]) -> None:
        if cells[0].lstrip().startswith(("{", "[")):
            name = self._dialect.separator
            reason = f"not {name}-separated but perhaps JSON Lines: begins with {shown(cells[0])}"
            raise WholeFile(reason, hint="end the file's name in .jsonl")

    def _refuse_if_no_row(self, cells: list[str], header: Sequence[str]) -> None:
        """Raises WholeFile when the first row of a file without a header is not a row either."""
        self._header = Header.of(header)
        if len(cells) != len(header):
            error = self._wrong_number(cells)
            raise WholeFile(error.message, hint=error.hint)
        if header[-1] == "grade" and not _GRADE.fullmatch(cells[-1]):
            reason = f"the first line is neither the header nor a judgment: {shown('	'.join(cells))}"
            raise WholeFile(reason, hint="write query-id, corpus-id and score, separated by tabs")

    def _wrong_number(self, cells: list[str]) -> InputError:
        name, names = self._dialect.separator, ", ".join(self._header.names[:8])
        hint = f"write {names}, separated by {name}s"
        if self._dialect.is_quoted:
            hint += f"; a field that holds a {name} or a line break belongs in quotes"
        elif self._columns.kind is JUDGMENTS and len(cells) == 4:
            hint += "; if these are TREC qrels, end the file's name in .qrels"
        else:
            hint += "; a field with a tab or a line break must be quoted, as spreadsheets and pandas do, in every row"
        return InputError(f"{len(cells)} {name}-separated fields, not {self._header.width}", hint=hint)


def _plain_rows(source: Source, dialect: Dialect) -> Iterator[Cells | Fault]:
    for item in dialect.lines(source):
        if isinstance(item, Fault):
            yield item
        elif not item[1].isspace():
            try:
                text = source.decode(item[1])
            except InputError as error:
                yield source.fault(item[0], error)
                continue
            yield item[0], (text.rstrip("\r\n").split(dialect.character), item[1].endswith(b"\n"))


def _quoted_rows(source: Source, dialect: Dialect) -> Iterator[Cells | Fault]:
    csv.field_size_limit(max(csv.field_size_limit(), limits.MAX_LINE_BYTES))  # of the process; _Feed bounds a row
    feed = _Feed(source, dialect)
    reader = csv.reader(feed, delimiter=dialect.character, strict=True, skipinitialspace=dialect.has_space)
    while True:
        feed.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield source.fault(feed.line, feed.error or _explain(error))
            continue
        except InputError as error:
            yield source.fault(feed.line, error)
            continue
        if feed.error:
            yield source.fault(feed.line, feed.error)
        elif len(cells) > 1 or "".join(cells).strip():
            yield feed.line, (cells, feed.is_whole)


class _Feed:
    """The lines of a file for the csv module, which takes several while a quoted field is open.

    A line that cannot be read is kept as ``error`` and fed as far as it can, so that the end of its row is found.
    """

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self._source = source
        self._lines = dialect.lines(source)
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
        if self._num_bytes > limits.MAX_LINE_BYTES:
            raise too_long()
        try:
            return self._source.decode(raw)
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
