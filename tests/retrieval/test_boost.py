from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.retrieval.boost import Boost, boost_of, boosted, candidate_values, fit_boosts, values_of
from nearer.retrieval.fusion import weighted_sum
from retrieval.runs import first_hits, ranking, run

MANY_DIGITS = 10**400


def read(*values, field="x", function=values_of):
    documents = [{} if value == "absent" else {"x": value} for value in values]
    return function(field, doc_ids=[f"d{row}" for row in range(len(values))], documents=documents)


def seconds(*fields):
    return datetime(*fields, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, 2.5, None, "absent"], [1.0, 2.5, np.nan, np.nan]),
        (["1", "-2.5e+01", "absent"], [1.0, -25.0, np.nan]),  # CSV has no numbers
        (["2024-05-31", "1970-01-01T00:00:01Z"], [seconds(2024, 5, 31), 1.0]),
        (["2024-05-31 12:00", "2024-05-31T12:00+02:00"], [seconds(2024, 5, 31, 12), seconds(2024, 5, 31, 10)]),
        (["0001-01-01"], [seconds(1, 1, 1)]),
    ],
)
def test_numbers_and_dates_are_read(values, wanted):
    np.testing.assert_array_equal(read(*values), wanted)


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        ([1, "absent", "2024-05-31"], "document 'd0' has a number, document 'd2' has text"),
        (["2020", 2021], "document 'd0' has text, document 'd1' has a number"),
        ([True, 1], "document 'd0' has true or false, document 'd1' has a number"),
        ([[1], 1.0], "document 'd0' has a list or an object, document 'd1' has a number"),
        (["2024-05-31", "unknown"], "document 'd1' has 'unknown'"),
        (["2024-02-30"], "document 'd0' has '2024-02-30'"),
        (["2020", "2024-05-31"], "some texts are numbers and some dates"),
        (["1_000"], "document 'd0' has '1_000'"),
        (["5", "007"], "document 'd1' has '007'"),  # as filters read them
        (["5", "1e5"], "document 'd1' has '1e5'"),
        (["inf"], "document 'd0' has 'inf'"),
        (["١"], "document 'd0'"),
        (["1e999"], "document 'd0'"),
        ([1, MANY_DIGITS], "document 'd1' has '1000"),
        ([float("inf")], "document 'd0' has 'inf'"),
        ([True], "document 'd0' has 'True'"),
        (["absent", None], "no document has the field 'x'"),
        ([], "no document has the field 'x'"),
    ],
)
def test_what_cannot_boost_is_reported_with_its_document(values, reported):
    with pytest.raises(InputError, match=reported) as caught:
        read(*values)
    assert "'x'" in caught.value.message
    assert caught.value.hint
    assert len(caught.value.message) < 300


def test_what_the_recipe_says_is_text_cannot_boost():
    with pytest.raises(InputError, match=r"'code' cannot boost: it is text, as columns\.documents\.metadata says"):
        values_of("code", doc_ids=["d0", "d1"], documents=[{"code": "1"}, {"code": "2"}], texts={"code"})


def test_a_field_from_the_right_answer_cannot_boost():
    with pytest.raises(InputError, match="'label_x' was derived from the right answer"):
        read(1, field="label_x")


def test_candidates_are_fields_of_several_numbers_or_dates():
    documents = [
        {"year": 2020 + n, "day": f"2024-05-0{n + 1}", "title": ["1984", "Rain", "7"][n], "free": n > 0, "same": 3}
        for n in range(3)
    ]
    documents[0]["label_year"], documents[1]["label_year"] = 1, 2
    fields = [*documents[0], "absent"]
    found = candidate_values(fields, doc_ids=["a", "b", "c"], documents=documents)
    assert list(found) == ["year", "day"]
    with pytest.raises(InputError, match="field 'mixed'"):
        candidate_values(["mixed"], doc_ids=["a", "b"], documents=[{"mixed": 1}, {"mixed": "x"}])


