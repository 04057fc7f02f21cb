import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearer.measure.rank_overlap import overlap, rank_biased_overlap

RANKINGS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


def extrapolated(left, right, persistence, depth=2000):
    """Equation 23 of the paper, summed far beyond two rankings of one length: the last agreement goes on for ever."""
    k = len(left)
    total = 0.0
    for d in range(1, depth):
        agreed = len(set(left[:d]) & set(right[:d])) / d if d <= k else len(set(left) & set(right)) / k
        total += persistence ** (d - 1) * agreed
    return (1 - persistence) * total


@pytest.mark.parametrize("persistence", [0.5, 0.9, 0.98])
def test_it_is_the_infinite_sum_for_rankings_of_one_length(persistence):
    for right in itertools.islice(itertools.permutations("abcdxy", 4), 0, None, 7):
        expected = extrapolated("abcd", right, persistence)
        assert rank_biased_overlap("abcd", right, persistence=persistence) == pytest.approx(expected, abs=1e-9)


def test_published_bounds_of_uneven_rankings():
    """A ranking and its own beginning agree wholly; one that agrees nowhere does not, however long."""
    assert rank_biased_overlap("abcdef", "abc") == pytest.approx(1.0)
    assert rank_biased_overlap("abcdef", "xyz") == 0.0
    assert 0 < rank_biased_overlap("abcdef", "xaz") < rank_biased_overlap("abcdef", "axz") < 1


@given(RANKINGS, RANKINGS)
def test_it_lies_between_0_and_1_and_knows_no_order_of_the_two(left, right):
    found = rank_biased_overlap(left, right)
    assert found == pytest.approx(rank_biased_overlap(right, left), abs=1e-12)
    assert 0 <= found <= 1
    assert rank_biased_overlap(left, left) == pytest.approx(1.0)
    assert 0 <= overlap(left, right, k=5) == overlap(right, left, k=5) <= 1


def test_rankings_without_anything():
    assert (rank_biased_overlap([], []), rank_biased_overlap(["a"], [])) == (1.0, 0.0)
    assert (overlap([], [], k=10), overlap(["a"], [], k=10)) == (1.0, 0.0)


def test_the_first_ten_have_86_percent_of_the_weight():
    """Source: the paper, section 4.2, for a persistence of 0.9."""
    same, other = [str(n) for n in range(10)], [f"x{n}" for n in range(90)]
    left, right = [*same, *other], [*same, *(f"y{n}" for n in range(90))]
    assert rank_biased_overlap(left, right) == pytest.approx(0.86, abs=0.06)
