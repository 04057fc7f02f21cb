"""How embeddings lie in their space: whether they still point in many directions, or have collapsed into few.

Arrays: N texts x D dimensions. Which texts are measured is the caller's choice.
"""

from typing import TypeVar

import numpy as np

from nearer.core.arrays import Floats, Floats32, Floats64

FloatsT = TypeVar("FloatsT", Floats32, Floats64)


def of_length_1(emb_ND: FloatsT) -> FloatsT:
    """The rows, each of length 1, in their own precision; a row of zeros stays one.

    >>> of_length_1(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    unit_ND: FloatsT = emb_ND / np.maximum(np.linalg.norm(emb_ND, axis=1, keepdims=True), 1e-12)
    return unit_ND


def effective_rank(emb_ND: Floats) -> float:
    """In how many dimensions the rows spread: e to the entropy of the singular values, from 1 to min(N, D).

    The rows are not centred; 0 where all are zero.

    Source: Roy and Vetterli, The Effective Rank (2007), definition 1; on embeddings: Garrido et al., RankMe (2023),
    section 3.

    >>> round(effective_rank(np.eye(3)), 6), round(effective_rank(np.ones((5, 3))), 6)
    (3.0, 1.0)
    """
    values = np.linalg.svd(np.asarray(emb_ND, np.float64), compute_uv=False)
    if not values.any():
        return 0.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))
