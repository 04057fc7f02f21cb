"""Models between two models: every weight on the line from one's to the other's."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nearer.core.errors import InputError

Weights = Mapping[str, Tensor]


def interpolated(before: Weights, after: Weights, share: float) -> dict[str, Tensor]:
    """(1 - share) times ``before`` and share times ``after``; what is no floating-point number is ``after``'s.

    Computed in float32, except that the ends are the models' own weights to the bit.
    Source: Wortsman et al., Robust Fine-Tuning of Zero-Shot Models (arXiv 2109.01903), eq. 1.
    """
    if share in (0, 1):
        return dict(after if share else before)
    mixed = {name: torch.lerp(before[name].float(), each.float(), share).to(each.dtype) for name, each in after.items()}
    return {name: mixed[name] if each.is_floating_point() else each for name, each in after.items()}


def refuse_unlike(left: Mapping[str, object], right: Mapping[str, object], *, names: tuple[str, str]) -> None:
    """Raise InputError when two models differ in what must be the same; each is told as parts by what they are."""
    differing = [part for part in left if left[part] != right[part]]
    if differing:
        raise InputError(
            f"{names[0]} and {names[1]} differ in their {' and '.join(differing)}: no weight of one means what it does "
            "in the other",
            hint="merge a model with the one it was trained from: nearer lineage MODEL names it",
        )
