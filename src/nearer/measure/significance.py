"""How sure we are of a mean, and of a difference between two systems.

What is resampled is a *unit*: a query, or a whole group of queries that belong together and so tell less than as many
queries apart. Shapes: Q queries, U units, M measures, R resamples of a chunk.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.results.measuring import Comparison, Interval

Groups = Sequence[Hashable] | Ints

_CHUNK_CELLS = 2**21  # draws held at once: 16 MiB as int64
_TOLERANCE = 1e-9  # sums in another order differ by less; measures by more


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """The sums of the values of every unit, one a measure, and the number of its queries (all float64)."""

    sums_UM: Floats64
    sizes_U: Floats64

    @property
    def means_M(self) -> Floats64:
        """The mean over queries, a measure each."""
        means: Floats64 = self.sums_UM.sum(axis=0) / self.sizes_U.sum()
        return means


def mean_intervals(
    values_QM: ArrayLike,
    *,
    groups_Q: Groups | None = None,
    num_resamples: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """The mean of every measure over queries, with its percentile bootstrap interval; the draws are the same for all.

    ``values_QM`` (floats in [0, 1]) has a row a query and a column a measure. With ``groups_Q``, one label a query,
    whole groups are drawn and the mean is that of the queries drawn. Where there are too few units for an interval
    (see ``min_units``) the interval is the whole range of a measure, 0 to 1.

    Raises InputError for no values, values that are not finite, labels of another number, or settings out of range.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; groups: Field and Welsh,
    Bootstrapping Clustered Data (2007), the cluster bootstrap.

    >>> mean_intervals([[0.0], [1.0]] * 50)
    [Interval(value=0.5, low=0.4, high=0.6)]
    >>> mean_intervals([[0.25], [0.75]])
    [Interval(value=0.5, low=0.0, high=1.0)]
    """
    _check_settings(num_resamples, confidence)
    units = units_of(_values(values_QM), groups_Q)
    rng = np.random.default_rng(seed)
    return _intervals(units, (0.0, 1.0), num_resamples=num_resamples, confidence=confidence, rng=rng)


def compare_all(
    baseline_QM: ArrayLike,
    candidate_QM: ArrayLike,
    *,
    metrics: Sequence[str],
    groups_Q: Groups | None = None,
    num_resamples: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Comparison]:
    """The mean difference of two systems on the same queries in every measure, its bootstrap interval and p-value.

    The p-value is that of the two-sided paired randomisation test, which flips the sign of whole units. Where there
    are too few units for an interval (see ``min_units``) the interval is the whole range of a difference, -1 to 1; with
    a single unit the p-value is 1. Draws and flips are the same for all measures.

    Raises InputError as ``mean_intervals`` does, and for values of another number of queries.

    Source: Smucker, Allan and Carterette, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation (2007), section 3.1; p = (b + 1) / (m + 1): Phipson and Smyth, Permutation P-values Should Never Be Zero
    (2010).

    >>> compare_all([[0.5], [0.2]], [[0.5], [0.4]], metrics=["nDCG@10"])  # doctest: +NORMALIZE_WHITESPACE
    [Comparison(metric='nDCG@10', difference=0.1, low=-1.0, high=1.0, p_value=1.0, num_wins=1, num_losses=0,
        num_ties=1)]
    """
    _check_settings(num_resamples, confidence)
    baseline, candidate = _values(baseline_QM), _values(candidate_QM)
    if len(baseline) != len(candidate):
        raise InputError(
            f"the baseline has {len(baseline)} values and the candidate {len(candidate)}",
            hint="measure both systems on the same queries",
        )
    differences_QM = _without_rounding(candidate - baseline)
    units = units_of(differences_QM, groups_Q)
    rng = np.random.default_rng(seed)
    intervals = _intervals(units, (-1.0, 1.0), num_resamples=num_resamples, confidence=confidence, rng=rng)
    p_values = _randomisation_p_values(units.sums_UM, num_resamples=num_resamples, rng=rng)
    num_wins_M = np.sum(differences_QM > _TOLERANCE, axis=0).tolist()
    num_losses_M = np.sum(differences_QM < -_TOLERANCE, axis=0).tolist()
    return [
        Comparison(
            metric=metric,
            difference=float(_without_rounding(interval.value)),
            low=float(_without_rounding(interval.low)),
            high=float(_without_rounding(interval.high)),
            p_value=p_value,
            num_wins=num_wins,
            num_losses=num_losses,
            num_ties=len(differences_QM) - num_wins - num_losses,
        )
        for metric, interval, p_value, num_wins, num_losses in zip(
            metrics, intervals, p_values, num_wins_M, num_losses_M, strict=True
        )
    ]


def _without_rounding(values: ArrayLike) -> Floats64:
    """Zero in place of what only the rounding of sums left over."""
    found = np.asarray(values, np.float64)
    return np.where(np.abs(found) <= _TOLERANCE, 0.0, found)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values adjusted for being looked at together: those at most alpha hold with family-wise error alpha.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979), section 3.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = largest
    return tuple(adjusted)


def min_units(confidence: float) -> int:
    """The fewest units from which an interval can be had.

    Even from the smallest to the largest of U independent values the median lies with probability 1 - 2^(1 - U), so
    that a bootstrap of fewer units, which never leaves that range, claims more than it can know.

    Source: David and Nagaraja, Order Statistics (2003), section 7.1.

    >>> min_units(0.95)
    6
    """
    return 1 + ceil(-log2(1 - confidence))


def units_of(values_QM: Floats64, groups_Q: Groups | None) -> Units:
    """The values of queries (float64, Q x M), summed by unit. Raises InputError for labels of another number."""
    if groups_Q is None:
        return Units(sums_UM=values_QM, sizes_U=np.ones(len(values_QM)))
    if len(groups_Q) != len(values_QM):
        raise InputError(f"{len(values_QM)} values have {len(groups_Q)} groups", hint="give one group a query")
    labels = groups_Q.tolist() if isinstance(groups_Q, np.ndarray) else groups_Q
    rows: dict[Hashable, int] = {}
    unit_of_Q = np.array([rows.setdefault(label, len(rows)) for label in labels])
    sums_UM = np.zeros((len(rows), values_QM.shape[1]))
    np.add.at(sums_UM, unit_of_Q, values_QM)
    return Units(sums_UM=sums_UM, sizes_U=np.bincount(unit_of_Q).astype(np.float64))


def _check_settings(num_resamples: int, confidence: float) -> None:
    if num_resamples < 1:
        raise InputError(f"num_resamples is {num_resamples}", hint="use at least 1; 5000 is usual")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}", hint="use a value between 0 and 1; 0.95 is usual")


def _values(values: ArrayLike) -> Floats64:
    values_QM = np.asarray(values, dtype=np.float64)
    assert values_QM.ndim == 2, "a row a query, a column a measure"
    if not len(values_QM):
        raise InputError("there are no queries to measure", hint="choose a split that has judged queries")
    if not np.isfinite(values_QM).all():
        raise InputError("a measured value is not finite", hint="every query needs a value; one that failed scores 0")
    return values_QM


def _chunk_sizes(num_resamples: int, num_units: int) -> Iterator[int]:
    """How many resamples to draw at once, so that a chunk stays small."""
    size = max(1, _CHUNK_CELLS // num_units)
    for first in range(0, num_resamples, size):
        yield min(size, num_resamples - first)


def _intervals(
    units: Units, bounds: tuple[float, float], *, num_resamples: int, confidence: float, rng: np.random.Generator
) -> list[Interval]:
    num_units = len(units.sizes_U)
    if num_units < min_units(confidence):
        return [Interval(value=value, low=bounds[0], high=bounds[1]) for value in units.means_M.tolist()]
    means = []
    for size in _chunk_sizes(num_resamples, num_units):
        counts_RU = _times_drawn(size, num_units, rng)
        means.append((counts_RU @ units.sums_UM) / (counts_RU @ units.sizes_U)[:, None])
    low_M, high_M = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    ends = zip(units.means_M.tolist(), low_M.tolist(), high_M.tolist(), strict=True)
    return [Interval(value=value, low=low, high=high) for value, low, high in ends]


def _times_drawn(num_resamples: int, num_units: int, rng: np.random.Generator) -> Floats64:
    """How often each resample, drawn with replacement, holds each unit (float64, R x U)."""
    draws_RU = rng.integers(0, num_units, size=(num_resamples, num_units))
    draws_RU += np.arange(num_resamples)[:, None] * num_units
    counts = np.bincount(draws_RU.ravel(), minlength=draws_RU.size)
    return counts.reshape(draws_RU.shape).astype(np.float64)


def _randomisation_p_values(sums_UM: Floats64, *, num_resamples: int, rng: np.random.Generator) -> list[float]:
    """For every measure the share of sign flips, the observed one among them, whose sum is at least as far from 0."""
    observed_M = sums_UM.sum(axis=0)
    threshold_M = np.abs(observed_M) - _TOLERANCE * np.abs(sums_UM).sum(axis=0)
    num_extreme_M = np.zeros(len(observed_M), np.int64)
    for size in _chunk_sizes(num_resamples, len(sums_UM)):
        kept_RU = rng.integers(0, 2, size=(size, len(sums_UM)), dtype=np.int8).astype(np.float64)
        flipped_sums_RM = 2 * (kept_RU @ sums_UM) - observed_M
        num_extreme_M += (np.abs(flipped_sums_RM) >= threshold_M).sum(axis=0)
    p_values: list[float] = ((1 + num_extreme_M) / (1 + num_resamples)).tolist()
    return p_values
