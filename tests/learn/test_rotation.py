"""Axes of pairs: what the first of them keep."""

import numpy as np
import pytest

from nearer.learn.rotation import pair_rotation


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def pairs():
    """Queries and positives that agree in two directions, disagree in one, and are noise in the others."""
    rng = np.random.default_rng(0)
    mixed, _ = np.linalg.qr(rng.standard_normal((12, 12)))
    shared = rng.standard_normal((300, 12)) * ([3, 2, 2] + [0] * 9)
    queries, positives = (shared + 0.3 * rng.standard_normal((300, 12)) for _ in range(2))
    positives[:, 2] *= -1
    return unit(queries @ mixed), unit(positives @ mixed)


@pytest.fixture
def found(pairs):
    """The axes of these pairs."""
    return pair_rotation(*pairs, pairs[1], weight_E=np.ones(len(pairs[0]), np.float32))


def kept(frame_KD, queries, positives):
    """The mean product of a query and its positive that is left in these directions."""
    return float(np.mean(np.sum((queries @ frame_KD.T) * (positives @ frame_KD.T), axis=1)))


def test_axes_are_orthonormal_so_every_cosine_stays(found):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found @ found.T, np.eye(12), atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 6, 11])
def test_no_other_directions_keep_more_of_what_pairs_have_in_common(found, pairs, k):
    best = kept(found[:k], *pairs)
    rng = np.random.default_rng(k)
    for _ in range(200):
        other, _ = np.linalg.qr(rng.standard_normal((12, k)))
        assert kept(other.T, *pairs) <= best + 1e-3


def test_the_first_axes_agree_and_the_last_disagrees(found, pairs):
    each = [kept(axis[None], *pairs) for axis in found]
    assert each[0] + each[1] > 0.5
    assert max(map(abs, each[2:-1])) < 0.05
    assert each[-1] < -0.1


def test_a_pair_counts_by_its_weight(pairs):
    queries, positives = pairs
    once = np.ones(len(queries), np.float32)
    doubled = pair_rotation(
        *(np.concatenate([each, each[:50]]) for each in pairs), positives, weight_E=np.ones(350, np.float32)
    )
    once[:50] = 2
    np.testing.assert_allclose(
        np.abs(np.sum(doubled * pair_rotation(*pairs, positives, weight_E=once), axis=1)), 1, atol=1e-4
    )


def test_where_few_pairs_say_nothing_the_other_vectors_order_the_axes(pairs):
    queries, positives = (each[:2] for each in pairs)
    long = np.zeros((40, 12), np.float32)
    long[:, 7] = 1
    found = pair_rotation(queries, positives, long, weight_E=np.ones(2, np.float32))
    place = int(np.argmax(np.abs(found[:, 7])))
    agree = [kept(axis[None], queries, positives) for axis in found]
    assert agree[place] == pytest.approx(0, abs=0.1)
    assert place == sum(each > 2e-3 for each in agree), "after what pairs agree on, before what nothing is known of"
