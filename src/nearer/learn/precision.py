"""In what precision a training multiplies, and what of that the hardware does faster than float32."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

_MULTIPLIES_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")
"""What processors that do are said to have, x86's and ARM's."""


def precisions_of(device: torch.device) -> tuple[str, ...]:
    """Those of ``train.precision`` that a device has itself; any other it makes of float32, and is slower by it."""
    if device.type == "cuda":
        half = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("float32", "tf32", "float16", *(["bfloat16"] if half else []))
    known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not tell
    return ("float32", *(["bfloat16"] if any(known.get(name) for name in _MULTIPLIES_BFLOAT16) else []))


def matmul_precision(precision: str) -> str:
    """How products that stay float32 are made in a training, as torch names it: "high" is TF32."""
    return "highest" if precision == "float32" else "high"


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """Make products of float32 as torch calls ``precision``, meanwhile."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
