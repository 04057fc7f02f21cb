import numpy as np
import pytest
import torch

from nearer.core.errors import RecipeError
from nearer.learn.lower_layers import frozen, layers_of

TEXTS = ["music", "the river of the school", "water", "the king and the army of the river"]


@pytest.fixture
def model(tiny_encoder):
    return tiny_encoder.model.train()


def vectors(model, texts=TEXTS):
    return model(model.preprocess(texts))["sentence_embedding"]


def without_dropout(model):
    for each in model.modules():
        if isinstance(each, torch.nn.Dropout):
            each.p = 0.0
    return model


def test_vectors_are_the_same_the_first_time_and_from_what_is_kept(model):
    wanted = vectors(without_dropout(model)).detach()
    with frozen(model.transformers_model, 1):
        first = vectors(model).detach()
        again = vectors(model, TEXTS[::-1]).detach().flip(0)
        one = vectors(model, TEXTS[1:2]).detach()
    assert torch.allclose(first, wanted, atol=1e-3)
    assert torch.allclose(again, first, atol=1e-6)
    assert torch.allclose(one, first[1:2], atol=1e-6)


def test_known_texts_do_not_pass_through_the_frozen_layers_again(model, monkeypatch):
    lowest, calls = layers_of(model.transformers_model)[0], []
    attention = lowest.attention.forward
    monkeypatch.setattr(lowest.attention, "forward", lambda *a, **k: calls.append(len(a[0])) or attention(*a, **k))
    with frozen(model.transformers_model, 1):
        vectors(model)
        vectors(model, TEXTS[:2])
        assert calls == [4]
        vectors(model, [TEXTS[0], "film"])
        assert calls == [4, 2]
        model.eval()
        vectors(model)  # nothing is looked up outside training
        assert calls == [4, 2, 4]


def test_gradients_reach_the_layers_above_and_no_others(model):
    without_dropout(model)
    vectors(model).square().sum().backward()
    transformer = model.transformers_model
    upper = layers_of(transformer)[1]
    wanted = {name: each.grad.clone() for name, each in upper.named_parameters()}
    model.zero_grad()
    with frozen(transformer, 1):
        for _ in range(2):
            model.zero_grad()
            vectors(model).square().sum().backward()
            for name, each in upper.named_parameters():
                np.testing.assert_allclose(each.grad, wanted[name], atol=2e-2, rtol=2e-2)
        others = [*transformer.embeddings.parameters(), *layers_of(transformer)[0].parameters()]
        assert all(each.grad is None for each in others)
    assert all(each.requires_grad for each in model.parameters())


def test_frozen_layers_drop_nothing_out_and_the_others_do(model):
    upper = layers_of(model.transformers_model)[1]
    with frozen(model.transformers_model, 1):
        assert not torch.equal(vectors(model), vectors(model))
        for each in upper.modules():
            each.p = 0.0
        assert torch.equal(vectors(model), vectors(model))


def test_a_layer_must_be_left_to_train(model):
    with pytest.raises(RecipeError, match="2 layers: none"), frozen(model.transformers_model, 2):
        pass


def test_without_room_nothing_is_kept(model, monkeypatch):
    lowest, calls = layers_of(model.transformers_model)[0], []
    attention = lowest.attention.forward
    monkeypatch.setattr(lowest.attention, "forward", lambda *a, **k: calls.append(1) or attention(*a, **k))
    with frozen(model.transformers_model, 1, most_bytes=0):
        vectors(model)
        vectors(model)
    assert len(calls) == 2


def test_the_model_is_as_before_when_it_ends(model):
    before = dict(model.state_dict())
    with pytest.raises(KeyError), frozen(model.transformers_model, 1):
        raise KeyError
    assert "forward" not in vars(layers_of(model.transformers_model)[0])
    assert all(torch.equal(each, model.state_dict()[name]) for name, each in before.items())
    assert "forward" not in vars(model.transformers_model)
