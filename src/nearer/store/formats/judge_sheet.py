"""The sheet in which people judge: a CSV for spreadsheets, with a row a query and document and a grade to fill in."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import islice

from nearer.core.errors import Fault, InputError
from nearer.core.ids import content_id
from nearer.core.records import Judgment, Query
from nearer.core.text import normalise
from nearer.store.formats.dialects import SEP_LINE
from nearer.store.formats.naming import listed
from nearer.store.formats.rows import Row
from nearer.store.formats.source import Source

_BY_CONTENT = "query"
_MADE_ID = re.compile(_BY_CONTENT + "-[0-9a-f]{12}")
"""The ids of queries that came without one."""

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""What spreadsheets take for a formula, or a guarded one. Source: OWASP, CSV Injection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """A document to judge for a query; ``grade`` is empty until somebody judged."""

    query_id: str
    query: str
    doc_id: str
    title: str
    text: str
    grade: str = ""


HEADER = tuple(each.name for each in fields(SheetRow))


def sheet_text(rows: Iterable[SheetRow]) -> str:
    """The sheet as CSV; what would be a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADER)
    writer.writerows([guarded(cell) for cell in astuple(row)] for row in rows)
    return out.getvalue()


def query_id_of(text: str) -> str:
    """The id of a query that has none, by its words."""
    return content_id(_BY_CONTENT, normalise(text), num_hex=12)


def is_sheet(source: Source) -> bool:
    """Whether a file is a judge sheet: a CSV whose header has a sheet's columns, however a spreadsheet saved it."""
    if source.path.suffix.lower() not in (".csv", ".tsv", ".txt") or not source.path.is_file():
        return False
    items = islice(Source(source.path, encoding=source.encoding).lines(), 2)
    text = "".join(item[1].decode("utf-8-sig", errors="replace") for item in items if not isinstance(item, Fault))
    return set(HEADER) <= set(next(_cells(text), ()))


def read_sheet(source: Source, *, max_grade: int) -> Iterator[Row[tuple[Query, Judgment | None]] | Fault]:
    """Each row's query and, where a grade was filled in, its judgment; or what is wrong with the row."""
    lines, faults = _decoded(source)
    if faults:
        yield from faults
        return
    seen: dict[tuple[str, str], int] = {}
    sheet = _numbered("".join(lines))
    _, header = next(sheet)
    if others := [name for name in header if name and name not in HEADER]:
        source.notes.say(source.path, f"further columns of the sheet, excluded: {listed(others)}")
    for line, cells in sheet:
        if not any(cell.strip() for cell in cells):
            continue
        try:
            query, judgment = _read(header, cells, max_grade=max_grade)
            _refuse_again(judgment, line, seen)
        except InputError as error:
            yield source.fault(line, error)
            continue
        yield Row(line=line, record=(query, judgment))


def _decoded(source: Source) -> tuple[list[str], list[Fault]]:
    """The lines of a sheet as text, and what is wrong with others."""
    lines: list[str] = []
    faults: list[Fault] = []
    for item in source.lines():
        if isinstance(item, Fault):
            faults.append(item)
            continue
        try:
            lines.append(source.decode(item[1]))
        except InputError as error:
            faults.append(source.fault(item[0], error))
    return lines, faults


def _read(header: Sequence[str], cells: Sequence[str], *, max_grade: int) -> tuple[Query, Judgment | None]:
    width = max(place for place, name in enumerate(header) if name) + 1
    if len(cells) < width or any(cell.strip() for cell in cells[width:]):
        hint = "leave the columns as they were written"
        raise InputError(f"{len(cells)} cells, not {width}", hint=hint)
    cell_of = dict(zip(header, map(unguarded, cells), strict=False))
    row = SheetRow(**{name: cell_of[name] for name in HEADER})
    if not row.query_id.strip() or not row.query.strip() or not row.doc_id.strip():
        raise InputError("an id or the query is empty", hint="leave the first three columns as they were written")
    is_damaged = any(sign in row.query for sign in "?\ufffd") and row.query_id != query_id_of(row.query)
    if is_damaged and _MADE_ID.fullmatch(row.query_id):
        raise InputError(
            f"the query is not the one that {row.query_id!r} was made of: {row.query[:60]!r}",
            hint="leave it as it was written; where signs were replaced, save the sheet as CSV UTF-8",
        )
    query = Query(query_id=row.query_id, text=row.query)
    grade = row.grade.strip()
    if not grade:
        return query, None
    return query, Judgment(query_id=row.query_id, doc_id=row.doc_id, grade=_grade(grade, max_grade=max_grade))


def _grade(text: str, *, max_grade: int) -> int:
    """A whole number, which a spreadsheet may write as 2.0 or 2,0."""
    whole, _, decimals = text.replace(",", ".").partition(".")
    if not (whole.isascii() and whole.isdigit()) or decimals.strip("0") or len(whole) > 9:
        hint = f"write a whole number from 0 to {max_grade}, or nothing"
        raise InputError(f"the grade is {text[:40]!r}", hint=hint)
    if int(whole) > max_grade:
        hint = f"write a whole number from 0 to {max_grade}, or raise grades.max_grade in the recipe"
        raise InputError(f"the grade {whole} is above {max_grade}", hint=hint)
    return int(whole)


def _refuse_again(judgment: Judgment | None, line: int, seen: dict[tuple[str, str], int]) -> None:
    if judgment is None:
        return
    before = seen.setdefault((judgment.query_id, judgment.doc_id), line)
    if before != line:
        raise InputError(
            f"{judgment.doc_id!r} is judged for {judgment.query_id!r} in line {before} too", hint="keep one"
        )


def _cells(text: str) -> Iterator[list[str]]:
    """The cells of each row, the header's first."""
    return (cells for _, cells in _numbered(text))


def _numbered(text: str) -> Iterator[tuple[int, list[str]]]:
    """The same, each with its last line's number. Spreadsheets of some countries write ``sep=;`` and semicolons."""
    text = text.removeprefix("\ufeff")
    said = SEP_LINE.match(text)
    text = text[said.end() :] if said else text
    header, _, _ = text.partition("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    yield 1 + bool(said), [cell.strip() for cell in next(reader, [])]
    for cells in reader:
        yield reader.line_num + bool(said), cells


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """What ``guarded`` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
