"""The texts of removed documents go from what was recorded of them: results, evidence, history, mined samples."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.records import Document
from nearer.store import tables

REMOVED = "(removed since)"
_LEAST = 12
"""Shorter strings than so many characters may be of anything; beside a removed document's id they go all the same."""
_RECORDS = (
    (tables.results, tables.results.c.content),
    (tables.decisions, tables.decisions.c.evaluation),
    (tables.decisions, tables.decisions.c.suite),
    (tables.decisions, tables.decisions.c.reasons),
    (tables.decisions, tables.decisions.c.notes),
    (tables.trainings, tables.trainings.c.record),
)


def redact(connection: Connection, documents: Sequence[Document]) -> int:
    """Put a note in place of these documents' texts and passages wherever they were recorded; how many rows held any.

    What is also the text of a document that stays goes too: nobody can tell them apart.
    """
    removed_ids = {document.doc_id for document in documents}
    texts = [document.full_text for document in documents]
    num_changed = 0
    for table, column in _RECORDS:
        [key] = table.primary_key
        rows = connection.execute(sa.select(key, column).where(column.is_not(None))).all()
        for row_key, value in rows:
            cleaned = _cleaned(value, removed_ids, texts)
            if cleaned != value:
                connection.execute(table.update().where(key == row_key).values({column.name: cleaned}))
                num_changed += 1
    return num_changed


def _cleaned(value: Any, removed_ids: set[str], texts: Sequence[str]) -> Any:
    match value:
        case dict():
            of_removed = value.get("doc_id") in removed_ids
            return {
                key: REMOVED if of_removed and key == "text" else _cleaned(item, removed_ids, texts)
                for key, item in value.items()
            }
        case list():
            return [_cleaned(item, removed_ids, texts) for item in value]
        case str() if len(value) >= _LEAST and any(value in text or text in value for text in texts if text):
            return REMOVED
    return value
