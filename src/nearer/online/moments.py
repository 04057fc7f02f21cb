"""Sums over the units of an arm, which are all that a comparison needs.

Units are users (or sessions): whoever was assigned. Values of one user belong together before they come here.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Floats64
from nearer.core.errors import InputError

_ROUNDING = 1e-9
"""Sums of squares may fall short of what a mean needs by this share, from rounding alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """How many units an arm has, and the mean and the unbiased variance of their values."""

    num: int
    mean: float
    variance: float

    @classmethod
    def of_sums(cls, num: int, total: float, squares: float, *, name: str) -> "Moments":
        """Moments from the number of units, the sum of their values and the sum of their squares.

        Raises InputError for fewer than two units, sums that are not finite, and squares too small for the sum.
        """
        if num < 2 or int(num) != num:
            raise InputError(f"{name} has {num} units", hint="an effect needs at least 2 units an arm")
        if not (isfinite(total) and isfinite(squares)):
            raise InputError(f"a sum of {name} is not finite", hint="give sums of finite values")
        spread = squares - total * total / num
        if spread < -_ROUNDING * max(abs(squares), 1.0):
            raise InputError(
                f"the sum of squares of {name} is {squares:g}; its sum of {total:g} needs at least {total**2 / num:g}",
                hint="give (number of units, sum of values, sum of squared values)",
            )
        return cls(num=int(num), mean=total / num, variance=max(spread, 0.0) / (num - 1))

    @classmethod
    def of_successes(cls, num: int, successes: float, *, name: str) -> "Moments":
        """Moments of units that succeed or do not. Raises InputError for more successes than units, or fewer than 0."""
        if not 0 <= successes <= num:
            raise InputError(f"{name} has {successes:g} successes of {num} units", hint="give (units, successes)")
        return cls.of_sums(num, successes, successes, name=name)

    @classmethod
    def of_ratio(cls, numerators_U: ArrayLike, denominators_U: ArrayLike, *, name: str) -> "Moments":
        """Moments of a ratio of two sums over users, such as clicks a search; its variance by the delta method.

        Both arrays have a value a user. A user's searches are not independent, so the user is the unit. Raises
        InputError for arrays of different lengths and where the denominators add up to 0.

        Source: Deng, Knoblich and Lu, Applying the Delta Method in Metric Analytics (KDD 2018), section 3.
        """
        top_U, below_U = np.asarray(numerators_U, np.float64), np.asarray(denominators_U, np.float64)
        if top_U.shape != below_U.shape or top_U.ndim != 1:
            raise InputError(f"{name} has {top_U.shape} numerators and {below_U.shape} denominators", hint="pair them")
        if len(top_U) < 2 or below_U.sum() == 0:
            raise InputError(f"{name} has nothing to divide by", hint="leave out arms without a single search")
        ratio = top_U.sum() / below_U.sum()
        residuals_U = (top_U - ratio * below_U) / below_U.mean()
        return cls(num=len(top_U), mean=float(ratio), variance=float(residuals_U.var(ddof=1)))


def winsorised(values_U: ArrayLike, *, share: float) -> Floats64:
    """Values of which the highest ``share`` are brought down to the quantile below them, so that few users decide less.

    The quantile must come from both arms together: pass them together. Raises InputError for a share outside [0, 0.5).

    >>> winsorised([1, 2, 3, 100], share=0.25).tolist()
    [1.0, 2.0, 3.0, 27.25]
    """
    if not 0 <= share < 0.5:
        raise InputError(f"a share of {share} is not from 0 to below 0.5", hint="for example 0.01")
    values_U = np.asarray(values_U, np.float64)
    capped: Floats64 = np.minimum(values_U, np.quantile(values_U, 1 - share))
    return capped
