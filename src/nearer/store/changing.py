"""The writing side of a collection: documents, queries, pairs, judgments and splits come in, change and go.

Each function takes the connection of a write transaction, so that an import of several files is one change.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.ids import content_id, text_hash
from nearer.core.records import Document, Judgment, JudgmentSource, Pair, Query
from nearer.core.results.changes import Changes
from nearer.store import tables
from nearer.store.collection import JUDGED_BY, batches
from nearer.store.database import insert_into


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
    _upsert(connection, table, [asdict(each) for each in changed], keys=JUDGED_BY)
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
