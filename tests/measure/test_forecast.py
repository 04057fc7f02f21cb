import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.core.results.advice import CurveForecast
from nearer.core.results.measuring import Interval
from nearer.measure.forecast import EXPONENT, SHAPES, forecast, remarks

PAIRS = (150, 300, 600)
ROUNDING = 1e-12


def curve(pairs, *, base=0.5, reach=0.3, bend=600):
    return base + reach * (1 - (1 + pairs / bend) ** -EXPONENT)


def flat_queries(values, number=20):
    """Every query has the mean itself, so that only trainings can differ."""
    return [[value] * number for value in values]


def one(base, trained, *, pairs=PAIRS, wanted=2400, **options):
    [found] = forecast(base, trained, pairs_T=pairs, wanted_F=[wanted], num_resamples=200, **options)
    return found


def in_order(found):
    """But for rounding: where queries are all alike, an interval is a point, and matrix products differ by machine."""
    ends = (found.low, found.value, found.high), (found.gain.low, found.gain.value, found.gain.high)
    return all(low <= value + ROUNDING and value <= high + ROUNDING for low, value, high in ends)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reach", [0.3, 0.02, -0.2])
def test_a_curve_of_the_family_is_continued_exactly(shape, reach):
    values = [curve(pairs, reach=reach, bend=600 * shape) for pairs in PAIRS]
    found = one([0.5] * 20, flat_queries(values))
    assert found.value == pytest.approx(curve(2400, reach=reach, bend=600 * shape))
    assert found.gain.value == pytest.approx(found.value - 0.5)
    assert found.is_proven == (found.gain.low > 0)
    assert in_order(found)


def oracle(base, means, pairs, wanted):
    """The best of a fine grid of slopes, for every shape."""
    best, slopes = (math.inf, 0.0), np.linspace(-1, 1, 20_001)
    for shape in SHAPES:
        fitted = [slopes * (1 - (1 + n / (shape * max(pairs))) ** -0.5) for n in pairs]
        errors = sum((mean - base - gains) ** 2 for mean, gains in zip(means, fitted, strict=True))
        at = int(np.argmin(errors))
        best = min(best, (errors[at], slopes[at] * (1 - (1 + wanted / (shape * max(pairs))) ** -0.5)))
    return base + best[1]


@pytest.mark.parametrize("means", [(0.52, 0.55, 0.56), (0.56, 0.52, 0.57), (0.5, 0.49, 0.53)])
def test_equals_a_search_over_slopes_and_shapes(means):
    found = one([0.5] * 20, flat_queries(means))
    assert found.value == pytest.approx(oracle(0.5, means, PAIRS, 2400), abs=2e-4)


