import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.vectors.topk import best_passages, top_k


def oracle(query_emb, passage_emb, *, k, starts=None, excluded=()):
    starts = list(range(len(passage_emb))) if starts is None else list(starts)
    ends = [*starts[1:], len(passage_emb)]
    rows = np.full((len(query_emb), k), -1)
    scores = np.full((len(query_emb), k), -np.inf, np.float32)
    for q, query in enumerate(query_emb):
        best = [
            (float((passage_emb[a:b] @ query).max()), n)
            for n, (a, b) in enumerate(zip(starts, ends, strict=True))
            if (q, n) not in excluded
        ]
        for rank, (score, n) in enumerate(sorted(best, reverse=True)[:k]):
            rows[q, rank], scores[q, rank] = n, score
    return rows, scores


def integers(rng, shape, high=2):
    return rng.integers(-high, high + 1, shape).astype(np.float32)


@pytest.mark.parametrize("k", [1, 7, 40, 60])
@pytest.mark.parametrize("max_block_bytes", [1, 1000, 7777, 2**20])
@pytest.mark.parametrize("folded", [False, True])
def test_equals_a_full_sort_with_ties_folds_and_exclusions(k, max_block_bytes, folded):
    rng = np.random.default_rng(k + max_block_bytes + folded)
    query_emb, passage_emb = integers(rng, (13, 3)), integers(rng, (120 if folded else 50, 3))
    starts = np.sort(rng.choice(np.arange(1, 120), 49, replace=False)) if folded else None
    starts = np.insert(starts, 0, 0) if folded else None
    pairs = {(int(q), int(n)) for q, n in zip(rng.integers(0, 13, 80), rng.integers(0, 50, 80), strict=True)}
    pairs |= {(4, n) for n in range(45)}  # leaves this query fewer than k
    excluded = tuple(np.array(rows) for rows in zip(*sorted(pairs, reverse=True), strict=True))
    found = top_k(query_emb, passage_emb, k=k, starts_N=starts, excluded=excluded, max_block_bytes=max_block_bytes)
    rows, scores = oracle(query_emb, passage_emb, k=k, starts=starts, excluded=pairs)
    assert found.rows_QK.dtype == np.int64
    assert found.scores_QK.dtype == np.float32
    np.testing.assert_array_equal(found.rows_QK, rows)
    np.testing.assert_array_equal(found.scores_QK, scores)


def test_real_scores_of_both_signs_come_back_unchanged():
    rng = np.random.default_rng(1)
    query_emb, passage_emb = rng.standard_normal((9, 16)), rng.standard_normal((300, 16))
    found = top_k(query_emb, passage_emb, k=300)
    exact = query_emb @ passage_emb.T
    np.testing.assert_allclose(found.scores_QK, -np.sort(-exact, axis=1), atol=1e-5)
    np.testing.assert_allclose(found.scores_QK, np.take_along_axis(exact, found.rows_QK, axis=1), atol=1e-5)


def test_both_zeros_tie():
    found = top_k([[1.0]], [[0.0], [-0.0], [0.0], [-0.0]], k=2)
    assert found.rows_QK.tolist() == [[3, 2]]


def test_a_long_document_widens_the_chunk():
    passage_emb = np.arange(30, dtype=np.float32)[:, None]
    found = top_k([[1.0]], passage_emb, k=2, starts_N=[0, 25, 27], max_block_bytes=1)
    assert (found.rows_QK.tolist(), found.scores_QK.tolist()) == ([[2, 1]], [[29.0, 26.0]])


def test_nothing_to_search_and_nobody_asking():
    empty = top_k(np.ones((2, 3)), np.ones((0, 3)), k=2, starts_N=[])
    assert empty.rows_QK.tolist() == [[-1, -1], [-1, -1]]
    assert np.isneginf(empty.scores_QK).all()
    assert top_k(np.ones((2, 3)), np.ones((0, 3)), k=1).rows_QK.shape == (2, 1)
    assert top_k(np.ones((0, 3)), np.ones((4, 3)), k=2).rows_QK.shape == (0, 2)


@pytest.mark.parametrize(
    ("query_emb", "passage_emb", "options", "message"),
    [
        ([[1.0]], [[1.0], [np.nan]], {}, "1 passage vectors are not finite, the first in row 1"),
        ([[np.inf]], [[1.0]], {}, "query vectors are not finite"),
        ([[1e30]], [[1.0]], {}, "not finite"),
        ([[1e300]], [[1.0]], {}, "not finite"),
        ([[1.0, 2.0]], [[1.0]], {}, "2 dimensions and passage vectors 1"),
        ([1.0], [[1.0]], {}, "shape"),
        ([[1.0]], [[1.0]], {"k": 0}, "k is 0"),
        ([[1.0]], [[1.0]], {"starts_N": [0, 0]}, "do not divide"),
        ([[1.0]], [[1.0]], {"starts_N": [0, 1]}, "do not divide"),
        ([[1.0]], [[1.0]], {"starts_N": []}, "do not divide"),
        ([[1.0]], [[1.0]], {"excluded": ([0], [1])}, "excluded document row"),
        ([[1.0]], [[1.0]], {"excluded": ([-1], [0])}, "excluded query row"),
        ([[1.0]], [[1.0]], {"excluded": ([0], [0, 0])}, "pair up"),
    ],
)
def test_refuses(query_emb, passage_emb, options, message):
    with pytest.raises(InputError, match=message):
        top_k(query_emb, passage_emb, **({"k": 1} | options))


def test_the_best_passages_are_those_that_earned_the_scores():
    rng = np.random.default_rng(3)
    query_emb, passage_emb = integers(rng, (7, 4), 9), integers(rng, (90, 4), 9)
    starts = np.insert(np.sort(rng.choice(np.arange(1, 90), 29, replace=False)), 0, 0)
    found = top_k(query_emb, passage_emb, k=40, starts_N=starts)
    best = best_passages(query_emb, passage_emb, found.rows_QK, starts_N=starts)
    assert (best == -1).tolist() == (found.rows_QK == -1).tolist()
    for q, (rows, passages) in enumerate(zip(found.rows_QK, best, strict=True)):
        for rank, (row, passage) in enumerate(zip(rows, passages, strict=True)):
            if row >= 0:
                own = range(starts[row], starts[row + 1] if row < 29 else 90)
                assert passage == min(p for p in own if passage_emb[p] @ query_emb[q] == found.scores_QK[q, rank])
