"""Interleaved lists are fair, and preferences have honest intervals."""

import math
from random import Random

import numpy as np
import pytest
from scipy.stats import binomtest

import nearer
from nearer.core.errors import InputError
from nearer.online.interleave import team_draft, winner

A, B = [f"a{n}" for n in range(10)] + ["both"], ["both"] + [f"b{n}" for n in range(10)]


def test_every_list_is_a_prefix_of_both_and_nothing_comes_twice():
    rng = Random(1)
    for _ in range(200):
        shown = team_draft(A, B, k=10, rng=rng)
        ids = [each.doc_id for each in shown]
        assert len(ids) == len(set(ids)) == 10
        for side, ranking in (("a", A), ("b", B)):
            own = [each.doc_id for each in shown if each.side == side]
            assert len(own) == 5
            kept = [doc_id for doc_id in ranking if doc_id not in ids or doc_id in own]
            assert own == kept[: len(own)]


def test_the_coin_is_fair_and_random_clicks_prefer_nobody():
    rng = Random(2)
    found = {"a": 0, "b": 0, "tie": 0}
    for _ in range(4000):
        shown = team_draft(A, B, k=10, rng=rng)
        found[winner(shown, {rng.choice(shown).doc_id})] += 1
    assert nearer.interleaving_preference(found["a"], found["b"], found["tie"]).p_value > 0.001


def test_a_short_ranking_passes():
    shown = team_draft(["x"], ["x", "y", "z"], k=10, rng=Random(0))
    assert [each.doc_id for each in shown] == ["x", "y", "z"]
    assert team_draft([], [], k=3, rng=Random(0)) == []


@pytest.mark.parametrize(
    ("wins", "effect"), [((60, 40), 0.1), ((40, 60), -0.1), ((30, 30, 40), 0), ((50, 10, 40), 0.2)]
)
def test_the_preference_is_the_formula(wins, effect):
    found = nearer.interleaving_preference(*wins)
    assert found.effect == pytest.approx(effect)
    assert found.low <= found.effect <= found.high
    assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


def test_ties_make_it_surer_not_less():
    with_ties, without = (nearer.interleaving_preference(*wins) for wins in ((60, 40, 100), (60, 40)))
    assert with_ties.high - with_ties.low < without.high - without.low
    assert with_ties.effect == pytest.approx(without.effect / 2)


def test_a_few_lists_never_look_certain():
    found = nearer.interleaving_preference(3, 0)
    assert (found.effect, found.p_value) == (0.5, 0.25)
    assert found.low < 0
    assert nearer.interleaving_preference(40, 0).low > 0.3
    assert nearer.interleaving_preference(0, 0, 50).effect == 0


@pytest.mark.parametrize("wins", [*((num, 0) for num in range(2, 12)), (1, 1), (10, 0, 1), (5, 1), (0, 7)])
def test_a_preference_stays_in_its_range_and_its_interval_says_what_its_p_value_says(wins):
    found = nearer.interleaving_preference(*wins)
    assert -0.5 <= found.low <= found.effect <= found.high <= 0.5
    assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


def test_where_one_ranking_wins_all_lists_the_interval_is_exact():
    found = nearer.interleaving_preference(6, 0)
    theirs = binomtest(6, 6).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((theirs.low - 0.5, theirs.high - 0.5))
    assert nearer.interleaving_preference(0, 6).high == pytest.approx(-found.low)


def test_small_integers_of_numpy_do_not_overflow():
    counts = np.int8(100), np.int8(100), np.int8(3)
    assert nearer.interleaving_preference(*counts) == nearer.interleaving_preference(100, 100, 3)


def test_counts_that_say_nothing_are_refused():
    for wins in ((0, 0), (1, 0), (-1, 5), (1.5, 2), (math.nan, 2), (math.inf, 2), ("3", 2)):
        with pytest.raises(InputError):
            nearer.interleaving_preference(*wins)
