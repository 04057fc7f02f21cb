import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.measure.slices import slices

METADATA = [
    {"source": "web", "year": 2020, "hard": True, "tags": ["a", "b"]},
    {"source": "app", "year": 2021, "hard": False, "tags": []},
    {"source": "web", "year": None, "hard": True, "tags": ["b", "b"]},
    {"source": "", "year": float("nan"), "weight": 0.5},
]


def test_names_masks_and_order():
    found = slices(METADATA, ["source", "year", "hard", "tags", "weight"])
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "hard=true": [True, False, True, False],
        "source=web": [True, False, True, False],
        "tags=b": [True, False, True, False],
        "hard=false": [False, True, False, False],
        "source=app": [False, True, False, False],
        "tags=a": [True, False, False, False],
        "weight=0.5": [False, False, False, True],
        "year=2020": [True, False, False, False],
        "year=2021": [False, True, False, False],
    }
    assert list(found)[:4] == ["hard=true", "source=web", "tags=b", "hard=false"]
    assert all(mask.dtype == np.bool_ for mask in found.values())


def test_min_size_and_a_field_named_twice():
    assert list(slices(METADATA, ["source", "source"], min_size=2)) == ["source=web"]


def test_nothing_to_slice():
    assert slices([], ["source"]) == {}
    assert slices(METADATA, []) == {}


def test_unknown_field_lists_the_known():
    with pytest.raises(InputError) as caught:
        slices(METADATA, ["sauce"])
    assert caught.value.hint == "the fields are: hard, source, tags, weight, year"


def test_nested_values_are_refused():
    with pytest.raises(InputError, match="'x' holds a dict"):
        slices([{"x": {"a": 1}}], ["x"])
