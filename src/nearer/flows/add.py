"""Import files: all or nothing, every fault listed; with ``skip_bad`` the bad rows are set aside and counted."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import Fault, FaultLog, ImportFaults, InputError
from nearer.core.failpoints import failpoint
from nearer.core.filters import fields_in
from nearer.core.judging import named_sources
from nearer.core.progress import Progress, Silent
from nearer.core.records import Judgment, JudgmentSource, Metadata, Query
from nearer.core.results.changes import Changes
from nearer.core.results.data import Imported, Removed
from nearer.core.types import FieldType
from nearer.evaluation.grades import make_scale
from nearer.evaluation.splits import assign
from nearer.retrieval.fields import FieldTypes
from nearer.retrieval.imported_types import ImportedTypes
from nearer.store import tables
from nearer.store.collection import (
    batches,
    grades_of,
    leave_split,
    members_of,
    put_documents,
    put_judgments,
    put_pairs,
    put_queries,
    put_split,
    queries_of,
    remove_documents,
    unknown_ids,
)
from nearer.store.formats import (
    DEFAULT_MAX_GRADE,
    Notes,
    Row,
    Source,
    read_documents,
    read_judgments,
    read_pairs,
    read_queries,
)
from nearer.store.formats.beir import find_beir
from nearer.store.formats.encodings import known_encoding
from nearer.store.formats.judge_sheet import is_sheet, read_sheet
from nearer.store.redact import redact
from nearer.store.registry import utc_now
from nearer.store.staging import STAGED, staging, take_over
from nearer.store.workspace import Workspace

T = TypeVar("T")
_SHOWN_TWICE = 5
EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How files are to be read."""

    skip_bad: bool = False
    encoding: str | None = None
    make_ids: bool = False
    source: JudgmentSource = "import"
    rater: str = ""


class _Import:
    """One import: what is staged, in ``connection``, the faults so far, and what was found twice in the files."""

    def __init__(self, workspace: Workspace, connection: Connection, asked: "_Asked", *, progress: Progress) -> None:
        self.workspace = workspace
        self.connection = connection
        self.asked = asked
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

    def source(self, path: Path) -> Source:
        """A file to read."""
        return Source(path, encoding=self.asked.encoding, notes=self.notes)

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
        for row in read_sheet(Source(path, encoding=self.asked.encoding), max_grade=self.max_grade):
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
        if faults.is_whole_file or (faults.num_faults and not self.asked.skip_bad):
            hint = "mend the files, or leave the bad rows out: --skip-bad"
            raise ImportFaults(faults, hint="mend the files" if faults.is_whole_file else hint)
        self._refuse_changed_meaning()

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
                self.faults.add(Fault(file=str(path), line=row.line, reason=f"unknown {noun} {key!r}", remedy=remedy))
            if not unknown:
                known.append(row)
        return known

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
                wanted[pair] = replace(row.record, source=self.asked.source, rater=self.asked.rater, at=self.at)
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

    def _refuse_changed_meaning(self) -> None:
        """Larger grades than before would change what the earlier ones mean, unless the recipe says it."""
        recipe, before = self.workspace.recipe.grades, self.workspace.collection.largest_grade()
        new = make_scale(recipe, largest_grade=max(before, self.largest_grade))
        if before and make_scale(recipe, largest_grade=before) != new:
            raise InputError(
                f"these judgments go up to grade {self.largest_grade}, those there are up to {before}: a grade of "
                f"{before} would no longer mean the same",
                hint="say what grades mean: set max_grade, relevant_from and positive_from under [grades]",
            )


def add(
    workspace: Workspace,
    kind: str,
    path: Path | str,
    *,
    skip_bad: bool = False,
    encoding: str | None = None,
    make_ids: bool = False,
    by: str = "",
    progress: Progress | None = None,
) -> Imported:
    """Import one file of documents, queries, judgments, pairs or events (docs/reference/formats.md), or a BEIR folder.

    ``encoding`` is the files', where they are not UTF-8. ``make_ids`` gives documents and queries without an id one
    that their content makes. ``by`` says who made the judgments: a source, or a source and a rater as in "human:ann";
    "import" unless it is given, and "human" for a judge sheet.

    Raises ImportFaults with every fault, and nothing is imported then; InputError for another ``kind``, an encoding
    that is none, ``make_ids`` where ids refer to others, and ``by`` for what is no judgment or names no source.
    """
    if kind == EVENTS:
        if make_ids or encoding or by:
            raise InputError("events are UTF-8 and have ids", hint="leave --make-ids, --encoding and --by out")
        from nearer.flows.add_events import add_events

        return add_events(workspace, path, skip_bad=skip_bad)
    if kind not in _FILL:
        raise InputError(f"{kind!r} is no kind of file", hint=f"name one of: {', '.join([*_FILL, EVENTS])}")
    if make_ids and kind in ("judgments", "pairs"):
        raise InputError(f"no ids are made for {kind}", hint="leave --make-ids out")
    source, rater = _judge(kind, path, by, encoding=encoding)
    asked = _Asked(
        skip_bad=skip_bad,
        encoding=encoding and known_encoding(encoding),
        make_ids=make_ids,
        source=source,
        rater=rater,
    )
    progress, start = progress or Silent(), time.perf_counter()
    workspace.begin_writing()
    with staging(workspace.state) as (staged, connection):
        task = _Import(workspace, connection, asked, progress=progress)
        _FILL[kind](task, Path(path))
        task.refuse_faults()
        connection.commit()
        failpoint("import.staged")
        with workspace.write(f"add {kind}", attached={STAGED: staged}) as transaction:
            changes = task.take_over(transaction)
    failpoint("import.commit")
    return Imported(
        changes=changes,
        notes=(*task.notes.lines(), *filter(None, task.summary)),
        num_skipped=task.faults.num_rows,
        faults=tuple(task.faults.kept),
        num_faults=task.faults.num_faults,
        duration_s=time.perf_counter() - start,
        counts=workspace.collection.counts(),
        splits=workspace.collection.splits(),
    )


