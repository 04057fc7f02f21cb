"""How far several raters agree, who is far from the rest, and how far each can be believed.

Arrays: R raters x U units, floats with nan where a rater did not rate a unit; G grades; B resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from nearer.core.arrays import Floats64, Ints
from nearer.core.results.measuring import Interval
from nearer.measure.significance import min_units

Level = Literal["nominal", "ordinal", "interval", "ratio"]

_SMOOTHING = 0.5
"""Ratings of each grade that a rater is thought to have given before any is seen, times how near it is to the truth."""
_MOST_STEPS, _TOLERANCE = 200, 1e-7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What Dawid and Skene's model finds: grades of units and confusions of raters, as probabilities.

    ``posterior_UG`` says how likely each grade is; ``confusion_RGG`` how likely a rater gives a grade (last axis) to a
    unit of another; ``reliability_R`` is each rater's weighted kappa against the truth, 0 at least.
    """

    posterior_UG: Floats64
    confusion_RGG: Floats64
    reliability_R: Floats64


def krippendorff_alpha(ratings_RU: Floats64, *, level: Level = "ordinal") -> float | None:
    """Krippendorff's alpha: 1 is agreement, 0 what chance gives. None where nothing is rated twice, or nothing varies.

    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C and the differences of section E.

    >>> a = [1, 2, 3, 3, 2, 1, 4, 1, 2, np.nan]
    >>> b = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5]
    >>> round(krippendorff_alpha(np.array([a, b]), level="nominal"), 3)
    0.852
    """
    values_G, coincidences_UGG = _coincidences(ratings_RU)
    found = _alphas(values_G, coincidences_UGG.sum(axis=0)[None], level)[0] if len(values_G) else np.nan
    return None if np.isnan(found) else float(found)


