"""One import of files: what is staged, the faults so far, and what was found twice; and what becomes of it at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import Fault, FaultLog, ImportFaults
from nearer.core.progress import Progress
from nearer.core.records import Judgment, JudgmentSource, Query
from nearer.core.results.changes import Changes
from nearer.core.text import plain_id
from nearer.store import tables
from nearer.store.changing import grades_of, leave_split, put_judgments, put_queries, put_split
from nearer.store.collection import batches, unknown_ids
from nearer.store.formats import DEFAULT_MAX_GRADE, Notes, Row, Source
from nearer.store.formats.judge_sheet import read_sheet
from nearer.store.registry import utc_now
from nearer.store.staging import take_over
from nearer.store.workspace import Workspace

T = TypeVar("T")
_SHOWN_TWICE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """How files are to be read."""

    skip_bad: bool = False
    encoding: str | None = None
    make_ids: bool = False
    source: JudgmentSource = "import"
    rater: str = ""


class Import:
    """One import: what is staged, in ``connection``, the faults so far, and what was found twice in the files."""

    def __init__(
        self, workspace: Workspace, connection: Connection, options: ReadingOptions, *, progress: Progress
    ) -> None:
        self.workspace = workspace
        self.connection = connection
        self.options = options
        self.progress = progress
        self.notes = Notes()
        self.summary: list[str] = []
        self.faults = FaultLog()
        self.repeated: dict[str, Changes] = {}
        self.drawn: list[str] = []
        self.columns = workspace.recipe.columns
        self.max_grade = workspace.recipe.grades.max_grade or DEFAULT_MAX_GRADE
        self.largest_grade = 0
        self.at = utc_now()
        self.num_twice = 0
        self._plain_ids: dict[str, dict[str, str]] = {}

    def source(self, path: Path) -> Source:
        """A file to read."""
        return Source(path, encoding=self.options.encoding, notes=self.notes)

    def put(
        self, kind: str, rows: Iterator[Row[T] | Fault], write: Callable[[Connection, Sequence[T]], Changes]
    ) -> None:
        """Write the good rows in batches and keep the faults."""
        for batch in batches(self._good(rows, label=kind)):
            self._keep(kind, write(self.connection, [row.record for row in batch]))

    def put_judgments(self, path: Path, rows: Iterator[Row[Judgment] | Fault], *, split: str | None) -> None:
        """Write judgments on queries and documents that exist, and enter their queries in ``split``."""
        for batch in batches(self._good(rows, label=f"judgments {split or ''}".strip())):
            known = self._with_known_ids(path, batch)
            self.largest_grade = max([self.largest_grade, *(row.record.grade for row in known)])
            judgments = self._higher(path, known)
            if judgments:
                self._keep("judgments", put_judgments(self.connection, judgments))
            if split is not None:
                put_split(self.connection, split, dict.fromkeys(judgment.query_id for judgment in judgments))

    def put_sheet(self, path: Path) -> None:
        """Write the queries of a judge sheet that are new, and the judgments that were filled in."""
        rows: list[Row[Judgment] | Fault] = []
        queries: dict[str, Query] = {}
        num_blank = 0
        for row in read_sheet(Source(path, encoding=self.options.encoding), max_grade=self.max_grade):
            if isinstance(row, Fault):
                rows.append(row)
                continue
            query, judgment = row.record
            if judgment is None:
                num_blank += 1
            else:
                queries.setdefault(query.query_id, query)
                rows.append(Row(line=row.line, record=judgment))
        known = {query.query_id for query in self.workspace.collection.queries()}
        new = [query for query_id, query in queries.items() if query_id not in known]
        for batch in batches(new):
            self._keep("queries", put_queries(self.connection, batch))
        self.put_judgments(path, iter(rows), split=None)
        if num_blank:
            self.notes.count(path, "rows without a grade, which are no judgments", num_blank)
        if not rows:
            reason, remedy = "no grade is filled in", "fill in the column grade"
            self.faults.add(Fault(file=str(path), line=0, reason=reason, remedy=remedy))

    def refuse_faults(self) -> None:
        """Raise the faults as an error, unless bad rows are set aside."""
        faults = self.faults
        if faults.is_whole_file or (faults.num_faults and not self.options.skip_bad):
            hint = "mend the files, or leave the bad rows out: --skip-bad"
            raise ImportFaults(faults, hint="mend the files" if faults.is_whole_file else hint)

    def take_over(self, connection: Connection) -> dict[str, Changes]:
        """Take over what was staged, in one swap; what was done to each kind."""
        changes = take_over(connection)
        leave_split(connection, "train", self.drawn)
        put_split(connection, "dev", self.drawn)
        return {kind: changes[kind] + again for kind, again in self.repeated.items()}

    def _keep(self, kind: str, staged: Changes) -> None:
        again = replace(staged, num_added=0)
        self.repeated[kind] = self.repeated.get(kind, Changes()) + again
        self.connection.commit()

    def _good(self, rows: Iterator[Row[T] | Fault], *, label: str) -> Iterator[Row[T]]:
        for row in self.progress.track(rows, label=f"import {label}", total=0):
            if isinstance(row, Fault):
                self.faults.add(row)
            else:
                yield row

    def _with_known_ids(self, path: Path, rows: list[Row[Judgment]]) -> list[Row[Judgment]]:
        queries, documents = tables.queries.c.query_id, tables.documents.c.doc_id
        unknown_queries = self._unknown(queries, {row.record.query_id for row in rows})
        unknown_documents = self._unknown(documents, {row.record.doc_id for row in rows})
        known = []
        for row in rows:
            query_id, doc_id = row.record.query_id, row.record.doc_id
            unknown = [("query", query_id)] if query_id in unknown_queries else []
            unknown += [("document", doc_id)] if doc_id in unknown_documents else []
            for noun, key in unknown:
                remedy = f"add the {noun} first, or remove this row"
                if near := self._alike(noun).get(plain_id(key)):
                    remedy = f"there is {near!r}: write both alike, to the letter"
                self.faults.add(Fault(file=str(path), line=row.line, reason=f"unknown {noun} {key!r}", remedy=remedy))
            if not unknown:
                known.append(row)
        return known

    def _alike(self, noun: str) -> Mapping[str, str]:
        """The ids that there are by their plain forms, read once an id is unknown."""
        if noun not in self._plain_ids:
            column = tables.queries.c.query_id if noun == "query" else tables.documents.c.doc_id
            with self.workspace.database.read() as connection:
                ids = [*connection.scalars(sa.select(column)), *self.connection.scalars(sa.select(column))]
            self._plain_ids[noun] = {plain_id(each): each for each in ids}
        return self._plain_ids[noun]

    def _higher(self, path: Path, rows: list[Row[Judgment]]) -> list[Judgment]:
        """The judgments to write: of a pair that is judged twice in this import the higher grade counts."""
        pairs = [(row.record.query_id, row.record.doc_id) for row in rows]
        staged, wanted = grades_of(self.connection, pairs), dict[tuple[str, str], Judgment]()
        grades = {(query_id, doc_id): grade for (query_id, doc_id, _, _), grade in staged.items()}
        for row, pair in zip(rows, pairs, strict=True):
            before, now = grades.get(pair), row.record.grade
            if before is not None:
                self._note_twice(path, row, before)
            if before is None or now > before:
                grades[pair] = now
                wanted[pair] = replace(row.record, source=self.options.source, rater=self.options.rater, at=self.at)
        return list(wanted.values())

    def _note_twice(self, path: Path, row: Row[Judgment], before: int) -> None:
        query_id, doc_id, grade = row.record.query_id, row.record.doc_id, row.record.grade
        if grade == before:
            self.notes.count(path, "pairs judged twice with one grade, taken once")
            return
        self.num_twice += 1
        self.notes.count(path, "pairs judged twice, of which the higher grade counts")
        if self.num_twice <= _SHOWN_TWICE:
            text = f"line {row.line}: {query_id!r} + {doc_id!r} is judged {grade} here and {before} before"
            self.notes.say(path, f"{text}: {max(grade, before)} counts")

    def _unknown(self, column: sa.Column[Any], ids: set[str]) -> set[str]:
        """Those that are neither staged nor there already."""
        if not (missing := unknown_ids(self.connection, column, ids)):
            return missing
        with self.workspace.database.read() as connection:
            return unknown_ids(connection, column, missing)
