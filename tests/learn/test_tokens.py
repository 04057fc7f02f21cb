from itertools import pairwise

import numpy as np
import pytest
import torch

from nearer.encode.encoder import Encoder
from nearer.learn.tokens import MinibatchSize, Tokens

TEXTS = ["music", "the river of the school", "water", "the king and the army of the river", "film law"]


@pytest.fixture
def model(tiny_encoder):
    return tiny_encoder.model.eval()


def minibatches(tokens, most):
    """All five texts in groups, each with its features."""
    groups = tokens.groups(range(5), MinibatchSize(most_tokens=most, most_padding=most))
    return [(rows, tokens.features(rows)) for rows in groups]


def vectors(model, tokens):
    with torch.no_grad():
        return {
            row: vector
            for rows, features in minibatches(tokens, 20)
            for row, vector in zip(rows, model(features)["sentence_embedding"], strict=True)
        }


@pytest.mark.parametrize("prompt", ["", "the film "])
def test_minibatches_give_the_models_own_vectors(model, prompt):
    found = vectors(model, Tokens(model, TEXTS, prompt=prompt))
    wanted = model.encode(TEXTS, prompt=prompt or None)
    np.testing.assert_allclose(np.stack([found[row] for row in range(5)]), wanted, atol=1e-5)


def test_features_are_what_the_model_makes_of_the_texts(model):
    made, wanted = Tokens(model, TEXTS, prompt="").features([1, 4, 3]), model.preprocess([TEXTS[1], TEXTS[4], TEXTS[3]])
    assert made.keys() == wanted.keys()
    for name, each in wanted.items():
        assert torch.equal(made[name], each) if isinstance(each, torch.Tensor) else made[name] == each


def test_padding_on_the_left_is_as_the_tokenizer_does_it(model):
    side, model.tokenizer.padding_side = model.tokenizer.padding_side, "left"
    try:
        made, wanted = Tokens(model, TEXTS, prompt="").features([0, 3]), model.preprocess([TEXTS[0], TEXTS[3]])
    finally:
        model.tokenizer.padding_side = side
    assert made["attention_mask"][0, 0] == 0
    assert torch.equal(made["input_ids"], wanted["input_ids"])


def test_minibatches_hold_texts_of_like_length_within_the_budget(model):
    tokens = Tokens(model, TEXTS, prompt="")
    made = minibatches(tokens, 8)
    assert [rows for rows, _ in made] == [[3], [1], [4, 0], [2]]
    assert sorted(row for rows, _ in made for row in rows) == [0, 1, 2, 3, 4]
    longest = [features["input_ids"].shape[1] for _, features in made]
    assert longest == sorted(longest, reverse=True)
    assert all(features["input_ids"].numel() <= 8 or len(rows) == 1 for rows, features in made)


def test_minibatches_have_no_more_padding_than_one_more_would_cost(model):
    tokens = Tokens(model, TEXTS, prompt="")
    for most in (0, 1, 3, 100):
        made = tokens.groups([0, 1, 2, 3, 4], MinibatchSize(most_tokens=100, most_padding=most))
        padding = [int((tokens.features(rows)["attention_mask"] == 0).sum()) for rows in made]
        assert max(padding) <= most
        joined = [first + second for first, second in pairwise(made)]
        for rows in joined:
            lengths = tokens.lengths_T[rows]
            assert (lengths.max() - lengths).sum() > most, "two that would fit together"
    assert sorted(row for rows in made for row in rows) == [0, 1, 2, 3, 4]
    assert len(made) == 1


def test_texts_are_cut_to_the_length_of_the_moment(model):
    model.max_seq_length = 5
    assert Tokens(model, TEXTS, prompt="").lengths_T.max() == 5


def test_a_model_that_reads_no_tokens_is_asked_each_time(model, monkeypatch):
    def bags(texts, prompt=None):
        return {"input_ids": torch.tensor([len(text) for text in texts]), "offsets": torch.arange(len(texts))}

    monkeypatch.setattr(model, "preprocess", bags)
    tokens = Tokens(model, TEXTS, prompt="")
    assert tokens.lengths_T.tolist() == [len(text) for text in TEXTS]
    assert tokens.features([2, 0])["input_ids"].tolist() == [5, 5]


def test_no_texts():
    assert Tokens(None, [], prompt="").groups([], MinibatchSize(most_tokens=9, most_padding=9)) == []


@pytest.mark.parametrize("pooling", ["lasttoken", "mean", "cls"])
def test_padding_on_the_left_and_on_the_right_give_a_decoder_the_same_vectors(make_decoder, pooling):
    made = []
    for side in ("left", "right"):
        model = Encoder.load(str(make_decoder(side=side, pooling=pooling))).model.eval()
        assert model.tokenizer.padding_side == side
        tokens = Tokens(model, TEXTS, prompt="the film ")
        features = tokens.features([0, 3])
        assert features["attention_mask"][0].tolist()[0] == (side == "right")
        found = vectors(model, tokens)
        made += [np.stack([found[row] for row in range(5)]), model.encode(TEXTS, prompt="the film ")]
    for each in made[1:]:
        np.testing.assert_allclose(each, made[0], atol=1e-5)
    apart = abs(made[0][0] - made[0][1]).max()
    assert apart == 0 if pooling == "cls" else apart > 1e-3, "a decoder's first token has seen nothing else"
