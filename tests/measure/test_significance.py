from itertools import product

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.measure import significance
from nearer.measure.significance import compare_all, holm, mean_intervals, min_units

SIX = [0.0, 0.1, 0.1, 0.4, 0.7, 0.9]


def column(values):
    return np.asarray(values, dtype=np.float64)[:, None]


def mean_interval(values, **options):
    [interval] = mean_intervals(column(values), **options)
    return interval


def compare(baseline, candidate, **options):
    [comparison] = compare_all(column(baseline), column(candidate), metrics=["m"], **options)
    return comparison


def test_bootstrap_equals_every_resample_enumerated():
    means = np.array(list(product(SIX, repeat=6))).mean(axis=1)
    interval = mean_interval(SIX, num_resamples=40_000)
    assert interval.value == pytest.approx(np.mean(SIX))
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)


def test_what_rounding_left_over_is_no_difference():
    up, down = 0.1 + 0.2, 0.3  # differ in the last bit
    equal = compare([down] * 8, [up] * 8)
    assert (equal.difference, equal.low, equal.high, equal.p_value) == (0.0, 0.0, 0.0, 1.0)
    rounded = compare([0.1, 0.3, 0.7] * 4, [0.3, 0.7, 0.1] * 4)
    assert str(rounded.difference) == "0.0"


def test_cluster_bootstrap_equals_every_draw_of_groups_enumerated():
    values = [0.1, 0.2, 0.9, 0.5, 0.5, 0.4, 0.0, 1.0, 0.7]
    groups = ["a", "a", "b", "c", "c", "c", "d", "e", "f"]
    members = {label: [v for v, g in zip(values, groups, strict=True) if g == label] for label in groups}
    means = [np.mean(np.concatenate(draw)) for draw in product(members.values(), repeat=6)]
    interval = mean_interval(values, groups_Q=groups, num_resamples=40_000)
    assert interval.value == pytest.approx(np.mean(values))
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)


def test_randomisation_equals_every_flip_enumerated():
    differences = np.array([0.3, 0.2, -0.1, 0.4, 0.1, 0.25, -0.05])
    sums = np.array(list(product([-1, 1], repeat=7))) @ differences
    exact = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-9)
    found = compare(np.zeros(7), differences, num_resamples=20_000)
    assert found.p_value == pytest.approx(exact, abs=0.01)
    assert (found.num_wins, found.num_losses, found.num_ties) == (5, 2, 0)
    assert found.difference == pytest.approx(differences.mean())


def test_p_value_is_never_0_and_equal_systems_have_1():
    same = compare([0.5] * 8, [0.5] * 8)
    assert (same.difference, same.low, same.high, same.p_value, same.num_ties) == (0, 0, 0, 1, 8)
    better = compare([0.0] * 60, [1.0] * 60, num_resamples=999)
    assert better.p_value == 1 / 1000


def test_a_difference_turned_round_is_its_mirror():
    rng = np.random.default_rng(0)
    one, other = rng.random(30), rng.random(30)
    there, back = compare(one, other), compare(other, one)
    assert [there.difference, there.low, there.high] == pytest.approx([-back.difference, -back.high, -back.low])
    assert there.p_value == back.p_value
    assert (there.num_wins, there.num_losses) == (back.num_losses, back.num_wins)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(300):
        interval = mean_interval(rng.beta(2, 3, 40), num_resamples=400, seed=seed)
        hits += interval.low <= 0.4 <= interval.high
    assert 0.90 <= hits / 300 <= 0.98


def test_equal_systems_are_told_apart_about_alpha_of_the_time():
    rng = np.random.default_rng(1)
    p_values = [compare(rng.random(25), rng.random(25), num_resamples=400, seed=seed).p_value for seed in range(400)]
    assert 0.025 <= np.mean(np.array(p_values) <= 0.05) <= 0.08


def test_alike_queries_of_a_group_widen_the_interval_and_raise_p():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 10)
    effects = np.clip(np.repeat(rng.normal(0.05, 0.2, 20), 10) + rng.normal(0, 0.02, 200), -1, 1)
    apart, together = (compare(np.zeros(200), effects, groups_Q=g) for g in (None, groups))
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert together.p_value > apart.p_value
    assert together.difference == pytest.approx(apart.difference)


def test_labels_may_be_anything_and_singletons_equal_no_groups():
    rng = np.random.default_rng(3)
    values = rng.random(12)
    plain = mean_interval(values)
    assert mean_interval(values, groups_Q=np.arange(12)) == plain
    assert mean_interval(values, groups_Q=[None, "a", 1, 2.5, ("x",), "b", "c", "d", "e", "f", "g", "h"]) == plain


def test_deterministic_for_a_seed_and_independent_of_the_chunks(monkeypatch):
    rng = np.random.default_rng(4)
    one, other = rng.random(50), rng.random(50)
    first = compare(one, other, seed=7)
    assert compare(one, other, seed=7) == first
    assert compare(one, other, seed=8) != first
    means = mean_interval(one, seed=7)
    monkeypatch.setattr(significance, "_CHUNK_CELLS", 1000)
    assert mean_interval(one, seed=7) == means


def test_too_few_units_prove_nothing():
    few = mean_interval([0.4, 0.5, 0.6, 0.5, 0.5])
    assert (few.value, few.low, few.high) == (0.5, 0.0, 1.0)
    one_group = compare([0.1] * 50, [0.9] * 50, groups_Q=["only"] * 50)
    assert (one_group.low, one_group.high, one_group.p_value, one_group.num_wins) == (-1.0, 1.0, 1.0, 50)
    assert [min_units(confidence) for confidence in (0.5, 0.9, 0.95, 0.99)] == [2, 5, 6, 8]


def test_holm_by_hand():
    assert holm([]) == ()
    assert holm([0.2]) == (0.2,)
    # Four hypotheses: 4 x 0.005, 3 x 0.01, 2 x 0.03 and 1 x 0.04 lifted to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.5]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([], {}),
        ([0.1, float("nan")], {}),
        ([0.1, 0.2], {"groups_Q": ["a"]}),
        ([0.1], {"num_resamples": 0}),
        ([0.1], {"confidence": 1.0}),
        ([0.1], {"confidence": 0.0}),
    ],
)
def test_refuses(values, options):
    with pytest.raises(InputError):
        mean_interval(values, **options)
    with pytest.raises(InputError):
        compare(values, values, **options)


def test_refuses_other_queries():
    with pytest.raises(InputError, match="2 values and the candidate 1"):
        compare([0.1, 0.2], [0.1])


@pytest.mark.parametrize("groups", [None, np.arange(60) // 4])
def test_several_measures_at_once_give_what_each_gives_alone(groups):
    rng = np.random.default_rng(3)
    baseline_QM, candidate_QM = rng.random((60, 3)), rng.random((60, 3))
    together = mean_intervals(baseline_QM, groups_Q=groups)
    alone = [mean_interval(column, groups_Q=groups) for column in baseline_QM.T]
    for one, other in zip(together, alone, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    compared = compare_all(baseline_QM, candidate_QM, metrics=["a", "b", "c"], groups_Q=groups)
    for number, found in enumerate(compared):
        alone = compare(baseline_QM[:, number], candidate_QM[:, number], groups_Q=groups)
        assert (found.low, found.high, found.p_value) == pytest.approx((alone.low, alone.high, alone.p_value))
        assert (found.num_wins, found.num_losses) == (alone.num_wins, alone.num_losses)
