"""An encoder whose vectors an adapter maps: those of queries alone, or of documents too.

Arrays: N texts x D dimensions, float32, rows of length 1.
"""

from collections.abc import Sequence
from functools import cached_property

from nearer.core.arrays import Floats32
from nearer.core.errors import ModelRefused, SpaceMismatch
from nearer.core.ids import content_id
from nearer.encode.adapter import Adapter
from nearer.encode.encoder import EncoderSettings, Origin, Side, TextEncoder, model_id_of


class AdaptedEncoder:
    """The encoder ``base``, which reads every text, followed by ``adapter``; ``encoder_id`` covers the two.

    Raises SpaceMismatch for an adapter of another space, ModelRefused for one of another dimension.
    """

    def __init__(self, base: TextEncoder, adapter: Adapter) -> None:
        if adapter.space_id != base.space_id:
            raise SpaceMismatch(
                f"an adapter for vectors of {adapter.space_id} met an encoder of {base.space_id}",
                hint="adapt the encoder that it was trained with, or train another: nearer train --adapter query",
            )
        if adapter.query.dimension != base.dimension:
            raise ModelRefused(
                f"an adapter of {adapter.query.dimension} dimensions met an encoder of {base.dimension}",
                hint="restore the adapter's files, or train another: nearer train --adapter query",
            )
        self.base = base
        self.adapter = adapter

    @property
    def settings(self) -> EncoderSettings:
        """What, beside the weights, decides a vector: the base's."""
        return self.base.settings

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.base.dimension

    @cached_property
    def encoder_id(self) -> str:
        """The fingerprint of the computation: the base's and the adapter's."""
        return content_id("enc", {"base": self.base.encoder_id, "adapter": self.adapter.adapter_id}, num_hex=32)

    @property
    def model_id(self) -> str:
        """The short id that names this model to people."""
        return model_id_of(self.encoder_id)

    @property
    def space_id(self) -> str:
        """The space that its queries search: the base's, or that of the documents it maps."""
        return self.adapter.target_space_id

    @property
    def shares_documents(self) -> bool:
        """Whether the adapter maps queries alone."""
        return self.adapter.document is None

    @property
    def tokenizer_id(self) -> str:
        """The fingerprint of ``token_spans``: that of the base."""
        return self.base.tokenizer_id

    def origin(self, side: Side) -> Origin:
        """The base's, then the adapter."""
        apply = self.adapter.apply_queries if side == "queries" else self.adapter.apply_documents
        return self.base.origin(side).then(apply)

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D)."""
        return self.adapter.apply_queries(self.base.encode_queries(texts))

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of documents or passages, shape (N, D)."""
        return self.adapter.apply_documents(self.base.encode_documents(texts))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text as a document, before truncation."""
        return self.base.count_tokens(texts)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of every token of a text."""
        return self.base.token_spans(text)
