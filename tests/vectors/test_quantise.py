import numpy as np
import pytest
from sentence_transformers.util.quantization import quantize_embeddings

from nearer.core.errors import InputError
from nearer.vectors.quantise import Quantised, calibrated, quantise, search, signs, stored_bytes
from nearer.vectors.topk import top_k

PRECISIONS = ["float32", "float16", "int8", "binary"]


def unit(rng, *shape):
    vectors = rng.normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def oracle(query_emb, kept_emb, bits, *, k, starts, excluded, rescore):
    """One document after the other: the best by equal signs, where there are bits, then by the values kept."""
    ends = [*starts[1:], len(kept_emb)]
    rows = np.full((len(query_emb), k), -1)
    scores = np.full((len(query_emb), k), -np.inf)
    for q, query in enumerate(query_emb):
        found = []
        for n, (a, b) in enumerate(zip(starts, ends, strict=True)):
            if (q, n) not in excluded:
                same = max(int(((query > 0) == row).sum()) for row in bits[a:b]) if bits is not None else 0
                found.append((same, n, max(float(np.dot(row.astype(np.float64), query)) for row in kept_emb[a:b])))
        if bits is not None:
            found = sorted(found, reverse=True)[: k * rescore]
        best = sorted(((score, n) for _, n, score in found), reverse=True)[:k]
        for rank, (score, n) in enumerate(best):
            rows[q, rank], scores[q, rank] = n, score
    return rows, scores


def rounded(emb, precision):
    """What each precision keeps, value by value."""
    if precision == "float32":
        return emb
    if precision == "float16":
        return np.array([[float(np.float16(value)) for value in row] for row in emb], np.float32)
    low, step = emb.min(axis=0), (emb.max(axis=0) - emb.min(axis=0)) / np.float32(255)
    return np.array(
        [[low[d] + round(float((row[d] - low[d]) / step[d])) * step[d] for d in range(len(low))] for row in emb]
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dimension", [5, 24, 64])
@pytest.mark.parametrize("folded", [False, True])
def test_search_equals_a_naive_one_over_what_is_kept(precision, dimension, folded):
    rng = np.random.default_rng(dimension)
    query_emb, passage_emb = unit(rng, 9, dimension), unit(rng, 150, dimension)
    starts = np.sort(rng.choice(np.arange(1, 150), 59, replace=False)) if folded else np.arange(1, 150)
    starts = np.insert(starts, 0, 0)
    pairs = {(q, int(n)) for q in range(9) for n in rng.integers(0, len(starts), 3)} | {(4, n) for n in range(57)}
    excluded = tuple(np.array(rows) for rows in zip(*sorted(pairs), strict=True))
    kept = quantise(passage_emb, precision)
    found = search(query_emb, kept, k=4, starts_N=starts if folded else None, excluded=excluded, rescore=2)
    expected = rounded(passage_emb, precision)
    np.testing.assert_allclose(kept.decoded(), expected, atol=1e-6)
    bits = passage_emb > 0 if precision == "binary" else None
    rows, scores = oracle(query_emb, expected, bits, k=4, starts=starts, excluded=pairs, rescore=2)
    np.testing.assert_array_equal(found.rows_QK, rows)
    np.testing.assert_allclose(found.scores_QK, scores, atol=1e-5)


def test_float32_finds_what_top_k_finds_to_the_bit():
    rng = np.random.default_rng(0)
    query_emb, passage_emb = unit(rng, 5, 16), unit(rng, 3000, 16)
    found, exact = search(query_emb, quantise(passage_emb, "float32"), k=7), top_k(query_emb, passage_emb, k=7)
    np.testing.assert_array_equal(found.rows_QK, exact.rows_QK)
    np.testing.assert_array_equal(found.scores_QK, exact.scores_QK)


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_many_passages_are_decoded_in_parts(precision):
    rng = np.random.default_rng(0)
    query_emb, kept = unit(rng, 5, 16), quantise(unit(rng, 3000, 16), precision)
    found, exact = search(query_emb, kept, k=3000), top_k(query_emb, kept.decoded(), k=3000)
    np.testing.assert_allclose(found.scores_QK, exact.scores_QK, atol=1e-6)
    np.testing.assert_array_equal(np.sort(found.rows_QK), np.sort(exact.rows_QK))


def test_every_finite_float16_is_decoded_to_its_value():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)][None]
    decoded = Quantised(precision="float16", vectors_PD=halves).decoded()
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded.view(np.uint32), halves.astype(np.float32).view(np.uint32))
    with pytest.raises(InputError, match="too large for float16"):
        quantise([[1e6]], "float16")


