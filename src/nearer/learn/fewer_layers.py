"""A transformer with some of its layers taken out: which ones it can best do without, and a model without them.

Arrays: N texts x D dimensions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.learn.lower_layers import layers_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def num_layers(model: "SentenceTransformer") -> int:
    """How many layers a model's transformer has; 0 for a model that does not keep them apart."""
    transformer = model.transformers_model
    return 0 if transformer is None else len(layers_of(transformer))


def layers_to_keep(
    model: "SentenceTransformer", number: int, *, embed: Callable[[], Floats32], track: Callable[[int], Iterator[int]]
) -> tuple[int, ...]:
    """The places of the layers that stay: one by one that goes without which vectors stay nearest to those of all.

    ``embed`` gives the vectors (N, D) of some texts by the model as it is then; the model is whole again after that.
    The first layer and the last one stay where there are two, since the others are trained to stand between them.

    Raises InputError for a number that is not between 1 and one less than the model has.

    Source: removing what is missed least, one by one, is backward elimination; that whole layers can go, and that which
    ones matters: Sajjad et al., On the Effect of Dropping Layers of Pre-trained Transformer Models (arXiv 2004.03844).
    """
    whole = num_layers(model)
    if not 1 <= number < whole:
        own = f"has {whole} layers" if whole else "does not keep its layers apart"
        raise InputError(f"{number} layers were asked for, and the model {own}", hint=_hint(whole))
    kept, all_ND = list(range(whole)), embed()

    def nearness(places: Sequence[int]) -> float:
        with only(model, places):
            return float(np.einsum("nd,nd->", embed(), all_ND))

    for _ in track(whole - number):
        inner = kept[1:-1] or kept[1:]
        kept = max(([each for each in kept if each != gone] for gone in inner), key=nearness)
    return tuple(kept)


@contextmanager
def only(model: "SentenceTransformer", places: Sequence[int]) -> Iterator[None]:
    """A model of these layers alone, its configuration too, in their order; whole again after that."""
    transformer = model.transformers_model
    assert transformer is not None
    config, layers = transformer.config, layers_of(transformer)
    all_layers, kinds = list(layers), getattr(config, "layer_types", None)
    try:
        _put(layers, [all_layers[place] for place in places])
        config.num_hidden_layers = len(places)
        if kinds:
            config.layer_types = [kinds[place] for place in places]
        yield
    finally:
        config.num_hidden_layers = len(all_layers)
        if kinds:
            config.layer_types = kinds
        _put(layers, all_layers)


def _put(layers: nn.ModuleList, chosen: Sequence[nn.Module]) -> None:
    del layers[:]
    layers.extend(chosen)


def _hint(whole: int) -> str:
    if whole < 2:
        return "serve it as it is; nearer compress measures smaller vectors of it"
    return f"name 1 to {whole - 1}, as in --layers {whole // 2}"
