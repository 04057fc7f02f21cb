"""What a workspace holds to search and to learn from: documents, queries, judgments, pairs, splits.

Functions that change something, or read what they changed, take the connection of a write transaction, so that an
import of several files is one change. Everything is returned in id order (by UTF-8 bytes, as trec_eval sorts).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.ids import content_id, text_hash
from nearer.core.judging import blend
from nearer.core.records import TRUSTED, Document, Judgment, JudgmentSource, Metadata, Pair, Query
from nearer.core.results.changes import Changes
from nearer.store import tables
from nearer.store.database import Database, insert_into

T = TypeVar("T")
BATCH = 500
"""Rows a statement: well below SQLite's limit of 32,766 bound values."""

TRAIN = "train"
SYNTHETIC = "synthetic"
"""The split of written queries that choose a checkpoint where no real query is judged."""
SYNTHETIC_ID = "synthetic-"
"""How the ids of written queries begin."""
LEAKED = "leaked"
"""The split of queries set aside because another side knows them."""


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Items in lists of ``size``, the last one shorter.

    >>> list(batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def put_documents(connection: Connection, documents: Sequence[Document]) -> Changes:
    """Add documents, or replace those whose content changed."""
    rows = [
        {
            "doc_id": document.doc_id,
            "title": document.title,
            "text": document.text,
            "metadata": dict(document.metadata),
            "text_hash": text_hash(document.full_text),
        }
        for document in documents
    ]
    changes = _put(connection, tables.documents, rows, key="doc_id")
    if changes.num_added or changes.num_updated:
        revise(connection, tables.documents)
    return changes


def put_queries(connection: Connection, queries: Sequence[Query]) -> Changes:
    """Add queries, or replace those whose text or metadata changed."""
    rows = [{"query_id": q.query_id, "text": q.text, "metadata": dict(q.metadata)} for q in queries]
    return _put(connection, tables.queries, rows, key="query_id")


def put_pairs(connection: Connection, pairs: Sequence[Pair]) -> Changes:
    """Add training pairs, or change the source of those that are there."""
    rows = []
    for pair in pairs:
        content = {
            **asdict(pair),
            "negatives": list(pair.negatives),
            "negative_scores": list(pair.negative_scores),
        }
        source = content.pop("source")
        rows.append({"pair_id": content_id("pair", content), **content, "source": source})
    return _put(connection, tables.pairs, rows, key="pair_id")


def grades_of(connection: Connection, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str, str, str], int]:
    """The grades of judgments on some pairs of a query and a document, as ``connection`` sees them.

    They are by query, document, source and rater.
    """
    table = tables.judgments
    statement = sa.select(table).where(sa.tuple_(table.c.query_id, table.c.doc_id).in_(pairs))
    return {_said_by(row): row.grade for row in connection.execute(statement)}


def put_judgments(connection: Connection, judgments: Sequence[Judgment]) -> Changes:
    """Add judgments, or change those of the same source and rater where they differ."""
    table, by = tables.judgments, {_said_by(each): each for each in judgments}
    pairs = list({(each.query_id, each.doc_id) for each in by.values()})
    statement = sa.select(table).where(sa.tuple_(table.c.query_id, table.c.doc_id).in_(pairs))
    known = {_said_by(row): (row.grade, row.weight) for row in connection.execute(statement)}
    changed = [each for key, each in by.items() if known.get(key) != (each.grade, each.weight)]
    _upsert(connection, table, [asdict(each) for each in changed], keys=_JUDGED_BY)
    num_updated = sum(_said_by(each) in known for each in changed)
    return Changes(
        num_added=len(changed) - num_updated, num_updated=num_updated, num_unchanged=len(judgments) - len(changed)
    )


def remove_judgments(connection: Connection, *, source: JudgmentSource) -> int:
    """Remove all judgments of a source; how many there were."""
    return connection.execute(tables.judgments.delete().where(tables.judgments.c.source == source)).rowcount


def remove_queries(connection: Connection, *, source: JudgmentSource, rater: str) -> int:
    """Remove the queries that a rater of a source alone judged, with these judgments; how many queries there were."""
    table = tables.judgments
    mine = (table.c.source == source) & (table.c.rater == rater)
    of_others = sa.select(table.c.query_id).where(~mine)
    labelled = sa.select(tables.label_pairs.c.query_id)
    ids = sa.select(table.c.query_id).where(mine, table.c.query_id.not_in(of_others), table.c.query_id.not_in(labelled))
    found = list(connection.scalars(ids.distinct()))
    connection.execute(table.delete().where(mine))
    for batch in batches(found):
        connection.execute(tables.split_members.delete().where(tables.split_members.c.query_id.in_(batch)))
        connection.execute(tables.queries.delete().where(tables.queries.c.query_id.in_(batch)))
    return len(found)


