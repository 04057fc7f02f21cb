"""Which of many texts nearly repeat each other: exact, without comparing all with all.

Texts of the same shingles are grouped first. Two sets that alike must share one of their rarest shingles, and share it
early enough, so only sets that do are compared, each pair on all its shingles. Shingles are hashed to 64 bits and kept
outside of memory where they are many; that two differ and have one hash is as good as impossible.

Source: Bayardo et al., Scaling Up All Pairs Similarity Search (2007), section 4 (prefix filtering); Xiao et al.,
Efficient Similarity Joins for Near Duplicate Detection (2008), section 4.1 (positional filtering).

Arrays: T texts, G groups of texts with the same shingles, E entries (a rare shingle of a group), M members of a run
(the groups that have one rare shingle), C kinds of members.
"""

import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from tempfile import SpooledTemporaryFile

import numpy as np

from nearer.core.arrays import Bools, Ints
from nearer.core.progress import Progress, Silent
from nearer.core.text import NEAR_DUPLICATE, normalise, shingles

_IN_MEMORY_BYTES = 2**28
"""Beyond so many bytes the shingles of a call lie in a temporary file."""
_BLOCK_SHINGLES = 2**20
_MOST_BUCKETS_LOG2 = 27
_FEW_MEMBERS, _MOST_KINDS = 16, 1024
_SLACK = 1e-9  # a product that is rounded must not hide a pair


