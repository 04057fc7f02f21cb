"""Weights between two models'."""

import pytest
import torch

from nearer.core.errors import InputError
from nearer.learn.merge import interpolated, refuse_unlike


def test_the_ends_are_the_models_to_the_bit_and_the_rest_lies_between():
    generator = torch.Generator().manual_seed(0)
    before, after = ({"w": torch.randn(5, 3, generator=generator), "n": torch.tensor([number])} for number in (1, 2))
    assert torch.equal(interpolated(before, after, 0)["w"], before["w"])
    assert torch.equal(interpolated(before, after, 1)["w"], after["w"])
    for share in (0.1, 0.5, 0.9):
        mixed = interpolated(before, after, share)
        torch.testing.assert_close(mixed["w"], (1 - share) * before["w"] + share * after["w"])
        assert mixed["n"].tolist() == [2], "a count is not mixed"


def test_half_precision_is_kept():
    before, after = ({"w": torch.tensor([value], dtype=torch.float16)} for value in (1.0, 2.0))
    mixed = interpolated(before, after, 0.25)["w"]
    assert (mixed.dtype, mixed.item()) == (torch.float16, 1.25)


def test_what_differs_is_named():
    refuse_unlike({"tokenizer": "a"}, {"tokenizer": "a"}, names=("m", "base"))
    left, right = (
        {"architecture": 1, "tokenizer": "a", "modules": []},
        {"architecture": 2, "tokenizer": "b", "modules": []},
    )
    with pytest.raises(InputError, match="m and base differ in their architecture and tokenizer"):
        refuse_unlike(left, right, names=("m", "base"))
