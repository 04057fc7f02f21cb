"""Vectors kept with fewer bits, and search over what is kept: float16, int8, and bits that int8 rescores.

A query stays float32: only what is stored is rounded.

Shapes: Q queries, P passages, N documents, D dimensions, W words of bits, K ranked documents, C candidates.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearer.core.arrays import Floats32, Ints
from nearer.core.errors import InputError
from nearer.vectors.precision import vector_bytes
from nearer.vectors.topk import NO_ROW, Scores, TopK, checked, top_k_by

Precision = Literal["float32", "float16", "int8", "binary"]

STORED: dict[Precision, str] = {
    "float32": "float32 vectors",
    "float16": "float16 vectors",
    "int8": "int8 vectors",
    "binary": "bits, and int8 vectors that rescore what they find",
}
"""What is kept of every passage. The range of each dimension, once for all passages, is not counted."""

_CODES = 255  # steps between the least and the largest code of int8
_LEAST = -128
_ROWS_AT_ONCE = 1024  # decoded together, so that they stay in the processor's cache
_HALF_BITS = np.int32(-0x70002000)  # the sign, exponent and fraction of a float16, moved to their places in a float32
_HALF_BIAS = np.float32(2.0**112)  # the exponents' biases are 15 and 127


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranges:
    """What the int8 code -128 means in each dimension, and by how much one code is more (both float32)."""

    low_D: Floats32
    step_D: Floats32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantised:
    """The vectors of P passages: values or int8 codes (P x D), and of binary the signs, word by word (W x P)."""

    precision: Precision
    vectors_PD: NDArray[Any]
    ranges: Ranges | None = None
    bits_WP: NDArray[np.unsignedinteger[Any]] | None = None

    def __len__(self) -> int:
        """The number of passages."""
        return len(self.vectors_PD)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.vectors_PD.shape[1])

    def take(self, rows: Ints) -> "Quantised":
        """Some of the passages."""
        bits_WP = None if self.bits_WP is None else self.bits_WP[:, rows]
        return Quantised(
            precision=self.precision, vectors_PD=self.vectors_PD[rows], ranges=self.ranges, bits_WP=bits_WP
        )

    def decoded(self) -> Floats32:
        """The vectors that are searched, as float32 (P x D); of binary those that rescore."""
        values = _as_float32(self.vectors_PD)
        return values if self.ranges is None else self.ranges.low_D + (values - _LEAST) * self.ranges.step_D


def stored_bytes(dimension: int, precision: Precision) -> int:
    """The bytes that are kept of one passage.

    >>> stored_bytes(384, "int8"), stored_bytes(384, "binary")
    (384, 432)
    """
    return vector_bytes(dimension, precision) + (vector_bytes(dimension, "int8") if precision == "binary" else 0)


def calibrated(emb_PD: ArrayLike) -> Ranges:
    """The ranges of int8 codes: from the least to the largest value of each dimension, so that none is cut off.

    Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference
    (2018), section 3; sentence-transformers takes the same ends.

    >>> calibrated([[0.0, 1.0], [2.55, 1.0]]).step_D.tolist()
    [0.009999999776482582, 1.0]
    """
    emb_PD = checked(emb_PD, "passage")
    if not len(emb_PD):
        return Ranges(low_D=np.zeros(emb_PD.shape[1], np.float32), step_D=np.ones(emb_PD.shape[1], np.float32))
    low_D = emb_PD.min(axis=0)
    step_D = (emb_PD.max(axis=0) - low_D) / np.float32(_CODES)
    return Ranges(low_D=low_D, step_D=np.where(step_D > 0, step_D, np.float32(1)))


def quantise(emb_PD: ArrayLike, precision: Precision, *, ranges: Ranges | None = None) -> Quantised:
    """Passage vectors as they are kept; int8 rounds to the nearest code of ``ranges``, their own unless given.

    Raises InputError for vectors that are not finite, or too large for float16.

    >>> quantise([[-1.0, 0.5], [1.0, -0.5]], "int8").vectors_PD.tolist()
    [[-128, 127], [127, -128]]
    """
    emb_PD = checked(emb_PD, "passage")
    match precision:
        case "float32":
            return Quantised(precision=precision, vectors_PD=emb_PD)
        case "float16":
            return Quantised(precision=precision, vectors_PD=_as_float16(emb_PD))
    ranges = ranges or calibrated(emb_PD)
    codes_PD = np.rint((emb_PD - ranges.low_D) / ranges.step_D) + _LEAST
    return Quantised(
        precision=precision,
        vectors_PD=np.clip(codes_PD, _LEAST, _LEAST + _CODES).astype(np.int8),
        ranges=ranges,
        bits_WP=signs(emb_PD) if precision == "binary" else None,
    )


def signs(emb_PD: Floats32) -> NDArray[np.unsignedinteger[Any]]:
    """One bit a dimension, set where it is positive, in the widest words that hold them evenly (W x P).

    Source: Shakir, Aarsen and Lee, Binary and Scalar Embedding Quantization (2024, Hugging Face blog).

    >>> signs(np.float32([[0.1, -0.1, 0.2, 0, 0, 0, 0, 1.0]])).tolist()
    [[161]]
    """
    packed = np.packbits(emb_PD > 0, axis=1)
    width = next(size for size in (8, 4, 2, 1) if packed.shape[1] % size == 0)
    return np.ascontiguousarray(packed.view(f"u{width}").T)


def search(
    query_emb_QD: ArrayLike,
    kept: Quantised,
    *,
    k: int,
    starts_N: ArrayLike | None = None,
    excluded: tuple[ArrayLike, ArrayLike] | None = None,
    rescore: int = 4,
) -> TopK:
    """The ``k`` best documents as ``top_k`` finds them, each passage scored by the query times what is kept of it.

    Of binary the signs of the query choose ``rescore`` times ``k`` documents, which the query times int8 orders.

    Raises InputError for vectors that are not finite or do not meet in dimension, and for ``k`` or ``rescore`` below 1.

    Source: Yamada, Asai and Hajishirzi, Efficient Passage Retrieval with Hashing (2021), section 3: candidates by the
    Hamming distance, then the query's own values.

    >>> search([[1.0, 0.2]], quantise([[1.0, 0.0], [0.6, 0.8]], "int8"), k=1).rows_QK.tolist()
    [[0]]
    """
    query_emb_QD = checked(query_emb_QD, "query")
    if query_emb_QD.shape[1] != kept.dimension:
        raise InputError(
            f"query vectors have {query_emb_QD.shape[1]} dimensions and passage vectors {kept.dimension}",
            hint="encode queries and documents with encoders of one space",
        )
    shape = len(query_emb_QD), len(kept)
    if kept.bits_WP is None:
        scores = _by_values(query_emb_QD, kept)
        return top_k_by(scores, shape=shape, k=k, starts_N=starts_N, excluded=excluded)
    if rescore < 1:
        raise InputError(f"rescore is {rescore}", hint="rescore at least as many documents as are wanted")
    scores = _by_signs(query_emb_QD, kept.bits_WP)
    found = top_k_by(scores, shape=shape, k=k * rescore, starts_N=starts_N, excluded=excluded)
    starts_N = np.arange(len(kept)) if starts_N is None else np.asarray(starts_N, np.int64)
    return _rescored(found.rows_QK, query_emb_QD, kept, k=k, borders=np.append(starts_N, len(kept)))


def _by_values(query_emb_QD: Floats32, kept: Quantised) -> Scores:
    """Dot products with what is kept; the ranges are multiplied into the query once, not into every passage."""
    query_emb_QD, offset_Q = _folded(query_emb_QD, kept.ranges)

    def scores(queries: slice, passages: slice) -> Floats32:
        found = _products(query_emb_QD[queries], kept.vectors_PD[passages])
        return found if offset_Q is None else found + offset_Q[queries, None]

    return scores


def _folded(query_emb_QD: Floats32, ranges: Ranges | None) -> tuple[Floats32, Floats32 | None]:
    """Queries for codes instead of values, and what to add to their products: q(low + (c + 128)s) = (qs)c + rest."""
    if ranges is None:
        return query_emb_QD, None
    return query_emb_QD * ranges.step_D, query_emb_QD @ (ranges.low_D - np.float32(_LEAST) * ranges.step_D)


def _products(query_emb_QD: Floats32, vectors_PD: NDArray[Any]) -> Floats32:
    """Dot products in float32, with few passages decoded at a time."""
    if vectors_PD.dtype == np.float32:
        products: Floats32 = query_emb_QD @ vectors_PD.T
        return products
    found = np.empty((len(query_emb_QD), len(vectors_PD)), np.float32)
    for start in range(0, len(vectors_PD), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        found[:, part] = query_emb_QD @ _as_float32(vectors_PD[part]).T
    return found


def _as_float16(emb_PD: Floats32) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        values_PD = emb_PD.astype(np.float16)
    if not np.isfinite(values_PD).all():
        raise InputError("a value is too large for float16", hint="give vectors of length 1, or choose float32")
    return values_PD


def _as_float32(values: NDArray[Any]) -> Floats32:
    """Finite values as float32; float16 by moving bits, to the same values, in an eighth of the time that NumPy takes.

    Source: IEEE 754-2019, section 3.6, for the two formats.
    """
    if values.dtype != np.float16:
        return values.astype(np.float32)
    bits = values.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _HALF_BITS
    decoded = bits.view(np.float32)
    decoded *= _HALF_BIAS
    return decoded


def _by_signs(query_emb_QD: Floats32, bits_WP: NDArray[np.unsignedinteger[Any]]) -> Scores:
    """How many dimensions have another sign, counted down from 0."""
    query_WQ = signs(query_emb_QD)

    def scores(queries: slice, passages: slice) -> Floats32:
        asked_WB, bits = query_WQ[:, queries], bits_WP[:, passages]
        found = np.zeros((asked_WB.shape[1], bits.shape[1]), np.float32)
        for row, query_W in enumerate(asked_WB.T):
            differing = np.zeros(bits.shape[1], np.uint16)
            for word, passage_words in zip(query_W, bits, strict=True):
                differing += np.bitwise_count(passage_words ^ word)
            found[row] -= differing
        return found

    return scores


def _rescored(rows_QC: Ints, query_emb_QD: Floats32, kept: Quantised, *, k: int, borders: Ints) -> TopK:
    """The ``k`` best of the candidates by the query's own values, ties settled as ``top_k`` does."""
    query_emb_QD, offset_Q = _folded(query_emb_QD, kept.ranges)
    assert offset_Q is not None
    rows_QK = np.full((len(rows_QC), k), NO_ROW, np.int64)
    scores_QK = np.full((len(rows_QC), k), -np.inf, np.float32)
    for query, found in enumerate(rows_QC):
        rows_C = found[found != NO_ROW]
        if not len(rows_C):
            continue
        sizes_C = borders[rows_C + 1] - borders[rows_C]
        firsts_C = np.cumsum(sizes_C) - sizes_C
        passages = np.repeat(borders[rows_C] - firsts_C, sizes_C) + np.arange(sizes_C.sum())
        products = _products(query_emb_QD[query : query + 1], kept.vectors_PD[passages])[0] + offset_Q[query]
        scores_C = np.maximum.reduceat(products, firsts_C)
        order = np.lexsort((rows_C, scores_C))[::-1][:k]
        rows_QK[query, : len(order)], scores_QK[query, : len(order)] = rows_C[order], scores_C[order]
    return TopK(rows_QK=rows_QK, scores_QK=scores_QK)
