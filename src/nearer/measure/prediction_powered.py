"""The mean of what people say, known for few, corrected and narrowed by what a model says of all.

Arrays: n labelled, N unlabelled.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from nearer.core.arrays import Floats64
from nearer.core.errors import InputError
from nearer.core.results.measuring import Interval

LEAST_LABELLED = 10
"""Below so many labelled values no interval is given: the variance that it rests on is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPowered:
    """A mean with its interval, and the weight from 0 to 1 that the model's values had in it."""

    interval: Interval
    weight: float


def prediction_powered_mean(
    labelled: ArrayLike, predicted: ArrayLike, predicted_others: ArrayLike, *, confidence: float = 0.95
) -> PredictionPowered:
    """The mean over all, of labels of some and a model's predictions of these and of others.

    The interval covers the true mean whatever the model is worth: a model that tells nothing gets no weight. It is
    Student's, for n is small, and kept within [0, 1].

    Raises InputError for fewer than ``LEAST_LABELLED`` labels, other lengths, or values that are not finite.

    Source: Angelopoulos, Duchi and Zrnic, PPI++ (arXiv 2311.01453), section 2 (the mean) and section 6, example 6.1
    (the weight that makes the variance least).

    >>> found = prediction_powered_mean([0.2, 0.4] * 10, [0.2, 0.4] * 10, [0.2, 0.4] * 500)
    >>> round(found.interval.value, 3), round(found.weight, 2)
    (0.3, 1.0)
    """
    y_n, f_n, f_N = (np.asarray(each, np.float64) for each in (labelled, predicted, predicted_others))
    if len(y_n) < LEAST_LABELLED or len(y_n) != len(f_n):
        raise InputError(
            f"{len(y_n)} labels with {len(f_n)} predictions", hint=f"{LEAST_LABELLED} labels or more, each predicted"
        )
    if not all(np.isfinite(each).all() for each in (y_n, f_n, f_N)):
        raise InputError("a value is not finite", hint="check the measure")
    weight = _weight(y_n, f_n, f_N)
    rest_n = y_n - weight * f_n
    variance = rest_n.var(ddof=1) / len(y_n)
    value = float(rest_n.mean())
    if weight and len(f_N):
        value += weight * float(f_N.mean())
        variance += weight**2 * (f_N.var(ddof=1) / len(f_N) if len(f_N) > 1 else 0.0)
    half = float(student.ppf((1 + confidence) / 2, len(y_n) - 1)) * math.sqrt(float(variance))
    value = min(1.0, max(0.0, value))
    interval = Interval(value=value, low=max(0.0, value - half), high=min(1.0, value + half))
    return PredictionPowered(interval=interval, weight=weight)


def _weight(y_n: Floats64, f_n: Floats64, f_N: Floats64) -> float:
    """Of the predictions: their covariance with the labels over their variance, less where others are few."""
    spread = float(np.concatenate([f_n, f_N]).var(ddof=1))
    if len(f_N) < 2 or spread == 0:
        return 0.0
    covariance = float(np.cov(y_n, f_n, ddof=1)[0, 1])
    return min(1.0, max(0.0, covariance / (spread * (1 + len(y_n) / len(f_N)))))
