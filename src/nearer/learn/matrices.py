"""Square matrices that a model's vectors pass in the end: putting them there, and models that have the same ones.

Shapes: D dimensions.
"""

from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from nearer.core.arrays import Floats32

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


LINEAR = "linear"
"""What the module is called that was learned before the weights; a model keeps these names wherever it is saved."""
ROTATION = "rotated"
"""What the module is called that turns a model's vectors onto axes."""


def has_matrix(model: "SentenceTransformer", name: str) -> bool:
    """Whether a matrix of this name is there."""
    return name in dict(model.named_children())


def why_no_matrix(model: "SentenceTransformer") -> str | None:
    """Why a model's vectors cannot pass a matrix; None when they can."""
    if model.truncate_dim is not None:
        return f"it gives the first {model.truncate_dim} dimensions alone"
    dtypes = {parameter.dtype for parameter in model.parameters()}
    return None if dtypes == {torch.float32} else "its weights are not float32"


def without_more(model: "SentenceTransformer") -> "SentenceTransformer":
    """The model with the modules that it has now, which are the same objects; none that is put behind it later."""
    same = copy(model)
    same._modules = dict(model._modules)
    return same


def append_matrix(model: "SentenceTransformer", name: str, matrix_DD: Floats32) -> None:
    """Have the model give ``matrix_DD @ vector``, of unit length where it was before; a rotation keeps every cosine."""
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    assert not has_matrix(model, name)
    dimension = len(matrix_DD)
    weight_DD = torch.from_numpy(matrix_DD).to(model.device)
    dense = Dense(dimension, dimension, bias=False, activation_function=nn.Identity(), init_weight=weight_DD)
    named = list(model.named_children())
    last = [named.pop()] if isinstance(named[-1][1], Normalize) else []
    for child, _ in (*named, *last):
        delattr(model, child)
    for child, module in (*named, (name, dense), *last):
        model.add_module(child, module)


def align(model: "SentenceTransformer", to: "SentenceTransformer") -> None:
    """Give the model the matrices that another one has, and no cosine another value.

    One that was learned becomes the identity; a rotated model is rotated by the rotation nearest to its matrix. A model
    that cannot be given any, as ``why_no_matrix`` says, stays as it is.
    Source: the nearest rotation is the polar factor: Schönemann, A Generalized Solution of the Orthogonal Procrustes
    Problem (1966).
    """
    if why_no_matrix(model) is not None:
        return
    if has_matrix(to, LINEAR) and not has_matrix(model, LINEAR):
        append_matrix(model, LINEAR, np.eye(_weight(to, LINEAR).shape[0], dtype=np.float32))
    if not has_matrix(to, ROTATION):
        return
    wanted_DD = _rotation(to)
    if has_matrix(model, ROTATION):
        with torch.no_grad():
            _weight(model, ROTATION).copy_(wanted_DD @ _rotation(model).T @ _weight(model, ROTATION))
    else:
        append_matrix(model, ROTATION, wanted_DD.cpu().numpy())


def _rotation(model: "SentenceTransformer") -> torch.Tensor:
    left, _, right = torch.linalg.svd(_weight(model, ROTATION).detach())
    rotation: torch.Tensor = left @ right
    return rotation


def _weight(model: "SentenceTransformer", name: str) -> torch.Tensor:
    weight: torch.Tensor = model.get_submodule(name).linear.weight
    return weight
