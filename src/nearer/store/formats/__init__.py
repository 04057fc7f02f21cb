"""Files that a team has, as records: the format is told by the name and checked by the content.

Each reader yields a ``Row`` or a ``Fault`` for each row, in order, and raises nothing for what a file holds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from nearer.core.errors import Fault
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.core.sections import ColumnsRecipe
from nearer.store.formats import fields, trec
from nearer.store.formats.columns import DOCUMENTS, JUDGMENTS, PAIRS, QUERIES, Columns
from nearer.store.formats.delimited import read_csv, read_tsv
from nearer.store.formats.fields import DEFAULT_MAX_GRADE
from nearer.store.formats.jsonl import read_jsonl
from nearer.store.formats.parquet import read_parquet
from nearer.store.formats.rows import Fields, Found, Row, read_rows
from nearer.store.formats.source import GZIP, read_lines
from nearer.store.formats.suite import read_suite

T = TypeVar("T")
__all__ = [
    "DEFAULT_MAX_GRADE",
    "Row",
    "read_documents",
    "read_judgments",
    "read_pairs",
    "read_queries",
    "read_run",
    "read_suite",
]

Reader = Callable[[Path, Columns], Iterator[Found]]

_TABLES: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".json": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
_TOPICS = dict.fromkeys((".topics", ".trec", ".txt"), lambda path, _: trec.read_topics(path))
_QRELS = dict.fromkeys((".qrels", ".trec", ".txt"), lambda path, _: trec.read_qrels(path))
_DEFAULT = ColumnsRecipe()


def read_documents(path: Path, *, columns: ColumnsRecipe = _DEFAULT) -> Iterator[Row[Document] | Fault]:
    """Documents: ``_id`` or ``doc_id``, ``text``, optional ``title`` and metadata; each id once."""
    kind = Columns(DOCUMENTS, columns.documents)
    return _read(path, _TABLES, kind, make=fields.document, key=lambda document: document.doc_id)


def read_queries(path: Path, *, columns: ColumnsRecipe = _DEFAULT) -> Iterator[Row[Query] | Fault]:
    """Queries: ``_id`` or ``query_id``, ``text``, optional metadata; or TREC topics; each id once."""
    kind = Columns(QUERIES, columns.queries)
    return _read(path, _TABLES | _TOPICS, kind, make=fields.query, key=lambda query: query.query_id)


def read_pairs(path: Path, *, columns: ColumnsRecipe = _DEFAULT) -> Iterator[Row[Pair] | Fault]:
    """Training pairs: ``query`` or ``anchor``, ``positive``, optional source, negatives and scores in [0, 1]."""
    return _read(path, _TABLES, Columns(PAIRS, columns.pairs), make=fields.pair, key=None)


def read_judgments(
    path: Path, *, max_grade: int = DEFAULT_MAX_GRADE, columns: ColumnsRecipe = _DEFAULT
) -> Iterator[Row[Judgment] | Fault]:
    """Judgments: two ids and an integer grade from 0 to ``max_grade``; or TREC qrels; each pair of ids once."""

    def judgment(row: Fields) -> Judgment:
        return fields.judgment(row, max_grade=max_grade)

    kind = Columns(JUDGMENTS, columns.judgments)
    return _read(path, _TABLES | _QRELS, kind, make=judgment, key=lambda each: f"{each.query_id}\t{each.doc_id}")


def read_run(path: Path) -> Iterator[Row[trec.RunEntry] | Fault]:
    """The lines of a TREC run, whatever the file is called; each pair of ids once."""
    found = trec.read_run(path)
    return read_rows(found, path, make=trec.run_entry, key=lambda each: f"{each.query_id}\t{each.doc_id}")


def _read(
    path: Path,
    readers: dict[str, Reader],
    columns: Columns,
    *,
    make: Callable[[Fields], T],
    key: Callable[[T], str] | None,
) -> Iterator[Row[T] | Fault]:
    inner = path.with_suffix("") if path.suffix.lower() == GZIP else path
    reader = readers.get(inner.suffix.lower())
    if reader is None or (reader is read_parquet and inner is not path):
        return _unknown(path, readers)
    return read_rows(reader(path, columns), path, make=make, key=key)


def _unknown(path: Path, readers: dict[str, Reader]) -> Iterator[Fault]:
    """What is wrong with a file whose name tells no format: perhaps it cannot be read at all."""
    first = next(read_lines(path), None)
    if isinstance(first, Fault) and first.line == 0:
        yield first
        return
    remedy = f"end its name in one of {', '.join(readers)}; all but .parquet may be gzipped: {GZIP}"
    yield Fault(file=str(path), line=0, reason="the file's name does not tell its format", remedy=remedy)
