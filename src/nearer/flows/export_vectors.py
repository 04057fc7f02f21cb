"""Write the vectors of a system's documents for other stores, stamped with their space."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.data import ExportedVectors
from nearer.encode.chunk import Window, passages
from nearer.encode.corpus import chunking_name, embed_passages, window_of
from nearer.store.collection import batches
from nearer.store.formats.vectors import Stamp, VectorBatch, VectorStore, write_vectors
from nearer.store.workspace import Workspace
from nearer.systems import System, api_use, open_system
from nearer.systems.pipeline import wants_vectors
from nearer.systems.space_index import DOCUMENTS_AT_ONCE

STORES: tuple[VectorStore, ...] = get_args(VectorStore)


def export_vectors(
    workspace: Workspace,
    path: Path | str,
    *,
    system: str = "live",
    store: str = "parquet",
    progress: Progress | None = None,
) -> ExportedVectors:
    """Write the vector of every passage of a ``system``: as Parquet, or as ``store`` loads it.

    A vector comes from the cache, or is made. pgvector's file is SQL for psql; those of Qdrant and OpenSearch have a
    request a line. Each names the space, and only queries of an encoder that serves in it may meet these vectors.

    Raises InputError for another store, a system without vectors, no documents, and a file that cannot be written.
    """
    progress = progress or Silent()
    if store not in STORES:
        raise InputError(f"no store {store!r}", hint=f"name one of: {', '.join(STORES)}")
    doc_ids = list(workspace.collection.document_hashes())
    if not doc_ids:
        raise InputError("the workspace holds no documents", hint="import some: nearer add corpus FILE")
    opened = open_system(workspace, system)
    if not wants_vectors(opened.stages):
        raise InputError(f"{system} has no vectors", hint="name a model: nearer status")
    window = window_of(opened.chunk, opened.encoder)
    stamp = Stamp(
        space_id=opened.encoder.space_id,
        query_encoder_id=opened.encoder.encoder_id,
        model_id=opened.model.model_id,
        dimension=opened.encoder.dimension,
        chunking=chunking_name(window),
    )
    try:
        num_vectors = write_vectors(
            Path(path), store, stamp, _batches(workspace, opened, window, doc_ids, progress=progress)
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}", hint="check the path and the disk") from error
    failpoint("export.vectors")
    return ExportedVectors(
        file=str(path),
        store=store,
        space_id=stamp.space_id,
        model_id=stamp.model_id,
        dimension=stamp.dimension,
        num_documents=len(doc_ids),
        num_vectors=num_vectors,
        api=api_use([opened]),
    )


def _batches(
    workspace: Workspace, system: System, window: Window | None, doc_ids: list[str], *, progress: Progress
) -> Iterator[VectorBatch]:
    parts = list(batches(doc_ids, DOCUMENTS_AT_ONCE))
    for part in progress.track(parts, label="export vectors", total=len(doc_ids), size=len):
        documents = workspace.collection.documents(part)
        cut = list(passages(documents, window=window, token_spans=system.encoder.token_spans))
        emb_PD, _ = embed_passages(workspace, system.encoder, [each.text for each in cut], Silent())
        yield VectorBatch(passages=cut, emb_PD=emb_PD)
