"""An encoder: one computation from text to unit vectors, and the id that fingerprints it.

Arrays: N texts x D dimensions, float32, rows of length 1.
"""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError, ModelRefused
from nearer.core.ids import content_id
from nearer.encode.base_model import adapter_refused, loading, locate, shapes_in
from nearer.encode.fingerprint import fingerprint, tokenizer_text

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """What, beside the weights, decides a vector."""

    max_seq_length: int
    query_prompt: str = ""
    document_prompt: str = ""


Side = Literal["queries", "documents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The encoder that reads the texts of one side, and the maps from its vectors to those asked for, in order."""

    encoder: "TextEncoder"
    maps: tuple[Callable[[Floats32], Floats32], ...] = ()

    def then(self, vectors_map: Callable[[Floats32], Floats32]) -> "Origin":
        """The same with one more map."""
        return Origin(encoder=self.encoder, maps=(*self.maps, vectors_map))

    def apply(self, emb_ND: Floats32) -> Floats32:
        """The vectors asked for, shape (N, D), of those of ``encoder``."""
        for each in self.maps:
            emb_ND = each(emb_ND)
        return emb_ND


class TextEncoder(Protocol):
    """What measuring, indexing and searching ask of an encoder, wherever it runs."""

    @property
    def settings(self) -> EncoderSettings:
        """What, beside the weights, decides a vector."""
        ...

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        ...

    @property
    def encoder_id(self) -> str:
        """The fingerprint of the computation."""
        ...

    @property
    def space_id(self) -> str:
        """The space of the document vectors that its queries search."""
        ...

    @property
    def model_id(self) -> str:
        """The short id that names this model to people."""
        ...

    @property
    def shares_documents(self) -> bool:
        """Whether only queries are its own, so that it searches an index that another encoder makes."""
        ...

    @property
    def tokenizer_id(self) -> str:
        """The fingerprint of ``token_spans``: encoders with the same one cut documents alike."""
        ...

    def origin(self, side: Side) -> Origin:
        """What reads the texts of a side: only its vectors are kept in a cache, the rest is mapped."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D)."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of documents or passages, shape (N, D)."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text as a document, before truncation."""
        ...

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of every token of a text."""
        ...


class InOwnSpace:
    """What an encoder has that makes the vectors of both sides itself: ids that follow from its ``encoder_id``."""

    @property
    def encoder_id(self) -> str:
        """The fingerprint of the computation."""
        raise NotImplementedError

    @property
    def space_id(self) -> str:
        """The space of the document vectors that its queries search: its own."""
        return self.encoder_id

    @property
    def model_id(self) -> str:
        """The short id that names this model to people."""
        return model_id_of(self.encoder_id)

    @property
    def shares_documents(self) -> bool:
        """Never: it makes the documents' vectors of its space."""
        return False


class Encoder(InOwnSpace):
    """A sentence-transformers model with fixed settings, all of them covered by ``encoder_id``.

    Threads may share it: one encodes at a time, since that sets values of the model, and its tokenizer's.
    """

    def __init__(self, model: "SentenceTransformer", *, settings: EncoderSettings, batch_size: int = 32) -> None:
        self.model = model
        self.settings = settings
        self.batch_size = batch_size
        self._encoding = Lock()
        model.max_seq_length = settings.max_seq_length

    @classmethod
    def load(
        cls,
        model: str,
        *,
        max_seq_length: int | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        batch_size: int = 32,
    ) -> "Encoder":
        """Load the default model, a folder, or a Hub name; safetensors only, no remote code.

        A prompt of None means the one that the model itself declares for "query" or "document", if any.

        Raises ModelRefused when the model is unsafe, incomplete or cannot be had; InputError when
        ``max_seq_length`` is more than the model can read.
        """
        source = locate(model)
        loaded = _load(source, name=model)
        _refuse_adapter(loaded, name=model)
        _give_pad_token(loaded, name=model)
        if os.path.isdir(source):
            _refuse_missing_weights(loaded, Path(source))
        longest = _longest_input(loaded)
        if max_seq_length is not None and longest is not None and max_seq_length > longest:
            raise InputError(
                f"encoder.max_seq_length = {max_seq_length}, but {model} reads at most {longest} tokens",
                hint=f"set encoder.max_seq_length to {longest} or less",
            )
        settings = EncoderSettings(
            max_seq_length=max_seq_length or loaded.max_seq_length or longest or 512,
            query_prompt=_prompt(loaded, "query") if query_prompt is None else query_prompt,
            document_prompt=_prompt(loaded, "document") if document_prompt is None else document_prompt,
        )
        return cls(loaded, settings=settings, batch_size=batch_size)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        dimension = self.model.get_embedding_dimension()
        assert dimension is not None
        return int(dimension)

    @cached_property
    def encoder_id(self) -> str:
        """The fingerprint of the computation: weights, modules, tokenizer, prompts, maximum length, precision.

        It is made once, so take it after training has ended.
        """
        settings = {**asdict(self.settings), "truncate_dim": self.model.truncate_dim}
        return f"enc-{fingerprint(self.model, settings)}"

    @cached_property
    def tokenizer_id(self) -> str:
        """The fingerprint of ``token_spans``: encoders with the same one cut documents alike."""
        return content_id("tokenizer", tokenizer_text(self.model.tokenizer))

    def origin(self, side: Side) -> Origin:
        """Itself, whatever the side."""
        return Origin(encoder=self)

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D)."""
        return self._encode(texts, prompt=self.settings.query_prompt, task="query")

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of documents or passages, shape (N, D)."""
        return self._encode(texts, prompt=self.settings.document_prompt, task="document")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text as a document, special tokens and prompt included, before truncation."""
        return [len(ids) for ids in self._tokenize([self.settings.document_prompt + text for text in texts])]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of every token of a text, special tokens left out."""
        encoded = self.whole_tokenizer.encode(text, add_special_tokens=False)
        return list(encoded.offsets)

    def unknown_tokens(self, texts: Sequence[str]) -> list[tuple[int, list[tuple[int, int]]]]:
        """How many tokens each text has, special tokens left out, and the spans of those that the tokenizer lacks."""
        unknown = self.model.tokenizer.unk_token_id
        encoded = self.whole_tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            (len(each.ids), [span for span, token in zip(each.offsets, each.ids, strict=True) if token == unknown])
            for each in encoded
        ]

    def save(self, folder: Path) -> None:
        """Write the model as safetensors, with its maximum length and its prompts, as other tools read them.

        Raises OSError when the files cannot be written, on a full disk for example.
        """
        from safetensors import SafetensorError

        self.model.prompts = {"query": self.settings.query_prompt, "document": self.settings.document_prompt}
        try:
            self.model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
        except SafetensorError as error:
            raise OSError(errno.EIO, f"the weights cannot be written: {error}", str(folder)) from error

    def _encode(self, texts: Sequence[str], *, prompt: str, task: str) -> Floats32:
        """Unit vectors; ``task`` is what a Router, where the model has one, tells the sides apart by."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._encoding:
            in_training, self.model.max_seq_length = self.model.max_seq_length, self.settings.max_seq_length
            try:
                vectors_ND = self.model.encode(
                    list(texts),
                    batch_size=self.batch_size,
                    prompt=prompt,
                    task=task,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
            finally:
                self.model.max_seq_length = in_training
        return np.ascontiguousarray(vectors_ND, dtype=np.float32)

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        return [encoded.ids for encoded in self.whole_tokenizer.encode_batch(texts)]

    @cached_property
    def whole_tokenizer(self) -> "Tokenizer":
        """A copy of the fast tokenizer that never truncates or pads."""
        return whole_texts(self.model.tokenizer.backend_tokenizer.to_str())


def whole_texts(tokenizer: str) -> "Tokenizer":
    """A tokenizer, from its JSON, that never truncates or pads."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer)
    copy.no_truncation()
    copy.no_padding()
    return copy


