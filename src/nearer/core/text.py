"""When two texts are the same, or nearly.

Resemblance is the Jaccard index of word 3-shingles.
Source: Broder, On the resemblance and containment of documents (1997), section 2.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import ceil

NEAR_DUPLICATE = 0.8
"""Texts at least this alike are near-duplicates.

Source: Lee et al., Deduplicating Training Data Makes Language Models Better (2022), section 4.2 (NearDup).
"""

_SHINGLE_WORDS = 3
_WORD = re.compile(r"\w+")


def normalise(text: str) -> str:
    r"""A text without what does not change its meaning: Unicode form, letter case and white space.

    >>> normalise("  Straße\n AND Rain ")
    'strasse and rain'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def shingles(text: str) -> frozenset[str]:
    """The word 3-shingles of a normalised text; all words as one shingle when there are fewer than three.

    >>> sorted(shingles("Find files by name"))
    ['files by name', 'find files by']
    """
    words = _WORD.findall(normalise(text)) or [normalise(text)]
    num_shingles = max(1, len(words) - _SHINGLE_WORDS + 1)
    return frozenset(" ".join(words[i : i + _SHINGLE_WORDS]) for i in range(num_shingles))


def resemblance(left: frozenset[str], right: frozenset[str]) -> float:
    """The Jaccard index of two sets of shingles.

    >>> resemblance(shingles("a b c d"), shingles("a b c e"))
    0.3333333333333333
    """
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


def near_duplicates(texts: Sequence[str], *, threshold: float = NEAR_DUPLICATE) -> Iterator[tuple[int, int]]:
    """Every pair (i, j), i < j, of texts whose resemblance reaches ``threshold``; exact, without all-pairs work.

    Two sets that alike must share one of their rarest shingles, so only those are indexed.
    Source: Bayardo et al., Scaling Up All Pairs Similarity Search (2007), section 4 (prefix filtering).

    >>> list(near_duplicates(["find all files", "list users", "Find all  FILES"]))
    [(0, 2)]
    """
    sets = [shingles(text) for text in texts]
    frequency = Counter(shingle for each in sets for shingle in each)
    seen_with: defaultdict[str, list[int]] = defaultdict(list)
    for j, current in enumerate(sets):
        prefix = _prefix(current, frequency, threshold)
        for i in sorted({i for shingle in prefix for i in seen_with[shingle]}):
            if resemblance(sets[i], current) >= threshold:
                yield i, j
        for shingle in prefix:
            seen_with[shingle].append(j)


def resembling(texts: Sequence[str], known: Sequence[str], *, threshold: float) -> list[bool]:
    """Which of the texts have a resemblance of at least ``threshold`` to one of ``known``; exact, as above.

    >>> resembling(["find all big files", "list users"], ["Find all big folders", "find it"], threshold=1 / 3)
    [True, False]
    """
    sets = [shingles(text) for text in texts]
    known_sets = list(dict.fromkeys(shingles(text) for text in known))
    frequency = Counter(shingle for each in (*sets, *known_sets) for shingle in each)
    known_with: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for each in known_sets:
        for shingle in _prefix(each, frequency, threshold):
            known_with[shingle].append(each)
    return [
        any(
            resemblance(current, other) >= threshold
            for shingle in _prefix(current, frequency, threshold)
            for other in known_with.get(shingle, ())
        )
        for current in sets
    ]


def _prefix(current: frozenset[str], frequency: Mapping[str, int], threshold: float) -> list[str]:
    """The rarest shingles of a set, one of which any set that is so alike must have among its own."""
    rarest_first = sorted(current, key=lambda shingle: (frequency[shingle], shingle))
    return rarest_first[: len(current) - ceil(threshold * len(current) - 1e-9) + 1]


def clusters(num_items: int, edges: Iterator[tuple[int, int]]) -> list[int]:
    """Connected components: for each item the smallest item it is connected to.

    >>> clusters(4, iter([(1, 3), (0, 3)]))
    [0, 0, 2, 0]
    """
    parent = list(range(num_items))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for left, right in edges:
        low, high = sorted((root(left), root(right)))
        parent[high] = low
    return [root(item) for item in range(num_items)]
