"""How many of the drawn negatives are positives that nobody labelled: estimates, each with its interval.

Arrays: Q examples, U queries.
"""

from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats64, Ints
from nearer.core.results.training import FalseNegatives
from nearer.measure.significance import min_units, units_of

HIDDEN_POSITIVES = "hidden positives"

_CONFIDENCE = 0.95
_NUM_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HiddenPositives:
    """What is counted at each example (float64, Q) of a query with another known positive; ``queries_Q`` are labels.

    ``unknown_above_Q`` counts unknown candidates that score at least as high as the positive, ``known_above_Q`` the
    query's other known positives that do and would be candidates, were they not known. ``drawn_Q`` is the negatives
    that were drawn, ``would_draw_Q`` the sum of the chances that those other positives would have been.
    """

    queries_Q: Ints
    unknown_above_Q: Floats64
    known_above_Q: Floats64
    drawn_Q: Floats64
    would_draw_Q: Floats64


def by_hidden_positives(counts: HiddenPositives, *, seed: int) -> FalseNegatives | None:
    """The largest share of false negatives that is in keeping with where known positives stand; None where unknown.

    Let every query have r unlabelled positives for each other known one, standing where those stand. Then at most all
    unknown candidates above the positive are such: r <= unknown_above / known_above. Hiding a known positive tells how
    likely one is drawn, so the share is at most

        (unknown_above / known_above) * (would_draw / drawn)

    with every term summed over examples. It is the truth where negatives never outscore the positive, and too high
    where they do. What it takes for granted: labels are missing at random, so that unlabelled positives score as
    labelled ones; and queries with a single known positive, which tell nothing, are like the others. The interval is
    a percentile bootstrap over queries; where no known positive would have been drawn, its upper end is that of the
    chance that as many queries would leave unseen.

    Source: hiding known positives: Elkan and Noto, Learning Classifiers from Only Positive and Unlabeled Data (2008),
    "selected completely at random"; the bound: Blanchard, Lee and Scott, Semi-Supervised Novelty Detection (JMLR 11,
    2010), the largest share of one distribution in another; nothing seen: Clopper and Pearson (1934).
    """
    num_queries = len(np.unique(counts.queries_Q))
    if num_queries < min_units(_CONFIDENCE) or not counts.known_above_Q.any() or not counts.drawn_Q.any():
        return None
    terms = (counts.unknown_above_Q, counts.known_above_Q, counts.would_draw_Q, counts.drawn_Q)
    units = units_of(np.stack(terms, axis=1), counts.queries_Q)
    total_4 = units.sums_UM.sum(axis=0)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, num_queries, num_queries) for _ in range(_NUM_RESAMPLES))
    resampled_R4 = np.stack([units.sums_UM[rows].sum(axis=0) for rows in draws])
    low, high = np.quantile(_largest_share(resampled_R4), [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]).tolist()
    if not total_4[2]:
        unseen = 1 - ((1 - _CONFIDENCE) / 2) ** (1 / num_queries)
        high = float(_largest_share(np.array([*total_4[:2], unseen * num_queries, total_4[3]])))
    return FalseNegatives(
        method=HIDDEN_POSITIVES,
        value=float(_largest_share(total_4)),
        low=low,
        high=high,
        num_queries=num_queries,
    )


def _largest_share(sums: Floats64) -> Floats64:
    """The bound from the four sums on the last axis, 1 at most, and 1 where no known positive stands above."""
    unknown_above, known_above, would_draw, drawn = np.moveaxis(sums, -1, 0)
    bound = unknown_above * would_draw
    limit = known_above * drawn
    return np.asarray(np.where(bound < limit, bound / np.where(limit > 0, limit, 1), 1.0))
