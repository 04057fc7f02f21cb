"""Queries made of documents without any model: headings, key phrases, and sentences taken out of them.

They are weaker than what people ask: their words are the document's own.

Source: Lee et al., Latent Retrieval for Weakly Supervised Open Domain Question Answering (2019), section 4, the inverse
cloze task: a sentence is the query, what is left of its passage the document.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nearer.core.analysis import STOP_WORDS, count_letters, fold, words
from nearer.core.records import Document
from nearer.core.scripts import characters
from nearer.core.text import normalise
from nearer.encode.chunk import sentences
from nearer.signals.query_styles import style_of
from nearer.signals.synthetic_filters import Candidate

Kind = Literal["heading", "phrase", "sentence"]
_HEADING = re.compile(r"^\s{0,3}(?:#{1,6}\s+(.{3,120}?)\s*#*|(.{3,80}):)\s*$", re.MULTILINE)
_LEAST_WORDS, _MOST_WORDS = 5, 30
_PHRASE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeQuery:
    """A query made of a document; ``is_title`` where it is the whole of its title."""

    text: str
    kind: Kind
    is_title: bool = False


class OfflineWriter:
    """Knows how rare each word of a corpus is."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._num = max(1, len(documents))
        self._holds = Counter(word for each in documents for word in set(words(each.full_text)))

    def queries(self, document: Document, *, number: int) -> list[MadeQuery]:
        """At most so many queries: headings first, then phrases and sentences by turns, the most telling first."""
        found = self._headings(document)[: max(1, number // 2)]
        others = [self._phrases(document), self._sentences(document)]
        seen = {normalise(each.text) for each in found}
        place = 0
        while len(found) < number and any(others):
            kind = others[place % 2]
            place += 1
            if kind:
                made = kind.pop(0)
                if normalise(made.text) not in seen:
                    seen.add(normalise(made.text))
                    found.append(made)
        return found

    def candidates(self, documents: Sequence[Document], *, each: int) -> list[Candidate]:
        """At most ``each`` queries for each of these documents, with their styles."""
        made = [
            (document.doc_id, " ".join(q.text.split()))
            for document in documents
            for q in self.queries(document, number=each)
        ]
        return [Candidate(doc_id=doc_id, text=text, style=style_of(text)) for doc_id, text in made]

    def _headings(self, document: Document) -> list[MadeQuery]:
        found = (
            [MadeQuery(text=document.title.strip(), kind="heading", is_title=True)] if document.title.strip() else []
        )
        for match in _HEADING.finditer(document.text):
            found.append(MadeQuery(text=(match[1] or match[2]).strip(), kind="heading"))
        kept: dict[str, MadeQuery] = {}
        for each in found:
            kept.setdefault(normalise(each.text), each)
        return list(kept.values())

    def _phrases(self, document: Document) -> list[MadeQuery]:
        """Neighbouring words without stop words between them, by how rare they are together."""
        held = words(document.full_text)
        scored: dict[tuple[str, ...], float] = {}
        for size in (2, _PHRASE):
            for start in range(len(held) - size + 1):
                phrase = tuple(held[start : start + size])
                if not STOP_WORDS.intersection(phrase) and not any(each.isdigit() for each in phrase):
                    scored[phrase] = scored.get(phrase, 0.0) + sum(map(self._rarity, phrase)) / size
        best = sorted(scored, key=lambda phrase: (-scored[phrase], phrase))
        texts = [_written(phrase) for phrase in _apart(best)]
        whole = fold(document.full_text)
        return [MadeQuery(text=text, kind="phrase") for text in texts if " " in text or text in whole]

    def _sentences(self, document: Document) -> list[MadeQuery]:
        """The sentences of the text, by how rare their words are on average; a text of one sentence has none."""
        found = [each.strip() for each in sentences(document.text) if each.strip()]
        if len(found) < 2:
            return []
        fitting = [each for each in found if _LEAST_WORDS <= len(words(each)) <= _MOST_WORDS]
        return [
            MadeQuery(text=each.rstrip(".!。！।"), kind="sentence")
            for each in sorted(fitting, key=lambda text: (-self._mean_rarity(text), text))
        ]

    def _rarity(self, word: str) -> float:
        return math.log(1 + self._num / (1 + self._holds[word]))

    def _mean_rarity(self, text: str) -> float:
        found = words(text)
        return sum(map(self._rarity, found)) / len(found) if found else 0.0


def _written(phrase: tuple[str, ...]) -> str:
    """A phrase as its script writes it: overlapping groups of characters are one stretch, words are parted by spaces.

    >>> _written(("東京", "京都", "都庁")), _written(("solar", "panel"))
    ('東京都庁', 'solar panel')
    """
    text = phrase[0]
    for word in phrase[1:]:
        *before, last = characters(word) if count_letters(word)[1] else [word]
        shared = "".join(before)
        text += last if shared and text.endswith(shared) else f" {word}"
    return text


def _apart(phrases: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Phrases of which none shares a word with one before; those of few documents are few anyway."""
    used: set[str] = set()
    kept = []
    for phrase in phrases:
        if used.isdisjoint(phrase):
            kept.append(phrase)
            used.update(phrase)
    return kept
