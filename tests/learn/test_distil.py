"""A model that learns the vectors of a teacher, and one with fewer layers."""

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.core.progress import Silent
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn.distil import Taught, _in_turn, distil, map_onto
from nearer.learn.fewer_layers import layers_to_keep, num_layers, only

TEXTS = [f"{word} of {other}" for word in ("water", "music", "an army", "a storm") for other in ("north", "the town")]


def unit(rng, *shape):
    found = rng.normal(size=shape)
    return np.float32(found / np.linalg.norm(found, axis=1, keepdims=True))


def taught(emb_ND):
    return [Taught(texts=TEXTS, prompt="", emb_ND=emb_ND)]


def test_it_learns_what_it_is_taught_and_word_vectors_stay(tiny_encoder):
    wanted_ND = unit(np.random.default_rng(0), len(TEXTS), tiny_encoder.dimension)
    words = tiny_encoder.model.transformers_model.get_input_embeddings().weight.clone()
    losses = distil(tiny_encoder.model, taught(wanted_ND), num_steps=120, recipe=TrainRecipe(), progress=Silent())
    assert losses[-1] < 0.7 * losses[0]
    made_ND = tiny_encoder.encode_documents(TEXTS)
    assert float(np.einsum("nd,nd->n", made_ND, wanted_ND).mean()) > 0.3
    assert tiny_encoder.model.transformers_model.get_input_embeddings().weight.equal(words)
    assert all(each.requires_grad for each in tiny_encoder.model.parameters())


def test_a_vector_that_is_no_number_is_an_error(tiny_encoder):
    own_ND = tiny_encoder.encode_documents(TEXTS)
    with pytest.raises(InputError, match="at step 0"):
        distil(
            tiny_encoder.model,
            taught(own_ND * np.float32(np.nan)),
            num_steps=2,
            recipe=TrainRecipe(),
            progress=Silent(),
        )


@pytest.mark.parametrize("teacher_dimension", [16, 32, 48])
def test_a_teachers_vectors_come_near_and_keep_their_cosines(teacher_dimension):
    rng = np.random.default_rng(0)
    own_ND = unit(rng, 60, 32)
    more = max(0, teacher_dimension - 32)
    inner_NE = np.pad(own_ND[:, :teacher_dimension], ((0, 0), (0, more)))
    inner_NE = inner_NE / np.linalg.norm(inner_NE, axis=1, keepdims=True)
    rotation_EE, _ = np.linalg.qr(rng.normal(size=(teacher_dimension, teacher_dimension)))
    teacher_NE = np.float32(inner_NE @ rotation_EE)
    mapped_ND = teacher_NE @ map_onto(teacher_NE, own_ND)
    assert mapped_ND @ mapped_ND.T == pytest.approx(teacher_NE @ teacher_NE.T, abs=1e-5)
    if teacher_dimension >= 32:
        assert mapped_ND == pytest.approx(own_ND, abs=1e-5)


def test_each_text_comes_once_before_any_comes_again():
    rows = _in_turn(5, number=2, seed=0)
    drawn = [row for _ in range(5) for row in next(rows)]
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == [0, 1, 2, 3, 4]


def test_the_layers_that_are_missed_least_go(make_deep):
    encoder = make_deep(idle=2)
    before_ND = encoder.encode_documents(TEXTS)
    kept = layers_to_keep(encoder.model, 3, embed=lambda: encoder.encode_documents(TEXTS), track=range)
    assert (num_layers(encoder.model), kept) == (4, (0, 1, 3))
    assert np.array_equal(encoder.encode_documents(TEXTS), before_ND), "it is whole again"
    with only(encoder.model, kept):
        assert encoder.encode_documents(TEXTS) == pytest.approx(before_ND, abs=1e-5)
        assert encoder.model.transformers_model.config.num_hidden_layers == 3
    for number in (0, 4):
        with pytest.raises(InputError, match="the model has 4 layers"):
            layers_to_keep(encoder.model, number, embed=lambda: encoder.encode_documents(TEXTS), track=range)


@pytest.fixture
def make_deep(tiny_model_folder):
    """``make_deep(idle=2)``: the tiny model with four layers, one of which changes nothing but the norm."""
    import copy

    import torch

    def make(*, idle):
        encoder = Encoder.load(str(tiny_model_folder))
        layers = encoder.model.transformers_model.encoder.layer
        layers.extend(copy.deepcopy(each) for each in list(layers))
        encoder.model.transformers_model.config.num_hidden_layers = 4
        for name in ("attention.output", "output"):
            dense = layers[idle].get_submodule(name).dense
            with torch.no_grad():
                dense.weight.zero_()
                dense.bias.zero_()
        return encoder

    return make
