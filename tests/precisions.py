"""In what precision a module multiplies: in a step of training, and where dev is measured."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

IN_STEP = [("float32", "highest"), ("tf32", "high"), ("bfloat16", "high")]
"""Of each precision of a training, how products that stay float32 are made in a step."""


class Precisions:
    """What was seen at every call of a module, by whether ``use`` called it."""

    def __init__(self, module: torch.nn.Module, use: Callable[[], Any]) -> None:
        self.seen: dict[bool, set[tuple[str, bool]]] = {}
        self._use = use
        self._is_used = False
        module.register_forward_pre_hook(self._look)

    def use(self) -> None:
        """Use the module as search does."""
        self._is_used = True
        self._use()
        self._is_used = False

    def looks(self) -> Iterator[int]:
        """What dev says, rising, at measurements that use the module."""
        for value in range(10):
            self.use()
            yield value

    def _look(self, *_: Any) -> None:
        found = (torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu"))
        self.seen.setdefault(self._is_used, set()).add(found)
