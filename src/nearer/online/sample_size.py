"""How many users an experiment needs before it begins."""

from math import ceil, sqrt
from statistics import NormalDist

from nearer.core.errors import InputError

POWER = 0.8
"""Source: Cohen, Statistical Power Analysis (1988), section 2.4."""


def users_needed(
    *, mean: float, variance: float, relative_effect: float, alpha: float = 0.05, power: float = POWER
) -> int:
    """Users of one of two equal arms, so that a fixed-horizon test shows a true effect with probability ``power``.

    ``mean`` and ``variance`` are those of a user's value today. Raises InputError for a mean or an effect of 0, a
    variance below 0, and levels out of range.

    Source: Cohen (1988), section 2.4, with variance equal in both arms.

    >>> users_needed(mean=0.1, variance=0.09, relative_effect=0.1)
    14128
    """
    if not mean or not relative_effect or variance < 0 or not (0 < alpha < 1 and 0 < power < 1):
        raise InputError("a power calculation needs a mean, a variance and an effect", hint="take them from last month")
    return max(2, ceil(2 * variance * (_reach(alpha, power) / (mean * relative_effect)) ** 2))


def effect_found(*, mean: float, variance: float, num_users: int, alpha: float = 0.05, power: float = POWER) -> float:
    """The smallest relative effect that ``num_users`` an arm show with probability ``power``.

    Raises InputError as ``users_needed`` does.

    >>> round(effect_found(mean=0.1, variance=0.09, num_users=14128), 4)
    0.1
    """
    if not mean or variance < 0 or num_users < 2:
        raise InputError("a power calculation needs a mean, a variance and users", hint="take them from last month")
    return sqrt(2 * variance / num_users) * _reach(alpha, power) / abs(mean)


def _reach(alpha: float, power: float) -> float:
    """How many standard errors away a true effect must lie."""
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
