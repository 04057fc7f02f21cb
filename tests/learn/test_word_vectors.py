"""Sparse gradients of word vectors: the same as dense ones, and nothing of them left afterwards."""

import pytest
import torch

from nearer.learn.word_vectors import densify, sparse_gradients


def gradients(model, texts):
    model.zero_grad()
    for text in texts:  # as mini-batches add theirs up
        model(model.preprocess([text]))["sentence_embedding"].square().sum().backward()
    densify(model)
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def test_they_are_the_dense_ones(tiny_encoder):
    model, texts = tiny_encoder.model.eval(), ["the king and the army", "the river of the king"]
    wanted = gradients(model, texts)
    words = model.transformers_model.get_input_embeddings()
    with sparse_gradients(model.transformers_model):
        model.zero_grad()
        model(model.preprocess(texts))["sentence_embedding"].sum().backward()
        assert words.weight.grad.is_sparse
        found = gradients(model, texts)
    assert not words.sparse
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        assert not gradient.is_sparse
        torch.testing.assert_close(gradient, wanted[name])


def test_an_error_leaves_the_table_as_it_was(tiny_encoder):
    transformer = tiny_encoder.model.transformers_model
    with pytest.raises(KeyError), sparse_gradients(transformer):
        raise KeyError
    assert not transformer.get_input_embeddings().sparse


def test_without_a_table_of_words_nothing_happens():
    with sparse_gradients(None):
        pass
