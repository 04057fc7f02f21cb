"""CUPED: the noise that a user's own past explains is taken out of an experiment.

Shapes: U users of an arm; a value of the experiment and one of the period before, each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Floats64
from nearer.core.errors import InputError
from nearer.core.results.online import Effect
from nearer.online.compare import compare
from nearer.online.moments import Moments

_IMBALANCE = 0.001
"""A difference of the period before with a p-value below this is an alarm. Source: as for sample ratios."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """Two arms after the adjustment, and whether it may be believed.

    ``share_removed`` is how much of the variance went: the squared correlation of before and now. ``faults`` are
    reasons not to believe it: arms that differed before they saw anything, or a sign that the adjustment flipped.
    """

    control: Moments
    treatment: Moments
    theta: float
    share_removed: float
    before: Effect
    faults: tuple[str, ...]


def adjust(
    control: tuple[ArrayLike, ArrayLike], treatment: tuple[ArrayLike, ArrayLike], *, confidence: float = 0.95
) -> Adjusted:
    """Each arm is (values now, values of the period before), a user a place; users without a past have 0 there.

    theta = cov(now, before) / var(before) over both arms, each around its own mean. Raises InputError for arms of fewer
    than 2 users and for values that do not pair up.

    Source: Deng, Xu, Kohavi and Walker, Improving the Sensitivity of Online Controlled Experiments (WSDM 2013),
    section 3; the two checks: GrowthBook's health checks of CUPED.
    """
    arms = [_pair(*control, name="control"), _pair(*treatment, name="treatment")]
    now, past = (np.concatenate([arm[side] - arm[side].mean() for arm in arms]) for side in (0, 1))
    theta = float(now @ past / (past @ past)) if past.any() else 0.0
    centre = float(np.concatenate([arm[1] for arm in arms]).mean())
    adjusted = [_moments(own - theta * (before - centre)) for own, before in arms]
    before = compare(*(_moments(arm[1]) for arm in arms), confidence=confidence) if past.any() else _NO_PAST
    plain = compare(*(_moments(arm[0]) for arm in arms), confidence=confidence).effect
    found = adjusted[1].mean - adjusted[0].mean
    faults = []
    if before.p_value < _IMBALANCE:
        faults.append(f"the arms differed before the experiment began (p = {before.p_value:.2g}): see the assignment")
    if plain * found < 0:
        faults.append(f"the adjustment flips the sign of the effect, from {plain:+.3g} to {found:+.3g}")
    spread = float(now @ now)
    removed = theta * float(now @ past) / spread if spread else 0.0
    return Adjusted(
        control=adjusted[0],
        treatment=adjusted[1],
        theta=theta,
        share_removed=removed,
        before=before,
        faults=tuple(faults),
    )


_NO_PAST = Effect(effect=0.0, low=0.0, high=0.0, p_value=1.0)


def _pair(now: ArrayLike, before: ArrayLike, *, name: str) -> tuple[Floats64, Floats64]:
    now_U, before_U = np.asarray(now, np.float64), np.asarray(before, np.float64)
    if now_U.shape != before_U.shape or now_U.ndim != 1:
        raise InputError(f"{name} has {now_U.shape} values now and {before_U.shape} before", hint="one each a user")
    if len(now_U) < 2:
        raise InputError(f"{name} has {len(now_U)} users", hint="an effect needs at least 2 users an arm")
    if not (np.isfinite(now_U).all() and np.isfinite(before_U).all()):
        raise InputError(f"a value of {name} is not finite", hint="leave such users out of both arms by one rule")
    return now_U, before_U


def _moments(values_U: Floats64) -> Moments:
    return Moments(num=len(values_U), mean=float(values_U.mean()), variance=float(values_U.var(ddof=1)))
