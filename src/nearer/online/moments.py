"""Sums over the units of an arm, which are all that a comparison needs.

Units are users (or sessions): whoever was assigned. Values of one user belong together before they come here.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, sqrt
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Floats64
from nearer.core.errors import InputError

_ROUNDING = 1e-9
"""Sums of squares may fall short of what a mean needs by this share, from rounding alone."""
_EPSILON = 2.0**-52
_LARGEST = 10**100
"""No sum is larger: the variance of a variance must still be a number."""


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
        units, sum_, squares_ = (
            exact(value, f"{what} of {name}")
            for what, value in (("the number of units", num), ("the sum", total), ("the sum of squares", squares))
        )
        if units < 2 or units.denominator != 1:
            raise InputError(f"{name} has {num} units", hint="an effect needs at least 2 units an arm")
        least = sum_**2 / units
        spread = float(squares_ - least)
        if spread < -_ROUNDING * float(max(abs(squares_), least)):
            raise InputError(
                f"the sum of squares of {name} is {float(squares):g}; its sum of {float(total):g} needs at least "
                f"{float(least):g}",
                hint="give (number of units, sum of values, sum of squared values)",
            )
        is_whole = sum_.denominator == squares_.denominator == 1
        lost = 0.0 if is_whole else _EPSILON * max(4.0, sqrt(units)) * float(squares_)  # by adding floats up
        variance = spread / float(units - 1) if spread > lost else 0.0
        return cls(num=int(units), mean=float(sum_ / units), variance=variance)

    @classmethod
    def of_successes(cls, num: int, successes: float, *, name: str) -> "Moments":
        """Moments of units that succeed or do not. Raises InputError for successes that are no count of them."""
        found = exact(successes, f"the number of successes of {name}")
        if not 0 <= found <= exact(num, f"the number of units of {name}") or found.denominator != 1:
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


def exact(value: object, name: str) -> Fraction:
    """A number of any type, also of numpy's, without loss. Raises InputError for what is no number, or not finite.

    >>> exact(0.5, "the sum")
    Fraction(1, 2)
    """
    found = None
    if isinstance(value, Integral):
        found = Fraction(int(value))
    elif isinstance(value, Real) and isfinite(value):
        found = Fraction(float(value))
    if found is None or abs(found) > _LARGEST:
        said = repr(value) if found is None else "above 1e100"
        raise InputError(f"{name} is {said:.80}, which is no finite number", hint="give finite numbers")
    return found


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
