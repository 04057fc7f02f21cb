"""One query of what is served: ranked, combined in the system's stages, each document with its nearest passage."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nearer.core.arrays import Bools, Floats32
from nearer.core.filters import Filter
from nearer.core.ids import text_hash
from nearer.core.records import Document, Passage, Query
from nearer.core.spans import span
from nearer.encode.corpus import chunking_name
from nearer.retrieval.entries import Ranking, Stored
from nearer.retrieval.fields import entry_hash
from nearer.retrieval.masks import mask_of
from nearer.serving.served import Served
from nearer.store.collection import Collection
from nearer.systems.pipeline import Found, combine, wants_bm25, wants_vectors
from nearer.vectors.topk import NO_ROW, TopK

Scored = list[tuple[Document, float]]
Mode = Literal["release", "dense", "lexical"]
"""What ranks: what the release says, its vectors alone, or BM25 alone."""

PARTS = ("encode", "rank", "passages")
"""The parts of an answer whose time is measured."""


_MOST_TIED = 1000
"""Documents of one score that are looked through for those of the last text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A document that was found, its score, and its passage nearest to the query.

    Where no vectors rank, none are made for it: then only a document of one passage has one here. Documents of one
    title and text take one rank: ``identical_ids`` are the others that were found, best first.
    """

    document: Document
    score: float
    passage: Passage | None
    identical_ids: tuple[str, ...] = ()

    @property
    def passage_text(self) -> str | None:
        """What the passage says, as the document's title and text have it."""
        return self.document.full_text[self.passage.start : self.passage.end] if self.passage else None


class QueryVectors:
    """The vectors of queries that were asked together; all are made when one is wanted."""

    def __init__(self, served: Served, texts: Sequence[str], *, deadline: float | None = None) -> None:
        self._served, self._texts, self._deadline = served, list(dict.fromkeys(texts)), deadline
        self._made: dict[str, Floats32] = {}

    def of(self, text: str) -> Floats32:
        """The vector of one of the texts, shape (1, D)."""
        if not self._made:
            with span("encode_queries", num_texts=len(self._texts)):
                vectors_QD = self._served.encode_queries(self._texts, deadline=self._deadline)
            self._made = {each: vectors_QD[row : row + 1] for row, each in enumerate(self._texts)}
        return self._made[text]


