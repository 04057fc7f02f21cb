"""Fusion: one ranking out of the rankings of several systems, for the same queries and documents.

Shapes: S systems, Q queries, K ranked documents, U pairs of a query and a document that some system ranked for it,
G weights of a grid.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.errors import InputError
from nearer.vectors.topk import NO_ROW, TopK

Scaling = Literal["min-max", "z", "none"]

GRID = tuple(step / 10 for step in range(11))
"""The weights that ``tune_weight`` tries."""


def reciprocal_rank_fusion(runs: Sequence[TopK], *, k: int, constant: float = 60.0) -> TopK:
    """Every document's sum over systems of 1 / (constant + rank), the first rank being 1.

    A document that a system did not rank gets nothing from it.

    Raises InputError for no runs, runs of different numbers of queries, ``k`` below 1, or a constant below 0.

    Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
    Methods (2009), section 2, k = 60.
    """
    if not 0 <= constant < np.inf:
        raise InputError(f"the constant of reciprocal rank fusion is {constant}", hint="use 0 or more; 60 is usual")
    pool = _Pool.build(runs, k=k)
    parts_SU = np.divide(1.0, constant + pool.ranks_SU, out=np.zeros(pool.ranks_SU.shape), where=pool.found_SU)
    return pool.best(parts_SU, np.any(pool.found_SU, axis=0), k=k)


def weighted_sum(
    runs: Sequence[TopK], weights: Sequence[float], *, k: int, scaling: Scaling | Sequence[Scaling] = "min-max"
) -> TopK:
    """Every document's weighted sum of the systems' scores, each scaled over what the system ranked for the query.

    ``"min-max"`` scales to 0 for the lowest score and 1 for the highest, and to 1 where all are equal; ``"z"`` to mean
    0 and standard deviation 1, and to 0 where all are equal; ``"none"`` leaves scores as they are. One name holds for
    all systems, several for one each. A document that a system did not rank counts as its lowest scaled score, or 0
    where that is less: 0 by min-max, also where all are equal. A system that ranked nothing for a query adds 0, and one
    of weight 0 has no say: what it alone ranked is not returned. The deeper the runs, the less the missing matter.

    Raises InputError for no runs, runs of different numbers of queries, ``k`` below 1, and weights that are negative,
    not finite, all 0, or of another number than the runs, as scalings too.

    Source: Lee, Analyses of Multiple Evidence Combination (1997), section 3 (min-max); Bruch, Gai and Ingber, An
    Analysis of Fusion Functions for Hybrid Retrieval (arXiv 2210.11934), section 4.
    """
    weights_S = _checked(weights, num_runs=len(runs))
    pool = _Pool.build(runs, k=k)
    scalings = [scaling] * len(runs) if isinstance(scaling, str) else scaling
    if len(scalings) != len(runs):
        raise InputError(f"{len(runs)} runs have {len(scalings)} scalings", hint="give one for all, or one a run")
    return pool.weighted(pool.scaled(scalings), weights_S, k=k)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TunedWeight:
    """The weight of the first of two systems; the second's is 1 minus it.

    ``weight`` has the best mean over all queries, and ``means`` the mean of every weight tried. ``out_of_fold`` ranks
    each query by the weight chosen without its fold, which is ``fold_weights`` at the fold's place.
    """

    weight: float
    means: Mapping[float, float]
    fold_weights: tuple[float, ...]
    out_of_fold: TopK


def tune_weight(
    first: TopK,
    second: TopK,
    *,
    measure: Callable[[Ints], Floats64],
    folds_Q: Ints,
    k: int,
    grid: Sequence[float] = GRID,
    scaling: Scaling = "min-max",
) -> TunedWeight:
    """The weight of ``first`` in a weighted sum with ``second``, and what cross-fitting says of choosing it so.

    ``measure`` gives every query's value (float64, Q) for rows (int64, Q x K); ``folds_Q`` are those of ``folds_of``.
    Equal means go to the larger weight: the second system must earn its part. The value to believe is that of
    ``out_of_fold``; the mean at ``weight`` is the highest of several, and so too high.

    Raises InputError for a grid that is empty or leaves 0 to 1, folds of another number, and as ``weighted_sum`` does.

    Source: Stone, Cross-Validatory Choice and Assessment of Statistical Predictions (1974), section 2.
    """
    weights_G = sorted(set(grid), reverse=True)
    if not weights_G or not all(0 <= weight <= 1 for weight in weights_G):
        raise InputError(f"the grid of weights is {list(grid)}", hint="give weights from 0 to 1")
    pool = _Pool.build([first, second], k=k)
    if folds_Q.shape != (pool.num_queries,):
        raise InputError(f"{pool.num_queries} queries have {len(folds_Q)} folds", hint="give one fold a query")
    scaled_SU = pool.scaled([scaling, scaling])

    def fused(weight: float) -> TopK:
        return pool.weighted(scaled_SU, np.array([weight, 1 - weight]), k=k)

    values_GQ = np.stack([measure(fused(weight).rows_QK) for weight in weights_G])
    chosen = [int(values_GQ[:, folds_Q != fold].mean(axis=1).argmax()) for fold in range(folds_Q.max() + 1)]
    means_G = values_GQ.mean(axis=1)
    return TunedWeight(
        weight=weights_G[int(means_G.argmax())],
        means=dict(zip(weights_G, means_G.tolist(), strict=True)),
        fold_weights=tuple(weights_G[place] for place in chosen),
        out_of_fold=_by_fold([fused(weights_G[place]) for place in chosen], folds_Q),
    )


def folds_of(groups_Q: Sequence[Hashable], *, num_folds: int = 5, seed: int = 0) -> Ints:
    """The fold of every query (int64, Q, from 0): whole groups dealt out at random, equally many to each fold.

    There are fewer folds where there are fewer groups.

    Raises InputError for fewer than two folds or groups.

    >>> folds_of(["a", "b", "a", "c", "c"], num_folds=3).tolist()
    [2, 0, 2, 1, 1]
    """
    rows: dict[Hashable, int] = {}
    group_of_Q = [rows.setdefault(group, len(rows)) for group in groups_Q]
    if min(num_folds, len(rows)) < 2:
        raise InputError(
            f"{len(rows)} groups of queries cannot make {num_folds} folds",
            hint="cross-fitting needs two folds and queries of two groups at least",
        )
    dealt = np.random.default_rng(seed).permutation(len(rows)) % min(num_folds, len(rows))
    return dealt[group_of_Q]


def _by_fold(fused_F: list[TopK], folds_Q: Ints) -> TopK:
    """Each query's line from the ranking of its fold."""
    queries_Q = np.arange(len(folds_Q))
    return TopK(
        rows_QK=np.stack([fused.rows_QK for fused in fused_F])[folds_Q, queries_Q],
        scores_QK=np.stack([fused.scores_QK for fused in fused_F])[folds_Q, queries_Q],
    )


