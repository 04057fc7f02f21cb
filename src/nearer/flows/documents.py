"""Documents one at a time, as a service takes them in: added or replaced, listed, removed."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nearer.core.errors import InputError, NotFound
from nearer.core.failpoints import failpoint
from nearer.core.records import Document
from nearer.core.results.changes import Changes
from nearer.flows.remove import remove
from nearer.store import tables
from nearer.store.changing import put_documents
from nearer.store.collection import revision_of, unknown_ids
from nearer.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a change did, and the revision of the documents from which on it is there."""

    changes: Changes
    revision: int


def put(workspace: Workspace, documents: Sequence[Document]) -> Written:
    """Add documents, or replace those of the same ids; durable once it returns. Raises InputError for an id twice."""
    ids = [document.doc_id for document in documents]
    if twice := {doc_id for doc_id in ids if ids.count(doc_id) > 1} if len(set(ids)) < len(ids) else set():
        raise InputError(f"{sorted(twice)[0]!r} is there twice", hint="send each document once")
    with workspace.write("put documents") as connection:
        changes = put_documents(connection, documents)
        revision = revision_of(connection)
    failpoint("documents.commit")
    return Written(changes=changes, revision=revision)


def remove_documents(workspace: Workspace, doc_ids: Sequence[str]) -> int:
    """Remove documents as ``nearer remove`` does; the revision then. Raises NotFound where one is not there."""
    with workspace.database.read() as connection:
        unknown = unknown_ids(connection, tables.documents.c.doc_id, doc_ids)
    if unknown:
        raise NotFound(f"no document {', '.join(sorted(unknown))}", hint="nothing was removed; check the ids")
    remove(workspace, doc_ids)
    return workspace.collection.revision()


def document(workspace: Workspace, doc_id: str) -> Document:
    """The document of that id. Raises NotFound."""
    for found in workspace.collection.documents([doc_id]):
        return found
    raise NotFound(f"no document {doc_id!r}", hint="list the ids: GET /v1/documents")


def document_ids(workspace: Workspace, *, after: str, limit: int) -> list[str]:
    """The ids that follow ``after`` in their order, at most ``limit``."""
    column = tables.documents.c.doc_id
    with workspace.database.read() as connection:
        return list(connection.scalars(sa.select(column).where(column > after).order_by(column).limit(limit)))
