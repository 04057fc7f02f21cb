"""The head of a ranking: its first documents, which are ranked anew while the rest follows as it was.

Shapes: Q queries, K ranked documents, H of them in the head, R in the rest.
"""

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.vectors.topk import NO_ROW, TopK


def rerank_window(run: TopK, depth: int) -> TopK:
    """The first ``depth`` documents of every query. Raises InputError for a depth below 1."""
    if depth < 1:
        raise InputError(f"the depth is {depth}", hint="rank at least 1 document anew")
    return TopK(rows_QK=run.rows_QK[:, :depth], scores_QK=run.scores_QK[:, :depth])


def with_rest(head: TopK, run: TopK) -> TopK:
    """The head, ranked anew, and after it the documents of ``run`` that follow its own.

    The rest keeps its order and its scores, but for those that are not below the head's last: they become the next
    lower numbers of float32. So whoever sorts by score, as trec_eval does, finds the same order.
    """
    depth = head.rows_QK.shape[1]
    lowest_Q = np.where(head.rows_QK == NO_ROW, np.inf, head.scores_QK).min(axis=1, initial=np.inf)
    scores_QR = _below(lowest_Q, run.scores_QK[:, depth:])
    return TopK(
        rows_QK=np.concatenate([head.rows_QK, run.rows_QK[:, depth:]], axis=1),
        scores_QK=np.concatenate([head.scores_QK, scores_QR], axis=1),
    )


def _below(floor_Q: Floats32, scores_QR: Floats32) -> Floats32:
    """The same scores (float32, Q x R), as much lowered as needed to be below the floor; equal ones stay equal."""
    lowered_QR = scores_QR.astype(np.float32)
    limit_Q = np.nextafter(floor_Q.astype(np.float32), np.float32(-np.inf))
    for place in range(scores_QR.shape[1]):
        lowered_QR[:, place] = np.minimum(scores_QR[:, place], limit_Q)
        ends_tie_Q = scores_QR[:, place] > scores_QR[:, min(place + 1, scores_QR.shape[1] - 1)]
        limit_Q = np.where(ends_tie_Q, np.nextafter(lowered_QR[:, place], np.float32(-np.inf)), lowered_QR[:, place])
    return lowered_QR
