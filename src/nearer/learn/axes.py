"""Axes along which queries agree with their positives, and a model whose vectors are turned onto them.

Arrays: E examples, D dimensions.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats = NDArray[np.float32]


def axes(query_emb_ED: Floats, positive_emb_ED: Floats) -> Floats:
    """Orthonormal axes, the rows of (D, D), by how much of the product of a query and its positive lies on each.

    Of all choices of as many axes, the first k keep the most of its mean over the examples: they are the eigenvectors
    of the mean of (q p' + p q') / 2 with the largest eigenvalues. On the last ones queries and positives disagree.

    Source: Fan, On a Theorem of Weyl Concerning Eigenvalues of Linear Transformations I (1949), theorem 1.
    """
    product_DD = query_emb_ED.T.astype(np.float64) @ positive_emb_ED / max(1, len(query_emb_ED))
    _, vectors_DD = np.linalg.eigh((product_DD + product_DD.T) / 2)
    return np.ascontiguousarray(vectors_DD[:, ::-1].T, np.float32)


def is_turned(model: "SentenceTransformer") -> bool:
    """Whether the model ends with a map of its vectors as ``turn`` adds one."""
    from sentence_transformers.sentence_transformer.modules import Dense

    maps = [module for module in model if isinstance(module, Dense)]
    return bool(maps) and not maps[-1].bias and maps[-1].in_features == maps[-1].out_features


def turn(model: "SentenceTransformer", axes_DD: Floats) -> None:
    """Have the model give its vectors by their places on these axes: every cosine stays, but for rounding."""
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    dimension = len(axes_DD)
    weight_DD = torch.from_numpy(axes_DD).to(model.device)
    dense = Dense(dimension, dimension, bias=False, activation_function=nn.Identity(), init_weight=weight_DD)
    is_last_unit = isinstance(model[-1], Normalize)
    model.insert(len(model) - is_last_unit, dense.to(model.device))
