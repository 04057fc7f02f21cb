"""How much of a text a model's tokenizer does not know, and the model so cannot read. Only the tokenizer is asked."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nearer.encode.encoder import TextEncoder, local_reader

UNREADABLE = 0.1
"""From this share of unknown tokens on a model cannot read a text. Our rule: English texts have some 0.01 at most, and
a WordPiece of English makes 0.5 to 0.8 of Thai, Chinese or Telugu."""

MOST_READ = 10_000
"""Of more texts than these some are read, at even distances."""

_SCRIPT_NAMES = {"CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownTokens:
    """How many tokens texts have, and how many of them are unknown; ``scripts`` counts these by what they are."""

    num_tokens: int = 0
    num_unknown: int = 0
    scripts: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "UnknownTokens") -> "UnknownTokens":
        return UnknownTokens(
            num_tokens=self.num_tokens + other.num_tokens,
            num_unknown=self.num_unknown + other.num_unknown,
            scripts=self.scripts + other.scripts,
        )

    @property
    def share(self) -> float:
        """The unknown share, from 0 to 1."""
        return self.num_unknown / self.num_tokens if self.num_tokens else 0.0

    @property
    def is_unreadable(self) -> bool:
        """Whether so much is unknown that the model cannot read it."""
        return self.share >= UNREADABLE

    @property
    def described(self) -> str:
        """The share, and what most of the unknown is, as in ``81% (Telugu)``."""
        named = [name for name, count in self.scripts.most_common(3) if count >= self.num_unknown / 10]
        return f"{self.share:.0%}" + (f" ({', '.join(named)})" if named else "")


def count_unknown(encoder: TextEncoder, texts: Sequence[str], *, of_queries: bool = False) -> UnknownTokens | None:
    """The unknown tokens of all texts, as documents or as queries; None where nobody knows, as behind an API."""
    reader = local_reader(encoder, "queries" if of_queries else "documents")
    if reader is None:
        return None
    read = reader.unknown_tokens(texts)
    return UnknownTokens(
        num_tokens=sum(num_tokens for num_tokens, _ in read),
        num_unknown=sum(len(spans) for _, spans in read),
        scripts=Counter(
            script_of(text[start:end]) for text, (_, spans) in zip(texts, read, strict=True) for start, end in spans
        ),
    )


def script_of(text: str) -> str:
    """What the first letter of a text is called, or the first sign where it has none.

    >>> script_of("తెలుగు"), script_of("東京"), script_of("...")
    ('Telugu', 'Chinese or Japanese', 'signs')
    """
    letter = next(filter(str.isalpha, text), None)
    if letter is None:
        return "signs"
    letter = unicodedata.normalize("NFKC", letter)[0]  # half and full width are no scripts
    name = unicodedata.name(letter, "unnamed").split()[0].removesuffix("-")
    return _SCRIPT_NAMES.get(name, name.capitalize())
