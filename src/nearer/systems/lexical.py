"""BM25 over the workspace's documents, ready to be asked, and kept until the documents change."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearer.core.analysis import analyser_id
from nearer.core.failpoints import failpoint
from nearer.core.records import Document
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.checksummed import fault_in, keep_checksummed
from nearer.store.files import remove_tree, scratch_folder
from nearer.store.workspace import Workspace

_DOC_IDS = "doc_ids.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bm25:
    """A lexical index of documents, whose rows are places in ``doc_ids``."""

    doc_ids: tuple[str, ...]
    index: LexicalIndex


def read_bm25(
    workspace: Workspace, *, language: str, read: Callable[[], tuple[int, Sequence[Document]]] | None = None
) -> Bm25:
    """BM25 over today's documents in a language, kept from before or made now.

    ``read`` gives the documents and their revision where a command has read them already.
    What other words were made of is not used: neither other documents, nor another way to cut and stem. A workspace
    that cannot be written to keeps nothing; the index is made each time.
    """
    collection = workspace.collection
    revision = read()[0] if read else collection.revision()
    folder = workspace.lexical / f"{revision}-{analyser_id(language)}"
    if kept := _kept(folder, language=language):
        return kept
    documents = read()[1] if read else collection.documents()
    bm25 = Bm25(
        doc_ids=tuple(document.doc_id for document in documents),
        index=LexicalIndex([document.full_text for document in documents], language=language),
    )
    if collection.revision() == revision and bm25.index.has_terms:
        _keep(bm25, folder)
    return bm25


def _kept(folder: Path, *, language: str) -> Bm25 | None:
    """The index in a folder; none where it is not there, or not whole."""
    if fault_in(folder):
        return None
    try:
        doc_ids = json.loads((folder / _DOC_IDS).read_text(encoding="utf-8"))
        return Bm25(doc_ids=tuple(doc_ids), index=LexicalIndex.load(folder, language=language))
    except (OSError, ValueError):
        return None


def _keep(bm25: Bm25, folder: Path) -> None:
    """Put the index beside the database, in place of that of earlier documents."""
    try:
        folder.parent.mkdir(exist_ok=True)
        with scratch_folder(folder.parent) as scratch:
            bm25.index.save(scratch)
            (scratch / _DOC_IDS).write_text(json.dumps(bm25.doc_ids), encoding="utf-8")
            for former in folder.parent.glob("[0-9]*"):  # of other documents or terms, or damaged
                remove_tree(former)
            keep_checksummed(scratch, folder)
        failpoint("lexical.kept")
    except OSError:  # read-only, or full: what is kept only saves time
        return
