"""Which click models a log can carry, and how likely each rank is looked at, from documents that stood at two ranks.

Arrays: R ranks, C cells (a pair of a query and a document at one rank), K comparisons of two ranks by one pair.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.signals.click_log import Cells

LEAST_LINK = 20.0
"""Impressions by which two ranks must share documents to be compared. Our rule: fewer carry no click, mostly."""
LEAST_ADJACENT = 200.0
"""The same for each two neighbours of a chain to be harvested. Our rule: ten clicks at a rate of 5 %."""

_HALF_A_CLICK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """By how many impressions ranks can be compared: pairs that stood at both, each by the rarer of its places."""

    weight_RR: Floats64

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


def find_links(cells: Cells) -> Links:
    """The links between ranks of a log."""
    left_K, right_K = _two_ranks(cells, only_adjacent=False)
    size = int(cells.rank_C.max()) + 1
    weight_RR = np.zeros((size, size))
    shared_K = np.minimum(cells.num_C[left_K], cells.num_C[right_K])
    np.add.at(weight_RR, (cells.rank_C[left_K], cells.rank_C[right_K]), shared_K)
    return Links(weight_RR=weight_RR + weight_RR.T)


def harvest(cells: Cells) -> Floats64:
    """How likely each rank is looked at relative to the first, shape (R,), from pairs that stood at two neighbours.

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
