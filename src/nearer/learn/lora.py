"""Low-rank adapters of a transformer's layers, there while it is trained and merged into its weights at the end.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (arXiv 2106.09685), eq. 3.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from nearer.core.sections import TrainRecipe

if TYPE_CHECKING:
    from peft import LoraModel
    from sentence_transformers import SentenceTransformer

_NAME = "lora"


@contextmanager
def with_lora(model: "SentenceTransformer", layers: nn.Module, recipe: TrainRecipe) -> Iterator[None]:
    """Train adapters of all linear maps in ``layers``, and nothing else of the model.

    What they learned is merged into the weights at the end, so that the model is a plain one again: bit for bit that of
    before when they learned nothing. If it ends by an exception, what they learned is dropped.
    """
    trained = [each for each in model.parameters() if each.requires_grad]
    tuner = _injected(model, layers, recipe)
    is_done = False
    try:
        yield
        is_done = True
    finally:
        with torch.no_grad():
            tuner.merge_and_unload() if is_done and _has_learned(tuner) else tuner.unload()
        for each in trained:
            each.requires_grad_(True)


def most_rank(layers: nn.Module) -> int:
    """The rank beyond which no linear map in ``layers`` has anything more to learn; 0 where there is none."""
    return max((min(each.weight.shape) for each in _linear(layers)), default=0)


def _linear(layers: nn.Module) -> list[nn.Linear]:
    return [each for each in layers.modules() if isinstance(each, nn.Linear)]


def _injected(model: "SentenceTransformer", layers: nn.Module, recipe: TrainRecipe) -> "LoraModel":
    """The adapters in place, float32 whatever the weights are, drawn from the seed."""
    from peft import LoraConfig, LoraModel
    from peft.tuners.tuners_utils import cast_adapter_dtype

    transformer = model.transformers_model
    linear = set(_linear(layers))
    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_rank if recipe.lora_alpha is None else recipe.lora_alpha,
        target_modules=[name for name, each in transformer.named_modules() if each in linear],
    )
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        tuner = LoraModel(transformer, config, _NAME)
    cast_adapter_dtype(tuner, _NAME)
    return tuner


def _has_learned(tuner: "LoraModel") -> bool:
    """Whether any adapter changes anything: the second of its two factors begins at zero."""
    return any(bool(each.any()) for name, each in tuner.named_parameters() if "lora_B" in name)
