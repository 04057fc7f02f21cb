"""What a workspace holds to search and to learn from: documents, queries, judgments, pairs, splits.

Functions that take a connection see what its transaction changed. Everything is returned in id order (by UTF-8 bytes,
as trec_eval sorts). What changes any of it is in ``changing``.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.judging import blend
from nearer.core.records import TRUSTED, Document, Judgment, JudgmentSource, Metadata, Pair, Query
from nearer.store import tables
from nearer.store.database import Database

T = TypeVar("T")
BATCH = 500
"""Rows a statement: well below SQLite's limit of 32,766 bound values."""

TRAIN = "train"
SYNTHETIC = "synthetic"
"""The split of written queries that choose a checkpoint where no real query is judged."""
SYNTHETIC_ID = "synthetic-"
"""How the ids of written queries begin."""
CLICKED = "clicked"
"""How the ids begin of queries that only the log of clicks knows; they train, and measure nothing."""
LEAKED = "leaked"
"""The split of queries set aside because another side knows them."""
JUDGED_BY = ("query_id", "doc_id", "source", "rater")
"""What a judgment is one by: a pair of ids, and who judged it."""


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Items in lists of ``size``, the last one shorter.

    >>> list(batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def queries_of(connection: Connection, split: str | None = None) -> list[Query]:
    """The queries of a split, or all, as the transaction of ``connection`` sees them."""
    table, members = tables.queries, tables.split_members
    statement = sa.select(table)
    if split is not None:
        statement = statement.join(members).where(members.c.split == split)
    return _queries(connection, statement)


def members_of(connection: Connection, split: str) -> set[str]:
    """The ids of the queries of a split, as the transaction of ``connection`` sees them."""
    members = tables.split_members
    return set(connection.scalars(sa.select(members.c.query_id).where(members.c.split == split)))


def unknown_ids(connection: Connection, column: sa.Column[Any], ids: Iterable[str]) -> set[str]:
    """Those of ``ids`` that ``column`` does not hold."""
    wanted = set(ids)
    for batch in batches(list(wanted)):
        wanted.difference_update(connection.scalars(sa.select(column).where(column.in_(batch))))
    return wanted


def _queries(connection: Connection, statement: sa.Select[Any]) -> list[Query]:
    """The queries that ``statement`` selects, in id order."""
    return [
        Query(query_id=row.query_id, text=row.text, metadata=row.metadata)
        for row in connection.execute(statement.order_by(tables.queries.c.query_id))
    ]


def revision_of(connection: Connection) -> int:
    """How often documents were changed, as the transaction of ``connection`` sees it."""
    statement = sa.select(tables.revisions.c.number).where(tables.revisions.c.name == tables.documents.name)
    return connection.scalar(statement) or 0


class OneMoment:
    """The database as a connection sees it, however often it is read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The connection."""
        yield self._connection


class Collection:
    """The reading side."""

    def __init__(
        self,
        database: Database | OneMoment,
        *,
        measured_by: tuple[JudgmentSource, ...] = TRUSTED,
        trained_by: tuple[JudgmentSource, ...] = TRUSTED,
    ) -> None:
        self._database = database
        self.measured_by, self.trained_by = measured_by, trained_by

    def seen_by(self, connection: Connection) -> "Collection":
        """The same as a connection sees it."""
        return Collection(OneMoment(connection), measured_by=self.measured_by, trained_by=self.trained_by)

    def documents(self, doc_ids: Sequence[str] | None = None) -> list[Document]:
        """All documents, or those of ``doc_ids`` that exist."""
        return [
            Document(doc_id=row.doc_id, title=row.title, text=row.text, metadata=row.metadata)
            for row in self._select(tables.documents, tables.documents.c.doc_id, doc_ids)
        ]

    def snapshot(self) -> tuple[int, list[Document]]:
        """The revision and the documents as they are together."""
        table = tables.documents
        with self._database.read() as connection:
            number = revision_of(connection)
            rows = connection.execute(sa.select(table).order_by(table.c.doc_id))
            return number, [
                Document(doc_id=row.doc_id, title=row.title, text=row.text, metadata=row.metadata) for row in rows
            ]

    def each_document(self) -> Iterator[Document]:
        """Every document, read as they are asked for, so that they need not fit into memory."""
        table = tables.documents
        with self._database.read() as connection:
            rows = connection.execution_options(yield_per=BATCH).execute(sa.select(table).order_by(table.c.doc_id))
            for row in rows:
                yield Document(doc_id=row.doc_id, title=row.title, text=row.text, metadata=row.metadata)

    def document_hashes(self) -> dict[str, str]:
        """The text hash of every document, by id."""
        table = tables.documents
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table.c.doc_id, table.c.text_hash).order_by(table.c.doc_id))
            return {row.doc_id: row.text_hash for row in rows}

    def document_metadata(self) -> Iterator[tuple[str, str, Metadata]]:
        """The id, text hash and metadata of every document, read as they are asked for."""
        table = tables.documents
        columns = (table.c.doc_id, table.c.text_hash, table.c.metadata)
        with self._database.read() as connection:
            for row in connection.execution_options(yield_per=BATCH).execute(
                sa.select(*columns).order_by(table.c.doc_id)
            ):
                yield row.doc_id, row.text_hash, row.metadata

    def revision(self) -> int:
        """How often documents were added, changed or removed; an equal number means the same documents."""
        with self._database.read() as connection:
            return revision_of(connection)

    def queries(self, split: str | None = None) -> list[Query]:
        """The queries of a split, or all."""
        with self._database.read() as connection:
            return queries_of(connection, split)

    def judgments(self, split: str | None = None) -> list[Judgment]:
        """What counts of the judgments on the queries of a split, or of all: one a pair, see ``core/judging.py``.

        Those on training queries are of ``trained_by``, all others of ``measured_by``; on written queries that choose
        a checkpoint, of those who wrote them.
        """
        if split == SYNTHETIC:
            return blend(self.all_judgments(split), ["synthetic"])
        return blend(self.all_judgments(split), self.trained_by if split == TRAIN else self.measured_by)

    def all_judgments(self, split: str | None = None) -> list[Judgment]:
        """Every judgment on the queries of a split, or of all, whoever made it."""
        table, members = tables.judgments, tables.split_members
        statement = sa.select(table).order_by(*(table.c[name] for name in JUDGED_BY))
        if split is not None:
            statement = statement.join(members, members.c.query_id == table.c.query_id).where(members.c.split == split)
        with self._database.read() as connection:
            return [Judgment(**row._mapping) for row in connection.execute(statement)]

    def judged(self, query_ids: Iterable[str]) -> set[tuple[str, str]]:
        """The judged pairs (query_id, doc_id) of some queries, whatever their grade."""
        table, found = tables.judgments, set()
        with self._database.read() as connection:
            for batch in batches(sorted(query_ids)):
                statement = sa.select(table.c.query_id, table.c.doc_id).where(
                    table.c.query_id.in_(batch) & table.c.source.in_(self.measured_by)
                )
                found |= {(row.query_id, row.doc_id) for row in connection.execute(statement)}
        return found

    def pairs(self) -> list[Pair]:
        """All training pairs given as text."""
        with self._database.read() as connection:
            return [
                Pair(
                    query=row.query,
                    positive=row.positive,
                    negatives=tuple(row.negatives),
                    score=row.score,
                    negative_scores=tuple(row.negative_scores),
                    source=row.source,
                )
                for row in connection.execute(sa.select(tables.pairs).order_by(tables.pairs.c.pair_id))
            ]

    def splits(self) -> dict[str, int]:
        """How many queries each split holds, by name."""
        members = tables.split_members
        statement = sa.select(members.c.split, sa.func.count()).group_by(members.c.split).order_by(members.c.split)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def texts_outside(self, splits: Sequence[str]) -> list[str]:
        """The texts of the queries of all other splits, split by split."""
        others = [split for split in self.splits() if split not in splits]
        return [query.text for split in others for query in self.queries(split)]

    def unsplit_queries(self) -> list[Query]:
        """The queries that are in no split yet."""
        table, members = tables.queries, tables.split_members
        statement = sa.select(table).where(table.c.query_id.not_in(sa.select(members.c.query_id)))
        with self._database.read() as connection:
            return _queries(connection, statement)

    def split_of(self) -> dict[str, list[str]]:
        """The splits of every query that is in one, by query id."""
        members = tables.split_members
        found: dict[str, list[str]] = {}
        with self._database.read() as connection:
            for row in connection.execute(sa.select(members).order_by(members.c.query_id, members.c.split)):
                found.setdefault(row.query_id, []).append(row.split)
        return found

    def waiting_queries(self) -> set[str]:
        """The queries that are in their split only while few are judged."""
        members = tables.split_members
        with self._database.read() as connection:
            return set(connection.scalars(sa.select(members.c.query_id).where(members.c.is_waiting)))

    def num_judged_queries(self) -> int:
        """How many queries have a document of a grade above 0."""
        table = tables.judgments
        statement = sa.select(sa.func.count(sa.distinct(table.c.query_id))).where(
            (table.c.grade > 0) & table.c.source.in_(TRUSTED)
        )
        with self._database.read() as connection:
            return connection.scalar(statement) or 0

    def largest_grade(self) -> int:
        """The largest grade of all judgments, 0 when there are none."""
        table = tables.judgments
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.max(table.c.grade)).where(table.c.source.in_(TRUSTED))) or 0

    def counts(self) -> dict[str, int]:
        """How many documents, queries, judgments and pairs there are."""
        counted = (tables.documents, tables.queries, tables.judgments, tables.pairs)
        with self._database.read() as connection:
            return {t.name: connection.scalar(sa.select(sa.func.count()).select_from(t)) or 0 for t in counted}

    def _select(self, table: sa.Table, key: sa.Column[Any], ids: Sequence[str] | None) -> list[sa.Row[Any]]:
        with self._database.read() as connection:
            if ids is None:
                return list(connection.execute(sa.select(table).order_by(key)))
            rows: list[sa.Row[Any]] = []
            for batch in batches(ids):
                rows.extend(connection.execute(sa.select(table).where(key.in_(batch))))
        return sorted(rows, key=lambda row: str(row._mapping[key.name]).encode())