def alpha_interval(
    ratings_RU: Floats64,
    *,
    level: Level = "ordinal",
    num_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Alpha with its percentile bootstrap interval over units; None where alpha is.

    Source: Hayes and Krippendorff, Answering the Call for a Standard Reliability Measure for Coding Data (2007).
    """
    values_G, coincidences_UGG = _coincidences(ratings_RU)
    alpha = krippendorff_alpha(ratings_RU, level=level)
    if alpha is None:
        return None
    size = len(values_G)
    drawn_BGG = _resampled(coincidences_UGG.reshape(-1, size * size), num_resamples, seed).reshape(-1, size, size)
    drawn_B = _alphas(values_G, drawn_BGG, level)
    return _interval(alpha, drawn_B, confidence, num_units=len(coincidences_UGG), ends=(-1.0, 1.0))


def agreement_by_grade(
    ratings_RU: Floats64, *, num_resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[int, Interval]:
    """Of the ratings beside one of a grade, the share that are of that grade too, with its bootstrap interval.

    Source: Cicchetti and Feinstein, High Agreement but Low Kappa II (1990): specific agreement.
    """
    values_G, coincidences_UGG = _coincidences(ratings_RU)
    size = len(values_G)
    sums_BGG = _resampled(coincidences_UGG.reshape(-1, size * size), num_resamples, seed).reshape(-1, size, size)
    whole_GG = coincidences_UGG.sum(axis=0)
    found = {}
    for row, value in enumerate(values_G.tolist()):
        if total := whole_GG[row].sum():
            drawn_B = _divided(sums_BGG[:, row, row], sums_BGG[:, row].sum(axis=1))
            num_units = int((coincidences_UGG[:, row].sum(axis=1) > 0).sum())
            share = float(whole_GG[row, row] / total)
            found[int(value)] = _interval(share, drawn_B, confidence, num_units=num_units, ends=(0.0, 1.0))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A rater against all others on the units that others rated too; None where that is not defined."""

    num_units: int
    kappa: Interval | None
    bias: Interval | None


def against_others(
    ratings_RU: Floats64, *, num_resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> list[Against]:
    """Each rater's quadratic-weighted kappa and mean bias against the others, with bootstrap intervals over units.

    The others of a unit share the weight of one. Bias is the rater's grade less the mean of theirs.

    Source: Cohen, Weighted Kappa (1968).
    """
    values_G = np.unique(ratings_RU[~np.isnan(ratings_RU)])
    grade_RU = np.searchsorted(values_G, ratings_RU)
    rated_RU = ~np.isnan(ratings_RU)
    size, found = len(values_G), []
    for rater in range(len(ratings_RU)):
        others_RU = rated_RU.copy()
        others_RU[rater] = False
        num_U = others_RU.sum(axis=0)
        shared_S = np.flatnonzero(rated_RU[rater] & (num_U > 0))
        if not len(shared_S):
            found.append(Against(num_units=0, kappa=None, bias=None))
            continue
        joint_SGG = np.zeros((len(shared_S), size, size))
        for other in np.flatnonzero(others_RU[:, shared_S].any(axis=1)).tolist():
            place = np.flatnonzero(others_RU[other, shared_S])
            units = shared_S[place]
            joint_SGG[place, grade_RU[rater, units], grade_RU[other, units]] += 1 / num_U[units]
        drawn_BGG = _resampled(joint_SGG.reshape(-1, size * size), num_resamples, seed).reshape(-1, size, size)
        whole_1GG, span = joint_SGG.sum(axis=0)[None], float(values_G[-1] - values_G[0])
        kappa, bias = _kappas(whole_1GG, values_G)[0], _biases(whole_1GG, values_G)[0]
        kappas_B, bias_B = _kappas(drawn_BGG, values_G), _biases(drawn_BGG, values_G)
        interval = partial(_interval, confidence=confidence, num_units=len(shared_S))
        found.append(
            Against(
                num_units=len(shared_S),
                kappa=None if np.isnan(kappa) else interval(float(kappa), kappas_B, ends=(-1.0, 1.0)),
                bias=interval(float(bias), bias_B, ends=(-span, span)),
            )
        )
    return found


FAR_BIAS = 0.5
"""A rater whose mean is surely so many grades from the others' is far from them: half a step is another grade."""


def far_raters(found: Sequence[Against]) -> list[bool]:
    """Which raters are far from the rest: of three or more, since of two nobody can say who is.

    The interval of their kappa lies below the median of all, or that of their bias beyond ``FAR_BIAS``.
    """
    kappas = [each.kappa.value for each in found if each.kappa]
    if len([each for each in found if each.num_units]) < 3 or not kappas:
        return [False] * len(found)
    median = float(np.median(kappas))
    return [
        bool(each.kappa and each.kappa.high < median)
        or bool(each.bias and (each.bias.low > FAR_BIAS or each.bias.high < -FAR_BIAS))
        for each in found
    ]


def dawid_skene(grade_RU: Ints, *, num_grades: int) -> Truth:
    """The likely grade of every unit, and how each rater confuses grades, by EM from what raters said.

    ``grade_RU`` (int64) holds grades from 0, and -1 where a rater did not rate. It begins with each unit's share of
    votes. A little is added to each confusion, more the nearer the grades, so that few ratings decide nothing.

    Source: Dawid and Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm (1979).
    """
    given_RUG = (grade_RU[:, :, None] == np.arange(num_grades)).astype(np.float64)
    apart_GG = np.abs(np.subtract.outer(np.arange(num_grades), np.arange(num_grades)))
    prior_GG = _SMOOTHING / (1.0 + apart_GG) ** 2
    votes_UG = given_RUG.sum(axis=0)
    posterior_UG = _divided(votes_UG, votes_UG.sum(axis=1, keepdims=True), otherwise=1 / num_grades)
    confusion_RGG = np.zeros((len(grade_RU), num_grades, num_grades))
    for _ in range(_MOST_STEPS):
        share_G = (posterior_UG.sum(axis=0) + _SMOOTHING) / (len(posterior_UG) + _SMOOTHING * num_grades)
        counts_RGG = np.einsum("ug,ruh->rgh", posterior_UG, given_RUG) + prior_GG
        confusion_RGG = counts_RGG / counts_RGG.sum(axis=2, keepdims=True)
        log_UG = np.log(share_G) + np.einsum("ruh,rgh->ug", given_RUG, np.log(confusion_RGG))
        weights_UG = np.exp(log_UG - log_UG.max(axis=1, keepdims=True))
        after_UG = weights_UG / weights_UG.sum(axis=1, keepdims=True)
        moved = float(np.abs(after_UG - posterior_UG).max(initial=0.0))
        posterior_UG = after_UG
        if moved < _TOLERANCE:
            break
    share_G = posterior_UG.mean(axis=0) if len(posterior_UG) else np.full(num_grades, 1 / num_grades)
    kappas_R = _kappas(share_G[None, :, None] * confusion_RGG, np.arange(num_grades, dtype=np.float64))
    reliability_R = np.clip(np.nan_to_num(kappas_R, nan=1.0), 0.0, 1.0)
    return Truth(posterior_UG=posterior_UG, confusion_RGG=confusion_RGG, reliability_R=reliability_R)


def _coincidences(ratings_RU: Floats64) -> tuple[Floats64, Floats64]:
    """The values that occur, and how often each two meet in a unit: every rating counts as one (U x G x G)."""
    values_G = np.unique(ratings_RU[~np.isnan(ratings_RU)])
    counts_UG = (ratings_RU.T[:, :, None] == values_G).sum(axis=1).astype(np.float64)
    num_U = counts_UG.sum(axis=1)
    pairable_UG = counts_UG[num_U > 1]
    together_UGG = pairable_UG[:, :, None] * pairable_UG[:, None, :]
    diagonal = np.arange(len(values_G))
    together_UGG[:, diagonal, diagonal] -= pairable_UG
    return values_G, together_UGG / (num_U[num_U > 1] - 1)[:, None, None]


def _alphas(values_G: Floats64, coincidences_BGG: Floats64, level: Level) -> Floats64:
    """Alpha of several matrices of coincidences; nan where nothing is expected to differ."""
    marginals_BG = coincidences_BGG.sum(axis=2)
    total_B = marginals_BG.sum(axis=1)
    difference_BGG = _DIFFERENCES[level](values_G, marginals_BG)
    observed_B = (coincidences_BGG * difference_BGG).sum(axis=(1, 2))
    expected_B = (marginals_BG[:, :, None] * marginals_BG[:, None, :] * difference_BGG).sum(axis=(1, 2))
    return 1 - _divided((total_B - 1) * observed_B, expected_B)


def _nominal(values_G: Floats64, _: Floats64) -> Floats64:
    return 1.0 - np.eye(len(values_G))[None]


def _ordinal(values_G: Floats64, marginals_BG: Floats64) -> Floats64:
    """All that lies between two values, and half of each of them."""
    sums_BG = np.cumsum(marginals_BG, axis=1) - marginals_BG / 2
    difference_BGG: Floats64 = (sums_BG[:, :, None] - sums_BG[:, None, :]) ** 2
    return difference_BGG


def _interval_scale(values_G: Floats64, _: Floats64) -> Floats64:
    difference_GG: Floats64 = np.subtract.outer(values_G, values_G) ** 2
    return difference_GG[None]


def _ratio(values_G: Floats64, _: Floats64) -> Floats64:
    sums_GG = np.add.outer(values_G, values_G)
    return _divided(np.subtract.outer(values_G, values_G), sums_GG, otherwise=0.0)[None] ** 2


_DIFFERENCES: dict[Level, Callable[[Floats64, Floats64], Floats64]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval_scale,
    "ratio": _ratio,
}


def _kappas(joint_BGG: Floats64, values_G: Floats64) -> Floats64:
    """Quadratic-weighted kappa of several joint distributions; nan where both sides give one grade alone."""
    weights_GG = np.subtract.outer(values_G, values_G) ** 2
    total_B = joint_BGG.sum(axis=(1, 2))
    expected_BGG = joint_BGG.sum(axis=2)[:, :, None] * joint_BGG.sum(axis=1)[:, None, :]
    return 1 - _divided(
        (joint_BGG * weights_GG).sum(axis=(1, 2)) * total_B, (expected_BGG * weights_GG).sum(axis=(1, 2))
    )


def _biases(joint_BGG: Floats64, values_G: Floats64) -> Floats64:
    apart_GG = np.subtract.outer(values_G, values_G)
    return _divided((joint_BGG * apart_GG).sum(axis=(1, 2)), joint_BGG.sum(axis=(1, 2)))


def _resampled(values_UC: Floats64, num_resamples: int, seed: int) -> Floats64:
    """Sums of the columns over units drawn with replacement (B x C)."""
    rng, num_units = np.random.default_rng(seed), len(values_UC)
    if not num_units:
        return np.zeros((num_resamples, values_UC.shape[1]))
    drawn_BC = np.empty((num_resamples, values_UC.shape[1]))
    for row in range(num_resamples):
        times_U = np.bincount(rng.integers(num_units, size=num_units), minlength=num_units)
        drawn_BC[row] = times_U @ values_UC
    return drawn_BC


def _interval(
    value: float, drawn_B: Floats64, confidence: float, *, num_units: int, ends: tuple[float, float]
) -> Interval:
    """Percentiles of what was drawn; the whole range where there are too few units for an interval."""
    known_B = drawn_B[~np.isnan(drawn_B)]
    if num_units < min_units(confidence) or not len(known_B):
        return Interval(value=value, low=ends[0], high=ends[1])
    tail = (1 - confidence) / 2
    low, high = np.quantile(known_B, [tail, 1 - tail])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def _divided(values: Floats64, by: Floats64, *, otherwise: float = np.nan) -> Floats64:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by == 0, otherwise, values / by)
