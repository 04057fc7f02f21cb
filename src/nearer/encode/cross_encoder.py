"""A cross-encoder: one computation from a query and a text, read together, to a number, and its fingerprint.

Arrays: N pairs, float32. A higher number is more relevant; the numbers of two cross-encoders do not compare.
"""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nearer.core.errors import InputError, ModelRefused
from nearer.encode.base_model import loading, locate
from nearer.encode.fingerprint import fingerprint

if TYPE_CHECKING:
    import sentence_transformers

Floats = NDArray[np.float32]
Pair = tuple[str, str]

_EXAMPLE = "cross-encoder/ms-marco-MiniLM-L6-v2"
_USUAL_LENGTH = 512  # tokens, where a model does not say


class CrossEncoder:
    """A sentence-transformers cross-encoder with fixed settings, all of them covered by ``cross_encoder_id``.

    Scores are the model's own numbers before any activation: a sigmoid keeps their order, and makes high ones equal.
    """

    def __init__(self, model: "sentence_transformers.CrossEncoder", *, max_length: int, batch_size: int = 32) -> None:
        self.model = model
        self.max_length = max_length
        self.batch_size = batch_size
        model.max_seq_length = max_length

    @classmethod
    def load(cls, model: str, *, max_length: int | None = None, batch_size: int = 32) -> "CrossEncoder":
        """Load a folder or a Hub name; safetensors only, no remote code.

        Raises ModelRefused when the model is unsafe, incomplete, no reranker or cannot be had; InputError when
        ``max_length`` is more tokens than the model can read, or fewer than 8.
        """
        source = locate(model, setting="the recipe, for example " + _EXAMPLE)
        loaded = _load(source, name=model)
        _refuse_missing_weights(loaded, name=model)
        if loaded.num_labels != 1:
            raise ModelRefused(
                f"{model}: gives {loaded.num_labels} numbers a pair, and a reranker one",
                hint=f"use a cross-encoder for ranking, for example {_EXAMPLE}",
            )
        longest = _longest_input(loaded)
        if max_length is not None and not 8 <= max_length <= longest:
            raise InputError(
                f"a maximum length of {max_length} tokens, but {model} reads 8 to {longest}",
                hint=f"set it to {longest} or less; query and text share it",
            )
        return cls(loaded, max_length=max_length or longest, batch_size=batch_size)

    @cached_property
    def cross_encoder_id(self) -> str:
        """The fingerprint of the computation: weights, modules, tokenizer, prompts, maximum length, precision."""
        settings = {
            "max_length": self.max_length,
            "prompts": dict(self.model.prompts),
            "default_prompt_name": self.model.default_prompt_name,
            "chat_template": self.model.tokenizer.chat_template,
            "inputs": list(self.model.tokenizer.model_input_names),  # whether it is told which text is the query
        }
        return f"ce-{fingerprint(self.model, settings)}"

    def scores(self, pairs: Sequence[Pair]) -> Floats:
        """How relevant the text of each pair (query, text) is to its query, shape (N,).

        What is longer than ``max_length`` is cut, from the longer of the two first. Batches hold pairs of like length.
        """
        if not pairs:
            return np.empty(0, dtype=np.float32)
        found = self.model.predict(list(pairs), batch_size=self.batch_size, show_progress_bar=False)
        return np.ascontiguousarray(found, dtype=np.float32)

    def count_truncated(self, pairs: Sequence[Pair]) -> int:
        """How many pairs are longer than ``max_length`` and so not read to their end."""
        whole = {"text": {"truncation": False, "padding": True, "verbose": False}}
        prompt = self.model.prompts.get(self.model.default_prompt_name)
        num_truncated = 0
        for first in range(0, len(pairs), self.batch_size):
            batch = list(pairs[first : first + self.batch_size])
            features = self.model.preprocess(batch, prompt=prompt, processing_kwargs=whole)
            num_truncated += int((features["attention_mask"].sum(dim=1) > self.max_length).sum())
        return num_truncated


def _load(source: str, *, name: str) -> "sentence_transformers.CrossEncoder":
    import sentence_transformers
    from torch.nn import Identity

    with loading(source, name=name):
        return sentence_transformers.CrossEncoder(
            source,
            device=None,
            trust_remote_code=False,
            local_files_only=os.path.isdir(source),
            model_kwargs={"use_safetensors": True},
            activation_fn=Identity(),  # one that the files name would be imported and called
        )


def _refuse_missing_weights(model: "sentence_transformers.CrossEncoder", *, name: str) -> None:
    """Refuse a model of which anything is random, as the head of an embedding model is that is taken for a reranker.

    Source: transformers 5, PreTrainedModel._finalize_model_loading: what was loaded or tied is marked, the rest drawn.
    """
    parameters = model.model.named_parameters() if model.model is not None else ()
    drawn = [each for each, values in parameters if not getattr(values, "_is_hf_initialized", False)]
    if drawn:
        raise ModelRefused(
            f"{name}: is no whole cross-encoder: its files lack {len(drawn)} of its weights, first {drawn[0]}",
            hint=f"an embedding model cannot rerank; use a cross-encoder, for example {_EXAMPLE}",
        )


def _longest_input(model: "sentence_transformers.CrossEncoder") -> int:
    """The most tokens that the tokenizer and the positions of the model allow.

    Positions that have a padding index begin after it, as RoBERTa's.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        if positions and name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            positions = module.num_embeddings - module.padding_idx - 1
    known = [each for each in (model.max_seq_length, positions) if isinstance(each, int) and 0 < each < 10**9]
    return min(known, default=_USUAL_LENGTH)
