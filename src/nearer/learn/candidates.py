"""Candidates for hard negatives, sifted by what is known of them; each text of a line counts once.

Arrays: Q examples x K candidates. Rows index the list of candidate texts; -1 means no candidate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Floats32, Ints
from nearer.learn.examples import Example, NearDuplicates, text_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Proposals for each example: rows of ``texts``, their scores, and the positive's own score on the same scale.

    ``sources_K`` names the source of every column, the columns of a source from its best on; none means that all are
    the model's own ranking, ``dense``.
    """

    texts: Sequence[str]
    rows_QK: Ints
    scores_QK: Floats32
    positive_scores_Q: Floats32
    sources_K: tuple[str, ...] = ()

    @property
    def sources(self) -> dict[str, Bools]:
        """Which columns each source has."""
        named_K = np.asarray(self.sources_K or ("dense",) * self.rows_QK.shape[1], dtype=object)
        return {name: np.asarray(named_K == name) for name in dict.fromkeys(named_K.tolist())}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sifted:
    """What each candidate is, all bool, and who proposed it.

    ``known_QK``: a masked text. ``near_QK``: nearly the positive. ``allowed_QK``: neither, and among the best of its
    source. ``hidden_QK``: another known positive of the query that would be allowed, were it not known.
    ``proposers_QK`` has a bit for each of ``sources``; ``has_others_Q`` tells the examples whose query has another
    known positive, ``queries_Q`` (int64) which examples share a query.
    """

    known_QK: Bools
    near_QK: Bools
    allowed_QK: Bools
    hidden_QK: Bools
    proposers_QK: Ints
    sources: tuple[str, ...]
    num_proposed: tuple[int, ...]
    has_others_Q: Bools
    queries_Q: Ints


def sift(examples: Sequence[Example], candidates: Candidates, *, top_k: int, near_duplicate: float) -> Sifted:
    """Sift the candidates, of which every source has its ``top_k`` best that are not known."""
    keys = [text_key(text) for text in candidates.texts]
    proposed_QK = candidates.rows_QK >= 0
    known_QK = proposed_QK & _among(candidates, keys, [example.masked for example in examples])
    unknown_QK = proposed_QK & ~known_QK
    places_QK = _places(unknown_QK, candidates)
    unknown_QK &= places_QK <= top_k
    others = _other_positives(examples)
    hidden_QK = known_QK & _among(candidates, keys, others) & (places_QK < top_k)
    looked_at_QK = known_QK | unknown_QK
    num_proposed = tuple(int(looked_at_QK[:, columns_K].sum()) for columns_K in candidates.sources.values())
    first_QK, proposers_QK = _once(candidates, looked_at_QK)
    unknown_QK &= first_QK
    hidden_QK = _once(candidates, hidden_QK)[0]
    near_QK = _near_duplicates(examples, candidates, unknown_QK | hidden_QK, threshold=near_duplicate)
    return Sifted(
        known_QK=known_QK & first_QK,
        near_QK=unknown_QK & near_QK,
        allowed_QK=unknown_QK & ~near_QK,
        hidden_QK=hidden_QK & ~near_QK,
        proposers_QK=proposers_QK,
        sources=tuple(candidates.sources),
        num_proposed=num_proposed,
        has_others_Q=np.array([bool(each) for each in others], dtype=np.bool_),
        queries_Q=_queries(examples),
    )


def _places(unknown_QK: Bools, candidates: Candidates) -> Ints:
    """How many unknown candidates the same source has up to each place, the place itself included."""
    places_QK = np.zeros(unknown_QK.shape, np.int64)
    for columns_K in candidates.sources.values():
        places_QK[:, columns_K] = unknown_QK[:, columns_K].cumsum(axis=1)
    return places_QK


def _once(candidates: Candidates, chosen_QK: Bools) -> tuple[Bools, Ints]:
    """The first place of each chosen row in its line, and there the bits of all sources that have the row."""
    bits_K = np.zeros(chosen_QK.shape[1], np.int64)
    for bit, columns_K in enumerate(candidates.sources.values()):
        bits_K[columns_K] = 1 << bit
    keys_QK = np.where(chosen_QK, candidates.rows_QK, -1 - np.arange(len(bits_K)))  # what is not chosen stands alone
    order_QK = np.argsort(keys_QK, axis=1, kind="stable")
    sorted_QK = np.take_along_axis(keys_QK, order_QK, axis=1)
    is_repeated_QK = np.zeros(chosen_QK.shape, np.bool_)
    is_repeated_QK[:, 1:] = sorted_QK[:, 1:] == sorted_QK[:, :-1]
    bits_QK = bits_K[order_QK]
    for place in range(len(bits_K) - 1, 0, -1):
        bits_QK[:, place - 1] |= np.where(is_repeated_QK[:, place], bits_QK[:, place], 0)
    first_QK, proposers_QK = np.empty_like(chosen_QK), np.empty_like(bits_QK)
    np.put_along_axis(first_QK, order_QK, ~is_repeated_QK, axis=1)
    np.put_along_axis(proposers_QK, order_QK, bits_QK, axis=1)
    first_QK &= chosen_QK
    return first_QK, np.where(first_QK, proposers_QK, 0)


def _among(candidates: Candidates, keys: Sequence[str], wanted: Sequence[frozenset[str]]) -> Bools:
    """Candidates whose text is among the wanted ones of their example, by text."""
    found = [
        [row >= 0 and keys[row] in wanted_here for row in rows_K]
        for wanted_here, rows_K in zip(wanted, candidates.rows_QK.tolist(), strict=True)
    ]
    return np.asarray(found, dtype=np.bool_).reshape(candidates.rows_QK.shape)


def _other_positives(examples: Sequence[Example]) -> list[frozenset[str]]:
    """The keys of the other examples' positives, of those that share an example's query."""
    together: dict[str, set[str]] = {}
    for example in examples:
        together.setdefault(text_key(example.anchor), set()).add(text_key(example.positive))
    return [frozenset(together[text_key(each.anchor)] - {text_key(each.positive)}) for each in examples]


def _queries(examples: Sequence[Example]) -> Ints:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text_key(each.anchor), len(numbers)) for each in examples], np.int64)


def _near_duplicates(
    examples: Sequence[Example], candidates: Candidates, looked_at_QK: Bools, *, threshold: float
) -> Bools:
    """Candidates that nearly repeat their example's positive."""
    duplicates = NearDuplicates(threshold)
    found_QK = np.zeros(candidates.rows_QK.shape, dtype=np.bool_)
    for q, k in np.argwhere(looked_at_QK):
        found_QK[q, k] = duplicates.alike(examples[q].positive, candidates.texts[candidates.rows_QK[q, k]])
    return found_QK