class Grouping:
    """Texts grouped by their sets of shingles; ``num_distinct`` of the texts differ in more than form."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._sets = _Sets()
        self.num_distinct = 0
        by_text: dict[int, int] = {}
        by_set: dict[int, int] = {}
        groups, firsts = array("q"), array("q")
        for row, text in enumerate(texts):
            key = hash(normalise(text))
            group = by_text.get(key)
            if group is None:
                hashes = array("q", sorted(map(hash, shingles(text)))).tobytes()
                group = by_set.setdefault(hash(hashes), len(firsts))
                by_text[key] = group
                if group == len(firsts):
                    firsts.append(row)
                    self._sets.append(hashes)
            groups.append(group)
        self.num_distinct = len(by_text)
        self.group_T: Ints = np.array(groups, np.int64)
        self.first_G: Ints = np.array(firsts, np.int64)

    @property
    def num_groups(self) -> int:
        """How many groups there are."""
        return len(self.first_G)

    def members(self) -> list[list[int]]:
        """The texts of each group."""
        found: list[list[int]] = [[] for _ in range(self.num_groups)]
        for row, group in enumerate(self.group_T.tolist()):
            found[group].append(row)
        return found

    def pairs(
        self, *, threshold: float = NEAR_DUPLICATE, wanted: Callable[[int, Ints], Bools] | None = None
    ) -> Iterator[tuple[int, int]]:
        """Every pair of different groups whose resemblance reaches ``threshold``, the lower number first.

        Of these only those for which ``wanted`` (a group, other groups) is true, where it is given.
        """
        seen: set[tuple[int, int]] = set()
        for run in self._runs(threshold):
            for place in range(1, len(run.groups_M)):
                others = run.fitting(place)
                group = int(run.groups_M[place])
                others = run.groups_M[others]
                if wanted is not None and len(others):
                    others = others[wanted(group, others)]
                for other in others.tolist():
                    pair = (min(group, other), max(group, other))
                    if pair not in seen:
                        seen.add(pair)
                        if self._sets.resemblance(*pair) >= threshold:
                            yield pair

    def clusters(self, *, threshold: float = NEAR_DUPLICATE, progress: Progress | None = None) -> list[int]:
        """For each text the first text that it is connected to by texts that nearly repeat each other.

        What is connected already is not compared again: a cluster costs about one comparison a group.
        """
        joined, failed = _Union(self.num_groups), _Failed()
        runs = self._runs(threshold)
        for run in (progress or Silent()).track(runs, label="near-duplicates", total=len(runs)):
            self._join(run, joined, failed, threshold)
        roots = np.array([joined.root(group) for group in range(self.num_groups)], np.int64)
        first = self.first_G[roots[self.group_T]] if len(roots) else roots
        return [int(row) for row in first]

    def _join(self, run: "_Run", joined: "_Union", failed: "_Failed", threshold: float) -> None:
        """Connect the members of a run that are alike."""
        components: dict[int, list[int]] = {}
        for place, group in enumerate(run.groups_M.tolist()):
            mine = [place]
            root = joined.root(group)
            mine += components.pop(root, [])
            for other_root, places in list(components.items()):
                if self._is_near(run, place, places, failed, threshold):
                    del components[other_root]
                    mine += places
                    root = joined.join(root, other_root)
            components[root] = mine

    def _is_near(self, run: "_Run", place: int, others: list[int], failed: "_Failed", threshold: float) -> bool:
        """Whether a member is alike to one of others."""
        group = int(run.groups_M[place])
        for other_place in others:
            other = int(run.groups_M[other_place])
            if not run.fits(other_place, place) or failed.has(group, other):
                continue
            if self._sets.resemblance(group, other) >= threshold:
                return True
            failed.add(group, other)
        return False

    def _runs(self, threshold: float) -> "_Runs":
        return _Runs.build(self._sets, threshold)


def cluster_texts(texts: Sequence[str], *, threshold: float = NEAR_DUPLICATE) -> list[int]:
    """For each text the first text that it is connected to by near-duplicates.

    >>> cluster_texts(["find all files", "list users", "Find all  FILES"])
    [0, 1, 0]
    """
    return Grouping(texts).clusters(threshold=threshold)


def near_duplicates(texts: Sequence[str], *, threshold: float = NEAR_DUPLICATE) -> list[tuple[int, ...]]:
    """For each text all whose resemblance to it reaches ``threshold``, itself too, in their order.

    Texts of one set of shingles share one tuple.

    >>> near_duplicates(["find all files", "list users", "Find all  FILES"])
    [(0, 2), (1,), (0, 2)]
    """
    grouping = Grouping(texts)
    members = grouping.members()
    near: list[list[int]] = [[group] for group in range(grouping.num_groups)]
    for left, right in grouping.pairs(threshold=threshold):
        near[left].append(right)
        near[right].append(left)
    alike = [tuple(sorted(row for group in groups for row in members[group])) for groups in near]
    return [alike[group] for group in grouping.group_T.tolist()]


def resembling(texts: Sequence[str], known: Sequence[str], *, threshold: float = NEAR_DUPLICATE) -> list[bool]:
    """Which of the texts have a resemblance of at least ``threshold`` to one of ``known``.

    >>> resembling(["find all big files", "list users"], ["Find all big folders", "find it"], threshold=1 / 3)
    [True, False]
    """
    grouping = Grouping([*known, *texts])
    is_known_G = np.zeros(grouping.num_groups, np.bool_)
    is_known_G[grouping.group_T[: len(known)]] = True
    is_near_G = is_known_G.copy()

    def apart(group: int, others: Ints) -> Bools:
        return np.asarray(is_known_G[others] != is_known_G[group])

    for pair in grouping.pairs(threshold=threshold, wanted=apart):
        is_near_G[list(pair)] = True
    found: list[bool] = is_near_G[grouping.group_T[len(known) :]].tolist()
    return found


class _Sets:
    """Sets of 64-bit hashes, one after another in a file that begins in memory."""

    def __init__(self) -> None:
        self._file = file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed when let go
        self._ends = ends = array("q", [0])
        weakref.finalize(self, file.close)

        @lru_cache(maxsize=2**7)
        def read(number: int) -> frozenset[int]:
            file.seek(ends[number])
            return frozenset(array("q", file.read(ends[number + 1] - ends[number])))

        self._read = read

    def append(self, hashes: bytes) -> None:
        self._file.write(hashes)
        self._ends.append(self._ends[-1] + len(hashes))

    @property
    def sizes_G(self) -> Ints:
        """How many hashes each set has."""
        ends = np.array(self._ends, np.int64)
        return (ends[1:] - ends[:-1]) // 8

    def resemblance(self, left: int, right: int) -> float:
        """The Jaccard index of two sets."""
        a, b = self._read(left), self._read(right)
        shared = len(a & b)
        return shared / (len(a) + len(b) - shared)

    def blocks(self) -> Iterator[tuple[Ints, Ints]]:
        """The hashes of all sets in their order, and the set of each; so many sets at once as make a block."""
        ends = np.array(self._ends, np.int64)
        begin = 0
        while begin < len(ends) - 1:
            end = int(np.searchsorted(ends, ends[begin] + 8 * _BLOCK_SHINGLES, side="right")) - 1
            end = max(begin + 1, end)
            self._file.seek(int(ends[begin]))
            hashes = np.frombuffer(self._file.read(int(ends[end] - ends[begin])), np.int64)
            yield hashes, np.repeat(np.arange(begin, end), np.diff(ends[begin : end + 1]) // 8)
            begin = end


class _Counts:
    """How many sets hold a hash, at least; hashes share buckets where there are many."""

    def __init__(self, sets: _Sets) -> None:
        num_shingles = int(sets.sizes_G.sum())
        bits = min(_MOST_BUCKETS_LOG2, max(10, (2 * num_shingles).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._counts = np.zeros(2**bits, np.uint16)
        for hashes, _ in sets.blocks():
            buckets, counts = np.unique(self._buckets(hashes), return_counts=True)
            summed = self._counts[buckets].astype(np.int64) + counts
            self._counts[buckets] = np.minimum(summed, np.iinfo(np.uint16).max)

    def of(self, hashes: Ints) -> Ints:
        return self._counts[self._buckets(hashes)].astype(np.int64)

    def _buckets(self, hashes: Ints) -> Ints:
        mixed = hashes.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (mixed >> self._shift).astype(np.int64)


class _Run:
    """The sets that share one rare shingle, the smallest first, and its place among the rarest of each."""

    __slots__ = ("_places_M", "_share", "_sizes_M", "_threshold", "groups_M")

    def __init__(self, groups_M: Ints, sizes_M: Ints, places_M: Ints, threshold: float) -> None:
        self.groups_M, self._sizes_M, self._places_M, self._threshold = groups_M, sizes_M, places_M, threshold
        self._share = threshold / (1 + threshold)  # of the sizes of two sets together, that they must have in common

    def fits(self, smaller: int, larger: int) -> bool:
        """Whether two members can be alike, the shared shingle being the first that they share."""
        few, many = int(self._sizes_M[smaller]), int(self._sizes_M[larger])
        rest = min(few - int(self._places_M[smaller]), many - int(self._places_M[larger]))
        return few >= self._threshold * many - _SLACK and rest >= self._share * (few + many) - _SLACK

    def fitting(self, place: int) -> Ints:
        """The members before one that can be alike to it."""
        return np.flatnonzero(self._fits(slice(0, place), slice(place, place + 1))[:, 0])

    def reduced(self) -> "_Run | None":
        """The run without members that no other can be alike to; none where nothing is left. Small ones stay."""
        if len(self.groups_M) <= _FEW_MEMBERS:
            return self
        kinds_C, kind_M, counts_C = np.unique(
            np.stack([self._sizes_M, self._places_M], axis=1), axis=0, return_inverse=True, return_counts=True
        )
        if len(kinds_C) > _MOST_KINDS:
            return self
        of_kinds = _Run(kinds_C[:, 0], kinds_C[:, 0], kinds_C[:, 1], self._threshold)
        upper_CC: Bools = np.triu(of_kinds._fits(slice(None), slice(None)))
        fits_CC: Bools = np.logical_or(upper_CC, upper_CC.T)
        np.fill_diagonal(fits_CC, fits_CC.diagonal() & (counts_C > 1))
        kept_M = np.any(fits_CC, axis=1)[kind_M.reshape(-1)]
        if not kept_M.any():
            return None
        return _Run(self.groups_M[kept_M], self._sizes_M[kept_M], self._places_M[kept_M], self._threshold)

    def _fits(self, smaller: slice, larger: slice) -> Bools:
        few_A1, many_1B = self._sizes_M[smaller, None], self._sizes_M[None, larger]
        rest_AB = np.minimum(few_A1 - self._places_M[smaller, None], many_1B - self._places_M[None, larger])
        is_similar_AB = np.asarray(few_A1 >= self._threshold * many_1B - _SLACK)
        is_enough_AB = np.asarray(rest_AB >= self._share * (few_A1 + many_1B) - _SLACK)
        fits_AB: Bools = np.logical_and(is_similar_AB, is_enough_AB)
        return fits_AB


class _Runs:
    """The runs of a grouping that hold two members or more, one after another."""

    def __init__(self, sizes_G: Ints, groups_E: Ints, places_E: Ints, borders: Ints, threshold: float) -> None:
        self._sizes_G, self._groups_E, self._places_E = sizes_G, groups_E, places_E
        self._borders, self._threshold = borders, threshold

    @classmethod
    def build(cls, sets: _Sets, threshold: float) -> "_Runs":
        counts, sizes_G = _Counts(sets), sets.sizes_G
        lengths_G = sizes_G - np.ceil(threshold * sizes_G - _SLACK).astype(np.int64) + 1
        parts = [_rarest(hashes, groups, counts, lengths_G) for hashes, groups in sets.blocks()]
        none = np.empty(0, np.int64)
        hashes_E, groups_E, places_E = (np.concatenate(column) for column in zip((none,) * 3, *parts, strict=True))
        del parts
        order_E = np.lexsort((groups_E, sizes_G[groups_E], hashes_E))
        hashes_E, groups_E, places_E = hashes_E[order_E], groups_E[order_E], places_E[order_E]
        starts = np.flatnonzero(np.diff(hashes_E, prepend=hashes_E[:1] - 1))
        borders = np.stack([starts, np.append(starts, len(hashes_E))[1:]], axis=1)
        return cls(sizes_G, groups_E, places_E, borders[borders[:, 1] - borders[:, 0] > 1], threshold)

    def __len__(self) -> int:
        return len(self._borders)

    def __iter__(self) -> Iterator[_Run]:
        for begin, end in self._borders.tolist():
            groups_M = self._groups_E[begin:end]
            run = _Run(groups_M, self._sizes_G[groups_M], self._places_E[begin:end], self._threshold).reduced()
            if run is not None:
                yield run


def _rarest(hashes: Ints, groups: Ints, counts: _Counts, lengths_G: Ints) -> tuple[Ints, Ints, Ints]:
    """The rarest shingles of each group of a block, their groups and their places from 0; but for a group's own."""
    counts_H = counts.of(hashes)
    order_H = np.lexsort((hashes, counts_H, groups))
    groups_H = groups[order_H]
    starts_H = np.searchsorted(groups_H, groups_H, side="left")
    places_H = np.arange(len(groups_H)) - starts_H
    kept_H = (places_H < lengths_G[groups_H]) & (counts_H[order_H] > 1)
    return hashes[order_H][kept_H], groups_H[kept_H], places_H[kept_H]


class _Union:
    """Disjoint sets of groups; the root is the lowest member."""

    def __init__(self, number: int) -> None:
        self._parent = array("q", range(number))

    def root(self, item: int) -> int:
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, left: int, right: int) -> int:
        low, high = sorted((self.root(left), self.root(right)))
        self._parent[high] = low
        return low


class _Failed:
    """Pairs that were compared and are not alike, the last of them."""

    _MOST = 2**20

    def __init__(self) -> None:
        self._pairs: set[tuple[int, int]] = set()

    def has(self, left: int, right: int) -> bool:
        return (min(left, right), max(left, right)) in self._pairs

    def add(self, left: int, right: int) -> None:
        if len(self._pairs) >= self._MOST:
            self._pairs.clear()
        self._pairs.add((min(left, right), max(left, right)))
