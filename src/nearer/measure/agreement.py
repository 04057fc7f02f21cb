"""How far two judges agree on the pairs that both judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau
from sklearn.metrics import cohen_kappa_score


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Kendall's tau-b, weighted kappa, and the mean of the second's grade less the first's; None where not defined."""

    num_pairs: int
    kendall_tau: float | None
    weighted_kappa: float | None
    mean_bias: float | None


def agreement(first: Sequence[int], second: Sequence[int]) -> Agreement:
    """Agreement of two judges on the same pairs, in the same order.

    Source: Kendall, Biometrika 33 (1945), tau-b; Cohen, Psychological Bulletin 70 (1968), kappa with quadratic weights.

    >>> agreement([0, 1, 2], [0, 1, 2])
    Agreement(num_pairs=3, kendall_tau=1.0, weighted_kappa=1.0, mean_bias=0.0)
    """
    if not first:
        return Agreement(num_pairs=0, kendall_tau=None, weighted_kappa=None, mean_bias=None)
    a, b = np.asarray(first, np.int64), np.asarray(second, np.int64)
    varies = len(set(a.tolist())) > 1 and len(set(b.tolist())) > 1
    known = len({*a.tolist(), *b.tolist()}) > 1
    return Agreement(
        num_pairs=len(a),
        kendall_tau=round(float(kendalltau(a, b).statistic), 12) if varies else None,
        weighted_kappa=float(cohen_kappa_score(a, b, weights="quadratic")) if known else None,
        mean_bias=float((b - a).mean()),
    )
