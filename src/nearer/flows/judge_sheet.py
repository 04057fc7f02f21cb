"""Write a sheet in which people judge what is found for queries: where judgments begin."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nearer.core.errors import Fault, FaultLog, ImportFaults, InputError
from nearer.core.progress import Progress, Silent
from nearer.core.records import Document, Query
from nearer.core.results.data import WrittenSheet
from nearer.core.text import normalise
from nearer.encode.embedded import Corpora
from nearer.evaluation.ranking import rank
from nearer.evaluation.ready import refuse_without
from nearer.store.files import write_atomic
from nearer.store.formats import read_queries
from nearer.store.formats.judge_sheet import SheetRow, query_id_of, sheet_text
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, open_system
from nearer.systems.lexical import read_bm25
from nearer.vectors.topk import NO_ROW

POOL_DEPTH = 10
"""Documents of each system that are judged for a query, as deep as nDCG@10 looks.

Source for pooling: Sparck Jones and van Rijsbergen, Report on the need for an ideal test collection (1975).
"""
_MOST_CHARACTERS = 1000  # of a document's text in a cell
_TEXT_NAMES = ("text", "query", "question")


def judge_sheet(
    workspace: Workspace,
    queries: Path | str,
    *,
    output: Path | str = "judge-sheet.csv",
    progress: Progress | None = None,
) -> WrittenSheet:
    """Pool what live (or the base) and BM25 find for each query, and write a CSV with a column for grades.

    ``queries`` is a text file with a query a line, or CSV or JSONL with a text and, where there are any, ids. Rows are
    in the order of document ids, so that nobody sees what ranked a document how high. Grades that are known are filled
    in. ``nearer add judgments`` reads the sheet back, its queries included.

    Raises InputError, before a model is opened, without documents or queries and where ``output`` exists; ImportFaults
    for a file with faults.
    """
    path, file = Path(queries), Path(output)
    refuse_without(workspace, "documents", outcome="nothing can be found")
    if file.exists():
        hint = "it may hold grades: name another with --output, or move it"
        raise InputError(f"{file} is there already", hint=hint)
    asked = read_asked(workspace, path)
    system = open_system(workspace, LIVE if workspace.registry.live() else BASE)
    corpora = Corpora(workspace, progress or Silent())
    _, ranked, _ = rank(corpora, system, asked, k=POOL_DEPTH, as_served=True)
    by_words = (
        read_bm25(workspace, language=workspace.recipe.search.language)
        .index.search([query.text for query in asked], k=POOL_DEPTH)
        .rows_QK
    )
    known = {(each.query_id, each.doc_id): each.grade for each in workspace.collection.judgments()}
    rows = []
    for query, dense_K, lexical_K in zip(asked, ranked.rows_QK[:, :POOL_DEPTH], by_words, strict=True):
        pool = {*dense_K.tolist(), *lexical_K.tolist()} - {NO_ROW}
        rows += [_row(query, corpora.documents[row], known) for row in sorted(pool)]
    try:
        write_atomic(file, sheet_text(rows).encode("utf-8-sig"))  # so that spreadsheets read it as UTF-8
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}", hint="check the path and the disk") from error
    return WrittenSheet(
        file=str(file),
        systems=(system.name, "bm25"),
        num_queries=len(asked),
        num_rows=len(rows),
        num_judged=sum(bool(row.grade) for row in rows),
    )


def _row(query: Query, document: Document, known: dict[tuple[str, str], int]) -> SheetRow:
    text = document.text
    grade = known.get((query.query_id, document.doc_id))
    return SheetRow(
        query_id=query.query_id,
        query=query.text,
        doc_id=document.doc_id,
        title=document.title,
        text=text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …",
        grade="" if grade is None else str(grade),
    )


def read_asked(workspace: Workspace, path: Path) -> list[Query]:
    """The queries of a file, each text once.

    Those without an id have that of the same text in the workspace, or one made of the text. Raises InputError for a
    file that cannot be read or holds none, ImportFaults for its faults.
    """
    texts = _texts_alone(path)
    if texts is None:
        found, log = [], FaultLog()
        for row in read_queries(path, columns=workspace.recipe.columns, make_ids=True):
            if isinstance(row, Fault):
                log.add(row)
            else:
                found.append(row.record)
        if log.num_faults:
            raise ImportFaults(log, hint="mend the file", outcome="nothing was written")
        return found
    known = {normalise(query.text): query for query in workspace.collection.queries()}
    made: dict[str, Query] = {}
    for text in texts:
        key = normalise(text)
        if key and key not in made:
            made[key] = known.get(key) or Query(query_id=query_id_of(text), text=text.strip())
    if not made:
        raise InputError(f"{path}: the file holds no query", hint="write a query a line")
    return list(made.values())


def _texts_alone(path: Path) -> list[str] | None:
    """The texts of a file that has no ids; None where it has, or is of another kind."""
    suffix = path.suffix.lower()
    if suffix not in (".txt", ".csv", ".tsv", ".jsonl"):
        return None
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8", hint="save it as UTF-8") from error
    if suffix == ".txt":
        return None if content.lstrip().startswith("<") else content.splitlines()
    rows = list(_records(content, suffix))
    name = next((each for each in _TEXT_NAMES if rows and each in rows[0]), None)
    if name is None or any(key in row for row in rows for key in ("_id", "query_id")):
        return None
    return [str(row.get(name) or "") for row in rows]


def _records(content: str, suffix: str) -> Iterator[dict[str, object]]:
    """Rows as fields by name; none for what is no JSON object, which the reader of queries tells of."""
    if suffix == ".jsonl":
        for line in content.splitlines():
            try:
                value = json.loads(line) if line.strip() else None
            except ValueError:
                return
            if isinstance(value, dict):
                yield value
        return
    first: Sequence[str] = content.splitlines()[:1] or [""]
    delimiter = "\t" if suffix == ".tsv" else max(",;", key=first[0].count)
    yield from csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