def test_the_range_is_the_corpus_without_its_outliers():
    boost = boost_of("x", np.array([*range(101), np.nan]), weight=0.1)
    assert (boost.low, boost.high) == (5.0, 95.0)
    mostly_zero = boost_of("x", np.array([0.0] * 99 + [7.0]), weight=0.1)
    assert (mostly_zero.low, mostly_zero.high) == (0.0, 7.0)
    for values in ([], [np.nan], [3.0, 3.0]):
        with pytest.raises(InputError, match="all documents that have it are equal"):
            boost_of("x", np.array(values), weight=0.1)


@pytest.mark.parametrize(
    "values",
    [
        {"low": 1},
        {"low": 2},
        {"high": float("nan")},
        {"low": -1e308, "high": 1e308},
        {"weight": -1},
        {"weight": np.inf},
    ],
)
def test_a_boost_without_a_range_or_with_a_wrong_weight_is_refused(values):
    with pytest.raises(InputError, match="boost of 'x'"):
        Boost(**{"field": "x", "weight": 0.1, "low": 0, "high": 1, **values})


YEARS = {"year": np.array([2000.0, 2010.0, np.nan, 2020.0, 1000.0])}
RECENT = Boost(field="year", weight=0.4, low=2000, high=2020)


def test_boosted_by_hand():
    found = boosted(run({0: 9.0, 1: 7.0, 2: 6.0, 3: 5.0}), [RECENT], YEARS, depth=9)
    assert found.rows_QK.tolist() == [[0, 1, 3, 2]]
    np.testing.assert_allclose(found.scores_QK, [[1.0, 0.5 + 0.2, 0.4, 0.25]], rtol=1e-6)


def test_only_the_first_are_boosted_and_the_rest_follow():
    found = boosted(run({4: 9.0, 0: 8.0, 3: 7.0, 1: 6.0}), [RECENT], YEARS, depth=3)
    assert ranking(found) == [[4, 0, 3, 1]]
    assert found.scores_QK[0, :3].tolist() == pytest.approx([1.0, 0.5, 0.4])
    assert found.scores_QK[0, 3] < found.scores_QK[0, 2]
    assert boosted(run({4: 9.0}), [], YEARS, depth=9).scores_QK.tolist() == [[9.0]]


LINES = st.dictionaries(st.integers(0, 4), st.integers(-3, 3).map(float), max_size=5)


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(LINES, min_size=1, max_size=3),
    weights=st.lists(st.sampled_from([0.0, 0.05, 0.5, 2.0]), min_size=1, max_size=2),
    depth=st.integers(1, 6),
)
def test_equals_adding_by_hand(lines, weights, depth):
    given_run = run(*lines)
    boosts = [Boost(field="year", weight=weight, low=2000, high=2020 - 5 * n) for n, weight in enumerate(weights)]
    wanted = []
    for line, scores in zip(ranking(given_run), given_run.scores_QK.tolist(), strict=True):
        head, rest = line[:depth], line[depth:]
        low, high = min(scores[: len(head)], default=0), max(scores[: len(head)], default=0)
        sums = {}
        for row, score in zip(head, scores, strict=False):
            year = YEARS["year"][row]
            shares = [0 if np.isnan(year) else min(max((year - 2000) / (each.high - 2000), 0), 1) for each in boosts]
            parts = [boost.weight * float(np.float32(share)) for boost, share in zip(boosts, shares, strict=True)]
            sums[row] = sum(sorted([(score - low) / (high - low) if high > low else 1.0, *parts]))
        wanted.append(sorted(head, key=lambda row, sums=sums: (sums[row], row), reverse=True) + rest)
    found = boosted(given_run, boosts, YEARS, depth=depth)
    assert ranking(found) == wanted
    for line, scores in zip(wanted, found.scores_QK.tolist(), strict=True):
        assert sorted(scores, reverse=True) == scores
        assert np.isfinite(scores[: len(line)]).all()


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=3))
def test_weights_of_nothing_change_no_order_and_scale_as_a_weighted_sum_does(lines):
    given_run = run(*lines)
    found = boosted(given_run, [Boost(field="year", weight=0.0, low=2000, high=2020)], YEARS, depth=9)
    same = weighted_sum([given_run], [1.0], k=given_run.rows_QK.shape[1])
    np.testing.assert_array_equal(found.rows_QK, given_run.rows_QK)
    np.testing.assert_array_equal(found.scores_QK, same.scores_QK)