def _checked(weights: Sequence[float], *, num_runs: int) -> Floats64:
    weights_S = np.asarray(weights, dtype=np.float64)
    if weights_S.shape != (num_runs,):
        raise InputError(f"{num_runs} runs have {weights_S.size} weights", hint="give one weight a run")
    if not (np.isfinite(weights_S).all() and (weights_S >= 0).all() and weights_S.any()):
        raise InputError(f"the weights are {list(weights)}", hint="give weights of 0 or more, one of them above 0")
    return weights_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pool:
    """What any system ranked: U pairs in order of query and document row, and each system's view of them.

    Where ``found_SU`` is false, the rank (from 1) and the score are 0.
    """

    num_queries: int
    queries_U: Ints
    rows_U: Ints
    found_SU: Bools
    ranks_SU: Ints
    scores_SU: Floats64

    @classmethod
    def build(cls, runs: Sequence[TopK], *, k: int) -> "_Pool":
        if not runs or len({len(run.rows_QK) for run in runs}) > 1:
            lengths = [len(run.rows_QK) for run in runs]
            raise InputError(
                f"runs of {lengths} queries cannot be fused", hint="rank the same queries with each system"
            )
        if k < 1:
            raise InputError(f"k is {k}", hint="ask for at least 1 document")
        width = 1 + max(int(run.rows_QK.max(initial=0)) for run in runs)
        keys = [np.arange(len(run.rows_QK))[:, None] * width + run.rows_QK for run in runs]
        keys_U = np.unique(np.concatenate([each[run.rows_QK >= 0] for each, run in zip(keys, runs, strict=True)]))
        shape = len(runs), len(keys_U)
        found_SU, ranks_SU, scores_SU = np.zeros(shape, np.bool_), np.zeros(shape, np.int64), np.zeros(shape)
        for system, run in enumerate(runs):
            queries, places = np.nonzero(run.rows_QK >= 0)
            at = np.searchsorted(keys_U, keys[system][queries, places])
            found_SU[system, at] = True
            ranks_SU[system, at] = places + 1
            scores_SU[system, at] = run.scores_QK[queries, places]
        return cls(
            num_queries=len(runs[0].rows_QK),
            queries_U=keys_U // width,
            rows_U=keys_U % width,
            found_SU=found_SU,
            ranks_SU=ranks_SU,
            scores_SU=scores_SU,
        )

    def scaled(self, scalings: Sequence[Scaling]) -> Floats64:
        """Every system's scaled scores (float64, S x U), with the query's lowest in place of those it did not rank."""
        scaled_SU = np.zeros(self.scores_SU.shape)
        systems = zip(self.found_SU, self.scores_SU, scaled_SU, scalings, strict=True)
        for found_U, scores_U, scaled_U, scaling in systems:
            queries_F = self.queries_U[found_U]  # F pairs that this system ranked
            scaled_F = _scaled(scores_U[found_U], queries_F, num_queries=self.num_queries, scaling=scaling)
            lowest_Q = np.zeros(self.num_queries)
            np.minimum.at(lowest_Q, queries_F, scaled_F)
            scaled_U[:] = lowest_Q[self.queries_U]
            scaled_U[found_U] = scaled_F
        return scaled_SU

    def weighted(self, scaled_SU: Floats64, weights_S: Floats64, *, k: int) -> TopK:
        """The best by weighted sum among what systems of a weight above 0 ranked."""
        heard_U = np.any(self.found_SU[weights_S > 0], axis=0)
        return self.best(weights_S[:, None] * scaled_SU, heard_U, k=k)

    def best(self, parts_SU: Floats64, heard_U: Bools, *, k: int) -> TopK:
        """The ``k`` pairs of each query, of those heard, whose parts have the largest sum; ties to the higher row."""
        queries, rows = self.queries_U[heard_U], self.rows_U[heard_U]
        sums = np.sort(parts_SU[:, heard_U], axis=0).sum(axis=0)  # sorted: the systems' order must not change a bit
        order = np.lexsort((-rows, -sums, queries))
        places = np.arange(len(order)) - np.searchsorted(queries, queries)  # the queries ascend before and after
        kept = places < k
        rows_QK = np.full((self.num_queries, k), NO_ROW, np.int64)
        scores_QK = np.full((self.num_queries, k), -np.inf, np.float32)
        rows_QK[queries[kept], places[kept]] = rows[order][kept]
        scores_QK[queries[kept], places[kept]] = sums[order][kept]
        return TopK(rows_QK=rows_QK, scores_QK=scores_QK)


def _scaled(scores_F: Floats64, queries_F: Ints, *, num_queries: int, scaling: Scaling) -> Floats64:
    """The scores of one system, each scaled over those of its query."""
    if scaling == "none":
        return scores_F
    low_Q, high_Q = np.full(num_queries, np.inf), np.full(num_queries, -np.inf)
    np.minimum.at(low_Q, queries_F, scores_F)
    np.maximum.at(high_Q, queries_F, scores_F)
    if scaling == "min-max":
        origin_Q, unit_Q, where_equal = low_Q, high_Q - low_Q, 1.0
    else:
        count_Q = np.bincount(queries_F, minlength=num_queries).clip(min=1)
        origin_Q, where_equal = np.bincount(queries_F, scores_F, num_queries) / count_Q, 0.0
        unit_Q = np.sqrt(np.bincount(queries_F, (scores_F - origin_Q[queries_F]) ** 2, num_queries) / count_Q)
    scaled_F = np.full(len(scores_F), where_equal)
    varied_F = (low_Q < high_Q)[queries_F]
    np.divide(scores_F - origin_Q[queries_F], unit_Q[queries_F], out=scaled_F, where=varied_F)
    return scaled_F
