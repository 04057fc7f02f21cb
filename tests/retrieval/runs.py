"""Small runs to test with, and what is read off them."""

import numpy as np

from nearer.vectors.topk import TopK


def run(*lines, width=None):
    """A run from one {row: score} a query, ranked as everywhere."""
    width = width or max([1, *map(len, lines)])
    rows, scores = np.full((len(lines), width), -1), np.full((len(lines), width), -np.inf, np.float32)
    for query, line in enumerate(lines):
        ranked = sorted(((np.float32(score), row) for row, score in line.items()), reverse=True)
        for place, (score, row) in enumerate(ranked):
            rows[query, place], scores[query, place] = row, score
    return TopK(rows_QK=rows, scores_QK=scores)


def ranking(found):
    return [[row for row in line if row >= 0] for line in found.rows_QK.tolist()]


def first_hits(relevant):
    """The reciprocal rank of the one relevant row of every query."""

    def measure(rows_QK):
        hits = rows_QK == np.asarray(relevant)[:, None]
        return np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), 0.0)

    return measure