def test_fewer_values_than_documents_are_refused():
    with pytest.raises(InputError, match="has 5 values"):
        boosted(run({5: 1.0}), [RECENT], YEARS, depth=9)
    with pytest.raises(InputError, match="the depth is 0"):
        boosted(run({1: 1.0}), [RECENT], YEARS, depth=0)


def test_the_field_that_helps_gets_a_weight_and_the_other_none():
    rng = np.random.default_rng(0)
    values = {"fame": np.arange(10.0), "shame": -np.arange(10.0)}
    ranked = run(*[dict(enumerate(rng.random(10))) for _ in range(40)])
    relevant = np.array([8 if rng.random() < 0.5 else 9 for _ in range(40)])
    found = fit_boosts(ranked, values=values, depth=9, measure=first_hits(relevant))
    assert [boost.field for boost in found.boosts] == ["fame"]
    assert found.boosts[0].weight > 0
    assert (found.boosts[0].low, found.boosts[0].high) == pytest.approx((0.45, 8.55))
    assert found.mean_after > found.mean_before + 0.1
    measured = first_hits(relevant)(boosted(ranked, found.boosts, values, depth=9).rows_QK).mean()
    assert found.mean_after == pytest.approx(measured)


def test_two_fields_that_both_help_both_get_weights():
    # Of rows 1, 2, 3 the last is right: only both fields together lift it over row 0.
    values = {"a": np.array([0.0, 1, 0, 1]), "b": np.array([0.0, 0, 1, 1])}
    ranked = run(*[{0: 1.0, 1: 0.99, 2: 0.98, 3: 0.6, 4: 0.0}] * 3)
    values = {name: np.append(each, 0.0) for name, each in values.items()}
    found = fit_boosts(ranked, values=values, depth=9, measure=first_hits([3] * 3))
    assert {boost.field for boost in found.boosts} == {"a", "b"}
    assert found.mean_after == 1.0


def test_of_equal_means_the_smaller_weight_counts_and_a_small_gain_counts_for_nothing():
    values = {"x": np.array([0.0, 1.0, 0.0])}
    ranked = run(*[{0: 1.0, 1: 0.98, 2: 0.0}] * 2)
    found = fit_boosts(ranked, values=values, depth=9, measure=first_hits([1, 1]))
    assert [boost.weight for boost in found.boosts] == [0.05]  # 0.1, 0.2 and 0.4 do the same
    assert fit_boosts(ranked, values=values, depth=9, measure=first_hits([1, 1]), min_gain=0.5).boosts == ()
    assert fit_boosts(ranked, values=values, depth=9, measure=first_hits([0, 0])).boosts == ()
    assert fit_boosts(ranked, values=values, depth=9, measure=first_hits([1, 1]), grid=[0.0]).boosts == ()
    nothing = fit_boosts(ranked, values={}, depth=9, measure=first_hits([1, 1]))
    assert (nothing.boosts, nothing.mean_before, nothing.mean_after) == ((), 0.5, 0.5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_fitting_never_ends_below_where_it_began(seed):
    rng = np.random.default_rng(seed)
    values = {name: rng.random(6) for name in ("a", "b")}
    ranked = run(*[dict(enumerate(rng.random(6))) for _ in range(5)])
    found = fit_boosts(ranked, values=values, depth=9, measure=first_hits(rng.integers(0, 6, 5)))
    assert found.mean_after >= found.mean_before
    assert (found.mean_after > found.mean_before) == bool(found.boosts)


@pytest.mark.parametrize("grid", [[-0.1], [float("nan")], [float("inf")]])
def test_a_grid_of_nonsense_is_refused(grid):
    with pytest.raises(InputError, match="the grid of weights"):
        fit_boosts(run({0: 1.0}), values={}, depth=9, measure=len, grid=grid)
