"""One query against the live release."""

from typing import Any

from nearer.core.errors import InputError, NotFound
from nearer.core.text import normalise
from nearer.flows.embedding import chunking_name, window_of
from nearer.flows.systems import LIVE, open_release, spent
from nearer.search.exact import ExactIndex
from nearer.store.collection import Collection
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace


def search(workspace: Workspace, text: str, *, k: int = 10) -> dict[str, Any]:
    """The ``k`` best documents for ``text``; documents removed since the index was built are left out.

    Raises InputError for a blank query or a ``k`` below 1, NotFound when nothing is live.
    """
    if not normalise(text):
        raise InputError("the query is blank", hint='for example: nearer search "rotate a log file"')
    if k < 1:
        raise InputError(f"-k {k}: at least one result must be asked for", hint="for example: -k 10")
    release = Registry(workspace.database).live()
    if release is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    system = open_release(workspace, release, name=LIVE)
    encoder = system.encoder
    index = ExactIndex.open(workspace.indexes / release.space_id, space_id=release.space_id)
    hashes = Collection(workspace.database).document_hashes()
    num_gone = len(set(index.content.doc_ids) - hashes.keys())
    found = index.search(encoder.encode_queries([text]), space_id=encoder.encoder_id, k=min(k, len(hashes)) + num_gone)
    ranked = [
        (index.content.doc_ids[row], float(score))
        for row, score in zip(found.rows_QK[0].tolist(), found.scores_QK[0].tolist(), strict=True)
        if row >= 0 and index.content.doc_ids[row] in hashes
    ][:k]
    documents = {
        document.doc_id: document for document in Collection(workspace.database).documents([d for d, _ in ranked])
    }
    return {
        "release_id": release.release_id,
        "space_id": release.space_id,
        "stale": list(index.differences(hashes, chunking=chunking_name(window_of(system.chunk, encoder)))),
        "results": [
            {"doc_id": doc_id, "score": score, "text": documents[doc_id].full_text} for doc_id, score in ranked
        ],
        **spent([system]),
    }
