"""Build, inspect and verify the index of a system's space."""

from typing import Any

from nearer.core.errors import NearerError, NotFound
from nearer.core.progress import Progress, Silent
from nearer.flows.embedding import chunking_name, embed_corpus, read_corpus, window_of
from nearer.flows.systems import LIVE, System, open_release, open_system, spent
from nearer.search.exact import ExactIndex, IndexContent
from nearer.store.collection import Collection
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace


def index(workspace: Workspace, system: str | None = None, *, progress: Progress | None = None) -> dict[str, Any]:
    """Bring the index of a system's space up to the documents; without a name those of live and its predecessor.

    Only new and edited texts are encoded.
    """
    progress = progress or Silent()
    with workspace.writer("index"):
        systems = _systems(workspace, system)
        built = [build(workspace, each, progress=progress) for each in systems]
    return {"indexes": built, **spent(systems)}


def build(workspace: Workspace, system: System, *, progress: Progress) -> dict[str, Any]:
    """Write the index of one system's space; the caller holds the workspace's writer lock."""
    corpus = read_corpus(workspace, system.encoder, chunk=system.chunk)
    vectors_PD, num_encoded = embed_corpus(workspace, system.encoder, corpus, progress)
    hashes = Collection(workspace.database).document_hashes()
    content = IndexContent(
        space_id=system.model.space_id,
        chunking=corpus.chunking,
        doc_ids=corpus.doc_ids,
        text_hashes=tuple(hashes[doc_id] for doc_id in corpus.doc_ids),
        starts_N=corpus.starts_N,
        vectors_PD=vectors_PD,
    )
    ExactIndex.build(workspace.indexes / content.space_id, content)
    return {
        "system": system.name,
        "space_id": content.space_id,
        "num_documents": len(corpus.documents),
        "num_passages": len(corpus.passages),
        "num_encoded": num_encoded,
    }


def verify(workspace: Workspace, system: System) -> tuple[str, ...]:
    """What is wrong with the index of a system's space; empty when it is whole and follows the documents."""
    chunking = chunking_name(window_of(system.chunk, system.encoder))
    try:
        opened = ExactIndex.open(workspace.indexes / system.model.space_id, space_id=system.model.space_id)
    except NearerError as error:
        return (error.message,)
    return opened.differences(Collection(workspace.database).document_hashes(), chunking=chunking)


def index_status(workspace: Workspace, system: str | None = None) -> dict[str, Any]:
    """Whether the indexes follow the documents; the verdict is "faults" when one does not."""
    faults = {each.name: list(verify(workspace, each)) for each in _systems(workspace, system)}
    return {"verdict": "faults" if any(faults.values()) else "ok", "faults": faults}


def _systems(workspace: Workspace, name: str | None) -> list[System]:
    """The named system, or live and its predecessor; what a release pins is never cut by today's recipe."""
    registry = Registry(workspace.database)
    released = [each for each in (registry.live(), registry.previous()) if each]
    if name is None:
        if not released:
            raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
        names = [LIVE, *(each.model_id for each in released[1:])]
        return [open_release(workspace, each, name=name) for each, name in zip(released, names, strict=True)]
    system = open_system(workspace, name)
    for each in released:
        if each.space_id == system.model.space_id:
            return [open_release(workspace, each, name=name)]
    return [system]
