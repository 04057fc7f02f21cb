"""The texts of a training, tokenised once, and handed out in mini-batches of like length.

Arrays: T texts. A mini-batch is what the model's forward takes: tensors of a row a text, padded to its longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Features = dict[str, Any]

_BLOCK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MinibatchSize:
    """How many tokens a mini-batch may have, padding among them, and how many of these: what one more would cost."""

    most_tokens: int
    most_padding: int

    @classmethod
    def on(cls, device: torch.device) -> "MinibatchSize":
        """What suits a device: on a CPU small mini-batches are as fast as large ones. For GPUs it is not measured."""
        tokens, padding = (2048, 64) if device.type == "cpu" else (65_536, 2048)
        return cls(most_tokens=tokens, most_padding=padding)


class Tokens:
    """The tokens of texts that share a prompt, cut to the length that the model has now."""

    def __init__(self, model: "SentenceTransformer", texts: Sequence[str], *, prompt: str) -> None:
        self._model, self._texts, self._prompt = model, texts, prompt
        self._shared: Features = {}
        self._names: list[str] = []
        rows = [row for first in range(0, len(texts), _BLOCK) for row in self._tokenised(texts[first : first + _BLOCK])]
        self._is_tokenised = bool(rows)
        self.lengths_T = np.array([len(row) for row in rows] or [len(text) for text in texts], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths_T)])
        self._ids: NDArray[np.int32] = np.concatenate(rows) if rows else np.empty(0, np.int32)

    def groups(self, rows: Sequence[int], size: MinibatchSize) -> list[list[int]]:
        """These texts in groups of like length, a mini-batch each, the longest first, none larger than ``size``.

        A text that is longer stands alone.
        """
        by_length = sorted(rows, key=lambda row: -self.lengths_T[row])
        lengths_N = np.maximum(self.lengths_T[by_length], 1)
        groups, first = [], 0
        while first < len(by_length):
            longest = int(lengths_N[first])
            padding_N = np.cumsum(longest - lengths_N[first : first + max(1, size.most_tokens // longest)])
            number = max(1, int(np.searchsorted(padding_N, size.most_padding, side="right")))
            groups.append(by_length[first : first + number])
            first += number
        return groups

    def features(self, rows: Sequence[int]) -> Features:
        """One mini-batch of these texts, in this order."""
        if not self._is_tokenised:
            return dict(self._model.preprocess([self._texts[row] for row in rows], prompt=self._prompt or None))
        longest = int(self.lengths_T[rows].max())
        ids = np.full((len(rows), longest), self._pad_id, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for place, row in enumerate(rows):
            own = self._ids[self._starts[row] : self._starts[row + 1]]
            span = slice(longest - len(own), None) if self._pads_left else slice(len(own))
            ids[place, span], mask[place, span] = own, 1
        made: dict[str, Tensor] = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        others = {name: torch.zeros_like(made["input_ids"]) for name in self._names if name not in made}
        return {**made, **others, **self._shared}

    def _tokenised(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """The token ids of texts without padding; none for a model that reads something else than tokens and a mask."""
        features = self._model.preprocess(list(texts), prompt=self._prompt or None)
        mask, ids = features.get("attention_mask"), features.get("input_ids")
        tensors = {name: each for name, each in features.items() if isinstance(each, Tensor) and each.ndim == 2}
        if ids is None or mask is None or set(tensors) - {"input_ids", "attention_mask", "token_type_ids"}:
            return []
        if "token_type_ids" in tensors and tensors["token_type_ids"].any():
            return []
        self._names = list(tensors)
        self._shared = {name: each for name, each in features.items() if name not in tensors}
        return [row[keep].numpy().astype(np.int32) for row, keep in zip(ids, mask.bool(), strict=True)]

    @property
    def _pad_id(self) -> int:
        found = self._model.tokenizer.pad_token_id
        return int(found) if found is not None else 0

    @property
    def _pads_left(self) -> bool:
        return bool(self._model.tokenizer.padding_side == "left")
