"""Axes of pairs: what the first of them keep, and a model that is turned onto them."""

import numpy as np
import pytest
import torch

from nearer.encode.encoder import Encoder
from nearer.learn.axes import axes, is_turned, turn

TEXTS = ["the river", "a church by the river", "the army of water and music", "law"]


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


def kept(frame_KD, queries, positives):
    """The mean product of a query and its positive that is left in these directions."""
    return float(np.mean(np.sum((queries @ frame_KD.T) * (positives @ frame_KD.T), axis=1)))


def test_axes_are_orthonormal_so_every_cosine_stays(pairs):
    found = axes(*pairs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found @ found.T, np.eye(12), atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 6, 11])
def test_no_other_directions_keep_more_of_what_pairs_have_in_common(pairs, k):
    best = kept(axes(*pairs)[:k], *pairs)
    rng = np.random.default_rng(k)
    for _ in range(200):
        other, _ = np.linalg.qr(rng.standard_normal((12, k)))
        assert kept(other.T, *pairs) <= best + 1e-6


def test_the_first_axes_agree_and_the_last_disagrees(pairs):
    each = [kept(axis[None], *pairs) for axis in axes(*pairs)]
    assert each == sorted(each, reverse=True)
    assert each[0] + each[1] > 0.5
    assert max(map(abs, each[2:-1])) < 0.05
    assert each[-1] < -0.1


def test_a_turned_model_is_the_same_but_for_the_order_of_what_it_says(tiny_model_folder, tmp_path):
    before = Encoder.load(str(tiny_model_folder))
    emb = before.encode_documents(TEXTS)
    assert not is_turned(before.model)
    turned = Encoder.load(str(tiny_model_folder))
    turn(turned.model, axes(emb, emb))
    assert is_turned(turned.model)
    assert turned.encoder_id != before.encoder_id
    after = turned.encode_documents(TEXTS)
    np.testing.assert_allclose(after @ after.T, emb @ emb.T, atol=1e-6)
    np.testing.assert_allclose(after, emb @ axes(emb, emb).T, atol=1e-6)
    assert np.square(after[:, :4]).sum() == pytest.approx(4, abs=1e-4), "four texts lie in four dimensions"
    turned.save(tmp_path / "saved")
    again = Encoder.load(str(tmp_path / "saved"))
    assert is_turned(again.model)
    assert again.encoder_id == turned.encoder_id
    assert torch.equal(torch.from_numpy(again.encode_documents(TEXTS)), torch.from_numpy(after))
