"""Offline held against online: how far what was forecast came true, over finished experiments.

Arrays: X experiments.
"""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from scipy.stats import kendalltau, theilslopes

from nearer.core.errors import InputError
from nearer.core.results.online import Agreement

MIN_EXPERIMENTS = 8
"""Fewer say too little to move a threshold by: at eight, all signs alike have a p-value of 0.008. Our rule."""


def agreement(offline: Sequence[float], online: Sequence[float], *, confidence: float = 0.95) -> Agreement:
    """How well offline differences forecast online effects: by sign, by rank, and by slope.

    ``offline`` and ``online`` have a value an experiment, above 0 for the better. A sign agrees where both are above 0
    or both are not. The slope is Theil and Sen's, the median over pairs, which single experiments do not turn.

    Raises InputError for values that do not pair up or are not finite.

    Source: Kendall, Rank Correlation Methods (1948), tau-b; Sen, Estimates of the regression coefficient based on
    Kendall's tau (JASA 63, 1968), slope and interval.

    >>> found = agreement([0.01, 0.02, 0.03], [0.1, 0.2, 0.3])
    >>> found.num_experiments, found.share_same_sign, round(found.slope, 3), found.may_decide
    (3, 1.0, 10.0, False)
    """
    offline_X, online_X = np.asarray(offline, np.float64), np.asarray(online, np.float64)
    if offline_X.shape != online_X.shape or offline_X.ndim != 1:
        raise InputError(
            f"{offline_X.shape} offline values and {online_X.shape} online ones", hint="give one of each an experiment"
        )
    if not (np.isfinite(offline_X).all() and np.isfinite(online_X).all()):
        raise InputError("a value is not finite", hint="leave out experiments without a value")
    num = len(offline_X)
    same = float(((offline_X > 0) == (online_X > 0)).mean()) if num else None
    tau = float(kendalltau(offline_X, online_X).statistic) if num > 1 else float("nan")
    slope = low = high = None
    if num > 2 and len(np.unique(offline_X)) > 1:
        slope, _, low, high = map(float, theilslopes(online_X, offline_X, alpha=confidence))
    return Agreement(
        num_experiments=num,
        share_same_sign=same,
        tau=tau if isfinite(tau) else None,
        slope=slope,
        slope_low=low,
        slope_high=high,
        may_decide=num >= MIN_EXPERIMENTS,
        min_experiments=MIN_EXPERIMENTS,
    )
