"""Two encoders as one: a model that was trained for queries alone, beside the one that documents keep.

Arrays: N texts x D dimensions, float32, rows of length 1.
"""

from collections.abc import Sequence
from functools import cached_property

from nearer.core.arrays import Floats32
from nearer.core.errors import ModelRefused
from nearer.core.ids import content_id
from nearer.encode.encoder import EncoderSettings, Origin, Side, TextEncoder, model_id_of


class PairedEncoder:
    """Queries by the encoder ``queries``, documents by ``documents``, whose space it searches.

    ``encoder_id`` covers the two. Raises ModelRefused for two that differ in dimension.
    """

    def __init__(self, queries: TextEncoder, documents: TextEncoder) -> None:
        if queries.dimension != documents.dimension:
            raise ModelRefused(
                f"queries of {queries.dimension} dimensions met documents of {documents.dimension}",
                hint="restore the model's files, or train again: nearer train --set train.sides=query",
            )
        self.queries = queries
        self.documents = documents

    @property
    def settings(self) -> EncoderSettings:
        """What, beside the weights, decides a document's vector."""
        return self.documents.settings

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.documents.dimension

    @cached_property
    def encoder_id(self) -> str:
        """The fingerprint of the computation: both encoders'."""
        return paired_id(self.queries.encoder_id, self.documents.encoder_id)

    @property
    def model_id(self) -> str:
        """The short id that names this model to people."""
        return model_id_of(self.encoder_id)

    @property
    def space_id(self) -> str:
        """The space that its queries search: the documents'."""
        return self.documents.space_id

    @property
    def shares_documents(self) -> bool:
        """Always: documents keep the vectors that they have."""
        return True

    @property
    def tokenizer_id(self) -> str:
        """The fingerprint of ``token_spans``: that of the documents' encoder."""
        return self.documents.tokenizer_id

    def origin(self, side: Side) -> Origin:
        """That of the encoder of this side."""
        return (self.queries if side == "queries" else self.documents).origin(side)

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D)."""
        return self.queries.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of documents or passages, shape (N, D)."""
        return self.documents.encode_documents(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text as a document, before truncation."""
        return self.documents.count_tokens(texts)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of every token of a text."""
        return self.documents.token_spans(text)


def paired_id(query_encoder_id: str, document_encoder_id: str) -> str:
    """The id of a pair, from those of its encoders."""
    return content_id("enc", {"queries": query_encoder_id, "documents": document_encoder_id}, num_hex=32)
