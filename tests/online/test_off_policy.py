"""Estimates of another ranking, on synthetic logs whose answer is known."""

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.online.agreement import agreement
from nearer.online.off_policy import LoggedLists, estimate

RELEVANCE = np.array([0.2, 0.4, 0.6])
EXAMINED = np.array([1.0, 0.6, 0.3])
ORDERS = np.array([[0, 1, 2], [1, 0, 2], [0, 2, 1]])
CHANCES = np.array([0.6, 0.25, 0.15])


def logged(num, *, seed=0, chances=CHANCES):
    """Lists drawn from three orders with known chances; clicks by the position-based model."""
    rng = np.random.default_rng(seed)
    docs = ORDERS[rng.choice(3, size=num, p=chances)]
    propensities = np.array([[chances[ORDERS[:, rank] == doc].sum() for rank in range(3)] for doc in range(3)])
    rates = RELEVANCE[docs] * EXAMINED
    return LoggedLists(
        docs_IK=docs,
        propensities_IK=propensities[docs, np.arange(3)],
        clicks_IK=(rng.random(docs.shape) < rates).astype(float),
    )


def truth(order):
    return float((RELEVANCE[list(order)] * EXAMINED).sum())


def lists(order, num):
    return np.tile(np.array(order), (num, 1))


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (0, 1, 2)])
def test_all_three_find_the_value_of_another_order(order):
    found = estimate(logged(40_000), lists(order, 40_000))
    for name in ("ips", "snips", "doubly_robust"):
        assert getattr(found, name) == pytest.approx(truth(order), abs=0.02), name
        assert getattr(found, f"{name}_low") < truth(order) < getattr(found, f"{name}_high"), name
    assert 0 < found.effective_size <= 40_000


def test_intervals_cover_the_truth_as_often_as_they_say():
    order, num = (1, 0, 2), 600
    found = [estimate(logged(num, seed=seed), lists(order, num)) for seed in range(60)]
    for name in ("ips", "snips", "doubly_robust"):
        covered = [getattr(each, f"{name}_low") <= truth(order) <= getattr(each, f"{name}_high") for each in found]
        assert np.mean(covered) >= 0.85, name


def _badly_modelled(seed, order):
    wrong = np.full((2000, 3), 0.9)
    found = estimate(logged(2000, seed=seed), lists(order, 2000), model_IK=wrong, model_logged_IK=wrong)
    return found.doubly_robust


def test_a_good_model_narrows_the_doubly_robust_estimate_and_a_bad_one_does_not_bias_it():
    log, order = logged(20_000), (1, 0, 2)
    exact = RELEVANCE[lists(order, 20_000)] * EXAMINED
    own = RELEVANCE[log.docs_IK] * EXAMINED
    good = estimate(log, lists(order, 20_000), model_IK=exact, model_logged_IK=own)
    bad = [_badly_modelled(seed, order) for seed in range(30)]
    assert good.doubly_robust_high - good.doubly_robust_low < good.ips_high - good.ips_low
    assert np.mean(bad) == pytest.approx(truth(order), abs=3 * np.std(bad) / 30**0.5)


def test_what_was_never_shown_there_counts_by_the_model_alone():
    order = (2, 1, 0)  # 2 never stood first, 0 never third
    found = estimate(logged(20_000), lists(order, 20_000))
    assert found.share_matched < 1
    assert found.ips < truth(order)


def test_weights_are_clipped():
    log = logged(2000, chances=np.array([0.98, 0.01, 0.01]))
    wild = estimate(log, lists((1, 0, 2), 2000), clip=1e9)
    tame = estimate(log, lists((1, 0, 2), 2000))
    assert tame.ips_high - tame.ips_low < wild.ips_high - wild.ips_low
    assert tame.effective_size > wild.effective_size


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="shape"):
        estimate(logged(5), lists((0, 1), 5))
    with pytest.raises(InputError, match="shape"):
        estimate(logged(5), lists((0, 1, 2), 5), model_IK=[[0.5]])
    with pytest.raises(InputError, match="propensity"):
        LoggedLists(docs_IK=np.array([[1]]), propensities_IK=np.array([[0.0]]), clicks_IK=np.array([[0.0]]))


# Offline against online


def test_what_agrees_and_what_does_not():
    offline = np.linspace(-0.02, 0.05, 12)
    alike = agreement(offline, 3 * offline + 0.001)
    assert alike.tau == pytest.approx(1.0)
    assert alike.slope == pytest.approx(3.0)
    assert alike.may_decide
    assert agreement(offline, -offline).tau == pytest.approx(-1.0)
    noise = agreement(offline, np.random.default_rng(0).normal(size=12))
    assert noise.slope_low < 0 < noise.slope_high


def test_one_wild_experiment_turns_no_slope():
    offline = np.linspace(0.01, 0.1, 10)
    online = 2 * offline
    online[-1] = -5.0
    assert agreement(offline, online).slope == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("number", [0, 1, 2, 7])
def test_few_experiments_decide_nothing(number):
    found = agreement([0.01 * each for each in range(number)], [0.1 * each for each in range(number)])
    assert not found.may_decide
    assert found.num_experiments == number


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="offline"):
        agreement([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="finite"):
        agreement([float("nan")], [1.0])
