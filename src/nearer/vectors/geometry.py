"""How embeddings lie in their space: whether they still point in many directions, or have collapsed into few.

Arrays: N texts x D dimensions. Which texts are measured is the caller's choice.
"""

import numpy as np

from nearer.core.arrays import Floats


def mean_cosine(emb_ND: Floats) -> float:
    """The mean cosine of all pairs of two different rows, N at least 2; a zero vector has cosine 0 with any other.

    Exact without making the pairs: the squared length of the sum of unit vectors is the sum of all their products.

    Source: Ethayarajh, How Contextual are Contextualized Word Representations? (2019), section 3.3 (anisotropy).

    >>> mean_cosine(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
    0.3333333333333333
    """
    emb_ND = np.asarray(emb_ND, np.float64)
    num_texts = len(emb_ND)
    assert num_texts >= 2, "a pair takes two"
    lengths_N = np.linalg.norm(emb_ND, axis=1, keepdims=True)
    unit_ND = np.divide(emb_ND, lengths_N, out=np.zeros_like(emb_ND), where=lengths_N > 0)
    total_D = unit_ND.sum(axis=0)
    return float((total_D @ total_D - np.square(unit_ND).sum()) / (num_texts * (num_texts - 1)))


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