def noisy(rng, *, reach, training_sd, num_queries=150):
    """Queries of different difficulty, and a training that differs from the curve by chance."""
    level_Q = rng.uniform(0.2, 0.8, num_queries)
    won = [reach * (1 - (1 + n / 600) ** -EXPONENT) + training_sd * rng.standard_normal() for n in (0, *PAIRS)]
    won[0] = 0.0
    trained = [(level_Q + gain + rng.normal(0, 0.1, num_queries)).clip(0, 1) for gain in won]
    return trained[0], trained[1:]


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Of trainings that differ by 0.005 in the mean over seeds, which the interval sees only in how they lie."""
    rng = np.random.default_rng(0)
    truth, held = 0.2 * (1 - (1 + 2400 / 600) ** -EXPONENT), 0
    for seed in range(120):
        base, trained = noisy(rng, reach=0.2, training_sd=0.005)
        held += (lambda gain: gain.low <= truth <= gain.high)(one(base, trained, seed=seed).gain)
    assert held / 120 >= 0.9


def test_without_an_effect_a_gain_is_hardly_ever_proven():
    rng = np.random.default_rng(1)
    proven = sum(one(*noisy(rng, reach=0.0, training_sd=0.003), seed=seed).is_proven for seed in range(120))
    assert proven / 120 <= 0.05


def test_a_large_effect_is_proven():
    rng = np.random.default_rng(2)
    assert all(one(*noisy(rng, reach=0.3, training_sd=0.005), seed=seed).is_proven for seed in range(20))


MEANS = st.lists(st.floats(0, 1), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1), MEANS, st.integers(0, 99), st.data())
def test_whatever_was_measured_forecasts_are_means(base, means, seed, data):
    pairs = data.draw(st.lists(st.integers(1, 5000), min_size=len(means), max_size=len(means)))
    rng = np.random.default_rng(seed)
    columns = [np.clip(mean + rng.normal(0, 0.2, 12), 0, 1) for mean in (base, *means)]
    found = forecast(columns[0], columns[1:], pairs_T=pairs, wanted_F=[1, 600, 10**6], num_resamples=30, seed=seed)
    assert [each.num_pairs for each in found] == [1, 600, 10**6]
    for each in found:
        assert 0 <= each.low <= each.high <= 1
        assert 0 <= each.value <= 1
        assert each.gain.value == pytest.approx(each.value - columns[0].mean())
        assert -1 <= each.gain.low <= each.gain.high <= 1
    steps = np.diff([columns[0].mean(), *(each.value for each in found)])
    assert (steps >= -1e-9).all() or (steps <= 1e-9).all(), "one direction, whatever the noise"


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(10)))
def test_the_order_of_trainings_and_queries_does_not_matter(trainings, queries):
    rng = np.random.default_rng(5)
    base, trained, pairs = rng.random(10), rng.random((4, 10)), np.array([100, 200, 200, 400])
    options = {"wanted_F": [800], "num_resamples": 20}
    [first] = forecast(base, trained, pairs_T=pairs.tolist(), **options)
    shuffled = trained[np.ix_(trainings, queries)]
    [other] = forecast(base[queries], shuffled, pairs_T=pairs[trainings].tolist(), **options)
    assert other.value == pytest.approx(first.value)


def test_the_same_seed_gives_the_same_interval():
    base, trained = noisy(np.random.default_rng(3), reach=0.1, training_sd=0.01)
    assert one(base, trained, seed=1) == one(base, trained, seed=1)
    assert one(base, trained, seed=1) != one(base, trained, seed=2)


def test_queries_of_a_group_tell_less_than_as_many_apart():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(10), 15)
    shift = rng.normal(0, 0.2, 10)[groups]
    base = rng.uniform(0.3, 0.5, 150)
    trained = [(base + gain * (1 + shift)).clip(0, 1) for gain in (0.05, 0.08, 0.1)]
    together = one(base, trained, groups_Q=groups.tolist()).gain
    apart = one(base, trained).gain
    assert together.high - together.low > apart.high - apart.low


def test_too_few_units_leave_everything_open():
    for options in ({}, {"groups_Q": ["a", "b", "c", "d", "e"]}):
        found = one([0.5] * 5, flat_queries([0.6, 0.7, 0.8], 5), **options)
        assert (found.low, found.high, found.gain.low, found.gain.high) == (0, 1, -1, 1)
        assert not found.is_proven


# Degenerate curves


def test_a_flat_curve_proves_nothing():
    found = one([0.5] * 20, flat_queries([0.5] * 3))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert not found.is_proven
    [said] = remarks(found, measured=[(n, 0.5) for n in PAIRS])
    assert said == "No gain is proven: the interval of the forecast's gain at 2,400 pairs holds 0."


def test_a_falling_curve_goes_on_falling_and_says_so():
    found = one([0.5] * 20, flat_queries([0.48, 0.46, 0.44]))
    assert found.value < 0.44
    said = remarks(found, measured=list(zip(PAIRS, [0.48, 0.46, 0.44], strict=True)))
    assert said[0] == "Training makes it worse: the whole interval of the forecast's gain at 2,400 pairs lies below 0."
    assert "is below the 0.480 measured at 150: the curve does not rise." in said[1]


def test_a_peak_in_the_middle_is_reported():
    found = one([0.5] * 20, flat_queries([0.52, 0.60, 0.53]), wanted=700)
    assert any("is below the 0.600 measured at 300" in each for each in remarks(found, measured=[(300, 0.6)]))


def test_one_training_leaves_the_shape_open():
    found = one([0.5] * 20, flat_queries([0.6]), pairs=[600])
    ends = [0.1 * (1 - 5**-0.5) / (1 - 2**-0.5), 0.1 * (1 - 2**-0.5) / (1 - 1.25**-0.5)]
    assert found.gain.value == pytest.approx(ends[0]), "the first shape"
    assert found.gain.low == pytest.approx(0.1 * (1 - 33**-0.5) / (1 - 9**-0.5))
    assert found.gain.high == pytest.approx(ends[1])
    assert remarks(found, measured=[(600, 0.6)]) == [
        "Only 600 pairs were tried, which tells nothing of the curve's shape."
    ]


def test_far_forecasts_are_called_far():
    gain = Interval(value=0.2, low=0.1, high=0.3)
    expected = CurveForecast(num_pairs=6000, value=0.7, low=0.6, high=0.8, gain=gain, is_proven=True)
    measured = [(300, 0.55), (600, 0.6)]
    assert remarks(expected, measured=measured) == ["The forecast reaches 10 times as far as was measured."]


@pytest.mark.parametrize(
    ("base", "trained", "options", "message"),
    [
        ([], [[]], {"pairs": [1]}, "no queries"),
        ([0.5], np.zeros((0, 1)), {"pairs": []}, "trainings on"),
        ([0.5], [[0.5]], {"pairs": [0]}, "trainings on"),
        ([0.5], [[0.5]], {"pairs": [5], "wanted": 0}, "trainings on"),
        ([0.5], [[0.5]], {"pairs": [5, 6]}, "values for 2 trainings"),
        ([0.5], [[0.5, 0.6]], {"pairs": [5]}, "values for 1 trainings and 1 queries"),
        ([0.5], [[0.5]], {"pairs": [5], "groups_Q": ["a", "b"]}, "each with its group"),
        ([0.5], [[math.nan]], {"pairs": [5]}, "not finite"),
    ],
)
def test_refuses(base, trained, options, message):
    with pytest.raises(InputError) as caught:
        one(base, trained, **options)
    assert message in f"{caught.value.message}; {caught.value.hint}"
