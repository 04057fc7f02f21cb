"""Users with a stated model, over rankings that vary in a stated way."""

import numpy as np

from nearer.signals.click_log import build_log

LOOKS = 1 / np.arange(1, 11)


def columns(rng, *, num_lists, rankers=1, swaps=0.0, looks=LOOKS, num_queries=40, model="position", num_ranks=10):
    """Sessions, queries, documents, ranks from 0 and clicks of a log; and the true attraction of each pair."""
    attract_QD = rng.beta(1, 3, (num_queries, num_ranks))
    rankings = [np.argsort(-attract_QD + rng.normal(0, 0.25, attract_QD.shape), axis=1) for _ in range(rankers)]
    query_L = rng.integers(0, num_queries, num_lists)
    order_LR = np.stack(rankings)[rng.integers(0, rankers, num_lists), query_L].copy()
    swapped_L = np.flatnonzero(rng.random(num_lists) < swaps)
    at_L = rng.integers(0, num_ranks - 1, len(swapped_L))
    order_LR[swapped_L, at_L], order_LR[swapped_L, at_L + 1] = (
        order_LR[swapped_L, at_L + 1],
        order_LR[swapped_L, at_L].copy(),
    )
    attract_LR = attract_QD[query_L[:, None], order_LR]
    drawn_LR = rng.random(order_LR.shape)
    if model == "position":
        clicked_LR = drawn_LR < looks[:num_ranks] * attract_LR
    else:  # a cascade: down to the first click
        wanted_LR = drawn_LR < attract_LR
        clicked_LR = wanted_LR & (np.cumsum(wanted_LR, axis=1) == 1)
    lists = np.repeat(np.arange(num_lists), num_ranks)
    return (
        [f"s{n}" for n in lists],
        [f"q{n}" for n in np.repeat(query_L, num_ranks)],
        [f"d{n}" for n in order_LR.ravel()],
        np.tile(np.arange(num_ranks), num_lists),
        clicked_LR.ravel(),
    ), {(f"q{q}", f"d{d}"): attract_QD[q, d] for q in range(num_queries) for d in range(num_ranks)}


def log(rng, **settings):
    made, truth = columns(rng, **settings)
    return build_log(*made), truth
