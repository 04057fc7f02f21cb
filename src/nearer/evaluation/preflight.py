"""What one pass over the documents tells before anything is trained or measured, with one batch of them in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from nearer.core.analysis import count_letters, words
from nearer.core.near_duplicates import Grouping
from nearer.core.progress import Progress
from nearer.core.records import Document
from nearer.encode.corpus import count_truncated, cut, window_of
from nearer.encode.encoder import TextEncoder
from nearer.encode.unknown import MOST_READ, UnknownTokens, count_unknown, script_of
from nearer.store.collection import batches
from nearer.store.workspace import Workspace


@dataclass(slots=True)
class DocumentScan:
    """What was found: numbers of documents, and of passages as the base reads them.

    ``num_near`` documents are connected to an earlier one by near-duplicates, of them ``num_same`` by texts that are
    the same. ``unspaced`` counts the documents that hold letters of scripts without spaces, by script. ``unknown`` is
    None where the tokenizer is not here.
    """

    num_documents: int = 0
    num_passages: int = 0
    num_truncated: int = 0
    num_same: int = 0
    num_near: int = 0
    num_wordless: int = 0
    num_read: int = 0
    unspaced: Counter[str] = field(default_factory=Counter)
    unknown: UnknownTokens | None = None


def scan_documents(workspace: Workspace, encoder: TextEncoder | None, *, progress: Progress) -> DocumentScan:
    """Read every document once. Without an encoder nothing is said of passages."""
    scan = DocumentScan()
    grouping = Grouping(_texts(workspace, encoder, scan, progress))
    clusters = grouping.clusters(progress=progress)
    scan.num_same = scan.num_documents - grouping.num_distinct
    scan.num_near = sum(first != row for row, first in enumerate(clusters))
    return scan


def unknown_in_queries(workspace: Workspace, encoder: TextEncoder) -> UnknownTokens | None:
    """The unknown tokens of queries, of some where they are many."""
    texts = [query.text for query in workspace.collection.queries()]
    return count_unknown(encoder, texts[:: ceil(len(texts) / MOST_READ) or 1], of_queries=True)


def _texts(workspace: Workspace, encoder: TextEncoder | None, scan: DocumentScan, progress: Progress) -> Iterator[str]:
    """The text of every document, while each is looked at."""
    collection = workspace.collection
    total = collection.counts()["documents"]
    step = ceil(total / MOST_READ) or 1
    documents = progress.track(collection.each_document(), label="read documents", total=total)
    for batch in batches(documents):
        if encoder is not None:
            _read(batch, workspace, encoder, scan, step=step)
        for document in batch:
            scan.num_documents += 1
            text = document.full_text
            _look_at(text, scan)
            yield text


def _look_at(text: str, scan: DocumentScan) -> None:
    if not any(map(str.isalnum, text)) and not words(text):
        scan.num_wordless += 1
    if not text.isascii() and count_letters(text)[1]:
        scan.unspaced.update({script_of(letter) for letter in set(text) if count_letters(letter)[1]})


def _read(
    batch: Sequence[Document], workspace: Workspace, encoder: TextEncoder, scan: DocumentScan, *, step: int
) -> None:
    """Count passages, those that are too long, and unknown tokens in every ``step``-th document."""
    passages = cut(batch, encoder, window_of(workspace.recipe.chunk, encoder)).passages
    scan.num_passages += len(passages)
    scan.num_truncated += count_truncated(passages, encoder)
    first = -scan.num_documents % step
    texts = [document.full_text for document in batch[first::step]]
    found = count_unknown(encoder, texts)
    scan.num_read += len(texts)
    scan.unknown = scan.unknown + found if scan.unknown and found else found
