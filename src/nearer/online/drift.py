"""Whether two periods are alike: tests by permutation over persons, so that their level is exact at any size.

Under the null hypothesis it is chance which period a person's searches fell into. Who searched in both periods is like
themselves, which makes an alarm rarer, not more frequent.

Arrays: N persons of the newest period, M of the one before, Z both one after the other; D dimensions; B permutations;
S the five sums that a ratio's variance needs.
"""

from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Floats32, Floats64, Ints
from nearer.online.metrics import UnitSums

FALSE_ALARMS = 0.01
"""How often each test says that something changed though nothing did. Our rule: once in two years of weekly looks."""
FEWEST = 20
"""Persons that a period needs to say anything. Our rule."""
MOST = 1000
"""Persons of a period whose queries are compared, drawn at random: the distances of all pairs are needed."""
NUM_PERMUTATIONS = 999
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryShift:
    """How far queries moved: ``size`` from 0 (alike) to 1 (nothing in common); ``novelty_N`` is high for what is new.

    ``novelty_N`` is how much nearer a query of the newest period is to its own period than to the one before.
    """

    p_value: float
    size: float
    novelty_N: Floats64


def energy_test(new_ND: Floats32, old_MD: Floats32, *, rng: np.random.Generator) -> QueryShift:
    """Whether two sets of unit vectors come from one distribution; one row a person.

    Source: Szekely and Rizzo, Energy statistics (Journal of Statistical Planning and Inference 143, 2013): the energy
    distance, which is 0 for equal distributions alone, needs no bandwidth, and is tested by permutation (section 6);
    ``size`` is their coefficient of inhomogeneity.
    """
    num, both_ZD = len(new_ND), np.concatenate([new_ND, old_MD]).astype(np.float32)
    distance_ZZ = np.sqrt(np.maximum(2 - 2 * (both_ZD @ both_ZD.T), 0))
    np.fill_diagonal(distance_ZZ, 0)
    is_new_ZB = _drawn(len(both_ZD), num, rng)
    sign_ZB = np.where(is_new_ZB, 1 / num, -1 / (len(both_ZD) - num)).astype(np.float32)
    energy_B = -np.einsum("zb,zb->b", sign_ZB, distance_ZZ @ sign_ZB)
    across = float(distance_ZZ[:num, num:].mean())
    novelty_N = distance_ZZ[:num, num:].mean(axis=1) - distance_ZZ[:num, :num].mean(axis=1)
    return QueryShift(
        p_value=_p_value(energy_B.astype(np.float64)),
        size=max(float(energy_B[0]) / (2 * across), 0.0) if across else 0.0,
        novelty_N=novelty_N.astype(np.float64),
    )


def worsened(new: UnitSums, old: UnitSums, *, is_higher_better: bool, rng: np.random.Generator) -> float:
    """The p-value of a ratio being worse than before, one-sided: a studentised difference, permuted over persons.

    Source: Chung and Romano, Exact and asymptotically robust permutation tests (Annals of Statistics 41, 2013); the
    variance of a ratio by the delta method, Deng, Knoblich and Lu (KDD 2018), section 3.
    """
    top_Z, below_Z = (np.concatenate([getattr(new, name), getattr(old, name)]) for name in ("top_U", "below_U"))
    sums_ZS = np.stack([top_Z, below_Z, top_Z**2, top_Z * below_Z, below_Z**2], axis=1)
    num, whole_S = len(new.top_U), sums_ZS.sum(axis=0)
    first_BS = np.stack([sums_ZS[rows_N].sum(axis=0) for rows_N in _rows_drawn(len(sums_ZS), num, rng)])
    (one_B, variance_B), (other_B, rest_B) = (
        _ratios(sums_BS, number) for sums_BS, number in ((first_BS, num), (whole_S - first_BS, len(sums_ZS) - num))
    )
    difference_B = other_B - one_B if is_higher_better else one_B - other_B
    error_B = np.sqrt(variance_B + rest_B)
    certain_B = np.where(np.abs(difference_B) > _ROUNDING, np.copysign(np.inf, difference_B), 0.0)
    return _p_value(np.where(error_B > 0, difference_B / np.where(error_B > 0, error_B, 1), certain_B))


def one_a_person(person_I: Ints, is_in_I: Bools, *, rng: np.random.Generator) -> Ints:
    """The row of one search of each person, drawn at random among those that are in; of at most ``MOST`` persons."""
    rows = rng.permutation(np.flatnonzero(is_in_I & (person_I >= 0)))
    first = np.unique(person_I[rows], return_index=True)[1]
    chosen: Ints = rng.permutation(rows[first])[:MOST]
    return chosen


def _ratios(sums_BS: Floats64, number: int) -> tuple[Floats64, Floats64]:
    """The ratio of each draw, and the variance of it."""
    top_B, below_B, squares_B, crossed_B, below_squares_B = sums_BS.T
    safe_B = np.where(below_B > 0, below_B, 1)
    ratio_B = top_B / safe_B
    residuals_B = squares_B - 2 * ratio_B * crossed_B + ratio_B**2 * below_squares_B
    return ratio_B, np.maximum(residuals_B, 0) / safe_B**2 * number / max(number - 1, 1)


def _rows_drawn(size: int, num: int, rng: np.random.Generator) -> list[Ints]:
    """Which rows are the newest period: as it was, then as chance has it."""
    return [np.arange(num), *(rng.permutation(size)[:num] for _ in range(NUM_PERMUTATIONS))]


def _drawn(size: int, num: int, rng: np.random.Generator) -> Bools:
    is_new_ZB: Bools = np.zeros((size, NUM_PERMUTATIONS + 1), bool)
    for column, rows in enumerate(_rows_drawn(size, num, rng)):
        is_new_ZB[rows, column] = True
    return is_new_ZB


def _p_value(statistic_B: Floats64) -> float:
    """The share of draws that are at least as extreme as the first, which is what was seen."""
    slack = _ROUNDING * max(1.0, abs(statistic_B[0])) if np.isfinite(statistic_B[0]) else 0.0
    return float((statistic_B >= statistic_B[0] - slack).mean())
