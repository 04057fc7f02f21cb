"""A cross-encoder: one computation from a query and a text, read together, to a number, and its fingerprint.

Arrays: N pairs, float32. A higher number is more relevant; the numbers of two cross-encoders do not compare.
"""

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError, ModelRefused, WorkspaceError
from nearer.encode.base_model import loading, locate
from nearer.encode.encoder import Encoder
from nearer.encode.fingerprint import fingerprint

if TYPE_CHECKING:
    import sentence_transformers

Pair = tuple[str, str]

_EXAMPLE = "cross-encoder/ms-marco-MiniLM-L6-v2"
_USUAL_LENGTH = 512  # tokens, where a model does not say
_NO_LIMIT = 10**30  # tokens, as tokenizers write it


class CrossEncoder:
    """A sentence-transformers cross-encoder with fixed settings, all of them covered by ``cross_encoder_id``.

    Scores are the model's own numbers before any activation: a sigmoid keeps their order, and makes high ones equal.
    Threads may share it: one scores at a time, since its tokenizer refuses concurrent use.
    """

    def __init__(self, model: "sentence_transformers.CrossEncoder", *, max_length: int, batch_size: int = 32) -> None:
        self.model = model
        self.max_length = max_length
        self.batch_size = batch_size
        self._scoring = Lock()
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
        return cls(loaded, max_length=_length(loaded, max_length, name=model), batch_size=batch_size)

    @classmethod
    def over(cls, encoder: Encoder, *, name: str, max_length: int | None = None, seed: int) -> "CrossEncoder":
        """The transformer of an encoder with a head of one number drawn from ``seed``, which must yet be trained.

        Raises ModelRefused when it has no transformer that can carry such a head, InputError as ``load`` does.
        """
        loaded = _with_fresh_head(encoder, name=name, seed=seed)
        return cls(loaded, max_length=_length(loaded, max_length, name=name))

    def limited(self, max_length: int | None) -> "CrossEncoder":
        """The same model with another maximum length; itself for None. Raises InputError as ``load`` does."""
        if max_length is None or max_length == self.max_length:
            return self
        longest = _length(self.model, max_length, name="the reranker")
        return CrossEncoder(self.model, max_length=longest, batch_size=self.batch_size)

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

    @property
    def reranker_id(self) -> str:
        """The short id that names one trained here to people."""
        return f"reranker-{self.cross_encoder_id.removeprefix('ce-')[:12]}"

    def save(self, folder: Path) -> None:
        """Write the model as safetensors, with its maximum length, as other tools read it.

        Raises OSError when the files cannot be written, on a full disk for example.
        """
        from safetensors import SafetensorError

        try:
            self.model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
        except SafetensorError as error:
            raise OSError(errno.EIO, f"the weights cannot be written: {error}", str(folder)) from error

    def scores(self, pairs: Sequence[Pair]) -> Floats32:
        """How relevant the text of each pair (query, text) is to its query, shape (N,).

        What is longer than ``max_length`` is cut, from the longer of the two first. Batches hold pairs of like length.
        """
        if not pairs:
            return np.empty(0, dtype=np.float32)
        with self._scoring:
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


def _with_fresh_head(encoder: Encoder, *, name: str, seed: int) -> "sentence_transformers.CrossEncoder":
    import torch

    transformer = encoder.model.transformers_model
    if transformer is None:
        raise ModelRefused(
            f"{name}: has no transformer to put a head on", hint=f"start from a cross-encoder: --from {_EXAMPLE}"
        )
    with tempfile.TemporaryDirectory() as folder:
        _write([transformer, encoder.model.tokenizer], folder)
        with loading(folder, name=name), _unreported():
            torch.manual_seed(seed)
            loaded = _open(folder, num_labels=1)
    _refuse_missing_weights(loaded, name=name, fresh_head=True)
    loaded.max_seq_length = _NO_LIMIT  # the encoder's own is for one text
    if loaded.config.pad_token_id is None:  # a decoder's head reads the last token that is no padding
        loaded.config.pad_token_id = loaded.tokenizer.pad_token_id
    return loaded


@contextmanager
def _unreported() -> Iterator[None]:
    """Without the warning that a head is fresh, which is what was asked for."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _write(parts: Sequence[Any], folder: str) -> None:
    from safetensors import SafetensorError

    try:
        for part in parts:
            part.save_pretrained(folder)
    except (OSError, SafetensorError) as error:
        hint = "see that the folder of temporary files has room, or name another in TMPDIR"
        raise WorkspaceError(f"{folder}: cannot be written: {error}", hint=hint) from error


def _load(source: str, *, name: str) -> "sentence_transformers.CrossEncoder":
    with loading(source, name=name):
        return _open(source)


def _open(source: str, *, num_labels: int | None = None) -> "sentence_transformers.CrossEncoder":
    import sentence_transformers
    from torch.nn import Identity

    return sentence_transformers.CrossEncoder(
        source,
        num_labels=num_labels,
        device=None,
        trust_remote_code=False,
        local_files_only=os.path.isdir(source),
        model_kwargs={"use_safetensors": True},
        activation_fn=Identity(),  # one that the files name would be imported and called
    )


def _refuse_missing_weights(
    model: "sentence_transformers.CrossEncoder", *, name: str, fresh_head: bool = False
) -> None:
    """Refuse a model of which anything is random, as the head of an embedding model is that is taken for a reranker.

    With a ``fresh_head`` what lies over the encoder's own layers may be, and a pooler, which encoders do not need.

    Source: transformers 5, PreTrainedModel._finalize_model_loading: what was loaded or tied is marked, the rest drawn.
    """
    parameters = model.model.named_parameters() if model.model is not None else ()
    drawn = [each for each, values in parameters if not getattr(values, "_is_hf_initialized", False)]
    if fresh_head and model.model is not None:
        body = f"{model.model.base_model_prefix}."
        drawn = [each for each in drawn if each.startswith(body) and "pooler" not in each]
    if drawn:
        raise ModelRefused(
            f"{name}: is no whole cross-encoder: its files lack {len(drawn)} of its weights, first {drawn[0]}",
            hint=f"an embedding model cannot rerank; use a cross-encoder, for example {_EXAMPLE}",
        )


def _length(model: "sentence_transformers.CrossEncoder", wanted: int | None, *, name: str) -> int:
    """The maximum length: the one that is wanted, or all that the model reads."""
    longest = _longest_input(model)
    if wanted is not None and not 8 <= wanted <= longest:
        raise InputError(
            f"a maximum length of {wanted} tokens, but {name} reads 8 to {longest}",
            hint=f"set it to {longest} or less; query and text share it",
        )
    return wanted or longest


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
