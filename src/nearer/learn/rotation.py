"""Axes along which queries agree with their positives.

Arrays: E examples, N vectors, D dimensions.
"""

import numpy as np

from nearer.core.arrays import Floats32

_SECOND = 1e-3
"""Weight of how long vectors are on an axis, beside how much pairs have in common on it. Our rule: it orders the axes
that few pairs say nothing of, behind those that they agree on and before those on which they disagree."""


def pair_rotation(
    query_emb_ED: Floats32, positive_emb_ED: Floats32, other_emb_ND: Floats32, *, weight_E: Floats32
) -> Floats32:
    """Orthonormal axes, the rows of (D, D), by how much of the product of a query and its positive lies on each.

    Of all choices of as many axes, the first k keep the most of its weighted mean over the examples: they are the
    eigenvectors of the mean of (q p' + p q') / 2 with the largest eigenvalues. On the last ones queries and positives
    disagree. Where pairs say nothing, the axes on which the other vectors are longest come first.

    Source: Fan, On a Theorem of Weyl Concerning Eigenvalues of Linear Transformations I (1949), theorem 1.
    """
    share_E = weight_E.astype(np.float64) / weight_E.sum()
    product_DD = (query_emb_ED * share_E[:, None]).T @ positive_emb_ED
    second_DD = other_emb_ND.T.astype(np.float64) @ other_emb_ND / len(other_emb_ND)
    _, vectors_DD = np.linalg.eigh((product_DD + product_DD.T) / 2 + _SECOND * second_DD)
    return np.ascontiguousarray(vectors_DD[:, ::-1].T, np.float32)
