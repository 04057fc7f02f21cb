"""An encoder of int8 weights that onnxruntime computes on a CPU, kept in a folder of its own.

    <folder>/model.onnx       the computation, from tokens to vectors of length 1
    <folder>/tokenizer.json   its tokenizer
    <folder>/encoder.json     its settings, and what it was made from; written last

Arrays: N texts x D dimensions, float32, rows of length 1.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import ModelRefused
from nearer.core.extras import extra
from nearer.core.ids import content_id
from nearer.encode.encoder import EncoderSettings, InOwnSpace, Origin, Side, whole_texts

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

GRAPH, TOKENIZER, SETTINGS = "model.onnx", "tokenizer.json", "encoder.json"
FORMAT_VERSION = 1
USED_FOR = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Settings:
    """What ``encoder.json`` says: what was quantised and how, and what decides a vector beside the weights."""

    of_encoder_id: str
    quantisation: str
    dimension: int
    tokenizer_id: str
    truncation_side: str
    settings: EncoderSettings

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Int8Settings":
        """The settings of what ``asdict`` gave. Raises KeyError and TypeError for anything else."""
        return cls(**{**content, "settings": EncoderSettings(**content["settings"])})


class Int8Encoder(InOwnSpace):
    """A quantised model: each text is computed alone, for the steps of dynamic quantisation span all texts of a batch.

    So a vector depends on its text and on nothing else. Threads may share it.
    """

    def __init__(self, session: "InferenceSession", tokenizer: "Tokenizer", known: Int8Settings, *, graph: str) -> None:
        self._session, self._known, self._graph = session, known, graph
        self._tokenizer_text = tokenizer.to_str()
        self._inputs = [each.name for each in session.get_inputs()]
        tokenizer.enable_truncation(known.settings.max_seq_length, direction=known.truncation_side)
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> "Int8Encoder":
        """The encoder of a folder, with as many threads as PyTorch has.

        Raises InputError without onnxruntime, ModelRefused for what is damaged or of a newer format.
        """
        import torch
        from tokenizers import Tokenizer

        with extra("onnx", used_for=USED_FOR):
            import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            content = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            if (version := content.pop("format_version")) != FORMAT_VERSION:
                raise ModelRefused(f"{folder} is of format {version}", hint="upgrade nearer, or compress it again")
            graph = (folder / GRAPH).read_bytes()
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            tokenizer = Tokenizer.from_str((folder / TOKENIZER).read_text(encoding="utf-8"))
            return cls(session, tokenizer, Int8Settings.read(content), graph=hashlib.sha256(graph).hexdigest())
        except ModelRefused:
            raise
        except Exception as error:  # onnxruntime and tokenizers raise their own kinds, and plain Exception
            raise ModelRefused(
                f"the int8 model in {folder} is damaged: {str(error).partition(chr(10))[0]:.200}",
                hint="restore the folder, or compress the model again: nearer compress MODEL --int8",
            ) from error

    @property
    def settings(self) -> EncoderSettings:
        """What, beside the weights, decides a vector: those of the model that was quantised."""
        return self._known.settings

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._known.dimension

    @property
    def quantisation(self) -> str:
        """How its weights were quantised."""
        return self._known.quantisation

    @property
    def num_threads(self) -> int:
        """How many threads compute."""
        return int(self._session.get_session_options().intra_op_num_threads)

    @cached_property
    def encoder_id(self) -> str:
        """The fingerprint of the computation: the quantised graph, the tokenizer, and all settings."""
        content = {**asdict(self._known), "graph": self._graph, "tokenizer": self._tokenizer_text}
        return content_id("enc", content, num_hex=32)

    @property
    def tokenizer_id(self) -> str:
        """The fingerprint of ``token_spans``: that of the model that was quantised."""
        return self._known.tokenizer_id

    def origin(self, side: Side) -> Origin:
        """Itself, whatever the side."""
        return Origin(encoder=self)

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D)."""
        return self._encode(texts, prompt=self.settings.query_prompt)

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of documents or passages, shape (N, D)."""
        return self._encode(texts, prompt=self.settings.document_prompt)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text as a document, special tokens and prompt included, before truncation."""
        return [len(each.ids) for each in self._whole.encode_batch([self.settings.document_prompt + t for t in texts])]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of every token of a text, special tokens left out."""
        return list(self._whole.encode(text, add_special_tokens=False).offsets)

    def _encode(self, texts: Sequence[str], *, prompt: str) -> Floats32:
        emb_ND = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            encoded = self._tokenizer.encode(prompt + text)
            values = {
                "input_ids": encoded.ids,
                "attention_mask": encoded.attention_mask,
                "token_type_ids": encoded.type_ids,
            }
            inputs = {name: np.asarray([values[name]], dtype=np.int64) for name in self._inputs}
            emb_ND[row] = self._session.run(None, inputs)[0][0]
        return emb_ND

    @cached_property
    def _whole(self) -> "Tokenizer":
        return whole_texts(self._tokenizer_text)
