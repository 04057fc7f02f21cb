"""Results in another order for a share of queries, so that a log tells position from document."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The results to show, by their places in the ranking, and how likely each was to be shown where it is."""

    order: tuple[int, ...]
    propensities: tuple[float, ...]


def explore(num_results: int, *, share: float, rng: Random) -> Shown:
    """Swap two neighbours, drawn evenly, for a ``share`` of queries.

    Source: Agarwal et al., Estimating Position Bias without Intrusive Interventions (WSDM 2019): what adjacent pairs
    that stand in both orders tell; Radlinski and Joachims (AAAI 2006), the swap itself.

    >>> explore(3, share=0.0, rng=Random(0))
    Shown(order=(0, 1, 2), propensities=(1.0, 1.0, 1.0))
    >>> explore(3, share=1.0, rng=Random(0))
    Shown(order=(0, 2, 1), propensities=(0.5, 0.5, 0.5))
    """
    order = list(range(num_results))
    if num_results < 2 or not share:
        return Shown(order=tuple(order), propensities=(1.0,) * num_results)
    each = share / (num_results - 1)  # the chance of each of the swaps
    stay = [1 - each * ((place > 0) + (place < num_results - 1)) for place in order]
    if rng.random() < share:
        above = rng.randrange(num_results - 1)
        order[above], order[above + 1] = order[above + 1], order[above]
        stay[above] = stay[above + 1] = each
    return Shown(order=tuple(order), propensities=tuple(stay))
