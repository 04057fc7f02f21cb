"""The words of the workspace's documents, ready to be searched, and kept until the documents change."""

import json
from dataclasses import dataclass
from pathlib import Path

from nearer.core.failpoints import failpoint
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.files import remove_tree, scratch_folder
from nearer.store.sealed import fault_in, seal
from nearer.store.workspace import Workspace

_DOC_IDS = "doc_ids.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Words:
    """A lexical index of documents, whose rows are places in ``doc_ids``."""

    doc_ids: tuple[str, ...]
    index: LexicalIndex


def read_words(workspace: Workspace) -> Words:
    """The words of today's documents, kept from before or made now.

    A workspace that cannot be written to keeps nothing; the words are made each time.
    """
    collection = workspace.collection
    folder = workspace.lexical / str(collection.revision())
    if kept := _kept(folder):
        return kept
    documents = collection.documents()
    words = Words(
        doc_ids=tuple(document.doc_id for document in documents),
        index=LexicalIndex([document.full_text for document in documents]),
    )
    if collection.revision() == int(folder.name) and words.index.has_terms:
        _keep(words, folder)
    return words


def _kept(folder: Path) -> Words | None:
    """The words in a folder; none where they are not there, or not whole."""
    if fault_in(folder):
        return None
    try:
        doc_ids = json.loads((folder / _DOC_IDS).read_text(encoding="utf-8"))
        return Words(doc_ids=tuple(doc_ids), index=LexicalIndex.load(folder))
    except (OSError, ValueError):
        return None


def _keep(words: Words, folder: Path) -> None:
    """Put the words beside the database, in place of those of earlier documents."""
    try:
        folder.parent.mkdir(exist_ok=True)
        with scratch_folder(folder.parent) as scratch:
            words.index.save(scratch)
            (scratch / _DOC_IDS).write_text(json.dumps(words.doc_ids), encoding="utf-8")
            for former in folder.parent.glob("[0-9]*"):  # of other documents, or damaged
                remove_tree(former)
            seal(scratch, folder)
        failpoint("lexical.kept")
    except OSError:  # read-only, or full: what is kept only saves time
        return
