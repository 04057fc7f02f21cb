"""Lexical search: BM25 over texts analysed as Lucene analyses English.

Shapes: Q queries, N documents, K ranked documents.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import regex
import Stemmer
from numpy.typing import ArrayLike

from nearer.core.arrays import Bools, Floats32, Ints
from nearer.core.errors import InputError
from nearer.vectors.topk import NO_ROW, Exclusions, TopK

STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
})  # fmt: skip
"""Source: Lucene 9, ENGLISH_STOP_WORDS_SET in EnglishAnalyzer.java."""


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

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        from bm25s import BM25

        if not (np.isfinite(k1) and k1 >= 0 and 0 <= b <= 1):
            raise InputError(
                f"k1 is {k1} and b is {b}", hint="k1 is at least 0 and b from 0 to 1; 1.2 and 0.75 are usual"
            )
        vocabulary: dict[str, int] = {}
        term_ids = [[vocabulary.setdefault(term, len(vocabulary)) for term in analyse(text)] for text in texts]
        self.num_documents = len(texts)
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
    def load(cls, folder: Path) -> "LexicalIndex":
        """What ``save`` wrote. Raises OSError and ValueError for a folder that is not whole."""
        from bm25s import BM25

        index = cls.__new__(cls)
        index._bm25 = BM25.load(folder, show_progress=False)
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
        term_ids = [vocabulary[term] for term in analyse(query) if term in vocabulary]
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


def analyse(text: str) -> list[str]:
    """The terms of an English text: words, without possessive 's, in lower case, without stop words, stemmed.

    Underscores, and single dots or colons between letters, join; hyphens, slashes and signs separate. So ``foo_bar``
    is one term, ``HTTP-404`` two, and ``C++`` keeps only its letter, as in Lucene. Emoji are left out.

    Source: Lucene 9, EnglishAnalyzer.java: StandardTokenizer, EnglishPossessiveFilter, LowerCaseFilter, StopFilter,
    PorterStemFilter.

    >>> analyse("The parser's foo_bar raised HTTP-404 in C++ 1.5")
    ['parser', 'foo_bar', 'rais', 'http', '404', 'c', '1.5']
    """
    return [term for token in _TOKEN.findall(text) if (term := _term(token))]


# Unicode's word boundaries, less emoji and the quotation marks of Hebrew. A run of connectors without a letter or
# digit is matched, so that it is walked only once, and not captured.
# Source: Unicode Standard Annex 29, rules WB4 to WB13b; Lucene 9, StandardTokenizerImpl.jflex.
_MARKS = r"\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}"  # they belong to the character before


def _several(characters: str, *, joined_by: str | None = None) -> str:
    """The pattern of a stretch of characters, in which one of ``joined_by`` may stand between two of them."""
    stretch = f"[{characters}][{characters}{_MARKS}]*+"
    return f"{stretch}(?:[{joined_by}][{_MARKS}]*+{stretch})*+" if joined_by else stretch


_LETTERS = _several(r"\p{WB=ALetter}\p{WB=Hebrew_Letter}", joined_by=r"\p{WB=MidLetter}\p{WB=MidNumLet}'")
_DIGITS = _several(r"\p{WB=Numeric}０-９", joined_by=r"\p{WB=MidNum}\p{WB=MidNumLet}'")
_KATAKANA, _CONNECTORS = _several(r"\p{WB=Katakana}"), _several(r"\p{WB=ExtendNumLet}")
_SOUTH_EAST_ASIAN = _several(r"\p{LB=SA}")  # Thai, Lao and others that are written without spaces
_IDEOGRAPH = rf"[\p{{Script=Han}}\p{{Script=Hiragana}}][{_MARKS}]*+"
_RUN = rf"(?:{_KATAKANA}|(?:{_LETTERS}|{_DIGITS})++)"
_WORD = rf"(?:{_CONNECTORS})?+{_RUN}(?:{_CONNECTORS}{_RUN})*(?:{_CONNECTORS})?+"
_TOKEN = regex.compile(rf"({_WORD}|{_SOUTH_EAST_ASIAN}|{_IDEOGRAPH})|{_CONNECTORS}")


@lru_cache(maxsize=2**16)
def _term(token: str) -> str:
    """What a token is searched by; nothing for a stop word."""
    word = token.lower()
    if word.endswith(("'s", "’s", "＇s")):
        word = word[:-2]
    return "" if word in STOP_WORDS else _stem(word)


def _stem(word: str) -> str:
    """Porter's stem as Lucene makes it: words of two letters stay, and -bli and -logi end as in Porter's own program.

    Source: Porter, An Algorithm for Suffix Stripping (1980); the departures: Lucene 9, PorterStemmer.java.
    """
    if len(word) <= 2:
        return word
    with _STEMMING:
        stem: str = _PORTER.stemWord(word)
    if stem.endswith("logi") and _MEASURED.search(stem[:-4]):
        return stem[:-1]
    if stem.endswith("bli") and _MEASURED.search(stem[:-3]):
        with _STEMMING:
            return str(_PORTER.stemWord(stem[:-1] + "e"))
    return stem


_PORTER = Stemmer.Stemmer("porter")
_STEMMING = Lock()  # a stemmer is not to be used by two threads at once
_MEASURED = regex.compile(r"([aeiou]|(?<=[^aeiou])y)[^aeiou]")  # a vowel, then a consonant: Porter's m > 0
