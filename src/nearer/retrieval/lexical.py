"""Lexical search: BM25 over the terms that ``nearer.core.analysis`` makes of texts.

Shapes: Q queries, N documents, K ranked documents.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.analysis import ENGLISH, analyse
from nearer.core.arrays import Bools, Floats32, Ints
from nearer.core.errors import InputError
from nearer.vectors.topk import NO_ROW, Exclusions, TopK


class LexicalIndex:
    """BM25 over texts, whose order gives the document rows.

    A term that ``num`` of N documents hold, ``tf`` times in this one, adds

        ln(1 + (N - num + 0.5) / (num + 0.5)) * tf / (tf + k1 * (1 - b + b * length / mean length))

    as often as the query holds it. There is no factor k1 + 1 in the numerator: Lucene 8 dropped it, which changes
    scores and no order. Lengths are exact, where Lucene rounds those from 40 terms on to one byte; an empty text counts
    as a document.

    The default k1 = 1.2, b = 0.75 is Lucene's own; Anserini, with which BEIR's published BM25 was made, has 0.9 and
    0.4. The default was chosen on the dev splits in docs/results.md.

    Source: Kamphuis et al., Which BM25 Do You Mean? (2020), table 1, "Lucene (accurate)"; LUCENE-8563; Thakur et al.,
    BEIR (arXiv 2104.08663), section 4.
    """

    def __init__(self, texts: Sequence[str], *, language: str = ENGLISH, k1: float = 1.2, b: float = 0.75) -> None:
        from bm25s import BM25

        if not (np.isfinite(k1) and k1 >= 0 and 0 <= b <= 1):
            raise InputError(
                f"k1 is {k1} and b is {b}", hint="k1 is at least 0 and b from 0 to 1; 1.2 and 0.75 are usual"
            )
        vocabulary: dict[str, int] = {}
        term_ids = [
            [vocabulary.setdefault(term, len(vocabulary)) for term in analyse(text, language=language)]
            for text in texts
        ]
        self.num_documents = len(texts)
        self._language = language
        self._bm25 = BM25(k1=k1, b=b, method="lucene")
        self._bm25.vocab_dict = vocabulary
        if vocabulary:
            self._bm25.index((term_ids, vocabulary), create_empty_token=False, show_progress=False)

    @property
    def has_terms(self) -> bool:
        """Whether any text holds a term."""
        return bool(self._bm25.vocab_dict)

    def save(self, folder: Path) -> None:
        """Write it into an empty folder; there must be terms. Raises OSError."""
        self._bm25.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path, *, language: str = ENGLISH) -> "LexicalIndex":
        """What ``save`` wrote, of texts in this language. Raises OSError and ValueError where it is not whole."""
        from bm25s import BM25

        index = cls.__new__(cls)
        index._bm25 = BM25.load(folder, show_progress=False)
        index._language = language
        index.num_documents = index._bm25.scores["num_docs"]
        return index

    def search(
        self,
        queries: Sequence[str],
        *,
        k: int,
        excluded: tuple[ArrayLike, ArrayLike] | None = None,
        passing_N: Bools | None = None,
    ) -> TopK:
        """The ``k`` best documents of each query that share a term with it, as ``top_k`` returns them.

        Equal scores are settled towards the higher row. A query of no known term gets no document. ``excluded`` is a
        pair of integer arrays (query rows, document rows) never returned; of ``passing_N`` (bool) only documents that
        are true are.

        Raises InputError for ``k`` below 1, for excluded rows that do not exist, and another number in ``passing_N``.
        """
        if k < 1:
            raise InputError(f"k is {k}", hint="ask for at least 1 document")
        if passing_N is not None and passing_N.shape != (self.num_documents,):
            raise InputError(
                f"{self.num_documents} documents have a mask of shape {passing_N.shape}", hint="give one a document"
            )
        exclusions = Exclusions.build(excluded, num_queries=len(queries), num_documents=self.num_documents)
        rows_QK = np.full((len(queries), k), NO_ROW, np.int64)
        scores_QK = np.full((len(queries), k), -np.inf, np.float32)
        for row, query in enumerate(queries):
            scores_N = self._scores(query)
            exclusions.apply(scores_N[None], slice(row, row + 1), slice(0, self.num_documents))
            if passing_N is not None:
                scores_N[~passing_N] = -np.inf
            best = _best(scores_N, k)
            rows_QK[row, : len(best)], scores_QK[row, : len(best)] = best, scores_N[best]
        return TopK(rows_QK=rows_QK, scores_QK=scores_QK)

    def _scores(self, query: str) -> Floats32:
        """The BM25 of every document (float32, N), 0 where no term is shared."""
        vocabulary = self._bm25.vocab_dict
        term_ids = [vocabulary[term] for term in analyse(query, language=self._language) if term in vocabulary]
        if not term_ids:
            return np.zeros(self.num_documents, np.float32)
        scores_N: Floats32 = self._bm25.get_scores_from_ids(term_ids)
        return scores_N


def _best(scores_N: Floats32, k: int) -> Ints:
    """The rows of the ``k`` highest scores above 0, best first."""
    rows = np.flatnonzero(scores_N > 0)
    if len(rows) > k:
        rows = rows[scores_N[rows] >= np.partition(scores_N[rows], -k)[-k]]
    return rows[np.lexsort((rows, scores_N[rows]))[::-1][:k]]
