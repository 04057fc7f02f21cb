"""How alike two rankings of the same query are."""

from collections.abc import Sequence

PERSISTENCE = 0.9
"""How likely a reader goes on to the next rank; 86 % of the weight is on the first ten.

Source: Webber, Moffat and Zobel, A Similarity Measure for Indefinite Rankings (2010), sections 4.2 and 6.
"""


def overlap(left: Sequence[str], right: Sequence[str], *, k: int) -> float:
    """The share of the ``k`` best that both have; of fewer where neither has ``k``, and 1 where both have none.

    >>> overlap(["a", "b", "c"], ["b", "x", "a"], k=2)
    0.5
    """
    most = min(k, max(len(left), len(right)))
    return len(set(left[:k]) & set(right[:k])) / most if most else 1.0


def rank_biased_overlap(left: Sequence[str], right: Sequence[str], *, persistence: float = PERSISTENCE) -> float:
    """Rank-biased overlap, extrapolated beyond what both rankings hold: 1 for the same ranking, 0 for none in common.

    Neither ranking holds an item twice. Source: Webber, Moffat and Zobel, A Similarity Measure for Indefinite Rankings
    (2010), equation 32.

    >>> rank_biased_overlap(["a", "b"], ["a", "b"]), rank_biased_overlap(["a"], ["b"])
    (1.0, 0.0)
    >>> round(rank_biased_overlap(["a", "b", "c"], ["b", "a", "c"]), 2)
    0.9
    """
    short, long = sorted((list(left), list(right)), key=len)
    if not short:
        return 0.0 if long else 1.0
    num_short, num_long = len(short), len(long)
    shared, shared_at = 0, [0]
    seen_short, seen_long = set[str](), set[str]()
    for depth in range(num_long):
        seen_long.add(long[depth])
        shared += long[depth] in seen_short
        if depth < num_short:
            seen_short.add(short[depth])
            shared += short[depth] in seen_long
        shared_at.append(shared)
    agreed = sum(shared_at[depth] / depth * persistence**depth for depth in range(1, num_long + 1))
    missing = sum(
        shared_at[num_short] * (depth - num_short) / (num_short * depth) * persistence**depth
        for depth in range(num_short + 1, num_long + 1)
    )
    rest = (shared_at[num_long] - shared_at[num_short]) / num_long + shared_at[num_short] / num_short
    found = (1 - persistence) / persistence * (agreed + missing) + rest * persistence**num_long
    return min(1.0, found)  # sums of floats
