"""What more training pairs would bring: a saturating curve through the trainings that were measured.

Shapes: Q queries, U units (queries, or whole groups), T trainings, S shapes of the curve, F forecasts, R resamples.
"""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as student

from nearer.core.arrays import Floats64
from nearer.core.errors import InputError
from nearer.core.results.advice import CurveForecast
from nearer.core.results.measuring import Interval
from nearer.measure.significance import min_units

EXPONENT = 0.5
"""How fast the curve saturates: what is left to gain falls with the square root of the pairs.

Few trainings cannot tell the exponent. Source: Hutter, Learning Curve Theory (arXiv 2102.04074), abstract: 1/2 or 1 in
finite-dimensional models. Of deep networks Hestness et al., Deep Learning Scaling is Predictable, Empirically (arXiv
1712.00409), measured less, so that these forecasts rather flatten too early.
"""
SHAPES = (1.0, 0.5, 2.0, 0.25, 4.0, 0.125)
"""Where the curve bends, in times the most pairs that were tried; of equally good ones the first is taken.

Our rule: between these it is nearly straight as far as was measured, or nearly flat beyond.
"""
FAR = 10
"""A forecast for so many times the pairs that were tried is said to be far. Our rule."""

_CHUNK_ROWS = 500


def forecast(
    base_Q: ArrayLike,
    trained_TQ: ArrayLike,
    *,
    pairs_T: Sequence[int],
    wanted_F: Sequence[int],
    groups_Q: Sequence[Hashable] | None = None,
    num_resamples: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[CurveForecast]:
    """The mean of one measure after training on each number of pairs in ``wanted_F``.

    ``base_Q`` and ``trained_TQ`` (floats in [0, 1]) are the values of every query before training and after each
    training, ``pairs_T`` the pairs of each; one number may stand several times, for other seeds. The curve is

        gain(n) = g * (1 - (1 + n / d) ** -0.5)

    through the base, which is what 0 pairs reach; g is fitted by least squares, and may be negative, for each d of
    ``SHAPES`` times the most pairs. Intervals are percentiles of a bootstrap that draws whole units of queries, the
    same for base and trainings, and trainings, and fits anew: so it knows what these queries and the choice of shape
    leave open, and how much trainings differ as far as they do not lie on one curve. The fewer units, the wider: as
    Student's t is beside the normal (see ``expanded_tail``). With too few for an interval it is the whole range.

    Raises InputError for no queries, no training, numbers of pairs below 1, and values that do not pair up.

    Source: Viering and Loog, The Shape of Learning Curves (arXiv 2103.10948), the power law POW4, here held fast at
    the base; Hernandez et al., Scaling Laws for Transfer (arXiv 2102.01293): pre-training is worth d pairs.

    >>> base, trained = [0.4] * 8, [[0.45] * 8, [0.48] * 8]
    >>> [found] = forecast(base, trained, pairs_T=[250, 500], wanted_F=[1000])
    >>> round(found.value, 2), found.is_proven
    (0.52, True)
    """
    base_Q, trained_TQ = _checked(base_Q, trained_TQ, pairs_T, wanted_F, groups_Q)
    columns_QC = np.concatenate([base_Q[:, None], trained_TQ.T], axis=1)
    sums_UC, sizes_U = _units(columns_QC, groups_Q)
    pairs, wanted = np.array(pairs_T, np.float64), np.array(wanted_F, np.float64)
    values_F, gains_F = _fit(columns_QC.mean(axis=0)[None], np.ones((1, len(pairs))), pairs, wanted, jitter=0.0)
    bounds = np.array([0.0, 1.0]), np.array([-1.0, 1.0])
    value_ends_F2, gain_ends_F2 = (np.tile(each, (len(wanted), 1)) for each in bounds)
    if len(sizes_U) >= min_units(confidence):
        rng = np.random.default_rng(seed)
        drawn = [
            _fit(means_RC, _times_drawn(len(means_RC), len(pairs), rng), pairs, wanted, jitter=rng)
            for means_RC in _resampled(sums_UC, sizes_U, num_resamples, rng)
        ]
        tail = expanded_tail(len(sizes_U), confidence)
        ends = [tail, 1 - tail]
        value_ends_F2, gain_ends_F2 = (
            np.quantile(np.concatenate(parts), ends, axis=0).T for parts in zip(*drawn, strict=True)
        )
    return [
        CurveForecast(
            num_pairs=int(number),
            value=float(values_F[0, f]),
            low=float(value_ends_F2[f, 0]),
            high=float(value_ends_F2[f, 1]),
            gain=Interval(value=float(gains_F[0, f]), low=float(gain_ends_F2[f, 0]), high=float(gain_ends_F2[f, 1])),
            is_proven=bool(gain_ends_F2[f, 0] > 0),
        )
        for f, number in enumerate(wanted_F)
    ]


def marginal_gain(
    base_Q: ArrayLike,
    trained_TQ: ArrayLike,
    *,
    pairs_T: Sequence[int],
    span: tuple[int, int],
    groups_Q: Sequence[Hashable] | None = None,
    num_resamples: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """What going from one number of pairs to another, the ``span``, gains on the curve of ``forecast``.

    Both ends are of one fit in every resample, so that what they share falls out. Raises as ``forecast`` does.

    >>> base, trained = [0.4] * 8, [[0.45] * 8, [0.48] * 8]
    >>> round(marginal_gain(base, trained, pairs_T=[250, 500], span=(500, 1000)).value, 2)
    0.04
    """
    base_Q, trained_TQ = _checked(base_Q, trained_TQ, pairs_T, span, groups_Q)
    columns_QC = np.concatenate([base_Q[:, None], trained_TQ.T], axis=1)
    sums_UC, sizes_U = _units(columns_QC, groups_Q)
    pairs, wanted = np.array(pairs_T, np.float64), np.array(span, np.float64)
    values_F, _ = _fit(columns_QC.mean(axis=0)[None], np.ones((1, len(pairs))), pairs, wanted, jitter=0.0)
    value = float(values_F[0, 1] - values_F[0, 0])
    if len(sizes_U) < min_units(confidence):
        return Interval(value=value, low=-1.0, high=1.0)
    rng = np.random.default_rng(seed)
    drawn = [
        _fit(means_RC, _times_drawn(len(means_RC), len(pairs), rng), pairs, wanted, jitter=rng)[0]
        for means_RC in _resampled(sums_UC, sizes_U, num_resamples, rng)
    ]
    gains_R = np.concatenate([values_RF[:, 1] - values_RF[:, 0] for values_RF in drawn])
    tail = expanded_tail(len(sizes_U), confidence)
    low, high = np.quantile(gains_R, [tail, 1 - tail])
    return Interval(value=value, low=float(low), high=float(high))


def expanded_tail(num_units: int, confidence: float) -> float:
    """The share of resamples that lies beyond each end of an interval; less than usual where units are few.

    Percentiles of a bootstrap are too narrow by sqrt((n - 1) / n) and take the normal for Student's t with n - 1
    degrees of freedom. Source: Hesterberg, What Teachers Should Know About the Bootstrap (arXiv 1411.5279), the
    expanded percentile interval.

    >>> round(expanded_tail(25, 0.95), 4), round(expanded_tail(10_000, 0.95), 4)
    (0.0176, 0.025)
    """
    farther = np.sqrt(num_units / (num_units - 1)) * student.ppf((1 + confidence) / 2, num_units - 1)
    return float(norm.cdf(-farther))


def remarks(expected: CurveForecast, *, measured: Sequence[tuple[int, float]]) -> list[str]:
    """What must be said beside a forecast, a sentence each; ``measured`` are pairs and the mean they reached."""
    most, found = max(pairs for pairs, _ in measured), []
    best_pairs, best = max(measured, key=lambda point: (point[1], -point[0]))
    gain, at = expected.gain, f"at {expected.num_pairs:,} pairs"
    if gain.high < 0:
        found.append(f"Training makes it worse: the whole interval of the forecast's gain {at} lies below 0.")
    elif gain.low <= 0:
        found.append(f"No gain is proven: the interval of the forecast's gain {at} holds 0.")
    if expected.value < best:
        above = f"the {best:.3f} measured at {best_pairs:,}"
        found.append(f"The forecast of {expected.value:.3f} {at} is below {above}: the curve does not rise.")
    if len({pairs for pairs, _ in measured}) < 2:
        found.append(f"Only {most:,} pairs were tried, which tells nothing of the curve's shape.")
    if expected.num_pairs >= FAR * most:
        found.append(f"The forecast reaches {expected.num_pairs / most:.0f} times as far as was measured.")
    return found


def _checked(
    base_Q: ArrayLike,
    trained_TQ: ArrayLike,
    pairs_T: Sequence[int],
    wanted_F: Sequence[int],
    groups_Q: Sequence[Hashable] | None,
) -> tuple[Floats64, Floats64]:
    base, trained = np.asarray(base_Q, np.float64), np.asarray(trained_TQ, np.float64)
    if not base.size:
        raise InputError("there are no queries to measure", hint="choose a split that has judged queries")
    if not len(pairs_T) or min(*pairs_T, *wanted_F, 1) < 1:
        raise InputError(f"trainings on {list(pairs_T)} pairs", hint="measure at least one, on 1 pair or more")
    if trained.shape != (len(pairs_T), len(base)) or (groups_Q is not None and len(groups_Q) != len(base)):
        raise InputError(
            f"{trained.shape} values for {len(pairs_T)} trainings and {len(base)} queries",
            hint="measure every training on the same queries, each with its group",
        )
    if not (np.isfinite(base).all() and np.isfinite(trained).all()):
        raise InputError("a measured value is not finite", hint="every query needs a value; one that failed scores 0")
    return base, trained


def _units(columns_QC: Floats64, groups_Q: Sequence[Hashable] | None) -> tuple[Floats64, Floats64]:
    """The sums of every unit's values, a column each, and how many queries it has."""
    rows: dict[Hashable, int] = {}
    labels = range(len(columns_QC)) if groups_Q is None else groups_Q
    unit_of_Q = np.array([rows.setdefault(label, len(rows)) for label in labels])
    sums_UC = np.zeros((len(rows), columns_QC.shape[1]))
    np.add.at(sums_UC, unit_of_Q, columns_QC)
    return sums_UC, np.bincount(unit_of_Q).astype(np.float64)


def _resampled(
    sums_UC: Floats64, sizes_U: Floats64, num_resamples: int, rng: np.random.Generator
) -> Iterator[Floats64]:
    """The means of every column over units drawn with replacement, some resamples at a time."""
    for first in range(0, num_resamples, _CHUNK_ROWS):
        counts_RU = _times_drawn(min(_CHUNK_ROWS, num_resamples - first), len(sizes_U), rng)
        yield (counts_RU @ sums_UC) / (counts_RU @ sizes_U)[:, None]


def _times_drawn(num_resamples: int, number: int, rng: np.random.Generator) -> Floats64:
    """How often each of ``number`` is among as many draws with replacement, for every resample."""
    return rng.multinomial(number, np.full(number, 1 / number), size=num_resamples).astype(np.float64)


def _fit(
    means_RC: Floats64,
    weights_RT: Floats64,
    pairs_T: Floats64,
    wanted_F: Floats64,
    *,
    jitter: np.random.Generator | float,
) -> tuple[Floats64, Floats64]:
    """Values and gains forecast (R x F) from means of the base (the first column) and of the trainings.

    Of shapes that fit equally well the first is taken, or any at random.
    """
    gains_RT = means_RC[:, 1:] - means_RC[:, :1]
    bends_S = np.array(SHAPES)[:, None] * pairs_T.max()
    won_ST, won_SF = _won(pairs_T / bends_S), _won(wanted_F / bends_S)
    products_RS = (weights_RT * gains_RT) @ won_ST.T
    slopes_RS = products_RS / (weights_RT @ (won_ST**2).T)
    errors_RS = (weights_RT * gains_RT**2).sum(axis=1, keepdims=True) - slopes_RS * products_RS
    ties_RS = jitter if isinstance(jitter, float) else 1e-13 * jitter.random(errors_RS.shape)
    best_R = np.argmin(errors_RS.round(12) + ties_RS, axis=1)
    slopes_R = slopes_RS[np.arange(len(best_R)), best_R]
    values_RF = (means_RC[:, :1] + slopes_R[:, None] * won_SF[best_R]).clip(0, 1)
    return values_RF, values_RF - means_RC[:, :1]


def _won(pairs: Floats64) -> Floats64:
    """The share of all there is to gain, by pairs in times the curve's bend."""
    won: Floats64 = 1 - (1 + pairs) ** -EXPONENT
    return won
