import numpy as np
import pytest
from scipy import stats

from nearer.core.errors import InputError
from nearer.measure.power import Spread, detectable, num_queries_needed, spreads
from nearer.measure.significance import compare_all


def spread_of(values, **options):
    [spread] = spreads(np.asarray(values, dtype=np.float64)[:, None], **options)
    return spread


def share_found(draw, *, difference, groups=None, times=400):
    """How often a paired test at 0.05 shows a true difference in the queries that ``draw`` makes."""
    found = 0
    for seed in range(times):
        values = draw(seed) + difference
        [comparison] = compare_all(
            np.zeros((len(values), 1)), values[:, None], metrics=["m"], groups_Q=groups, num_resamples=400, seed=seed
        )
        found += comparison.p_value <= 0.05
    return found / times


def skewed(seed, number):
    """Differences as nDCG has them: mostly none, some large; their mean is 0 and their deviation about 0.19."""
    rng = np.random.default_rng(seed)
    return rng.choice([0.0, 0.37, -0.37, 0.63, -0.63], p=[0.8, 0.07, 0.07, 0.03, 0.03], size=number)


@pytest.mark.parametrize("number", [10, 25, 100, 2000])
@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.05, 0.9), (0.1, 0.8)])
def test_the_power_of_a_t_test_at_the_detectable_difference_is_the_one_asked_for(number, alpha, power):
    spread = Spread(standard_error=0.2 / number**0.5, num_queries=number, num_units=number)
    difference = detectable(spread, alpha=alpha, power=power)
    freedom, shift = number - 1, difference / spread.standard_error
    beyond = stats.t.ppf(1 - alpha / 2, freedom)
    found = stats.nct.sf(beyond, freedom, shift) + stats.nct.cdf(-beyond, freedom, shift)
    assert found == pytest.approx(power, abs=0.01)


@pytest.mark.parametrize("number", [12, 60])
def test_a_difference_that_is_detectable_shows_about_8_times_in_10(number):
    def normal(seed):
        return np.random.default_rng(seed).normal(0, 0.2, number)

    spread = Spread(standard_error=0.2 / number**0.5, num_queries=number, num_units=number)
    assert share_found(normal, difference=detectable(spread)) == pytest.approx(0.8, abs=0.06)
    assert share_found(normal, difference=detectable(spread) / 2) < 0.4


def test_so_it_is_with_differences_that_are_mostly_none():
    spread = spread_of(skewed(0, 100_000))
    of_120 = Spread(
        standard_error=spread.standard_error * (100_000 / 120) ** 0.5,
        num_queries=120,
        num_units=120,
    )
    assert share_found(lambda seed: skewed(seed, 120), difference=detectable(of_120)) == pytest.approx(0.8, abs=0.06)


def grouped(seed, groups):
    """Differences of queries of which those of a group are much alike; groups of 1 to 7 queries."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, groups.max() + 1)[groups] + rng.normal(0, 0.05, len(groups))


GROUPS = np.repeat(np.arange(40), np.arange(40) % 7 + 1)


def test_whole_groups_are_what_varies():
    errors = [spread_of(grouped(seed, GROUPS), groups_Q=GROUPS).standard_error for seed in range(300)]
    means = [grouped(seed, GROUPS).mean() for seed in range(2000)]
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.07)
    apart = spread_of(grouped(0, GROUPS))
    assert apart.standard_error < 0.7 * np.mean(errors), "queries taken as alone promise too much"
    spread = Spread(standard_error=float(np.std(means)), num_queries=len(GROUPS), num_units=40)
    power = share_found(lambda seed: grouped(seed, GROUPS), difference=detectable(spread), groups=GROUPS)
    assert power == pytest.approx(0.8, abs=0.07)


def test_as_many_queries_as_are_needed_give_the_interval_asked_for():
    needed = num_queries_needed(spread_of(skewed(0, 300)), half_width=0.02)
    assert needed > 300
    [comparison] = compare_all(np.zeros((needed, 1)), skewed(1, needed)[:, None], metrics=["m"])
    assert (comparison.high - comparison.low) / 2 == pytest.approx(0.02, rel=0.15)


def test_queries_needed_come_in_more_groups_of_the_same_size():
    values = grouped(0, GROUPS)
    needed = num_queries_needed(spread_of(values, groups_Q=GROUPS), half_width=0.005)
    times = round(needed / len(GROUPS))
    more = np.concatenate([GROUPS + 40 * each for each in range(times)])
    spread = spread_of(np.tile(values, times), groups_Q=more)
    assert 1.96 * spread.standard_error == pytest.approx(0.005, rel=0.05)
    assert num_queries_needed(spread_of(values), half_width=0.005) < needed


def test_a_precision_that_is_reached_needs_no_more_than_an_interval_does():
    assert num_queries_needed(spread_of([0.50, 0.51] * 50), half_width=0.4) == 6
    assert num_queries_needed(spread_of([0.50, 0.51] * 50, groups_Q=np.arange(100) // 10), half_width=0.4) is None
    pairs = spread_of(np.arange(100) / 100, groups_Q=np.arange(100) // 10)
    assert num_queries_needed(pairs, half_width=0.9) == 60


@pytest.mark.parametrize(
    ("values", "options"),
    [([0.1, 0.9, 0.4, 0.3, 0.2], {}), ([0.7] * 50, {}), ([0.0] * 50, {}), (np.arange(50), {"groups_Q": [0] * 50})],
)
def test_what_cannot_be_told_is_not_told(values, options):
    spread = spread_of(values, **options)
    assert spread.standard_error is None
    assert detectable(spread) is None
    assert num_queries_needed(spread, half_width=0.02) is None


def test_other_labels_than_queries_are_refused():
    with pytest.raises(InputError, match="3 values have 2 groups"):
        spread_of([0.1, 0.2, 0.3], groups_Q=["a", "b"])
