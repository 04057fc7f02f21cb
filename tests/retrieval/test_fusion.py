import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.retrieval.fusion import GRID, folds_of, reciprocal_rank_fusion, tune_weight, weighted_sum
from nearer.vectors.topk import TopK
from retrieval.runs import first_hits, ranking, run

NUM_ROWS = 9


SCORES = st.one_of(st.integers(-3, 3).map(float), st.integers(-(2**20), 2**20).map(lambda number: number / 1024))
LINES = st.dictionaries(st.integers(0, NUM_ROWS - 1), SCORES, max_size=NUM_ROWS)


def runs(num_queries, num_runs):
    each = st.lists(LINES, min_size=num_queries, max_size=num_queries).map(lambda lines: run(*lines))
    return st.lists(each, min_size=num_runs, max_size=num_runs)


FUSIONS = {
    "rrf": lambda runs, k: reciprocal_rank_fusion(runs, k=k),
    "min-max": lambda runs, k: weighted_sum(runs, [1.0] * len(runs), k=k),
    "z": lambda runs, k: weighted_sum(runs, [1.0] * len(runs), k=k, scaling="z"),
}


def test_reciprocal_rank_fusion_by_hand():
    found = reciprocal_rank_fusion([run({3: 9.0, 1: 8.0}), run({1: 0.5, 2: 0.4, 3: 0.3})], k=4)
    assert found.rows_QK.tolist() == [[1, 3, 2, -1]]
    expected = [1 / 62 + 1 / 61, 1 / 61 + 1 / 63, 1 / 62]
    np.testing.assert_allclose(found.scores_QK[0, :3], expected, rtol=1e-6)
    assert (found.rows_QK.dtype, found.scores_QK.dtype) == (np.int64, np.float32)
    assert np.isneginf(found.scores_QK[0, 3])


def test_the_constant_decides_between_one_first_place_and_two_second_ones():
    systems = [run({0: 3.0, 1: 2.0}), run({2: 3.0, 1: 2.0})]
    assert ranking(reciprocal_rank_fusion(systems, k=3)) == [[1, 2, 0]]
    assert ranking(reciprocal_rank_fusion(systems, k=3, constant=0)) == [[2, 1, 0]]  # 1, 1/2 + 1/2, 1: ties by row


def test_min_max_by_hand():
    dense, lexical = run({0: 0.9, 1: 0.5, 2: 0.1}), run({2: 12.0, 3: 4.0})
    found = weighted_sum([dense, lexical], [0.6, 0.4], k=4)
    assert found.rows_QK.tolist() == [[0, 2, 1, 3]]  # 0.6, 0 + 0.4, 0.3, 0 + 0
    np.testing.assert_allclose(found.scores_QK, [[0.6, 0.4, 0.3, 0.0]], atol=1e-7)


def test_z_by_hand():
    dense, lexical = run({0: 3.0, 1: 1.0}), run({1: 8.0, 2: 6.0, 3: 4.0})
    found = weighted_sum([dense, lexical], [1.0, 1.0], k=4, scaling="z")
    high = np.sqrt(1.5)  # 2 over the deviation of 8, 6 and 4
    assert found.rows_QK.tolist() == [[1, 0, 2, 3]]  # what a system did not rank has its lowest: -1, or -high
    np.testing.assert_allclose(found.scores_QK, [[high - 1, 1 - high, -1.0, -1 - high]], rtol=1e-6)


def test_each_system_may_have_its_own_scaling_or_none():
    dense, worth = run({0: 0.9, 1: 0.5, 2: 0.1}), run({1: 0.25, 2: -0.5})
    found = weighted_sum([dense, worth], [1.0, 2.0], k=3, scaling=["min-max", "none"])
    assert found.rows_QK.tolist() == [[1, 0, 2]]  # 0.5 + 0.5, 1 - 1 (the other's lowest, as it is not ranked), 0 - 1
    np.testing.assert_allclose(found.scores_QK, [[1.0, 0.0, -1.0]], atol=1e-7)


def test_without_scaling_what_is_not_ranked_counts_as_nothing_unless_scores_are_negative():
    found = weighted_sum([run({0: 2.0}), run({1: 3.0})], [1.0, 1.0], k=2, scaling="none")
    assert found.scores_QK.tolist() == [[3.0, 2.0]]


