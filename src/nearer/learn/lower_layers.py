"""The lowest layers, left as they are: what they make of a text is kept, so that later epochs begin above them.

Arrays: B texts of a mini-batch, L tokens of the longest, H hidden units.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nearer.core.errors import RecipeError

MOST_BYTES = 4 * 2**30
"""Of kept activations; what comes after that is computed each time."""


def layers_of(transformer: nn.Module) -> nn.ModuleList:
    """The layers of a transformer, the lowest first: its list of as many modules as it has layers."""
    number = transformer.config.num_hidden_layers  # type: ignore[union-attr]
    lists = (each for each in transformer.modules() if isinstance(each, nn.ModuleList))
    return next(each for each in lists if len(each) == number)


@contextmanager
def frozen(transformer: nn.Module, number: int, *, most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """Freeze the embeddings and the lowest layers of a transformer, and keep what they make of each text in training.

    While they are frozen they drop nothing out, so a text gives the same activations each time. These are kept, and
    used, as float16, whose rounding is below what dropout does to the layers above.

    Raises RecipeError when no layer would be left to train.
    """
    if number >= len(layers_of(transformer)):
        raise RecipeError(
            f"train.freeze_layers = {number}, and the model has {len(layers_of(transformer))} layers: none is trained",
            hint="freeze fewer, or train an adapter: nearer train --adapter query",
        )
    embeddings: nn.Module = getattr(transformer, "embeddings", None) or transformer.get_input_embeddings()  # type: ignore
    lowest = list(layers_of(transformer)[:number])
    held = [each for module in (embeddings, *lowest) for each in module.parameters() if each.requires_grad]
    kept = _Kept(embeddings, lowest, most_bytes=most_bytes)
    try:
        for parameter in held:
            parameter.requires_grad_(False)
        transformer.forward = kept.around(transformer)  # hooks are passed by: the module above calls it by name
        for number, layer in enumerate(lowest):
            layer.forward = kept.instead_of(layer, is_last=number == len(lowest) - 1)
        yield
    finally:
        for module in (transformer, *lowest):
            vars(module).pop("forward", None)  # what is left is the method of its class
        for module in (embeddings, *lowest):
            module.train(transformer.training)
        for parameter in held:
            parameter.requires_grad_(True)


class _Kept:
    """The activations of texts by their tokens; while a mini-batch is computed, its own."""

    def __init__(self, embeddings: nn.Module, lowest: list[Any], *, most_bytes: int) -> None:
        self._frozen = [embeddings, *lowest]
        self._room = most_bytes
        self._by_tokens: dict[bytes, Tensor] = {}
        self._keys: list[bytes] = []
        self._mask_BL = torch.empty(0)
        self._known_BLH: Tensor | None = None

    def around(self, transformer: nn.Module) -> Any:
        """What the transformer does, after it is seen which of its texts are known."""
        own = transformer.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            self._begin(kwargs, is_training=transformer.training)
            return own(*args, **kwargs)

        return forward

    def _begin(self, features: Mapping[str, Any], *, is_training: bool) -> None:
        self._keys, self._known_BLH = [], None
        if not is_training:
            return
        for each in self._frozen:
            each.eval()
        self._mask_BL = features["attention_mask"].bool()
        pairs = zip(features["input_ids"].cpu(), self._mask_BL.cpu(), strict=True)
        self._keys = [ids[mask].numpy().tobytes() for ids, mask in pairs]
        if all(key in self._by_tokens for key in self._keys):
            rows = [self._by_tokens[key] for key in self._keys]
            found = torch.zeros(
                *self._mask_BL.shape, rows[0].shape[1], dtype=torch.float32, device=self._mask_BL.device
            )
            found[self._mask_BL] = torch.cat(rows).to(found)
            self._known_BLH = found

    def instead_of(self, layer: nn.Module, *, is_last: bool) -> Any:
        """What a frozen layer does: nothing for known texts, else its work; the last of them keeps what came out."""
        own = layer.forward

        def forward(hidden_BLH: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if self._known_BLH is not None:
                return self._known_BLH
            made: Tensor = own(hidden_BLH, *args, **kwargs)
            return self._rounded(made) if is_last and self._keys else made

        return forward

    def _rounded(self, made_BLH: Tensor) -> Tensor:
        rounded = made_BLH.detach().half()
        for key, row_LH, mask_L in zip(self._keys, rounded, self._mask_BL, strict=True):
            own = row_LH[mask_L]
            if key not in self._by_tokens and self._room >= own.nbytes:
                self._by_tokens[key] = own.cpu()
                self._room -= own.nbytes
        return rounded.to(made_BLH.dtype)
