"""What a system's encoder makes of a few documents as they are cut, and would make of them cut otherwise.

Arrays: P passages of one document, D dimensions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.progress import Silent
from nearer.core.records import Document
from nearer.core.sections import ChunkRecipe
from nearer.encode.chunk import Window, sentences
from nearer.encode.corpus import cut, embed_passages, embed_queries, room_of, window_of
from nearer.encode.embedded import Corpora
from nearer.encode.encoder import TextEncoder
from nearer.evaluation.diagnosis.background import Failure
from nearer.systems import System

Cut = Callable[[Document], Sequence[str]]

NUM_ABOVE = 10
"""Documents above the missed one that are cut anew beside it: enough to tell a better cut from a lucky one."""

CHANCE_QUANTILE = 0.999
"""Of the cosines of random passages: two that look alike must be nearer than so many of these. Our rule."""

_SAMPLE = 500
_NUM_PAIRS = 20_000


class Scores:
    """The passages of the documents that failures are about, with their scores, read from the cache.

    What is drawn of all documents is the same each time.
    """

    def __init__(self, corpora: Corpora, system: System, failures: Iterable[Failure]) -> None:
        self.encoder: TextEncoder = system.encoder
        self._workspace, self._documents, self._progress = corpora.workspace, corpora.documents, corpora.progress
        self._corpus = corpora.corpus(system.encoder, chunk=system.chunk)
        self.window = window_of(system.chunk, system.encoder)
        missing = [failure for failure in failures if failure.missed]
        queries = [failure.query for failure in missing]
        vectors_QD = embed_queries(self._workspace, self.encoder, queries, Silent())
        self._queries = {query.query_id: vector for query, vector in zip(queries, vectors_QD, strict=True)}
        self._passages = self._read({row for failure in missing for row in _rows(failure)})

    def texts(self, row: int) -> tuple[str, ...]:
        """A document's passages."""
        return self._passages[row][0]

    def best(self, query_id: str, row: int) -> tuple[float, Floats32]:
        """The score of a document's best passage for a query, and that passage's vector."""
        vectors_PD = self._passages[row][1]
        scores_P = vectors_PD @ self._queries[query_id]
        place = int(scores_P.argmax())
        return float(scores_P[place]), vectors_PD[place]

    def best_above(self, failure: Failure) -> float:
        """The highest score among what stands above the missed document."""
        return max((self.best(failure.query.query_id, row)[0] for row in _above(failure)), default=np.inf)

    @cached_property
    def chance(self) -> float:
        """The cosine that hardly any two random passages of different documents reach."""
        rng = np.random.default_rng(0)
        drawn = rng.permutation(len(self._documents))[:_SAMPLE].tolist()
        read = self._read(drawn)
        vectors_PD = np.concatenate([read[row][1] for row in drawn])
        owners_P = np.repeat(drawn, [len(read[row][1]) for row in drawn])
        left, right = rng.integers(len(owners_P), size=(2, _NUM_PAIRS))
        apart = owners_P[left] != owners_P[right]
        if not apart.any():
            return 1.0
        cosines = np.einsum("ij,ij->i", vectors_PD[left[apart]], vectors_PD[right[apart]])
        return float(np.quantile(cosines, CHANCE_QUANTILE))

    def won_by(self, cut: Cut, failures: Sequence[Failure]) -> dict[str, tuple[float, float]]:
        """The failures whose missed document would stand above, were documents cut so, by query id.

        With the score of its best new piece, and the best score of what stands above it: as that is cut now, and the
        first ``NUM_ABOVE`` of it cut so too, since any document gains by being cut finer. Only what is cut otherwise
        than now is encoded, and first of the missed documents alone.
        """
        hopeful = [failure for failure in failures if failure.missed]
        scores_above = {failure.query.query_id: self.best_above(failure) for failure in hopeful}
        scores = self._scored({each.query.query_id: self._new(cut, [_missed(each)]) for each in hopeful})
        hopeful = [each for each in hopeful if scores[each.query.query_id] > scores_above[each.query.query_id]]
        others = self._scored({each.query.query_id: self._new(cut, _above(each)) for each in hopeful})
        for query_id, score in others.items():
            scores_above[query_id] = max(scores_above[query_id], score)
        return {
            query_id: (scores[query_id], scores_above[query_id])
            for query_id in others
            if scores[query_id] > scores_above[query_id]
        }

    def cuts(self) -> dict[str, Cut]:
        """Other cuts than the one in use, by what they are called."""
        window = self.window or window_of(ChunkRecipe(), self.encoder)
        assert window is not None
        half = window.max_tokens // 2
        finer = replace(window, max_tokens=half, overlap_tokens=min(window.overlap_tokens, half // 2))
        wider = replace(window, overlap_tokens=min(2 * window.overlap_tokens, half))
        return {
            f"passages of {half} tokens": lambda document: self._cut(document, finer),
            f"passages that share {wider.overlap_tokens} tokens": lambda document: self._cut(document, wider),
            "sentences": lambda document: sentences(document.full_text),
        }

    def unread(self, document: Document) -> list[str]:
        """What lies behind the last token that the encoder reads of a document, as passages; nothing of a short one."""
        window, room = window_of(ChunkRecipe(), self.encoder), room_of(self.encoder)
        assert window is not None
        text = document.full_text
        spans = self.encoder.token_spans(text)
        if len(spans) <= room:
            return []
        return self._cut(Document(doc_id=document.doc_id, text=text[spans[room][0] :]), window)

    def _cut(self, document: Document, window: Window) -> list[str]:
        return list(cut([document], self.encoder, window).passages)

    def _new(self, other: Cut, rows: Iterable[int]) -> list[str]:
        """The pieces of documents cut so that none of their passages is."""
        return [
            piece
            for row in rows
            for piece in other(self._documents[row])
            if piece.strip() and piece not in self.texts(row)
        ]

    def _scored(self, pieces: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """The best score among some pieces for each query; -inf where there are none."""
        texts = list(dict.fromkeys(text for each in pieces.values() for text in each))
        vectors = embed_passages(self._workspace, self.encoder, texts, self._progress, label="encode other cuts")[0]
        row_of = {text: row for row, text in enumerate(texts)}
        return {
            query_id: float((vectors[[row_of[text] for text in each]] @ self._queries[query_id]).max(initial=-np.inf))
            for query_id, each in pieces.items()
        }

    def _read(self, rows: Iterable[int]) -> dict[int, tuple[tuple[str, ...], Floats32]]:
        """The passages of documents and their vectors, by row."""
        wanted = sorted(set(rows))
        corpus = self._corpus.some(wanted)
        vectors_PD, _ = embed_passages(self._workspace, self.encoder, corpus.passages, Silent())
        places = [corpus.passages_of(place) for place in range(len(wanted))]
        return {
            row: (corpus.passages[place.start : place.stop], vectors_PD[place.start : place.stop])
            for row, place in zip(wanted, places, strict=True)
        }


def _missed(failure: Failure) -> int:
    assert failure.missed is not None
    return failure.missed.row


def _above(failure: Failure) -> list[int]:
    """The first documents of the corpus above the missed one."""
    assert failure.missed is not None
    return [row for row in failure.missed.above if row >= 0][:NUM_ABOVE]


def _rows(failure: Failure) -> Iterable[int]:
    """The documents that a failure is about."""
    return (_missed(failure), *_above(failure), *failure.relevant)