class AskedQuery:
    """One query, whose documents must pass ``condition``; ``took_s`` says how long each part of an answer took."""

    def __init__(
        self,
        served: Served,
        documents: Collection,
        query: Query,
        condition: Filter | None,
        *,
        vectors: QueryVectors,
    ) -> None:
        self._served, self._documents, self._query, self._condition = served, documents, query, condition
        self._vectors = vectors
        self._vector: Floats32 | None = None
        self._cut: dict[str, list[Passage]] = {}
        self._stored: dict[str, Stored] = {}
        self.took_s = dict.fromkeys(PARTS, 0.0)

    def answer(self, *, k: int, mode: Mode = "release") -> list[Hit]:
        """The best documents by the stages of the system, by vectors alone, or by BM25 alone."""
        if mode == "lexical":
            ranked = self._bm25
        elif mode == "dense" or not self._served.system.stages:
            ranked = self._dense
        else:
            ranked = self._composed
        with self._timed("rank"):
            groups = _distinct(ranked, k=k)
        with self._timed("passages"):
            return self._hits(groups)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Count the time of a part, but for that of the query's vector, which is counted by itself."""
        start, encode_s = time.perf_counter(), self.took_s["encode"]
        try:
            with span(part):
                yield
        finally:
            self.took_s[part] += time.perf_counter() - start - (self.took_s["encode"] - encode_s)

    def _vector_1D(self) -> Floats32:
        """The query's vector; no ``cached_property``, for in Python 3.11 all queries would wait for one lock."""
        if self._vector is None:
            start = time.perf_counter()
            self._vector = self._vectors.of(self._query.text)
            self.took_s["encode"] += time.perf_counter() - start
        return self._vector

    def _dense(self, k: int) -> Scored:
        """The best documents by the vectors of the index."""

        def ranked(wanted: int) -> Ranking:
            space_id = self._served.system.encoder.space_id
            return self._served.index.search(self._vector_1D(), space_id=space_id, k=wanted, where=self._condition)[0]

        return self._present(ranked, k=k)

    def _bm25(self, k: int) -> Scored:
        """The best documents by BM25."""
        bm25 = self._served.lexical.bm25
        passing_N: Bools | None = None
        if self._condition is not None:
            passing_N = mask_of(self._condition, self._served.lexical.columns)

        def ranked(wanted: int) -> Ranking:
            found = bm25.index.search([self._query.text], k=wanted, passing_N=passing_N)
            best = zip(found.rows_QK[0], found.scores_QK[0].tolist(), strict=True)
            return [(bm25.doc_ids[row], score) for row, score in best if row != NO_ROW]

        return self._present(ranked, k=k)

    def _composed(self, k: int) -> Scored:
        """The best documents by the stages of the system."""
        system = self._served.system
        depth = max(k, system.search.depth)
        dense = self._dense(depth) if wants_vectors(system.stages) else None
        lexical = self._bm25(depth) if wants_bm25(system.stages) else None
        pool = {document.doc_id: document for document, _ in [*(dense or ()), *(lexical or ())]}
        documents = [pool[doc_id] for doc_id in sorted(pool, key=str.encode)]
        rows = {document.doc_id: row for row, document in enumerate(documents)}
        found = Found(
            queries=[self._query],
            documents=documents,
            texts=self._served.texts,
            dense=None if dense is None else _as_top_k(dense, rows),
            lexical=None if lexical is None else _as_top_k(lexical, rows),
            passage_of=lambda _, row: self._nearest(documents[row]).text,
        )
        ranked = combine(system, found, k=k)
        best = zip(ranked.rows_QK[0], ranked.scores_QK[0].tolist(), strict=True)
        return [(documents[row], score) for row, score in best if row != NO_ROW]

    def _present(self, ranked: Callable[[int], Ranking], *, k: int) -> Scored:
        """The ``k`` best documents that still exist; while too many of those found are gone, more are asked for."""
        wanted = k
        while True:
            ranking = ranked(wanted)
            found = {each.doc_id: each for each in self._documents.documents([doc_id for doc_id, _ in ranking])}
            present = [(found[doc_id], score) for doc_id, score in ranking if doc_id in found]
            if len(present) >= k or len(ranking) < wanted:
                return present[:k]
            wanted *= 2

    def _hits(self, groups: Sequence[Scored]) -> list[Hit]:
        has_vector = self._vector is not None
        if has_vector:
            shown = (group[0][0] for group in groups)
            several = [document.doc_id for document in shown if len(self._passages(document)) > 1]
            self._stored |= self._served.index.stored(several) if several else {}
        return [
            Hit(
                document=document,
                score=score,
                passage=self._shown(document, has_vector),
                identical_ids=tuple(other.doc_id for other, _ in others),
            )
            for (document, score), *others in groups
        ]

    def _shown(self, document: Document, has_vector: bool) -> Passage | None:
        cut = self._passages(document)
        return self._nearest(document) if has_vector or len(cut) == 1 else None

    def _passages(self, document: Document) -> list[Passage]:
        if document.doc_id not in self._cut:
            self._cut[document.doc_id] = self._served.passages_of(document)
        return self._cut[document.doc_id]

    def _nearest(self, document: Document) -> Passage:
        """The passage of a document that is nearest to the query, by the vectors of the index.

        One that the index does not hold as it is now is encoded here, and kept nowhere.
        """
        cut = self._passages(document)
        if len(cut) == 1:
            return cut[0]
        emb_PD = self._stored_vectors(document)
        if emb_PD is None or len(emb_PD) != len(cut):
            emb_PD = self._served.encode_passages([passage.text for passage in cut])
        return cut[int(np.argmax(emb_PD @ self._vector_1D()[0]))]

    def _stored_vectors(self, document: Document) -> Floats32 | None:
        if document.doc_id not in self._stored:
            self._stored |= self._served.index.stored([document.doc_id])
        stored, spec = self._stored.get(document.doc_id), self._served.index.manifest.spec
        if stored is None or spec.chunking != chunking_name(self._served.window):
            return None
        today = entry_hash(text_hash(document.full_text), document.metadata, spec.fields)
        return stored.emb_PD if stored.hash == today else None


def _distinct(ranked: Callable[[int], Scored], *, k: int) -> list[Scored]:
    """The ``k`` best texts, each with the documents that have it, best first.

    More documents are asked for until one scores less than the last text: then all documents of these texts are there.
    Where very many texts score alike, one text more than ``k`` must do.
    """
    wanted = k + 1
    while True:
        scored = ranked(wanted)
        groups: dict[str, Scored] = {}
        for document, score in scored:
            groups.setdefault(document.full_text, []).append((document, score))
        best = list(groups.values())[:k]
        is_tied = len(groups) > k and scored[-1][1] >= best[-1][0][1]
        if len(scored) < wanted or (len(groups) > k and (not is_tied or wanted > _MOST_TIED)):
            return best
        wanted *= 2


def _as_top_k(scored: Scored, rows: Mapping[str, int]) -> TopK:
    return TopK(
        rows_QK=np.array([[rows[document.doc_id] for document, _ in scored]], np.int64).reshape(1, -1),
        scores_QK=np.array([[score for _, score in scored]], np.float32).reshape(1, -1),
    )