def local_reader(encoder: TextEncoder, side: Side) -> Encoder | None:
    """The encoder whose weights are here that reads the texts of a side; None where a service does."""
    reader = encoder.origin(side).encoder
    return reader if isinstance(reader, Encoder) else None


def model_id_of(encoder_id: str) -> str:
    """The short id that names a model to people, from that of its encoder.

    >>> model_id_of("enc-0123456789abcdef")
    'model-0123456789ab'
    """
    return f"model-{encoder_id.removeprefix('enc-')[:12]}"


def _load(source: str, *, name: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    with loading(source, name=name):
        return SentenceTransformer(
            source,
            device=None,
            trust_remote_code=False,
            local_files_only=os.path.isdir(source),
            model_kwargs={"use_safetensors": True},
        )


def _refuse_missing_weights(model: "SentenceTransformer", folder: Path) -> None:
    """Refuse a model of which much would be random: more parameters than the files hold, a pooler's aside."""
    needed = sum(each.numel() for name, each in model.named_parameters() if "pooler" not in name)
    stored = sum(prod(shape) for path in folder.rglob("*.safetensors") for shape in shapes_in(path))
    if needed > stored:
        raise ModelRefused(
            f"{folder}: the model has {needed:,} weights, its files hold {stored:,}",
            hint="download the model again: its files do not belong together",
        )


def _refuse_adapter(model: "SentenceTransformer", *, name: str) -> None:
    """Refuse a LoRA adapter of the Hub, over whatever model it names: folders are refused before they are loaded."""
    if hasattr(model.transformers_model, "peft_config"):
        raise adapter_refused(name)


def _give_pad_token(model: "SentenceTransformer", *, name: str) -> None:
    """Pad with the end mark where there is no token for it, as with many decoders: the mask hides what is padded."""
    tokenizer = model.tokenizer
    if getattr(tokenizer, "pad_token_id", 0) is not None:
        return
    if tokenizer.eos_token_id is None:
        raise ModelRefused(
            f"{name}: its tokenizer has neither a padding token nor an end mark, so that texts of two lengths cannot "
            "be read together",
            hint='name one in the model\'s tokenizer_config.json, as in: "pad_token": "<|endoftext|>"',
        )
    tokenizer.pad_token = tokenizer.eos_token


def _longest_input(model: "SentenceTransformer") -> int | None:
    config = getattr(model, "config", None)
    positions = getattr(config, "max_position_embeddings", None)
    return int(positions) if positions else None


def _prompt(model: "SentenceTransformer", name: str) -> str:
    return str((model.prompts or {}).get(name) or "")