def weigh_rater(connection: Connection, *, source: JudgmentSource, rater: str, weight: float) -> int:
    """Set the weight of all judgments of a rater; how many there are. A weight of 0, an overruled one, stays."""
    table = tables.judgments
    mine = (table.c.source == source) & (table.c.rater == rater) & (table.c.weight > 0)
    return connection.execute(table.update().where(mine).values(weight=weight)).rowcount


def stamp_judgments(connection: Connection) -> None:
    """Note of new judgments which text they were made on."""
    table, documents = tables.judgments, tables.documents
    text = sa.select(documents.c.text_hash).where(documents.c.doc_id == table.c.doc_id).scalar_subquery()
    connection.execute(table.update().where(table.c.document_hash == "").values(document_hash=text))


_JUDGED_BY = ("query_id", "doc_id", "source", "rater")


def _said_by(row: Any) -> tuple[str, str, str, str]:
    return row.query_id, row.doc_id, row.source, row.rater


def put_split(connection: Connection, split: str, query_ids: Iterable[str], *, is_waiting: bool = False) -> None:
    """Enter queries in a split, for good or until enough are judged; a query may be in several test splits."""
    for batch in batches(query_ids):
        rows = [{"split": split, "query_id": query_id, "is_waiting": is_waiting} for query_id in batch]
        connection.execute(insert_into(connection, tables.split_members).on_conflict_do_nothing(), rows)


def move_to_split(connection: Connection, split: str, query_ids: Iterable[str]) -> None:
    """Take queries out of every split they are in and enter them in one."""
    for batch in batches(query_ids):
        connection.execute(tables.split_members.delete().where(tables.split_members.c.query_id.in_(batch)))
        put_split(connection, split, batch)


def leave_split(connection: Connection, split: str, query_ids: Iterable[str]) -> None:
    """Take queries out of one split; they stay in the others they are in."""
    members = tables.split_members
    for batch in batches(query_ids):
        connection.execute(members.delete().where((members.c.split == split) & members.c.query_id.in_(batch)))


def end_waiting(connection: Connection) -> None:
    """Leave every query that waited in its split for good."""
    connection.execute(tables.split_members.update().values(is_waiting=False))


def remove_documents(connection: Connection, doc_ids: Sequence[str]) -> int:
    """Remove documents, the judgments on them and what of them is labelled; how many documents there were."""
    num_removed = 0
    for batch in batches(doc_ids):
        connection.execute(tables.judgments.delete().where(tables.judgments.c.doc_id.in_(batch)))
        labelled = sa.select(tables.label_pairs.c.pair_id).where(tables.label_pairs.c.doc_id.in_(batch))
        connection.execute(tables.label_ratings.delete().where(tables.label_ratings.c.pair_id.in_(labelled)))
        connection.execute(tables.label_pairs.delete().where(tables.label_pairs.c.doc_id.in_(batch)))
        connection.execute(tables.llm_answers.delete().where(tables.llm_answers.c.doc_id.in_(batch)))
        num_removed += connection.execute(
            tables.documents.delete().where(tables.documents.c.doc_id.in_(batch))
        ).rowcount
    if num_removed:
        revise(connection, tables.documents)
    return num_removed


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


def _put(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]], *, key: str) -> Changes:
    """Insert what is new; only where something was there already, look at it and replace what differs."""
    statement = insert_into(connection, table).on_conflict_do_nothing()
    num_added = connection.execute(statement, rows).rowcount if rows else 0
    if num_added == len(rows):
        return Changes(num_added=num_added)
    column = table.c[key]
    found = connection.execute(sa.select(table).where(column.in_([row[key] for row in rows])))
    known = {row._mapping[key]: dict(row._mapping) for row in found}
    changed = [row for row in rows if known[row[key]] != row]
    _upsert(connection, table, changed, keys=(key,))
    num_unchanged = len(rows) - num_added - len(changed)
    return Changes(num_added=num_added, num_updated=len(changed), num_unchanged=num_unchanged)


def revision_of(connection: Connection) -> int:
    """How often documents were changed, as the transaction of ``connection`` sees it."""
    statement = sa.select(tables.revisions.c.number).where(tables.revisions.c.name == tables.documents.name)
    return connection.scalar(statement) or 0


def revise(connection: Connection, table: sa.Table) -> None:
    """Count one more change to a table."""
    number = tables.revisions.c.number
    statement = insert_into(connection, tables.revisions).values(name=table.name, number=1)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"number": number + 1}))


def _upsert(
    connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, object]], *, keys: tuple[str, ...]
) -> None:
    if not rows:
        return
    statement = insert_into(connection, table)
    others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=others), rows)


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
        statement = sa.select(table).order_by(*(table.c[name] for name in _JUDGED_BY))
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
