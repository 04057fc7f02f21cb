"""Reranking: the first documents of a ranking in the order of a scorer that reads query and document together.

Shapes: Q queries, K ranked documents, U pairs of a query and a document.
"""

from collections.abc import Callable

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.retrieval.rerank_window import rerank_window, with_rest
from nearer.vectors.topk import NO_ROW, TopK

DEPTH = 20
"""Documents reranked: what is not among them is out of a reranker's reach, and each costs one reading of a pair."""


def rerank(run: TopK, score: Callable[[list[tuple[int, int]]], Floats32], *, depth: int = DEPTH) -> TopK:
    """The first ``depth`` documents of each query by descending score, the rest after them in their order.

    ``score`` gets all pairs of query row and document row at once, each pair once, and returns one number a pair
    (float32, U); which text of a long document it reads is its choice, and should be the passage that was retrieved.
    Equal scores are settled towards the higher row, as in ``top_k``. A query with fewer documents keeps as many. The
    scores of the rest are kept below those of the reranked.

    Raises InputError for a depth below 1, another number of scores than pairs, and a score that is not finite.

    Source: Nogueira and Cho, Passage Re-ranking with BERT (arXiv 1901.04085), section 3.
    """
    head = rerank_window(run, depth)
    queries_U, places_U = np.nonzero(head.rows_QK != NO_ROW)
    rows_U = head.rows_QK[queries_U, places_U]
    pairs = list(zip(queries_U.tolist(), rows_U.tolist(), strict=True))
    with np.errstate(over="ignore"):
        scores_U = np.asarray(score(pairs) if pairs else [], dtype=np.float32) + np.float32(0.0)  # -0.0 and 0.0 are one
    if scores_U.shape != (len(pairs),):
        raise InputError(
            f"{len(pairs)} pairs got scores of shape {scores_U.shape}", hint="a scorer returns one number a pair"
        )
    bad_U = np.flatnonzero(~np.isfinite(scores_U))
    if len(bad_U):
        raise InputError(
            f"the reranker's score of {len(bad_U)} of {len(pairs)} pairs is not a finite number, "
            f"first of query row {queries_U[bad_U[0]]} and document row {rows_U[bad_U[0]]}",
            hint="half precision overflows on some models, try float32; or use another reranker",
        )
    order_U = np.lexsort((-rows_U, -scores_U, queries_U))  # the queries ascend before and after
    rows_QH, scores_QH = head.rows_QK.copy(), head.scores_QK.astype(np.float32)
    rows_QH[queries_U, places_U], scores_QH[queries_U, places_U] = rows_U[order_U], scores_U[order_U]
    return with_rest(TopK(rows_QK=rows_QH, scores_QK=scores_QH), run)
