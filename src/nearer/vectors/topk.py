"""Exact search: the best documents of every query, ties settled as trec_eval does.

Shapes: Q queries, P passages, N documents, D dimensions, K ranked documents, B queries of a block,
C documents of a chunk, E excluded pairs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearer.core.arrays import Floats32, Ints
from nearer.core.errors import InputError

Scores = Callable[[slice, slice], Floats32]
"""The scores of some queries (rows) for some passages (rows), float32, as a new array."""

NO_ROW = -1
"""What stands in ``rows_QK`` where a query has no more documents."""
MAX_BLOCK_BYTES = 64 * 2**20

_ROW_BITS = 32
_CELL_BYTES = 48  # a score, its copy to partition and, where all tie, places and keys
_MIN_BLOCK_QUERIES = 256  # below this the matrix product no longer uses the processor well


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TopK:
    """The best documents of every query, best first.

    ``rows_QK`` (int64) holds document rows and ``scores_QK`` (float32) dot products; where fewer than K documents
    remain, the end of a line is -1 and -inf.
    """

    rows_QK: Ints
    scores_QK: Floats32


def top_k(
    query_emb_QD: ArrayLike,
    passage_emb_PD: ArrayLike,
    *,
    k: int,
    starts_N: ArrayLike | None = None,
    excluded: tuple[ArrayLike, ArrayLike] | None = None,
    max_block_bytes: int = MAX_BLOCK_BYTES,
) -> TopK:
    """The ``k`` documents with the highest dot product for every query, exactly, in bounded memory.

    A document's score is that of its best passage (Dai and Callan 2019, MaxP). ``starts_N`` (integers, strictly
    increasing from 0) is the first passage row of every document; without it each passage is a document. Equal
    scores are settled towards the higher document row: with documents in ascending order of doc_id this is
    trec_eval's order. ``excluded`` is a pair of integer arrays (query rows, document rows) never returned.
    Embeddings that are not float32 are converted first. Blocks of scores take at most about ``max_block_bytes``, or
    one query's scores of the longest document or of 2 ``k`` passages where that is more; small blocks are slow.

    Raises InputError for vectors that are not finite or do not meet in dimension, for ``k`` below 1, and for rows
    that do not exist.

    Source: Dai and Callan, Deeper Text Understanding for IR with Contextual Neural Language Modeling (2019),
    section 3; ties: trec_eval 9.0, comp_sim_docno in form_res_rels.c.

    >>> found = top_k([[1.0, 0.0]], [[1.0, 0.0], [3.0, 1.0], [1.0, 5.0]], k=2)
    >>> found.rows_QK.tolist(), found.scores_QK.tolist()
    ([[1, 2]], [[3.0, 1.0]])
    """
    query_emb_QD, passage_emb_PD = checked(query_emb_QD, "query"), checked(passage_emb_PD, "passage")
    if query_emb_QD.shape[1] != passage_emb_PD.shape[1]:
        raise InputError(
            f"query vectors have {query_emb_QD.shape[1]} dimensions and passage vectors {passage_emb_PD.shape[1]}",
            hint="encode queries and documents with encoders of one space",
        )
    return top_k_by(
        lambda queries, passages: query_emb_QD[queries] @ passage_emb_PD[passages].T,
        shape=(len(query_emb_QD), len(passage_emb_PD)),
        k=k,
        starts_N=starts_N,
        excluded=excluded,
        max_block_bytes=max_block_bytes,
    )


def top_k_by(
    scores: Scores,
    *,
    shape: tuple[int, int],
    k: int,
    starts_N: ArrayLike | None = None,
    excluded: tuple[ArrayLike, ArrayLike] | None = None,
    max_block_bytes: int = MAX_BLOCK_BYTES,
) -> TopK:
    """What ``top_k`` finds, by other scores than dot products of float32; ``shape`` counts queries and passages.

    Raises InputError for ``k`` below 1, and for rows that do not exist.
    """
    if k < 1:
        raise InputError(f"k is {k}", hint="ask for at least 1 document")
    num_queries, num_passages = shape
    borders = _borders(starts_N, num_passages)
    exclusions = Exclusions.build(excluded, num_queries=num_queries, num_documents=len(borders) - 1)
    longest = int(np.diff(borders).max(initial=1))
    cells = max_block_bytes // _CELL_BYTES
    kept = min(k, len(borders) - 1)
    width = max(longest, min(num_passages, max(cells // _MIN_BLOCK_QUERIES, 2 * kept)))
    height = max(1, cells // (width + kept))

    rows_QK = np.full((num_queries, k), NO_ROW, np.int64)
    scores_QK = np.full((num_queries, k), -np.inf, np.float32)
    for first in range(0, num_queries, height):
        block = slice(first, min(first + height, num_queries))
        best_BK = np.full((block.stop - first, kept), _EMPTY, np.int64)
        for chunk in _chunks(borders, width):
            scores_BC = _score(scores, block, borders[chunk.start : chunk.stop + 1])
            exclusions.apply(scores_BC, block, chunk)
            best_BK = _merge(best_BK, _candidates(scores_BC, chunk, best_BK))
        best_BK.sort(axis=1)
        rows_QK[block, :kept], scores_QK[block, :kept] = _decode(best_BK[:, ::-1])
    return TopK(rows_QK=rows_QK, scores_QK=scores_QK)


def best_passages(query_emb_QD: Floats32, passage_emb_PD: Floats32, rows_QK: Ints, *, starts_N: Ints) -> Ints:
    """The passage that earned each ranked document its score (int64 rows, Q x K), the first of equal ones, else -1.

    ``rows_QK`` are document rows, in any order, with -1 where there is none; ``starts_N`` as in ``top_k``.

    >>> emb_PD = np.float32([[1, 0], [0, 1], [2, 0], [3, 0]])
    >>> best_passages(np.float32([[1, 0]]), emb_PD, np.array([[1, 0, -1]]), starts_N=np.array([0, 2])).tolist()
    [[3, 0, -1]]
    """
    borders = _borders(starts_N, len(passage_emb_PD))
    found_QK = np.full(rows_QK.shape, NO_ROW, np.int64)
    for rows_K, found_K, query_D in zip(rows_QK, found_QK, query_emb_QD, strict=True):
        ranked = np.flatnonzero(rows_K != NO_ROW)
        for rank, row in zip(ranked.tolist(), rows_K[ranked].tolist(), strict=True):
            first, last = borders[row : row + 2].tolist()
            found_K[rank] = first + (int(np.argmax(passage_emb_PD[first:last] @ query_D)) if last - first > 1 else 0)
    return found_QK


def checked(emb: ArrayLike, name: str) -> Floats32:
    """Vectors as float32, one a row. Raises InputError for another shape, and for values that are not finite."""
    with np.errstate(over="ignore"):
        emb = np.asarray(emb, dtype=np.float32)
    if emb.ndim != 2:
        raise InputError(f"{name} vectors have shape {emb.shape}", hint="give one row a text: (texts, dimensions)")
    # A finite squared length means finite entries and, by Cauchy-Schwarz, dot products that cannot overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        faulty = np.flatnonzero(~np.isfinite(np.einsum("ij,ij->i", emb, emb)))
    if len(faulty):
        raise InputError(
            f"{len(faulty)} {name} vectors are not finite, the first in row {faulty[0]}",
            hint="encode those texts again; half precision overflows on some models, try precision float32",
        )
    return emb


def _borders(starts_N: ArrayLike | None, num_passages: int) -> Ints:
    """The first passage of every document, and the number of passages at the end."""
    if starts_N is None:
        return np.arange(num_passages + 1)
    borders = np.append(np.asarray(starts_N, dtype=np.int64), num_passages)
    if borders[0] != 0 or np.any(np.diff(borders) < 1):
        raise InputError(
            f"the first passages of {len(borders) - 1} documents do not divide {num_passages} passages",
            hint="starts must begin at 0, increase strictly and stay below the number of passages",
        )
    return borders


def _chunks(borders: Ints, width: int) -> Iterator[slice]:
    """Runs of whole documents with at most ``width`` passages."""
    first, num_documents = 0, len(borders) - 1
    while first < num_documents:
        last = int(np.searchsorted(borders, borders[first] + width, side="right")) - 1
        yield slice(first, last)
        first = last


def _score(scores: Scores, block: slice, borders: Ints) -> Floats32:
    """The score of the documents between ``borders`` for every query of a block (float32, B x C)."""
    found = scores(block, slice(int(borders[0]), int(borders[-1])))
    if found.shape[1] == len(borders) - 1:
        return found
    folded: Floats32 = np.maximum.reduceat(found, borders[:-1] - borders[0], axis=1)
    return folded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exclusions:
    """Pairs never returned, in order of query row."""

    queries_E: Ints
    documents_E: Ints

    @classmethod
    def build(
        cls, excluded: tuple[ArrayLike, ArrayLike] | None, *, num_queries: int, num_documents: int
    ) -> "Exclusions":
        """The pairs of integer arrays (query rows, document rows).

        Raises InputError for arrays that do not pair up and for rows that do not exist.
        """
        queries_E, documents_E = (np.asarray(rows, dtype=np.int64) for rows in excluded or ((), ()))
        if queries_E.shape != documents_E.shape or queries_E.ndim != 1:
            raise InputError("excluded rows do not pair up", hint="give as many query rows as document rows")
        for name, rows_E, limit in (("query", queries_E, num_queries), ("document", documents_E, num_documents)):
            if np.any((rows_E < 0) | (rows_E >= limit)):
                raise InputError(f"an excluded {name} row is outside 0 to {limit - 1}", hint="give rows that exist")
        order_E = np.argsort(queries_E, kind="stable")
        return cls(queries_E=queries_E[order_E], documents_E=documents_E[order_E])

    def apply(self, scores_BC: Floats32, block: slice, chunk: slice) -> None:
        """Sets the scores of excluded pairs of this block and chunk to -inf."""
        first, last = np.searchsorted(self.queries_E, (block.start, block.stop))
        queries_E, documents_E = self.queries_E[first:last], self.documents_E[first:last]
        here_E = (documents_E >= chunk.start) & (documents_E < chunk.stop)
        scores_BC[queries_E[here_E] - block.start, documents_E[here_E] - chunk.start] = -np.inf


# A key is one int64: the score in the high half, as an integer of the same order, and the document row in the low
# half. All keys differ, so that a partition by key is exact where scores tie, at the k-th place too.


def _sortable(scores: Floats32) -> NDArray[np.int32]:
    """Integers in the order of the scores, in place: the bits of a float ascend for positives, descend for negatives.

    The function is its own inverse on integers.
    """
    scores += np.float32(0.0)  # -0.0 and 0.0 are one score
    return _flip(scores.view(np.int32))


def _flip(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    return bits


_EMPTY = int(_sortable(np.array([-np.inf], np.float32))[0]) << _ROW_BITS


def _candidates(scores_BC: Floats32, chunk: slice, best_BK: Ints) -> Ints:
    """The keys of a chunk's documents that may be among the best (B x any).

    Most documents are dropped as cheap floats, before keys are made of the rest: those below the worst one kept so
    far or, while too few are kept, below as many of their own chunk.
    """
    num_queries, kept = best_BK.shape
    cut = scores_BC.shape[1] - kept
    floor_B = _decode(best_BK.min(axis=1))[1]
    if cut > 0 and np.isneginf(floor_B).any():
        floor_B = np.maximum(floor_B, np.partition(scores_BC, cut, axis=1)[:, cut])
    queries, columns = np.nonzero(scores_BC >= floor_B[:, None])
    places = np.arange(len(queries)) - np.searchsorted(queries, np.arange(num_queries))[queries]
    keys = np.full((num_queries, places.max(initial=-1) + 1), _EMPTY)
    high_halves = _sortable(scores_BC[queries, columns]).astype(np.int64) << _ROW_BITS
    keys[queries, places] = high_halves | (columns + chunk.start)
    return keys


def _merge(best_BK: Ints, keys: Ints) -> Ints:
    """The best keys among those kept and new ones, in no order."""
    merged = np.concatenate([best_BK, keys], axis=1)
    merged.partition(keys.shape[1], axis=1)
    return merged[:, keys.shape[1] :].copy()


def _decode(keys_BK: Ints) -> tuple[Ints, Floats32]:
    """Rows and scores of keys; what was excluded or never filled becomes -1 and -inf."""
    scores_BK = _flip((keys_BK >> _ROW_BITS).astype(np.int32)).view(np.float32)
    rows_BK = np.where(np.isneginf(scores_BK), NO_ROW, keys_BK & (2**_ROW_BITS - 1))
    return rows_BK, scores_BK
