"""How sure we are of a mean, and of a difference between two systems.

What is resampled is a *unit*: a query, or a whole group of queries that belong together and so tell less than as many
queries apart. Shapes: Q queries, U units, R resamples of a chunk.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearer.core.errors import InputError

Floats = NDArray[np.float64]
Groups = Sequence[Hashable] | NDArray[np.int64]

_CHUNK_CELLS = 2**21  # draws held at once: 16 MiB as int64
_TOLERANCE = 1e-9  # sums in another order differ by less; measures by more


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and the ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against a baseline on the same queries.

    ``difference`` is the mean of candidate minus baseline, ``low`` and ``high`` the ends of its interval. Wins are
    queries on which the candidate is better.
    """

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    num_wins: int
    num_losses: int
    num_ties: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Units:
    """The sum of the values of every unit (float64) and the number of its queries (float64)."""

    sums_U: Floats
    sizes_U: Floats

    @property
    def mean(self) -> float:
        return float(self.sums_U.sum() / self.sizes_U.sum())


def mean_interval(
    values_Q: ArrayLike,
    *,
    groups_Q: Groups | None = None,
    num_resamples: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of a measure over queries, with its percentile bootstrap interval.

    ``values_Q`` (floats in [0, 1]) has one value a query. With ``groups_Q``, one label a query, whole groups are drawn
    and the mean is that of the queries drawn. Where there are too few units for an interval (see ``min_units``) the
    interval is the whole range of a measure, 0 to 1.

    Raises InputError for no values, values that are not finite, labels of another number, or settings out of range.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; groups: Field and Welsh,
    Bootstrapping Clustered Data (2007), the cluster bootstrap.

    >>> mean_interval([0.0, 1.0] * 50)
    Interval(value=0.5, low=0.4, high=0.6)
    >>> mean_interval([0.25, 0.75])
    Interval(value=0.5, low=0.0, high=1.0)
    """
    _check_settings(num_resamples, confidence)
    units = _units(_values(values_Q), groups_Q)
    rng = np.random.default_rng(seed)
    return _interval(units, (0.0, 1.0), num_resamples=num_resamples, confidence=confidence, rng=rng)


def compare(
    baseline_Q: ArrayLike,
    candidate_Q: ArrayLike,
    *,
    metric: str,
    groups_Q: Groups | None = None,
    num_resamples: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """The mean difference of two systems on the same queries, its bootstrap interval, and its p-value.

    The p-value is that of the two-sided paired randomisation test, which flips the sign of whole units. Where there
    are too few units for an interval (see ``min_units``) the interval is the whole range of a difference, -1 to 1; with
    a single unit the p-value is 1.

    Raises InputError as ``mean_interval`` does, and for values of another number of queries.

    Source: Smucker, Allan and Carterette, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation (2007), section 3.1; p = (b + 1) / (m + 1): Phipson and Smyth, Permutation P-values Should Never Be Zero
    (2010).

    >>> compare([0.5, 0.2], [0.5, 0.4], metric="nDCG@10")  # doctest: +NORMALIZE_WHITESPACE
    Comparison(metric='nDCG@10', difference=0.1, low=-1.0, high=1.0, p_value=1.0, num_wins=1, num_losses=0,
        num_ties=1)
    """
    _check_settings(num_resamples, confidence)
    baseline, candidate = _values(baseline_Q), _values(candidate_Q)
    if len(baseline) != len(candidate):
        raise InputError(
            f"the baseline has {len(baseline)} values and the candidate {len(candidate)}",
            hint="measure both systems on the same queries",
        )
    differences_Q = candidate - baseline
    units = _units(differences_Q, groups_Q)
    rng = np.random.default_rng(seed)
    interval = _interval(units, (-1.0, 1.0), num_resamples=num_resamples, confidence=confidence, rng=rng)
    num_wins = int(np.sum(differences_Q > _TOLERANCE))
    num_losses = int(np.sum(differences_Q < -_TOLERANCE))
    return Comparison(
        metric=metric,
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        p_value=_randomisation_p(units.sums_U, num_resamples=num_resamples, rng=rng),
        num_wins=num_wins,
        num_losses=num_losses,
        num_ties=len(differences_Q) - num_wins - num_losses,
    )


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


def _check_settings(num_resamples: int, confidence: float) -> None:
    if num_resamples < 1:
        raise InputError(f"num_resamples is {num_resamples}", hint="use at least 1; 5000 is usual")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}", hint="use a value between 0 and 1; 0.95 is usual")


def _values(values: ArrayLike) -> Floats:
    values_Q = np.asarray(values, dtype=np.float64)
    assert values_Q.ndim == 1, "one value a query"
    if not len(values_Q):
        raise InputError("there are no queries to measure", hint="choose a split that has judged queries")
    if not np.isfinite(values_Q).all():
        raise InputError("a measured value is not finite", hint="every query needs a value; one that failed scores 0")
    return values_Q


def _units(values_Q: Floats, groups_Q: Groups | None) -> _Units:
    if groups_Q is None:
        return _Units(sums_U=values_Q, sizes_U=np.ones(len(values_Q)))
    if len(groups_Q) != len(values_Q):
        raise InputError(f"{len(values_Q)} values have {len(groups_Q)} groups", hint="give one group a query")
    labels = groups_Q.tolist() if isinstance(groups_Q, np.ndarray) else groups_Q
    rows: dict[Hashable, int] = {}
    unit_of_Q = np.array([rows.setdefault(label, len(rows)) for label in labels])
    sums_U: Floats = np.bincount(unit_of_Q, weights=values_Q).astype(np.float64)
    return _Units(sums_U=sums_U, sizes_U=np.bincount(unit_of_Q).astype(np.float64))


def _chunk_sizes(num_resamples: int, num_units: int) -> Iterator[int]:
    """How many resamples to draw at once, so that a chunk stays small."""
    size = max(1, _CHUNK_CELLS // num_units)
    for first in range(0, num_resamples, size):
        yield min(size, num_resamples - first)


def _interval(
    units: _Units, bounds: tuple[float, float], *, num_resamples: int, confidence: float, rng: np.random.Generator
) -> Interval:
    num_units = len(units.sums_U)
    if num_units < min_units(confidence):
        return Interval(value=units.mean, low=bounds[0], high=bounds[1])
    means = []
    for size in _chunk_sizes(num_resamples, num_units):
        draws_RU = rng.integers(0, num_units, size=(size, num_units))
        means.append(units.sums_U[draws_RU].sum(axis=1) / units.sizes_U[draws_RU].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value=units.mean, low=float(low), high=float(high))


def _randomisation_p(sums_U: Floats, *, num_resamples: int, rng: np.random.Generator) -> float:
    """The share of sign flips, the observed one among them, whose sum is at least as far from 0."""
    changed_U = sums_U[sums_U != 0]  # flipping a zero changes nothing
    if not len(changed_U):
        return 1.0
    threshold = abs(changed_U.sum()) - _TOLERANCE * np.abs(changed_U).sum()
    num_extreme = 0
    for size in _chunk_sizes(num_resamples, len(changed_U)):
        kept_RU = rng.integers(0, 2, size=(size, len(changed_U)), dtype=np.int8)
        flipped_sums_R = 2 * (kept_RU @ changed_U) - changed_U.sum()
        num_extreme += int(np.sum(np.abs(flipped_sums_R) >= threshold))
    return (1 + num_extreme) / (1 + num_resamples)
