"""An encoder whose vectors are the first dimensions of another's, of length 1 again.

Arrays: N texts x D dimensions, float32, rows of length 1.
"""

from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.core.ids import content_id
from nearer.encode.encoder import EncoderSettings, Origin, Side, TextEncoder, model_id_of


class CompressedEncoder:
    """The encoder ``base``, which reads every text, and the first ``dimension`` values of its vectors.

    It makes a space of its own. Over a query adapter it searches the space of what was adapted, compressed alike.

    Raises InputError for a dimension that is not below the base's.
    """

    def __init__(self, base: TextEncoder, dimension: int) -> None:
        if not 1 <= dimension < base.dimension:
            raise InputError(
                f"vectors of {base.dimension} dimensions cannot be compressed to {dimension}",
                hint=f"name 1 to {base.dimension - 1} dimensions",
            )
        self.base = base
        self.dimension = dimension

    @property
    def settings(self) -> EncoderSettings:
        """What, beside the weights, decides a vector: the base's."""
        return self.base.settings

    @cached_property
    def encoder_id(self) -> str:
        """The fingerprint of the computation: the base's, and how many dimensions are kept."""
        return _compressed_id(self.base.encoder_id, self.dimension)

    @property
    def model_id(self) -> str:
        """The short id that names this model to people."""
        return model_id_of(self.encoder_id)

    @cached_property
    def space_id(self) -> str:
        """The space of the document vectors that its queries search: the base's, compressed."""
        return _compressed_id(self.base.space_id, self.dimension)

    @property
    def shares_documents(self) -> bool:
        """Whether the base does."""
        return self.base.shares_documents

    @property
    def tokenizer_id(self) -> str:
        """The fingerprint of ``token_spans``: that of the base."""
        return self.base.tokenizer_id

    def origin(self, side: Side) -> Origin:
        """The base's, then cut."""
        return self.base.origin(side).then(partial(compressed, dimension=self.dimension))

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D)."""
        return compressed(self.base.encode_queries(texts), self.dimension)

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of documents or passages, shape (N, D)."""
        return compressed(self.base.encode_documents(texts), self.dimension)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text as a document, before truncation."""
        return self.base.count_tokens(texts)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of every token of a text."""
        return self.base.token_spans(text)


def compressed(emb_ND: Floats32, dimension: int) -> Floats32:
    """The first ``dimension`` values of every vector, of length 1 again.

    Raises InputError where they are all zero.

    Source: Kusupati et al., Matryoshka Representation Learning (2022), section 3.

    >>> compressed(np.float32([[0.6, 0.0, 0.8]]), 2).tolist()
    [[1.0, 0.0]]
    """
    first_ND = np.asarray(emb_ND, np.float32)[:, :dimension]
    lengths_N = np.linalg.norm(first_ND, axis=1, keepdims=True)
    if not (lengths_N > 0).all():
        raise InputError(f"a vector has no direction in its first {dimension} dimensions", hint="keep more dimensions")
    return np.ascontiguousarray(first_ND / lengths_N)


def _compressed_id(identity: str, dimension: int) -> str:
    """The id of an encoder or a space after compression; that of an encoder's own space stays the encoder's own."""
    kind = identity.partition("-")[0]
    return content_id(kind, {"of": identity, "dimension": dimension}, num_hex=32)
