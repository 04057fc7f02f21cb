"""The part of the documents that there is time to cut and encode: those that dev and training ask for first.

Documents come in an order drawn with the seed, a query with all that are judged for it, a dev query for three of train;
then the others. What is encoded when the time is over is the part, so nothing of it is estimated.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nearer.core.progress import Progress, Silent
from nearer.core.records import Document, Query
from nearer.core.results.base import Result
from nearer.encode.chunk import Window
from nearer.encode.corpus import Corpus, chunking_name, cut, embed_passages, embed_queries, window_of
from nearer.encode.encoder import TextEncoder
from nearer.evaluation.ready import choosing_split
from nearer.store.workspace import Workspace
from nearer.training.examples import Excluded

_TRAIN_A_DEV = 3
_FIRST_CHARACTERS, _LEAST_CHARACTERS, _MOST_CHARACTERS = 8_000, 500, 1_000_000
"""What is cut and encoded between two looks at the clock."""
_SLICES = 20
"""Into so many the time is cut: as often the clock is looked at."""
_BLOCK = 256
"""Documents that are cut between two moves of the progress bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Result):
    """The documents that a training reads, by id, and the train queries that it does without; all, where None."""

    doc_ids: tuple[str, ...] | None = None
    unread: tuple[str, ...] = ()

    def of(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Those of all documents that are read."""
        if self.doc_ids is None:
            return documents
        wanted = set(self.doc_ids)
        return [document for document in documents if document.doc_id in wanted]

    def without(self, excluded: Excluded) -> Excluded:
        """What training must not learn from, and what it does without."""
        return replace(excluded, query_ids=excluded.query_ids.union(self.unread))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """Documents that were cut so far, by their row among all."""

    window: Window | None
    documents: Sequence[Document]
    encoder: TextEncoder
    passages: dict[int, Sequence[str]] = field(default_factory=dict)

    def add(self, rows: Sequence[int]) -> list[str]:
        """Cut these too; their passages."""
        some = cut([self.documents[row] for row in rows], self.encoder, self.window)
        for place, row in enumerate(rows):
            self.passages[row] = [some.passages[each] for each in some.passages_of(place)]
        return list(some.passages)

    def corpus(self, revision: int) -> Corpus:
        """What was cut, in the order of the documents."""
        rows = sorted(self.passages)
        starts = np.cumsum([0, *(len(self.passages[row]) for row in rows)])[:-1].astype(np.int64)
        return Corpus(
            documents=tuple(self.documents[row] for row in rows),
            passages=tuple(passage for row in rows for passage in self.passages[row]),
            starts_N=starts,
            chunking=chunking_name(self.window),
            revision=revision,
        )


def cut_documents(
    workspace: Workspace,
    encoder: TextEncoder,
    documents: Sequence[Document],
    *,
    revision: int = 0,
    progress: Progress,
) -> Corpus:
    """All of these documents as passages, a block at a time, so that progress is seen."""
    made = _Cut(window=window_of(workspace.recipe.chunk, encoder), documents=documents, encoder=encoder)
    blocks = [range(first, min(first + _BLOCK, len(documents))) for first in range(0, len(documents), _BLOCK)]
    for block in progress.track(blocks, label="cut documents into passages", total=len(documents), size=len):
        made.add(block)
    return made.corpus(revision)


def encode_part(
    workspace: Workspace,
    encoder: TextEncoder,
    documents: Sequence[Document],
    *,
    excluded: Excluded,
    time_s: float,
    revision: int,
    progress: Progress,
    clock: Callable[[], float],
) -> tuple[Part, Corpus]:
    """Cut and encode in that order for ``time_s``, through the cache; what of it is the part, and its passages."""
    began, shown_s = clock(), 0
    made = _Cut(window=window_of(workspace.recipe.chunk, encoder), documents=documents, encoder=encoder)
    queries = _train_queries(workspace, excluded)
    read: set[str] = set()
    room = _FIRST_CHARACTERS

    def seconds(_: object) -> int:
        nonlocal shown_s
        before, shown_s = shown_s, min(int(time_s), int(clock() - began))
        return shown_s - before

    tracked = progress.track(
        _slices(workspace, documents, queries, excluded, room=lambda: room),
        label="cut and encode documents, as many as there is time for, seconds",
        total=max(1, int(time_s)),
        size=seconds,
    )
    for asked, rows in tracked:
        slice_began = clock()
        embed_passages(workspace, encoder, made.add(rows), Silent())
        embed_queries(workspace, encoder, asked, Silent())
        read.update(query.query_id for query in asked)
        took = max(1e-9, clock() - slice_began)
        room = int(min(_MOST_CHARACTERS, max(_LEAST_CHARACTERS, room * min(4.0, time_s / _SLICES / took))))
        if clock() + took > began + time_s:
            break
    tracked.close()
    unread = tuple(sorted(query.query_id for query in queries if query.query_id not in read))
    corpus = made.corpus(revision)
    if len(corpus.documents) == len(documents):
        return Part(unread=unread), corpus
    progress.say(f"the time decides: {len(corpus.documents):,} of {len(documents):,} documents are read")
    return Part(doc_ids=corpus.doc_ids, unread=unread), corpus


def _slices(
    workspace: Workspace,
    documents: Sequence[Document],
    queries: Sequence[Query],
    excluded: Excluded,
    *,
    room: Callable[[], int],
) -> Iterator[tuple[list[Query], list[int]]]:
    """Train queries and documents to be encoded together, of about as many characters as there is ``room`` for then."""
    asked: list[Query] = []
    rows: list[int] = []
    seen: set[int] = set()
    left = room()
    for query, wanted in _in_order(workspace, documents, queries, excluded):
        fresh = [row for row in dict.fromkeys(wanted) if row not in seen]
        seen.update(fresh)
        rows += fresh
        if query:
            asked.append(query)
            left -= len(query.text)
        left -= sum(len(documents[row].text) for row in fresh)
        if left <= 0:
            yield asked, rows
            asked, rows, left = [], [], room()
    if rows or asked:
        yield asked, rows


def _in_order(
    workspace: Workspace, documents: Sequence[Document], queries: Sequence[Query], excluded: Excluded
) -> Iterator[tuple[Query | None, list[int]]]:
    """Each train query, or none, with rows of documents that come with it."""
    rng = random.Random(workspace.recipe.train.seed)
    row_of = {document.doc_id: row for row, document in enumerate(documents)}
    train = _judged(workspace, "train", row_of)
    dev = {
        key: rows
        for key, rows in _judged(workspace, choosing_split(workspace), row_of).items()
        if key not in excluded.query_ids
    }
    dev_ids = rng.sample(sorted(dev), min(len(dev), workspace.recipe.train.most_dev_queries))
    mixed = rng.sample(queries, len(queries))
    for place in range(max(len(mixed), _TRAIN_A_DEV * len(dev_ids))):
        if place % _TRAIN_A_DEV == 0 and place // _TRAIN_A_DEV < len(dev_ids):
            yield None, dev[dev_ids[place // _TRAIN_A_DEV]]
        if place < len(mixed):
            yield mixed[place], train.get(mixed[place].query_id, [])
    yield from ((None, [row]) for row in rng.sample(range(len(documents)), len(documents)))


def _judged(workspace: Workspace, split: str, row_of: Mapping[str, int]) -> dict[str, list[int]]:
    """The rows of the documents that are judged for each query of a split, whatever their grades."""
    found: dict[str, list[int]] = {}
    for judgment in workspace.collection.judgments(split):
        if judgment.doc_id in row_of:
            found.setdefault(judgment.query_id, []).append(row_of[judgment.doc_id])
    return found


def _train_queries(workspace: Workspace, excluded: Excluded) -> list[Query]:
    """The judged queries of train."""
    judged = {judgment.query_id for judgment in workspace.collection.judgments("train")}
    queries = workspace.collection.queries("train")
    return [query for query in queries if query.query_id in judged and query.query_id not in excluded.query_ids]
