"""Which written queries stay: what went is counted by its reason, with samples."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nearer.core.analysis import count_letters, words
from nearer.core.near_duplicates import cluster_texts, resembling
from nearer.core.records import Document
from nearer.core.text import normalise, shingles

LEAST_CHARACTERS, MOST_WORDS = 3, 60
COPIED_SHARE, COPIED_WORDS = 0.8, 8
"""A query of so many words of which so many shingles are the document's is copied, not asked."""
ROUND_TRIP = 20
"""Its own document must be among so many first, by the base or by BM25.

Source: Dai et al., Promptagator (2022), section 3.2, round-trip consistency; they keep rank 1 alone, which leaves few
where many documents are alike.
"""
_SAMPLES = 5
_META = re.compile(
    r"^(?:here (?:are|is)|sure[,!]|certainly|query \d|queries?:|the document\b|this document\b)", re.IGNORECASE
)
_ENGLISH = frozenset("the and of that with this are they their there not for but if it by to".split())  # noqa: SIM905
"""Common English words that other languages lack."""
_ENGLISH_FROM, _FOREIGN_BELOW = 0.2, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A query written for a document."""

    doc_id: str
    text: str
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """The queries that stay, and what went: counts and samples by reason."""

    kept: tuple[Candidate, ...]
    num_gone: Mapping[str, int]
    samples: Mapping[str, tuple[str, ...]]


class _Sieve:
    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.left = list(candidates)
        self.num_gone: Counter[str] = Counter()
        self.samples: dict[str, list[str]] = {}

    def drop(self, reason: str, is_gone: Sequence[bool]) -> None:
        """Take out the candidates that are gone for a reason."""
        for each, gone in zip(self.left, is_gone, strict=True):
            if gone:
                self.num_gone[reason] += 1
                samples = self.samples.setdefault(reason, [])
                if len(samples) < _SAMPLES:
                    samples.append(each.text[:200])
        self.left = [each for each, gone in zip(self.left, is_gone, strict=True) if not gone]

    def drop_each(self, reason: str, is_gone: Callable[[Candidate], bool]) -> None:
        """The same, by looking at each."""
        self.drop(reason, [is_gone(each) for each in self.left])


def sift(
    candidates: Sequence[Candidate],
    documents: Mapping[str, Document],
    *,
    held_out: Sequence[str] = (),
    may_copy: bool = False,
    found_at: Callable[[Sequence[Candidate]], Sequence[int | None]] | None = None,
) -> Sifted:
    """Take out what is no query, copied, in another language, said twice, near a held-out query, or not found again.

    ``held_out`` are the queries that measure. ``found_at`` gives the best rank of each candidate's own document, from
    1, by the base and BM25; None where neither finds it.
    """
    sieve = _Sieve(candidates)
    sieve.drop_each("too short", lambda each: len(each.text) < LEAST_CHARACTERS or not words(each.text))
    sieve.drop_each("too long", lambda each: len(each.text.split()) > MOST_WORDS)
    sieve.drop_each("no query", lambda each: bool(_META.match(each.text)))
    sieve.drop_each("another language", lambda each: _is_foreign(each.text, documents[each.doc_id].full_text))
    if not may_copy:
        sieve.drop_each("copied", lambda each: is_copied(each.text, documents[each.doc_id].full_text))
    sieve.drop("said before", _is_repeated(sieve.left))
    if held_out and sieve.left:
        sieve.drop("near a query of dev or test", resembling([each.text for each in sieve.left], list(held_out)))
    if found_at is not None and sieve.left:
        sieve.drop("not found again", [rank is None or rank > ROUND_TRIP for rank in found_at(sieve.left)])
    return Sifted(
        kept=tuple(sieve.left),
        num_gone=dict(sieve.num_gone),
        samples={reason: tuple(texts) for reason, texts in sieve.samples.items()},
    )


def is_copied(query: str, document: str) -> bool:
    """Whether a longer query is mostly the document's own words in their order.

    >>> is_copied("rotate a log file and keep all its lines", "You rotate a log file and keep all its lines.")
    True
    >>> is_copied("rotate log", "rotate log files")
    False
    """
    if len(words(query)) < COPIED_WORDS:
        return False
    asked = shingles(query)
    return len(asked & shingles(document)) / len(asked) >= COPIED_SHARE


def _is_repeated(candidates: Sequence[Candidate]) -> list[bool]:
    """All but the first of queries that nearly repeat each other: of one query for many documents one stays."""
    if not candidates:
        return []
    return [first != row for row, first in enumerate(cluster_texts([normalise(each.text) for each in candidates]))]


def _is_foreign(query: str, document: str) -> bool:
    """Whether the query is in another script than the document, or English where the document is not.

    Other languages of one script are not told apart.
    """
    (num_query, unspaced_query), (num_document, unspaced_document) = count_letters(query), count_letters(document)
    if not num_query or not num_document:
        return False
    if (2 * unspaced_query > num_query) != (2 * unspaced_document > num_document):
        return True
    if _latin_share(query) < 0.5 <= _latin_share(document) or _latin_share(document) < 0.5 <= _latin_share(query):
        return True
    asked = words(query)
    is_english = len(asked) >= 4 and _english_share(asked) >= _ENGLISH_FROM
    tokens = words(document)
    return is_english and len(tokens) >= 20 and _english_share(tokens) < _FOREIGN_BELOW


def _english_share(found: Sequence[str]) -> float:
    return sum(word in _ENGLISH for word in found) / len(found)


def _latin_share(text: str) -> float:
    letters = [each for each in text if each.isalpha()]
    return sum(each < "\u0250" or "\u1e00" <= each <= "\u1eff" for each in letters) / len(letters) if letters else 1.0
