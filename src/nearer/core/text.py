"""When two texts are the same, or nearly.

Resemblance is the Jaccard index of word 3-shingles.
Source: Broder, On the resemblance and containment of documents (1997), section 2.
"""

from collections.abc import Hashable

from nearer.core.analysis import fold, words

NEAR_DUPLICATE = 0.8
"""Texts at least this alike are near-duplicates.

Source: Lee et al., Deduplicating Training Data Makes Language Models Better (2022), section 4.2 (NearDup).
"""

_SHINGLE_WORDS = 3

Shingle = tuple[str, ...]


def normalise(text: str) -> str:
    r"""A text without what does not change its meaning: Unicode form, letter case, invisible signs and white space.

    >>> normalise("  Straße\n AND Rain ")
    'strasse and rain'
    """
    return " ".join(fold(text).split())


def plain_id(key: str) -> str:
    """An id without what people overlook: letter case, Unicode form, invisible signs, and .0 after a number.

    >>> plain_id("A\u00adb "), plain_id("7.0"), plain_id("1.10")
    ('ab', '7', '1.10')
    """
    plain = normalise(key)
    return plain.removesuffix(".0") if plain[:-2].isdigit() else plain


def shingles(text: str) -> frozenset[Shingle]:
    """The word 3-shingles of a text; all words as one shingle when there are fewer than three.

    A text without words is one shingle, itself normalised.

    >>> sorted(shingles("Find files by name"))
    [('files', 'by', 'name'), ('find', 'files', 'by')]
    """
    found = words(text) or [normalise(text)]
    if len(found) <= _SHINGLE_WORDS:
        return frozenset([tuple(found)])
    return frozenset(zip(found, found[1:], found[2:], strict=False))


def resemblance(left: frozenset[Hashable], right: frozenset[Hashable]) -> float:
    """The Jaccard index of two sets of shingles.

    >>> resemblance(shingles("a b c d"), shingles("a b c e"))
    0.3333333333333333
    """
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)
