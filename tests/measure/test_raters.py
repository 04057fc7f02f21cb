"""Agreement of raters, against published worked examples and against raters whose errors are known."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from nearer.measure.raters import (
    against_others,
    agreement_by_grade,
    alpha_interval,
    dawid_skene,
    far_raters,
    krippendorff_alpha,
)

N = np.nan
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)
"""Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C."""


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_alpha_is_that_of_the_published_example(level, published):
    assert krippendorff_alpha(OBSERVERS, level=level) == pytest.approx(published, abs=5e-4)


def test_alpha_of_two_observers_is_that_of_the_published_examples():
    """The same, sections A and B."""
    binary = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], float)
    assert krippendorff_alpha(binary, level="nominal") == pytest.approx(0.095, abs=5e-4)
    nominal = np.array([["abcde".index(each) for each in row] for row in ("aabbdcccedda", "babbbccceddd")], float)
    assert krippendorff_alpha(nominal, level="nominal") == pytest.approx(0.692, abs=5e-4)


def test_alpha_where_it_is_not_defined():
    assert krippendorff_alpha(np.full((3, 4), N)) is None
    assert krippendorff_alpha(np.array([[1.0, N], [N, 2.0]])) is None, "nothing is rated twice"
    assert krippendorff_alpha(np.ones((2, 5))) is None, "nothing varies"
    assert alpha_interval(np.ones((2, 5))) is None
    assert krippendorff_alpha(np.array([[0.0, 1, 2], [0, 1, 2]])) == 1.0


def raters(rng, *, num_units=400, num_grades=5, errors=(0.1, 0.2, 0.9), missing=0.0):
    """Ratings by raters who guess so often, and the truth."""
    truth = rng.integers(num_grades, size=num_units)
    rows = [np.where(rng.random(num_units) < e, rng.integers(num_grades, size=num_units), truth) for e in errors]
    ratings = np.array(rows, float)
    ratings[rng.random(ratings.shape) < missing] = N
    return ratings, truth


def test_the_interval_of_alpha_covers_what_more_data_finds():
    rng = np.random.default_rng(0)
    large = krippendorff_alpha(raters(rng, num_units=20_000)[0])
    inside = [
        found.low <= large <= found.high
        for seed in range(60)
        if (found := alpha_interval(raters(rng, num_units=150)[0], num_resamples=300, seed=seed))
    ]
    assert len(inside) == 60
    assert np.mean(inside) > 0.86


def test_kappa_and_bias_are_those_of_two_raters():
    rng = np.random.default_rng(1)
    ratings, _ = raters(rng, errors=(0.2, 0.4))
    ratings[1] = np.clip(ratings[1] + (rng.random(400) < 0.5), 0, 4)
    first, second = against_others(ratings)
    expected = cohen_kappa_score(ratings[0].astype(int), ratings[1].astype(int), weights="quadratic")
    assert first.kappa.value == pytest.approx(expected)
    assert second.kappa.value == pytest.approx(expected)
    assert second.bias.value == pytest.approx((ratings[1] - ratings[0]).mean())
    assert first.bias.value == -second.bias.value
    assert second.bias.low < second.bias.value < second.bias.high
    assert far_raters([first, second]) == [False, False], "of two nobody can say who"


def test_a_rater_who_guesses_and_one_who_is_generous_are_named():
    rng = np.random.default_rng(2)
    ratings, _truth = raters(rng, errors=(0.05, 0.1, 0.1, 0.8), missing=0.3)
    assert far_raters(against_others(ratings)) == [False, False, False, True]
    generous, _ = raters(rng, errors=(0.1, 0.1, 0.1))
    generous = np.vstack([generous, np.clip(generous[0] + 1, 0, 4)])
    assert far_raters(against_others(generous))[3]
    alike, _ = raters(rng, errors=(0.1, 0.1, 0.1, 0.1))
    assert sum(far_raters(against_others(alike))) <= 1


def test_who_shares_nothing_is_compared_with_nobody():
    ratings = np.array([[0, 1, 2, N, N], [0, 1, 1, N, N], [N, N, N, 3, 4]], float)
    alone = against_others(ratings)[2]
    assert (alone.num_units, alone.kappa, alone.bias) == (0, None, None)


def test_dawid_and_skene_find_the_truth_better_than_the_vote_and_the_reliabilities():
    rng = np.random.default_rng(3)
    ratings, truth = raters(rng, num_units=1500, errors=(0.05, 0.5, 0.6, 0.9, 0.9), missing=0.2)
    grades = np.where(np.isnan(ratings), -1, ratings).astype(np.int64)
    found = dawid_skene(grades, num_grades=5)
    votes = (grades[:, :, None] == np.arange(5)).sum(axis=0).argmax(axis=1)
    rated = (grades >= 0).any(axis=0)
    right = (found.posterior_UG.argmax(axis=1) == truth)[rated].mean()
    assert right > (votes == truth)[rated].mean() + 0.05
    known = [cohen_kappa_score(row[row >= 0], truth[row >= 0], weights="quadratic") for row in grades]
    np.testing.assert_allclose(found.reliability_R, known, atol=0.1)
    np.testing.assert_allclose(found.posterior_UG.sum(axis=1), 1)
    np.testing.assert_allclose(found.confusion_RGG.sum(axis=2), 1)


def test_few_ratings_decide_nothing():
    found = dawid_skene(np.array([[4, -1], [0, 0], [0, -1]]), num_grades=5)
    assert found.posterior_UG[0].argmax() == 0
    assert np.isfinite(found.reliability_R).all()
    assert dawid_skene(np.zeros((2, 0), np.int64), num_grades=5).reliability_R.shape == (2,)


def test_agreement_by_grade():
    ratings = np.array([[0, 0, 4, 4], [0, 0, 4, 3]], float)
    found = agreement_by_grade(ratings)
    assert {grade: round(each.value, 3) for grade, each in found.items()} == {0: 1.0, 3: 0.0, 4: 0.667}
    assert found[4].low <= found[4].value <= found[4].high