@pytest.mark.parametrize(("scaling", "score"), [("min-max", 1.0), ("z", 0.0)])
def test_equal_scores_have_no_spread(scaling, score):
    found = weighted_sum([run({4: 0.1, 2: 0.1, 7: 0.1})], [1.0], k=3, scaling=scaling)
    assert found.rows_QK.tolist() == [[7, 4, 2]]
    assert found.scores_QK.tolist() == [[score] * 3]


@pytest.mark.parametrize("fuse", FUSIONS.values(), ids=FUSIONS)
def test_a_query_for_which_a_system_found_nothing_keeps_the_others_order(fuse):
    found = fuse([run({}, {}), run({5: 2.0, 6: 1.0}, {})], 3)
    assert found.rows_QK.tolist() == [[5, 6, -1], [-1, -1, -1]]


@pytest.mark.parametrize("fuse", FUSIONS.values(), ids=FUSIONS)
@settings(max_examples=40, deadline=None)
@given(systems=runs(2, 1))
def test_a_list_fused_with_itself_keeps_its_order(fuse, systems):
    assert ranking(fuse(systems * 2, NUM_ROWS)) == ranking(fuse(systems * 3, NUM_ROWS)) == ranking(systems[0])


@pytest.mark.parametrize("fuse", FUSIONS.values(), ids=FUSIONS)
@settings(max_examples=40, deadline=None)
@given(systems=runs(2, 4), order=st.permutations(range(4)))
def test_the_order_of_systems_does_not_matter(fuse, systems, order):
    one, other = fuse(systems, NUM_ROWS), fuse([systems[place] for place in order], NUM_ROWS)
    np.testing.assert_array_equal(one.rows_QK, other.rows_QK)
    np.testing.assert_array_equal(one.scores_QK, other.scores_QK)


@pytest.mark.parametrize("fuse", FUSIONS.values(), ids=FUSIONS)
@settings(max_examples=40, deadline=None)
@given(systems=runs(2, 2), k=st.integers(1, NUM_ROWS))
def test_the_best_are_the_beginning_of_all(fuse, systems, k):
    best, everything = fuse(systems, k), fuse(systems, NUM_ROWS)
    np.testing.assert_array_equal(best.rows_QK, everything.rows_QK[:, :k])
    union = [{*one, *other} for one, other in zip(*map(ranking, systems), strict=True)]
    assert [set(line) for line in ranking(everything)] == union


@pytest.mark.parametrize("scaling", ["min-max", "z"])
@settings(max_examples=40, deadline=None)
@given(systems=runs(2, 2), weight=st.floats(0.01, 100))
def test_a_weight_of_zero_leaves_the_other_systems_order(scaling, systems, weight):
    first, second = systems
    assert ranking(weighted_sum(systems, [weight, 0], k=NUM_ROWS, scaling=scaling)) == ranking(first)
    assert ranking(weighted_sum(systems, [0, weight], k=NUM_ROWS, scaling=scaling)) == ranking(second)


@pytest.mark.parametrize("scaling", ["min-max", "z"])
@settings(max_examples=40, deadline=None)
@given(systems=runs(2, 2), factor=st.sampled_from([0.25, 2.0, 8.0]))
def test_min_max_and_z_do_not_know_a_systems_unit(scaling, systems, factor):
    first, second = systems
    in_other_units = TopK(rows_QK=second.rows_QK, scores_QK=second.scores_QK * np.float32(factor))
    one = weighted_sum([first, second], [0.3, 0.7], k=NUM_ROWS, scaling=scaling)
    other = weighted_sum([first, in_other_units], [0.3, 0.7], k=NUM_ROWS, scaling=scaling)
    np.testing.assert_allclose(one.scores_QK, other.scores_QK, atol=1e-5)


def test_tuning_finds_the_system_that_is_right():
    right, wrong = run(*[{1: 2.0, 0: 1.0}] * 6), run(*[{0: 2.0, 1: 1.0}] * 6)
    folds = folds_of(range(6), num_folds=3)
    for first, second, right_weights in ((right, wrong, GRID[5:]), (wrong, right, GRID[:6])):  # at 0.5 the row decides
        tuned = tune_weight(first, second, measure=first_hits([1] * 6), folds_Q=folds, k=2)
        assert sorted(weight for weight, mean in tuned.means.items() if mean == 1.0) == list(right_weights)
        assert (tuned.weight, *tuned.fold_weights) == (max(right_weights),) * 4
        assert ranking(tuned.out_of_fold) == [[1, 0]] * 6


