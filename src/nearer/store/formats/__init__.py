"""Files that a team has, as records: the format is told by the name and checked by the content.

Each reader yields a ``Row`` or a ``Fault`` for each row, in order, and raises nothing for what a file holds.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from nearer.core.errors import Fault
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.core.sections import ColumnsRecipe
from nearer.store.formats import fields, trec
from nearer.store.formats.columns import DOCUMENTS, JUDGMENTS, PAIRS, QUERIES, Columns
from nearer.store.formats.delimited import read_csv, read_tsv
from nearer.store.formats.encodings import damage
from nearer.store.formats.fields import DEFAULT_MAX_GRADE
from nearer.store.formats.jsonl import read_jsonl
from nearer.store.formats.notes import Notes
from nearer.store.formats.parquet import read_parquet
from nearer.store.formats.rows import Fields, Found, Row, read_rows
from nearer.store.formats.source import GZIP, Source
from nearer.store.formats.suite import read_suite

T = TypeVar("T")
__all__ = [
    "DEFAULT_MAX_GRADE",
    "Notes",
    "Row",
    "Source",
    "read_documents",
    "read_judgments",
    "read_pairs",
    "read_queries",
    "read_run",
    "read_suite",
]

Reader = Callable[[Source, Columns], Iterator[Found]]

_TABLES: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".json": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
_TOPICS = dict.fromkeys((".topics", ".trec", ".txt"), lambda source, _: trec.read_topics(source))
_QRELS = dict.fromkeys((".qrels", ".trec", ".txt"), lambda source, _: trec.read_qrels(source))
_IDS = {
    DOCUMENTS.section: fields.DOC_ID,
    QUERIES.section: fields.QUERY_ID,
    JUDGMENTS.section: (*fields.JUDGED_QUERY, *fields.JUDGED_DOCUMENT),
}
_ROUNDED = re.compile(r"[1-9](?:[.,][0-9]+)?E\+[0-9]{2,3}")
_SAID_ROUNDED = "ids like 1.23E+11, which a spreadsheet writes in place of long numbers: they are no longer the numbers"
_DEFAULT = ColumnsRecipe()


def read_documents(
    file: Path | Source, *, columns: ColumnsRecipe = _DEFAULT, make_ids: bool = False
) -> Iterator[Row[Document] | Fault]:
    """Documents: ``_id`` or ``doc_id``, ``text``, optional ``title`` and metadata; each id once.

    ``make_ids`` gives a row without an id one that its content makes.
    """
    give_id = partial(fields.give_id, prefix="doc", names=fields.DOC_ID) if make_ids else None
    kind = Columns(DOCUMENTS, columns.documents, make_ids=make_ids)
    return _read(file, _TABLES, kind, make=fields.document, key=lambda document: document.doc_id, give_id=give_id)


def read_queries(
    file: Path | Source, *, columns: ColumnsRecipe = _DEFAULT, make_ids: bool = False
) -> Iterator[Row[Query] | Fault]:
    """Queries: ``_id`` or ``query_id``, ``text``, optional metadata; or TREC topics; each id once.

    ``make_ids`` gives a row without an id one that its content makes.
    """
    give_id = partial(fields.give_id, prefix="query", names=fields.QUERY_ID) if make_ids else None
    kind = Columns(QUERIES, columns.queries, make_ids=make_ids)
    readers = _TABLES | _TOPICS
    return _read(file, readers, kind, make=fields.query, key=lambda query: query.query_id, give_id=give_id)


def read_pairs(file: Path | Source, *, columns: ColumnsRecipe = _DEFAULT) -> Iterator[Row[Pair] | Fault]:
    """Training pairs: ``query`` or ``anchor``, ``positive``, optional source, negatives and scores in [0, 1]."""
    return _read(file, _TABLES, Columns(PAIRS, columns.pairs), make=fields.pair, key=None)


def read_judgments(
    file: Path | Source, *, max_grade: int = DEFAULT_MAX_GRADE, columns: ColumnsRecipe = _DEFAULT
) -> Iterator[Row[Judgment] | Fault]:
    """Judgments: two ids and a whole grade from 0 to ``max_grade``; or TREC qrels. A pair of ids may be there twice."""

    def judgment(row: Fields) -> Judgment:
        return fields.judgment(row, max_grade=max_grade)

    return _read(file, _TABLES | _QRELS, Columns(JUDGMENTS, columns.judgments), make=judgment, key=None)


def read_run(file: Path | Source) -> Iterator[Row[trec.RunEntry] | Fault]:
    """The lines of a TREC run, whatever the file is called; each pair of ids once."""
    source = file if isinstance(file, Source) else Source(file)
    found = trec.read_run(source)
    return read_rows(found, source, make=trec.run_entry, key=lambda each: f"{each.query_id}\t{each.doc_id}")


def _read(
    file: Path | Source,
    readers: dict[str, Reader],
    columns: Columns,
    *,
    make: Callable[[Fields], T],
    key: Callable[[T], str] | None,
    give_id: Callable[..., bool] | None = None,
) -> Iterator[Row[T] | Fault]:
    source = file if isinstance(file, Source) else Source(file)
    path = source.path
    if give_id:
        give_id = partial(give_id, say=partial(source.notes.say, path))
    inner = path.with_suffix("") if path.suffix.lower() == GZIP else path
    reader = readers.get(inner.suffix.lower())
    if reader is None or (reader is read_parquet and inner is not path):
        return _unknown(source, readers)
    found = _with_plain_ids(reader(source, columns), source, _IDS.get(columns.kind.section, ()))
    found = _damage_said(found, source)
    return read_rows(found, source, make=make, key=key, give_id=give_id)


def _damage_said(found: Iterator[Found], source: Source) -> Iterator[Found]:
    """The rows; those whose texts were damaged before they were written are counted."""
    for item in found:
        if not isinstance(item, Fault):
            texts = (value for value in item[1].values() if isinstance(value, str))
            if what := next(filter(None, map(damage, texts)), ""):
                source.notes.count(source.path, f"rows that hold {what}: export the texts anew")
        yield item


def _with_plain_ids(found: Iterator[Found], source: Source, names: Sequence[str]) -> Iterator[Found]:
    """The rows, their ids without white space or byte order marks around them; ids that were rounded are said."""
    for item in found:
        row: Fields = {} if isinstance(item, Fault) else item[1]
        for name in names:
            value = row.get(name)
            if not isinstance(value, str) or not value:
                continue
            plain = fields.plain_id(value)
            if plain != value:
                row[name] = plain
                source.notes.count(source.path, "ids with white space or byte order marks around them: excluded")
            elif value[-1].isdigit() and _ROUNDED.fullmatch(value):
                source.notes.count(source.path, _SAID_ROUNDED)
        yield item


def _unknown(source: Source, readers: dict[str, Reader]) -> Iterator[Fault]:
    """What is wrong with a file whose name tells no format: perhaps it cannot be read at all."""
    first = next(source.lines(), None)
    if isinstance(first, Fault) and first.line == 0:
        yield first
        return
    remedy = f"end its name in one of {', '.join(readers)}; all but .parquet may be gzipped: {GZIP}"
    yield Fault(file=str(source.path), line=0, reason="the file's name does not tell its format", remedy=remedy)
