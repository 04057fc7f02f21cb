"""Axes along which queries agree with their positives, and models whose vectors are turned onto them.

Arrays: E examples, N vectors, D dimensions.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats = NDArray[np.float32]

TURNED = "turned"
"""What the module is called that turns a model's vectors: the model keeps the name wherever it is saved."""
_SECOND = 1e-3
"""Weight of how long vectors are on an axis, beside how much pairs have in common on it. Our rule: it orders the axes
that few pairs say nothing of, behind those that they agree on and before those on which they disagree."""


def axes(query_emb_ED: Floats, positive_emb_ED: Floats, other_emb_ND: Floats, *, weight_E: Floats) -> Floats:
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


def is_turned(model: "SentenceTransformer") -> bool:
    """Whether ``turn`` has been here."""
    return TURNED in dict(model.named_children())


def why_not_turned(model: "SentenceTransformer") -> str | None:
    """Why a model's vectors cannot be turned; None when they can."""
    if model.truncate_dim is not None:
        return f"it gives the first {model.truncate_dim} dimensions alone"
    dtypes = {parameter.dtype for parameter in model.parameters()}
    return None if dtypes == {torch.float32} else "its weights are not float32"


def turn(model: "SentenceTransformer", axes_DD: Floats) -> None:
    """Have the model give its vectors by their places on these axes: every cosine stays, but for rounding."""
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    dimension = len(axes_DD)
    weight_DD = torch.from_numpy(axes_DD).to(model.device)
    dense = Dense(dimension, dimension, bias=False, activation_function=nn.Identity(), init_weight=weight_DD)
    named = list(model.named_children())
    last = [named.pop()] if isinstance(named[-1][1], Normalize) else []
    for name, _ in (*named, *last):
        delattr(model, name)
    for name, module in (*named, (TURNED, dense), *last):
        model.add_module(name, module)


def align(model: "SentenceTransformer", to: "SentenceTransformer") -> None:
    """Turn the model as another one is turned, by the rotation nearest to each one's own matrix.

    Source: the nearest rotation is the polar factor: Schönemann, A Generalized Solution of the Orthogonal Procrustes
    Problem (1966).
    """
    wanted_DD = _rotation(to)
    if is_turned(model):
        matrix = model.get_submodule(TURNED).linear.weight
        with torch.no_grad():
            matrix.copy_(wanted_DD @ _rotation(model).T @ matrix)
    else:
        turn(model, wanted_DD.cpu().numpy())


def _rotation(model: "SentenceTransformer") -> torch.Tensor:
    left, _, right = torch.linalg.svd(model.get_submodule(TURNED).linear.weight.detach())
    rotation: torch.Tensor = left @ right
    return rotation