def test_equal_means_go_to_the_first_system():
    same = run({0: 1.0, 1: 0.5}, {0: 1.0, 1: 0.5})
    tuned = tune_weight(same, same, measure=first_hits([0, 0]), folds_Q=np.array([0, 1]), k=2)
    assert (tuned.weight, tuned.fold_weights) == (1.0, (1.0, 1.0))
    assert list(tuned.means) == sorted(tuned.means, reverse=True)


def test_no_query_has_a_say_in_its_own_weight():
    # Fold 0 wants the first system and fold 1 the second: each is ranked by what the other wants.
    first = run({0: 2.0, 1: 1.0}, {0: 2.0, 1: 1.0})
    second = run({1: 2.0, 0: 1.0}, {1: 2.0, 0: 1.0})
    tuned = tune_weight(first, second, measure=first_hits([0, 1]), folds_Q=np.array([0, 1]), k=2, grid=[0.0, 1.0])
    assert tuned.fold_weights == (0.0, 1.0)
    assert ranking(tuned.out_of_fold) == [[1, 0], [0, 1]]
    assert tuned.weight == 1.0


def test_on_noise_cross_fitting_promises_nothing():
    """The mean of the chosen weight flatters; that out of fold does not."""
    rng = np.random.default_rng(0)
    gains, flattery = [], []
    for _ in range(40):
        systems = [run(*[dict(enumerate(rng.random(6))) for _ in range(20)]) for _ in range(2)]
        measure = first_hits(rng.integers(0, 6, 20))
        tuned = tune_weight(*systems, measure=measure, folds_Q=folds_of(range(20)), k=6)
        chance = np.mean([1 / rank for rank in range(1, 7)])
        gains.append(measure(tuned.out_of_fold.rows_QK).mean() - chance)
        flattery.append(tuned.means[tuned.weight] - chance)
    assert np.mean(flattery) > 0.04
    assert abs(np.mean(gains)) < 0.02


def test_folds_keep_groups_whole_and_are_drawn_by_the_seed():
    groups = [f"group {number % 10}" for number in range(50)]
    folds = folds_of(groups, num_folds=5, seed=1)
    assert len({(group, fold) for group, fold in zip(groups, folds.tolist(), strict=True)}) == 10
    assert np.bincount(folds).tolist() == [10] * 5
    assert folds.tolist() == folds_of(groups, num_folds=5, seed=1).tolist() != folds_of(groups, seed=2).tolist()
    assert folds_of(["a", "b", "a"], num_folds=5).max() == 1


ONE = run({0: 1.0})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reciprocal_rank_fusion([], k=1), "cannot be fused"),
        (lambda: reciprocal_rank_fusion([ONE, run({}, {})], k=1), r"runs of \[1, 2\] queries"),
        (lambda: reciprocal_rank_fusion([ONE], k=0), "k is 0"),
        (lambda: reciprocal_rank_fusion([ONE], k=1, constant=-1), "constant"),
        (lambda: weighted_sum([ONE], [1, 2], k=1), "1 runs have 2 weights"),
        (lambda: weighted_sum([ONE, ONE], [1, -1], k=1), "the weights are"),
        (lambda: weighted_sum([ONE, ONE], [0, 0], k=1), "the weights are"),
        (lambda: weighted_sum([ONE, ONE], [1, float("nan")], k=1), "the weights are"),
        (lambda: weighted_sum([ONE], [1], k=1, scaling=["z", "z"]), "1 runs have 2 scalings"),
        (lambda: tune_weight(ONE, ONE, measure=len, folds_Q=np.array([0]), k=1, grid=[]), "grid"),
        (lambda: tune_weight(ONE, ONE, measure=len, folds_Q=np.array([0]), k=1, grid=[1.5]), "grid"),
        (lambda: tune_weight(ONE, ONE, measure=len, folds_Q=np.array([0, 1]), k=1), "1 queries have 2 folds"),
        (lambda: folds_of(["a", "a"]), "1 groups"),
        (lambda: folds_of(["a", "b"], num_folds=1), "1 folds"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(InputError, match=message):
        call()
