"""What a set of queries can tell: the smallest difference it would show, and how many queries a precision needs.

Shapes: Q queries, U units (queries, or whole groups of them), M measures.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from nearer.measure.significance import Groups, min_units, units_of

POWER = 0.8
"""How likely a true difference should be to show. Source: Cohen, Statistical Power Analysis (1988), section 2.4."""

_NO_SPREAD = 1e-9  # sums in another order differ by less; measures by more


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far a mean over queries strays between sets of queries like this one.

    ``standard_error`` is None where it cannot be estimated: with too few units for an interval, and where no query
    differs from another.
    """

    standard_error: float | None
    num_queries: int
    num_units: int


def spreads(values_QM: ArrayLike, *, groups_Q: Groups | None = None, confidence: float = 0.95) -> list[Spread]:
    """The spread of the mean of every measure, from the values of queries or their differences (floats, Q x M).

    With ``groups_Q``, one label a query, whole groups vary: the mean is then a ratio of two sums over groups.

    Raises InputError for labels of another number.

    Source: Cochran, Sampling Techniques (1977), chapter 6, the variance of a ratio estimate.

    >>> [spread] = spreads([[0.0], [1.0]] * 50)
    >>> round(spread.standard_error, 4)
    0.0503
    """
    values_QM = np.asarray(values_QM, dtype=np.float64)
    units = units_of(values_QM, groups_Q)
    num_queries, num_units = len(values_QM), len(units.sizes_U)
    errors: list[float | None] = [None] * values_QM.shape[1]
    if num_units >= min_units(confidence):
        residuals_UM = units.sums_UM - units.sizes_U[:, None] * units.means_M
        variances_M = (residuals_UM**2).sum(axis=0) * num_units / (num_units - 1) / num_queries**2
        errors = [error if error > _NO_SPREAD else None for error in np.sqrt(variances_M).tolist()]
    return [Spread(standard_error=error, num_queries=num_queries, num_units=num_units) for error in errors]


def detectable(spread: Spread, *, alpha: float = 0.05, power: float = POWER) -> float | None:
    """The smallest true difference that a two-sided paired test at ``alpha`` would show with probability ``power``.

    ``spread`` is that of the differences, candidate minus baseline: another candidate may vary more or less. None
    where the spread cannot be estimated.

    Source: a paired t test shows a difference of (z_(alpha/2) + z_power) standard errors with that probability when
    the normal distribution stands for Student's; z_(alpha/2)^2 / 2 units are taken off the number for that. The tests
    hold the result to the power by the noncentral t distribution: 0.8 to within 0.01 from 10 units on.

    >>> [spread] = spreads([[-0.1], [0.1]] * 50)
    >>> round(detectable(spread), 4)
    0.0284
    """
    if spread.standard_error is None:
        return None
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    return (z_alpha + z_power) * spread.standard_error * sqrt(spread.num_units / (spread.num_units - z_alpha**2 / 2))


def num_queries_needed(spread: Spread, *, half_width: float, confidence: float = 0.95) -> int | None:
    """How many queries like these give an interval of at most ``half_width`` to either side of the mean.

    Grouped queries are counted as coming in more groups of the same size, not as more of the same groups. None where
    the spread cannot be estimated.

    Source: Cochran, Sampling Techniques (1977), chapter 4, the number needed for a mean.

    >>> [spread] = spreads([[-0.1], [0.1]] * 50)
    >>> num_queries_needed(spread, half_width=0.02)
    98
    """
    if spread.standard_error is None:
        return None
    now = NormalDist().inv_cdf((1 + confidence) / 2) * spread.standard_error
    needed = ceil(spread.num_queries * (now / half_width) ** 2)
    return max(needed, ceil(min_units(confidence) * spread.num_queries / spread.num_units))
