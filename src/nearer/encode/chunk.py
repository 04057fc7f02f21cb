"""Long documents as passages: windows of tokens that end where a paragraph or sentence does."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nearer.core.records import Document, Passage

_PARAGRAPH_END = re.compile(r"\n\s*\n")
_ADDED_TOKENS = 8
"""More than tokenizers add of their own."""

_WORD_END = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"[.!?।॥؟۔።]['\")\]]*\s+|[。！？｡]['\")\]」』）]*\s*|\n")
"""Where a sentence ends: before white space, or at once in the scripts that write none."""

_HEADING_SHARE = 4
"""A heading takes at most this part of a passage."""

_HEADING_TOKENS = 4
"""Fewer are the number of a heading, or a name that is cut short: what follows belongs to it."""

Pieces = list[tuple[int, int]]
"""The first character of each piece of a text, and the one after its last."""

TokenSpans = Callable[[str], list[tuple[int, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How long a passage may be and how much of the last one it repeats, in tokens.

    With ``repeat_title`` every passage after a document's first begins with its title, or first sentence where there
    is none, within that length.
    """

    max_tokens: int
    overlap_tokens: int
    repeat_title: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise ValueError(f"the overlap must be at most half of a passage, got {self}")


def passages(documents: Iterable[Document], *, window: Window | None, token_spans: TokenSpans) -> Iterator[Passage]:
    """Every document's passages in order; without a ``window`` each document is one passage, whole."""
    for document in documents:
        text = document.full_text
        heading, pieces = ("", [(0, len(text))]) if window is None else _cut(document, window, token_spans)
        for ordinal, (start, end) in enumerate(pieces):
            own = text[start:end]
            passage = f"{heading}\n{own}" if heading and ordinal else own
            yield Passage(doc_id=document.doc_id, ordinal=ordinal, text=passage, start=start, end=end)


def _cut(document: Document, window: Window, token_spans: TokenSpans) -> tuple[str, Pieces]:
    """What every passage of a document but its first begins with, and where each is in it."""
    text = document.full_text
    spans = [] if has_at_most(text, window.max_tokens) else token_spans(text)
    if len(spans) <= window.max_tokens:
        return "", [(0, len(text))]
    if not window.repeat_title:
        return "", split_spans(text, window=window, spans=spans)
    starts = [start for start, _ in spans]
    num_tokens = _heading_tokens(document, starts, most=window.max_tokens // _HEADING_SHARE)
    room = window.max_tokens - num_tokens - 1  # some tokenizers count the line break
    narrower = Window(max_tokens=room, overlap_tokens=min(window.overlap_tokens, room // 2))
    return text[: starts[num_tokens]].strip(), split_spans(text, window=narrower, spans=spans)


def _heading_tokens(document: Document, starts: list[int], *, most: int) -> int:
    """How many of a long document's first tokens are its heading, ``most`` at most: the title, or a first sentence."""
    beginning = document.full_text[: starts[most]]
    if document.title.strip():
        ends = [bisect_left(starts, len(document.title))]
    else:
        ends = [end for end in _borders(beginning, _SENTENCE_END, starts) if end >= _HEADING_TOKENS]
    if ends and ends[0] <= most:
        return ends[0]
    return max(_borders(beginning, _WORD_END, starts), default=0) or most


def has_at_most(text: str, num_tokens: int) -> bool:
    """Whether a text surely has so few tokens, without asking a tokenizer: none is shorter than an ASCII character."""
    return text.isascii() and len(text) + _ADDED_TOKENS <= num_tokens


def split_text(text: str, *, window: Window, spans: list[tuple[int, int]]) -> list[str]:
    r"""``text`` in pieces of at most ``window.max_tokens`` tokens; ``spans`` are the character spans of its tokens.

    A piece ends at the last paragraph border in its second half, else at the last sentence border there, else
    between two words, else between two tokens. The next piece begins up to ``overlap_tokens`` earlier, at a sentence
    if one begins there, else at a word. (Part of a word may have more tokens by itself than it has in the word.)

    >>> words = "One two three. Four five. Six seven eight nine."
    >>> spans = [match.span() for match in re.finditer(r"\w+", words)]
    >>> split_text(words, window=Window(max_tokens=5, overlap_tokens=2), spans=spans)
    ['One two three. Four five.', 'Four five. Six seven eight', 'seven eight nine.']
    """
    return [text[start:end] for start, end in split_spans(text, window=window, spans=spans)]


def split_spans(text: str, *, window: Window, spans: list[tuple[int, int]]) -> Pieces:
    """Where the pieces of ``split_text`` are."""
    if len(spans) <= window.max_tokens:
        return [(0, len(text))]
    starts = [start for start, _ in spans]
    kinds = [_borders(text, pattern, starts) for pattern in (_PARAGRAPH_END, _SENTENCE_END, _WORD_END)]
    pieces: Pieces = []
    begin = 0
    while True:
        end = begin + window.max_tokens
        if end >= len(spans):
            pieces.append(_stripped(text, starts[begin] if begin else 0, len(text)))
            return pieces
        middle = begin + window.max_tokens // 2
        cut = next(filter(None, (_last_border(borders, middle, end) for borders in kinds)), end)
        pieces.append(_stripped(text, starts[begin] if begin else 0, starts[cut]))
        earliest = cut - window.overlap_tokens
        begin = next(filter(None, (_first_border(borders, earliest, cut) for borders in kinds[1:])), earliest)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """A piece without white space at its ends."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def sentences(text: str) -> list[str]:
    r"""A text's sentences, and lines, as pieces.

    >>> sentences("Rain\nIt falls. It stops!")
    ['Rain', 'It falls.', 'It stops!']
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    pieces = (text[begin:end].strip() for begin, end in zip([0, *ends], [*ends, len(text)], strict=True))
    return [piece for piece in pieces if piece]


def _borders(text: str, pattern: re.Pattern[str], starts: list[int]) -> list[int]:
    """The numbers of the tokens that begin right after a border."""
    return sorted({bisect_left(starts, match.end()) for match in pattern.finditer(text)})


def _last_border(borders: list[int], after: int, up_to: int) -> int | None:
    position = bisect_right(borders, up_to)
    return borders[position - 1] if position and borders[position - 1] > after else None


def _first_border(borders: list[int], at_least: int, before: int) -> int | None:
    position = bisect_left(borders, at_least)
    return borders[position] if position < len(borders) and borders[position] < before else None
