from math import inf, nan

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.measure.slices import by_field, by_frequency, by_length, by_overlap, by_year

METADATA = [
    {"source": "web", "year": 2020, "hard": True, "tags": ["a", "b"]},
    {"source": "app", "year": 2021, "hard": False, "tags": []},
    {"source": "web", "year": None, "hard": True, "tags": ["b", "b"]},
    {"source": "", "year": float("nan"), "weight": 0.5},
]


def rows(masks):
    return {name: np.flatnonzero(mask).tolist() for name, mask in masks.items()}


# By field


def test_names_and_masks_of_every_kind_of_value():
    found = by_field(METADATA, ["source", "year", "hard", "tags", "weight"])
    assert rows(found) == {
        "source=web": [0, 2],
        "source=app": [1],
        "year=2020": [0],
        "year=2021": [1],
        "hard=true": [0, 2],
        "hard=false": [1],
        "tags=b": [0, 2],
        "tags=a": [0],
        "weight=0.5": [3],
    }
    assert all(mask.dtype == np.bool_ for mask in found.values())


def test_mixed_types_make_slices_by_what_they_print():
    mixed = [{"x": 1}, {"x": "1"}, {"x": 1.0}, {"x": True}, {"x": "true"}, {"x": [1, "b", [True, None]]}, {"x": inf}]
    found = rows(by_field(mixed, ["x"]))
    assert found == {"x=1": [0, 1, 2, 5], "x=true": [3, 4, 5], "x=b": [5], "x=inf": [6]}


def test_a_field_named_twice_and_nothing_to_slice():
    assert list(by_field(METADATA, ["source", "source"])) == ["source=web", "source=app"]
    assert by_field([], ["source"]) == {}
    assert by_field(METADATA, []) == {}


def test_unknown_field_lists_the_known():
    with pytest.raises(InputError) as caught:
        by_field(METADATA, ["sauce"])
    assert caught.value.hint == "the fields are: hard, source, tags, weight, year"


def test_nested_values_are_refused():
    with pytest.raises(InputError, match="'x' holds a dict"):
        by_field([{"x": {"a": 1}}], ["x"])


# By what every query has


def test_each_length_is_in_one_slice():
    lengths = list(range(1, 60))
    found = by_length(lengths)
    assert rows(found) == {
        "length=1-4": list(range(4)),
        "length=5-12": list(range(4, 12)),
        "length=13+": list(range(12, 59)),
    }
    assert rows(by_length([0, 5])) == {"length=5-12": [1]}


def test_overlap_is_none_some_or_all():
    found = rows(by_overlap([0.0, 1e-9, 0.5, 0.999, 1.0, nan]))
    assert found == {"overlap=none": [0], "overlap=some": [1, 2, 3], "overlap=all": [4]}
    assert by_overlap([nan, nan]) == {}


@pytest.mark.parametrize(
    ("frequencies", "head", "torso"),
    [
        ([10, 10, 10, 10, 10, 30, 40], {40}, {30}),  # 40, then 70, then 120 of 120
        ([1] * 1000 + [100], {100}, set()),
        ([1, 2, 97], {97}, set()),
        ([4, 3, 2, 1], {4}, set()),  # 4, then 7 of 10, which is more than two thirds
        ([20, 20, 20, 20, 19, 1], {20}, set()),
        (list(range(1, 101)), set(range(83, 101)), set(range(59, 83))),
        ([0, 0, 5], {5}, set()),
    ],
)
def test_head_and_torso_make_up_a_third_of_the_traffic_each_at_most(frequencies, head, torso):
    found = by_frequency(frequencies, all_frequencies=frequencies)
    groups = {name: {frequencies[row] for row in np.flatnonzero(mask)} for name, mask in found.items()}
    tail = set(frequencies) - head - torso
    wanted = {"frequency=head": head, "frequency=torso": torso, "frequency=tail": tail}
    assert groups == {name: values for name, values in wanted.items() if values}


def test_borders_of_frequency_are_those_of_all_queries():
    everything = [50, 30, 20, 10, 5, 3, 1, 1, nan]
    assert rows(by_frequency([30, nan, 1], all_frequencies=everything)) == {
        "frequency=torso": [0],
        "frequency=tail": [2],
    }
    assert by_frequency([7, 7], all_frequencies=[7, 7, nan]) == {}
    assert by_frequency([nan], all_frequencies=[nan]) == {}


def test_few_years_stand_apart_and_many_are_joined_to_periods_of_about_as_many_queries():
    few = rows(by_year([[2020], [2021], [2021, 2020], [], [2021, 2021]]))
    assert few == {"time=2021": [1, 2, 4], "time=2020": [0, 2]}
    rng = np.random.default_rng(0)
    years = rng.choice(np.arange(1990, 2020), p=np.arange(1, 31) / 465, size=2000)
    found = by_year([[year] for year in years.tolist()])
    sizes = [mask.sum() for mask in found.values()]
    assert len(found) == 4
    assert sum(sizes) == 2000
    assert max(sizes) - min(sizes) < 150
    for name, mask in found.items():
        first, last = map(int, name.removeprefix("time=").split("-"))
        assert set(years[mask]) <= set(range(first, last + 1))
    assert by_year([[], []]) == {}


def test_a_year_with_most_queries_is_a_period_of_its_own():
    found = by_year([[year] for year in range(2000, 2010)] + [[2010]] * 90)
    assert {name: int(mask.sum()) for name, mask in found.items()} == {"time=2010": 90, "time=2000-2009": 10}
