"""Which click models a log can carry, and how likely each rank is looked at, from what stood at two ranks.

Arrays: L lists, R ranks, C cells (a pair of a query and a document at a rank), K comparisons of two ranks by one pair.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.signals.click_log import Cells, ClickLog

LEAST_LINK = 20.0
"""Impressions by which two ranks must share documents to be compared. Our rule: fewer carry no click, mostly."""
LEAST_ADJACENT = 200.0
"""The same for each two neighbours of a chain to be harvested. Our rule: ten clicks at a rate of 5 %."""

_HALF_A_CLICK = 0.5
_ALIKE = 1e-3
"""Chances that differ by a smaller share are one, rounded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """By how many impressions ranks can be compared: pairs that stood at both, each by the rarer of its places.

    ``shuffled_L`` are the lists, shape (L,), that are compared whole, for their documents were as likely at each rank;
    None where pairs are compared.
    """

    weight_RR: Floats64
    shuffled_L: Bools | None = None

    @property
    def identified_R(self) -> Bools:
        """The ranks that can be compared with the first one, through others if need be."""
        graph = coo_array(self.weight_RR >= LEAST_LINK)
        _, component_R = connected_components(graph, directed=False)
        return np.asarray(component_R == component_R[0]) & (len(component_R) > 1)

    @property
    def is_chain(self) -> bool:
        """Whether every two neighbours can be compared, so that their ratios can be multiplied."""
        neighbours = np.diagonal(self.weight_RR, offset=1)
        return bool(len(neighbours)) and bool((neighbours >= LEAST_ADJACENT).all())


def find_links(log: ClickLog) -> Links:
    """The links between ranks of a log."""
    shuffled_L = shuffled_lists(log)
    cells = movers(log, shuffled_L)
    left_K, right_K = _two_ranks(cells, only_adjacent=False)
    size = log.pair_LR.shape[1]
    weight_RR = np.zeros((size, size))
    shared_K = np.minimum(cells.num_C[left_K], cells.num_C[right_K])
    np.add.at(weight_RR, (cells.rank_C[left_K], cells.rank_C[right_K]), shared_K)
    return Links(weight_RR=weight_RR + weight_RR.T, shuffled_L=shuffled_L)


def movers(log: ClickLog, shuffled_L: Bools | None, weight_L: Floats64 | None = None) -> Cells:
    """What stood at several ranks: pairs of a query and a document; or, in a shuffled log, the documents of a list.

    A shuffled list's documents were as likely at each of its ranks, so on average the same stood at all of them: lists
    of one length are one row of cells, and no query need come twice.
    """
    if shuffled_L is None:
        return log.cells(weight_L)
    num_ranks = log.pair_LR.shape[1]
    lists, ranks = np.nonzero(log.shown_LR & shuffled_L[:, None])
    keys, place_I = np.unique(log.shown_LR.sum(axis=1)[lists] * num_ranks + ranks, return_inverse=True)
    weight_I = np.ones(len(lists)) if weight_L is None else weight_L[lists]
    return Cells(
        pair_C=keys // num_ranks,
        rank_C=keys % num_ranks,
        num_C=np.bincount(place_I, weight_I, len(keys)).astype(np.float64),
        clicks_C=np.bincount(place_I, weight_I * log.clicked_LR[lists, ranks], len(keys)).astype(np.float64),
    )


def shuffled_lists(log: ClickLog) -> Bools | None:
    """The lists of two documents or more, each of which was as likely at every rank; None for too few to compare."""
    if log.propensity_LR is None:
        return None
    num_L = log.shown_LR.sum(axis=1)
    chance_L = 1 / np.maximum(num_L, 1)
    is_even_LR = np.abs(log.propensity_LR - chance_L[:, None]) <= _ALIKE * chance_L[:, None]
    shuffled_L: Bools = (is_even_LR | ~log.shown_LR).all(axis=1) & (num_L > 1)
    return shuffled_L if shuffled_L.sum() >= LEAST_ADJACENT else None


def harvest(cells: Cells) -> Floats64:
    """How likely each rank is looked at relative to the first, shape (R,), from what stood at two neighbours.

    For two neighbours it is the ratio of their mean click rates over these pairs, each weighed by the harmonic mean of
    how often it stood at either, which favours neither rank; the ratios are multiplied from the top. Half a click more
    at both is there for ranks without any. None is above 1: nobody looks at a rank more than at the one above it,
    whatever a few clicks far down seem to say. Ranks whose neighbour above shares nothing with them are looked at as
    that one is.

    Source: Agarwal et al., Estimating Position Bias without Intrusive Interventions (WSDM 2019), section 4, the
    adjacent chain; that looks fall with the rank: Joachims et al. (SIGIR 2005).
    """
    left_K, right_K = _two_ranks(cells, only_adjacent=True)
    num_ranks = int(cells.rank_C.max()) + 1
    weight_K = 1 / (1 / cells.num_C[left_K] + 1 / cells.num_C[right_K])
    above_R, below_R = (
        np.bincount(cells.rank_C[left_K], weight_K * cells.clicks_C[side] / cells.num_C[side], num_ranks)
        for side in (left_K, right_K)
    )
    looked_R = np.ones(num_ranks)
    for rank in range(1, num_ranks):
        ratio = (below_R[rank - 1] + _HALF_A_CLICK) / (above_R[rank - 1] + _HALF_A_CLICK)
        looked_R[rank] = looked_R[rank - 1] * min(1.0, ratio)
    return looked_R


def _two_ranks(cells: Cells, *, only_adjacent: bool) -> tuple[Ints, Ints]:
    """Rows of cells of one pair at two ranks, the upper rank first; cells are in order of pair, then rank."""
    left, right, step = [], [], 1
    while step < len(cells.pair_C):
        same_C = np.flatnonzero(cells.pair_C[step:] == cells.pair_C[:-step])
        if not len(same_C):
            break
        left.append(same_C)
        right.append(same_C + step)
        step += 1
    if not left:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    left_K, right_K = np.concatenate(left), np.concatenate(right)
    kept_K = (cells.rank_C[right_K] - cells.rank_C[left_K] == 1) | (not only_adjacent)
    return left_K[kept_K], right_K[kept_K]