def test_int8_is_never_further_off_than_half_a_step():
    emb = unit(np.random.default_rng(0), 500, 32)
    kept = quantise(emb, "int8")
    assert (np.abs(kept.decoded() - emb) <= kept.ranges.step_D * 0.501).all()
    assert (kept.vectors_PD.min(axis=0), kept.vectors_PD.max(axis=0)) == (pytest.approx(-128), pytest.approx(127))


def test_values_outside_given_ranges_become_their_ends():
    ranges = calibrated([[0.0], [1.0]])
    values = [[-5.0], [0.0], [0.6], [1.0], [9.0]]
    assert quantise(values, "int8", ranges=ranges).vectors_PD[:, 0].tolist() == [-128, -128, 25, 127, 127]


def test_a_dimension_without_width_is_kept_exactly():
    kept = quantise([[0.25, 1.0], [0.25, 0.0]], "int8")
    assert kept.decoded()[:, 0].tolist() == [0.25, 0.25]


def test_beside_sentence_transformers():
    """The same bits; int8 codes of the same ranges, but rounded to the nearest where theirs are cut off."""
    emb = unit(np.random.default_rng(0), 200, 64)
    theirs = quantize_embeddings(emb, "ubinary")
    assert signs(emb).T.tobytes() == theirs.tobytes()
    ranges = np.stack([emb.min(axis=0), emb.max(axis=0)])
    off = quantise(emb, "int8").vectors_PD.astype(int) - quantize_embeddings(emb, "int8", ranges=ranges)
    assert set(np.unique(off)) <= {0, 1}
    assert 0.3 < (off == 1).mean() < 0.7


@pytest.mark.parametrize("precision", PRECISIONS)
def test_stored_bytes_are_those_of_the_arrays(precision):
    for dimension in (64, 100, 384):
        kept = quantise(unit(np.random.default_rng(0), 10, dimension), precision)
        held = kept.vectors_PD.nbytes + (0 if kept.bits_WP is None else kept.bits_WP.nbytes)
        assert held == 10 * stored_bytes(dimension, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_some_passages_are_searched_as_they_were_kept(precision):
    rng = np.random.default_rng(0)
    query_emb, kept = unit(rng, 4, 24), quantise(unit(rng, 50, 24), precision)
    rows = np.array([3, 7, 20, 21, 49])
    part, whole = search(query_emb, kept.take(rows), k=5, rescore=10), search(query_emb, kept, k=50)
    scores = {(q, n): s for q, line in enumerate(whole.rows_QK) for n, s in zip(line, whole.scores_QK[q], strict=True)}
    for q in range(4):
        expected = [scores[q, rows[n]] for n in part.rows_QK[q]]
        np.testing.assert_allclose(part.scores_QK[q], expected, atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_to_search(precision):
    kept = quantise(np.empty((0, 8)), precision)
    found = search(np.ones((2, 8)), kept, k=3, starts_N=[])
    assert (len(kept), found.rows_QK.tolist()) == (0, [[-1] * 3] * 2)


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ([[1.0, 0.0, 0.0]], {}, "query vectors have 3 dimensions and passage vectors 2"),
        ([[np.nan, 0.0]], {}, "not finite"),
        ([[1.0, 0.0]], {"k": 0}, "k is 0"),
        ([[1.0, 0.0]], {"rescore": 0}, "rescore is 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(query, options, message):
    kept = quantise([[1.0, 0.0], [0.0, 1.0]], "binary")
    with pytest.raises(InputError, match=message):
        search(query, kept, **{"k": 1, **options})
