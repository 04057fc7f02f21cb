"""``/v1/documents``: what was acknowledged is durable, and found within a second, or before the answer."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response

from nearer.core.errors import InputError
from nearer.core.records import Document
from nearer.flows.documents import document, document_ids, put, remove_documents
from nearer.store.formats.fields import check_storable
from nearer.store.formats.fields import document as checked
from nearer.store.formats.source import Source
from nearer.web.schemas import (
    DocumentIds,
    DocumentIn,
    DocumentOut,
    DocumentsRemoved,
    DocumentsRequest,
    DocumentsWritten,
    respond,
)
from nearer.web.service import Service

_REQUEST = Source(Path("the request"), encoding="utf-8")
Ids = Annotated[list[str], Query(alias="id", min_length=1, description="The documents' ids.")]


def document_routes(service: Service) -> APIRouter:
    """The routes of documents."""
    routes = APIRouter(tags=["documents"])
    most = service.limits.documents

    @routes.put("/v1/documents", response_model=DocumentsWritten, summary="Write documents")
    async def write(request: DocumentsRequest, wait: bool = False) -> Response:
        """Add documents, or replace those of the same ids: all of them, or none. ``wait`` until they can be found."""
        service.refuse_many(len(request.documents), what="documents", limit=most)
        return respond(await service.do(lambda deadline: _written(service, request, wait, deadline)))

    @routes.get("/v1/documents", response_model=DocumentIds, summary="List ids")
    async def ids(after: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """List the ids that follow ``after``."""
        found = await service.do(lambda _: document_ids(service.workspace, after=after, limit=limit))
        return respond(DocumentIds(ids=found, next=found[-1] if len(found) == limit else None))

    @routes.delete("/v1/documents", response_model=DocumentsRemoved, summary="Remove documents")
    async def remove(ids: Ids) -> Response:
        """Remove documents, the judgments on them, and their texts from what was recorded: all of them, or none."""
        service.refuse_many(len(ids), what="documents", limit=most)
        await service.do(lambda _: _removed(service, ids))
        return respond(DocumentsRemoved(num_removed=len(set(ids))))

    @routes.get("/v1/documents/{doc_id:path}", response_model=DocumentOut, summary="One document")
    async def one(doc_id: str) -> Response:
        """Show a document as it is now."""
        found = await service.do(lambda _: document(service.workspace, doc_id))
        return respond(DocumentOut(id=found.doc_id, title=found.title, text=found.text, metadata=found.metadata))

    return routes


def _written(service: Service, request: DocumentsRequest, wait: bool, deadline: float) -> DocumentsWritten:
    if wait:
        service.refuse_not_ready()  # before anything is written that could not be found
    written = put(service.workspace, [_document(service, each) for each in request.documents])
    service.indexer.wake()
    if wait:
        service.follower.wait_for(written.revision, deadline=deadline)
    changes = written.changes
    return DocumentsWritten(
        num_added=changes.num_added,
        num_updated=changes.num_updated,
        num_unchanged=changes.num_unchanged,
        searchable=wait,
    )


def _document(service: Service, given: DocumentIn) -> Document:
    """The document, checked as an import checks it. Raises InputError, TooLarge."""
    service.refuse_text(f"{given.title}{given.text}", what=f"the document {given.id[:100]!r}")
    fields = {"_id": given.id, "text": given.text, "title": given.title, "metadata": given.metadata}
    try:
        check_storable(fields, source=_REQUEST)
        return checked(fields)
    except InputError as error:
        raise InputError(f"the document {given.id[:100]!r}: {error.message}", hint=error.hint) from error


def _removed(service: Service, ids: list[str]) -> None:
    remove_documents(service.workspace, list(dict.fromkeys(ids)))
    service.indexer.wake()
