"""One query against the live release."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nearer.core.errors import InputError, NotFound
from nearer.core.filters import Fields, Filter, parse_filter, parse_where
from nearer.core.records import Document
from nearer.core.text import normalise
from nearer.flows.embedding import chunking_name, window_of
from nearer.flows.index import entry_hashes
from nearer.flows.systems import LIVE, System, open_release, spent
from nearer.retrieval.entries import Ranking
from nearer.retrieval.index import Index, differences, open_index
from nearer.store.collection import Collection
from nearer.store.files import inside
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace

Where = Mapping[str, object] | Sequence[str] | None


def search(
    workspace: Workspace, text: str, *, k: int = 10, where: Where = None, lexical: bool = False
) -> dict[str, Any]:
    """The ``k`` best documents for ``text``; documents removed since the index was built are left out.

    ``where`` is a filter in the grammar of OpenAI's vector stores, or conditions such as "year>=2020" that must all
    hold. ``lexical`` ranks by words instead of vectors.

    Raises InputError for a blank query, a ``k`` below 1, and a filter that cannot be used; NotFound when nothing is
    live.
    """
    if not normalise(text):
        raise InputError("the query is blank", hint='for example: nearer search "rotate a log file"')
    if k < 1:
        raise InputError(f"-k {k}: at least one result must be asked for", hint="for example: -k 10")
    release = Registry(workspace.database).live()
    if release is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    system = open_release(workspace, release, name=LIVE)
    index = open_index(inside(workspace.indexes, release.space_id), space_id=release.space_id)
    condition = _condition(where, index.manifest.spec.fields)
    vector_1D = None if lexical else system.encoder.encode_queries([text])

    def ranked(wanted: int) -> Ranking:
        if vector_1D is None:
            return index.search_text(text, k=wanted, where=condition)
        return index.search(vector_1D, space_id=system.encoder.encoder_id, k=wanted, where=condition)[0]

    collection = Collection(workspace.database)
    return {
        "release_id": release.release_id,
        "space_id": release.space_id,
        "stale": _stale(index, collection, system),
        "results": [
            {"doc_id": document.doc_id, "score": score, "text": document.full_text}
            for document, score in _present(ranked, collection, k=k)
        ],
        **spent([system]),
    }


def _condition(where: Where, fields: Fields) -> Filter | None:
    if where is None:
        return None
    if isinstance(where, Mapping):
        return parse_filter(where, fields)
    return parse_where([where] if isinstance(where, str) else where, fields)


def _present(ranked: Callable[[int], Ranking], collection: Collection, *, k: int) -> list[tuple[Document, float]]:
    """The ``k`` best documents that still exist; while too many of those found are gone, more are asked for."""
    wanted = k
    while True:
        ranking = ranked(wanted)
        found = {document.doc_id: document for document in collection.documents([doc_id for doc_id, _ in ranking])}
        present = [(found[doc_id], score) for doc_id, score in ranking if doc_id in found]
        if len(present) >= k or len(ranking) < wanted:
            return present[:k]
        wanted *= 2


def _stale(index: Index, collection: Collection, system: System) -> list[str]:
    """How the index differs from the documents; an equal revision tells without reading them that it follows."""
    manifest = index.manifest
    cut = chunking_name(window_of(system.chunk, system.encoder))
    if manifest.spec.chunking != cut:
        return [f"passages cut as {manifest.spec.chunking!r}, now {cut!r}"]
    if manifest.revision == collection.revision():
        return []
    return list(differences(index.hashes(), entry_hashes(collection, manifest.spec.fields)))
