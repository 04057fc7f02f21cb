"""Gradients of word vectors: those of a batch's words, made dense once a step, and not of all words each time."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def sparse_gradients(transformer: nn.Module | None) -> Iterator[None]:
    """Let the table of word vectors, where there is one, give sparse gradients."""
    words = transformer.get_input_embeddings() if transformer is not None else None  # type: ignore[operator]
    if not isinstance(words, nn.Embedding) or words.sparse:
        yield
        return
    words.sparse = True
    try:
        yield
    finally:
        words.sparse = False


def densify(model: nn.Module) -> None:
    """Make sparse gradients dense, as optimisers and what cuts gradients need them."""
    for each in model.parameters():
        if each.grad is not None and each.grad.is_sparse:
            each.grad = each.grad.to_dense()
