"""Models whose vectors pass a matrix in the end: as good as before, and alike where they are to be merged."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize

from nearer.encode.encoder import Encoder
from nearer.learn.matrices import LINEAR, ROTATION, align, append_matrix, has_matrix, why_no_matrix, without_more
from nearer.learn.rotation import pair_rotation

TEXTS = ["the river", "a church by the river", "the army of water and music", "law"]


def test_a_turned_model_is_the_same_but_for_the_order_of_what_it_says(tiny_model_folder, tmp_path):
    before = Encoder.load(str(tiny_model_folder))
    emb = before.encode_documents(TEXTS)
    wanted = pair_rotation(emb, emb, emb, weight_E=np.ones(4, np.float32))
    assert not has_matrix(before.model, ROTATION)
    turned = Encoder.load(str(tiny_model_folder))
    assert why_no_matrix(turned.model) is None
    append_matrix(turned.model, ROTATION, wanted)
    assert has_matrix(turned.model, ROTATION)
    assert turned.encoder_id != before.encoder_id
    after = turned.encode_documents(TEXTS)
    np.testing.assert_allclose(after @ after.T, emb @ emb.T, atol=1e-6)
    np.testing.assert_allclose(after, emb @ wanted.T, atol=1e-6)
    assert np.square(after[:, :4]).sum() == pytest.approx(4, abs=1e-4), "four texts lie in four dimensions"
    turned.save(tmp_path / "saved")
    again = Encoder.load(str(tmp_path / "saved"))
    assert has_matrix(again.model, ROTATION)
    assert again.encoder_id == turned.encoder_id
    assert torch.equal(torch.from_numpy(again.encode_documents(TEXTS)), torch.from_numpy(after))


def test_a_matrix_comes_last_whatever_its_modules_are_called(tiny_model_folder):
    encoder = Encoder.load(str(tiny_model_folder))
    modules = [("reader", encoder.model[0]), ("mean", encoder.model[1]), ("unit", Normalize())]
    model = SentenceTransformer(modules=OrderedDict(modules))
    before = model.encode(TEXTS)
    append_matrix(model, ROTATION, np.eye(32, dtype=np.float32)[::-1].copy())
    assert [name for name, _ in model.named_children()] == ["reader", "mean", "rotated", "unit"]
    np.testing.assert_allclose(model.encode(TEXTS), before[:, ::-1], atol=1e-6)


def test_the_model_without_more_stays_so_and_shares_its_weights(tiny_model_folder):
    model = SentenceTransformer(str(tiny_model_folder))
    before, bare = model.encode(TEXTS), without_more(model)
    append_matrix(model, LINEAR, np.eye(32, dtype=np.float32)[::-1].copy())
    np.testing.assert_array_equal(bare.encode(TEXTS), before)
    assert (has_matrix(model, LINEAR), has_matrix(bare, LINEAR)) == (True, False)
    assert next(bare.parameters()) is next(model.parameters())


@pytest.mark.parametrize(("change", "reason"), [({"truncate_dim": 8}, "first 8"), ({}, "float32")])
def test_what_can_have_no_matrix(tiny_model_folder, change, reason):
    model = SentenceTransformer(str(tiny_model_folder), **change)
    assert reason in why_no_matrix(model if change else model.half())


@pytest.mark.parametrize("is_other_turned", [False, True])
def test_aligned_models_lie_in_one_space_and_no_ranking_changes(tiny_model_folder, is_other_turned):
    other, model = (Encoder.load(str(tiny_model_folder)) for _ in range(2))
    emb, rng = other.encode_documents(TEXTS), np.random.default_rng(0)
    append_matrix(model.model, ROTATION, rotation(rng))
    if is_other_turned:
        append_matrix(other.model, ROTATION, rotation(rng))
    align(other.model, model.model)
    aligned = other.encode_documents(TEXTS)
    np.testing.assert_allclose(aligned @ aligned.T, emb @ emb.T, atol=1e-5)
    np.testing.assert_allclose(aligned, model.encode_documents(TEXTS), atol=1e-5)


def test_an_aligned_model_gets_the_identity_for_a_learned_matrix(tiny_model_folder):
    other, model = (Encoder.load(str(tiny_model_folder)) for _ in range(2))
    emb = other.encode_documents(TEXTS)
    append_matrix(model.model, LINEAR, np.eye(32, dtype=np.float32) * 2)
    append_matrix(model.model, ROTATION, rotation(np.random.default_rng(0)))
    align(other.model, model.model)
    assert [name for name, _ in other.model.named_children()] == [name for name, _ in model.model.named_children()]
    aligned = other.encode_documents(TEXTS)
    np.testing.assert_allclose(aligned @ aligned.T, emb @ emb.T, atol=1e-5)


@pytest.mark.parametrize("matrix", [LINEAR, ROTATION])
def test_what_can_have_no_matrix_stays_as_it_is(tiny_model_folder, matrix):
    other, model = (
        SentenceTransformer(str(tiny_model_folder), truncate_dim=8),
        SentenceTransformer(str(tiny_model_folder)),
    )
    append_matrix(model, matrix, np.eye(32, dtype=np.float32))
    align(other, model)
    assert not has_matrix(other, matrix)


def rotation(rng):
    return np.linalg.qr(rng.standard_normal((32, 32)))[0].astype(np.float32)