def _judge(kind: str, path: Path | str, by: str, *, encoding: str | None) -> tuple[JudgmentSource, str]:
    """The source and the rater of a file's judgments."""
    if not by:
        is_filled_in = kind == "judgments" and is_sheet(Source(Path(path), encoding=encoding))
        return ("human" if is_filled_in else "import"), ""
    if kind not in ("judgments", "beir"):
        raise InputError(f"--by {by}: {kind} are no judgments", hint="leave --by out")
    name, _, rater = by.partition(":")
    source, *others = named_sources(name, option="--by")
    if others:
        raise InputError(f"--by {by}: one source, two names", hint="for example: --by human:ann")
    if source == "clicks":
        raise InputError("--by clicks: judgments of clicks are made here", hint="nearer clicks judge")
    return source, rater.strip()


def remove(workspace: Workspace, doc_ids: Sequence[str]) -> Removed:
    """Remove documents, the judgments on them, and their texts from what was recorded; reports go, to be written anew.

    Raises InputError, naming them, when some do not exist.
    """
    with workspace.write("remove") as connection:
        unknown = unknown_ids(connection, tables.documents.c.doc_id, doc_ids)
        if unknown:
            raise InputError(f"no document {', '.join(sorted(unknown))}", hint="nothing was removed; check the ids")
        redact(connection, workspace.collection.documents(doc_ids))
        num_removed = remove_documents(connection, doc_ids)
    failpoint("remove.commit")
    workspace.database.empty_log()
    for report in workspace.reports.glob("*.html"):  # pages quote texts; they can be written anew
        report.unlink(missing_ok=True)
    return Removed(num_removed=num_removed, counts=workspace.collection.counts())


def _add_corpus(task: _Import, path: Path) -> None:
    recipe = task.workspace.recipe
    used = [*recipe.index.filter_fields, *fields_in(recipe.search.filters), *recipe.search.boosts]
    rows = ((doc_id, metadata) for doc_id, _, metadata in task.workspace.collection.document_metadata())
    types = _types("documents", used, rows, texts=task.columns.documents.texts)
    found = read_documents(task.source(path), columns=task.columns, make_ids=task.asked.make_ids)
    task.put("documents", types.checked(found, path), put_documents)
    task.summary += [types.note()]


def _add_queries(task: _Import, path: Path) -> None:
    recipe = task.workspace.recipe
    conditions = [text for of in recipe.split.held_out.values() for text in ([of] if isinstance(of, str) else of)]
    rows = ((each.query_id, each.metadata) for each in task.workspace.collection.queries())
    used = [*fields_in(conditions), *recipe.search.query_time_fields]
    types = _types("queries", used, rows, texts=task.columns.queries.texts)
    found = read_queries(task.source(path), columns=task.columns, make_ids=task.asked.make_ids)
    task.put("queries", types.checked(found, path), put_queries)
    task.summary += [types.note()]


def _types(
    kind: str, used: Sequence[str], rows: Iterable[tuple[str, Metadata]], *, texts: Collection[str]
) -> ImportedTypes:
    """The types that an import must keep: those of fields that the recipe compares, where the workspace has them."""
    kept: dict[str, FieldType] = {}
    of_each = {name: FieldTypes([name], texts=texts) for name in used}
    for key, metadata in rows if used else ():
        for name, types in list(of_each.items()):
            try:
                types.see(key, metadata)
            except InputError:
                del of_each[name]
    for types in of_each.values():
        with suppress(InputError):  # a field of mixed types keeps none
            kept |= types.found()
    return ImportedTypes(kind, kept, texts=texts)


def _add_pairs(task: _Import, path: Path) -> None:
    task.put("pairs", read_pairs(task.source(path), columns=task.columns), put_pairs)


def _add_judgments(task: _Import, path: Path, split: str | None = None) -> None:
    if is_sheet(task.source(path)):
        task.put_sheet(path)
        return
    rows = read_judgments(task.source(path), max_grade=task.max_grade, columns=task.columns)
    task.put_judgments(path, rows, split=split)


def _add_beir(task: _Import, path: Path) -> None:
    folder = find_beir(path)
    _add_corpus(task, folder.corpus)
    _add_queries(task, folder.queries)
    for split, qrels in folder.qrels.items():
        _add_judgments(task, qrels, split)
    if "train" in folder.qrels and "dev" not in folder.qrels:
        _draw_dev(task)


def _draw_dev(task: _Import) -> None:
    """Draw dev out of train, as many sets come without one; by hash, so the same import draws the same queries."""
    with task.workspace.database.read() as connection:
        known, staged = task.workspace.collection.queries(), queries_of(task.connection)
        query_of = {query.query_id: query for query in [*known, *staged]}
        ids = {*members_of(connection, "train"), *members_of(task.connection, "train")}
    in_train = [query_of[query_id] for query_id in sorted(ids, key=str.encode)]
    recipe = task.workspace.recipe.split.model_copy(update={"test_fraction": 0.0})
    task.drawn = [query_id for query_id, side in assign(in_train, recipe=recipe).items() if side == "dev"]
    task.progress.say(
        f"the set has no dev split: {len(task.drawn)} of {len(in_train)} training queries were drawn for it"
    )


_FILL: dict[str, Callable[[_Import, Path], None]] = {
    "beir": _add_beir,
    "corpus": _add_corpus,
    "queries": _add_queries,
    "judgments": _add_judgments,
    "pairs": _add_pairs,
}
