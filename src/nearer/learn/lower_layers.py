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
    """The layers of a transformer, the lowest first: its list of as many modules as it has layers, if there is one."""
    number = transformer.config.num_hidden_layers  # type: ignore[union-attr]
    lists = (each for each in transformer.modules() if isinstance(each, nn.ModuleList))
    return next((each for each in lists if len(each) == number), nn.ModuleList())


class Activations:
    """What the lowest layers made of texts, by their tokens: it serves every training in which they are the same."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self.by_tokens: dict[bytes, Tensor] = {}
        self.dtype = torch.float32
        self._room = self._most_bytes = most_bytes
        self._num_layers = 0

    def serve(self, num_layers: int) -> None:
        """Forget what another number of layers made."""
        if num_layers != self._num_layers:
            self.by_tokens.clear()
            self._room, self._num_layers = self._most_bytes, num_layers

    def keep(self, tokens: bytes, own_LH: Tensor) -> None:
        """Keep what was made of a text, while there is room."""
        if tokens not in self.by_tokens and self._room >= own_LH.nbytes:
            self.by_tokens[tokens] = own_LH.cpu()
            self._room -= own_LH.nbytes


@contextmanager
def frozen(transformer: nn.Module, number: int, *, kept: Activations | None = None) -> Iterator[None]:
    """Freeze the lowest layers of a transformer, with all that they use, and keep what they make of a text in training.

    While they are frozen they drop nothing out, so a text gives the same activations each time. These are ``kept``, and
    used, as float16, whose rounding is below what dropout does to the layers above; what is too large for it as it is.

    Raises RecipeError when no layer would be left to train, or the layers are not such that they can be passed by.
    """
    layers = layers_of(transformer)
    if number >= len(layers):
        own = f"has {len(layers)} layers: none is trained" if len(layers) else "does not keep its layers apart"
        raise RecipeError(
            f"train.freeze_layers = {number}, and the model {own}",
            hint="freeze fewer, or train an adapter: nearer train --adapter query",
        )
    lowest, held = list(layers[:number]), _used_below(transformer, layers[number])
    kept = kept or Activations()
    kept.serve(number)
    around = _Around(transformer, kept)
    try:
        for parameter in held:
            parameter.requires_grad_(False)
        transformer.forward = around.forward()  # hooks are passed by: the module above calls it by name
        for place, layer in enumerate(lowest):
            layer.forward = around.instead_of(layer, is_last=place == number - 1)
        yield
    finally:
        for module in (transformer, *lowest):
            vars(module).pop("forward", None)  # what is left is the method of its class
        for parameter in held:
            parameter.requires_grad_(True)


def _used_below(transformer: nn.Module, layer: nn.Module) -> list[nn.Parameter]:
    """The weights that what goes into a layer depends on, whatever the architecture calls them, if they are trained."""
    given: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    was_training, device = transformer.training, next(transformer.parameters()).device
    ids = torch.zeros((1, 2), dtype=torch.long, device=device)
    try:
        with torch.enable_grad():
            transformer.eval()(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        hook.remove()
        transformer.train(was_training)
    trained = [each for each in transformer.parameters() if each.requires_grad]
    if not given[0].requires_grad:
        return []
    found = torch.autograd.grad(given[0].sum(), trained, allow_unused=True)
    return [each for each, gradient in zip(trained, found, strict=True) if gradient is not None]


class _Around:
    """What is put around a transformer and its lowest layers; while a mini-batch is computed, its activations."""

    def __init__(self, transformer: nn.Module, kept: Activations) -> None:
        self._transformer = transformer
        self._kept = kept
        self._keys: list[bytes] = []
        self._mask_BL = torch.empty(0)
        self._known_BLH: Tensor | None = None

    def forward(self) -> Any:
        """What the transformer does, after it is seen which of its texts are known."""
        own = self._transformer.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            self._begin(kwargs)
            return own(*args, **kwargs)

        return forward

    def _begin(self, features: Mapping[str, Any]) -> None:
        """Look the texts up; until the last frozen layer is done, nothing drops anything out, beside the layers too."""
        self._keys, self._known_BLH = [], None
        if not self._transformer.training:
            return
        self._transformer.eval()
        self._mask_BL = features["attention_mask"].bool()
        pairs = zip(features["input_ids"].cpu(), self._mask_BL.cpu(), strict=True)
        self._keys = [ids[mask].numpy().tobytes() for ids, mask in pairs]
        if all(key in self._kept.by_tokens for key in self._keys):
            rows = [self._kept.by_tokens[key] for key in self._keys]
            found = torch.zeros(
                *self._mask_BL.shape, rows[0].shape[1], dtype=self._kept.dtype, device=self._mask_BL.device
            )
            with torch.autocast("cpu", enabled=False):  # which has no float16
                found[self._mask_BL] = torch.cat(rows).to(found)
            self._known_BLH = found

    def instead_of(self, layer: nn.Module, *, is_last: bool) -> Any:
        """What a frozen layer does: nothing for known texts, else its work; the last of them keeps what came out."""
        own = layer.forward
        beside: tuple[None, ...] | None = None  # of activations that come as a tuple

        def forward(hidden_BLH: Tensor, *args: Any, **kwargs: Any) -> Any:
            nonlocal beside
            made_BLH = self._known_BLH
            if made_BLH is None:
                made_BLH, beside = self._activations(own(hidden_BLH, *args, **kwargs))
                made_BLH = self._rounded(made_BLH) if is_last and self._keys else made_BLH
            if is_last and self._keys:
                self._transformer.train()
            return made_BLH if beside is None else (made_BLH, *beside)

        return forward

    def _activations(self, made: Any) -> tuple[Tensor, tuple[None, ...] | None]:
        """What a layer made, out of its tuple if it comes in one."""
        if not isinstance(made, tuple):
            return made, None
        if any(each is not None for each in made[1:]):
            raise RecipeError(
                f"train.freeze_layers: a layer of {type(self._transformer).__name__} hands on more than activations, "
                "so it cannot be passed by",
                hint="leave train.freeze_layers out, or freeze the word vectors alone: train.freeze_embeddings = true",
            )
        return made[0], made[1:]

    def _rounded(self, made_BLH: Tensor) -> Tensor:
        self._kept.dtype = made_BLH.dtype
        rounded = made_BLH.detach().half()
        if not rounded.isfinite().all():
            rounded = made_BLH.detach()
        for key, row_LH, mask_L in zip(self._keys, rounded, self._mask_BL, strict=True):
            self._kept.keep(key, row_LH[mask_L])
        return rounded.to(made_BLH.dtype)
