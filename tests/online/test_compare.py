"""Effects of experiments, against what statsmodels, tea-tasting and the definitions say."""

import math

import numpy as np
import pytest
import tea_tasting
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

import nearer
from nearer.core.errors import InputError
from nearer.online.compare import compare, not_worse
from nearer.online.moments import Moments, winsorised

RNG = np.random.default_rng(7)
CONTROL, TREATMENT = RNG.gamma(2.0, 1.0, 900), RNG.gamma(2.0, 1.1, 1100)


def sums(values):
    return len(values), float(values.sum()), float((values**2).sum())


def effect_of(control=CONTROL, treatment=TREATMENT, **settings):
    return nearer.compare_means(control=sums(control), treatment=sums(treatment), **settings)


def test_the_fixed_horizon_is_welchs_test():
    found = effect_of()
    theirs = CompareMeans(DescrStatsW(TREATMENT), DescrStatsW(CONTROL))
    assert (found.low, found.high) == pytest.approx(theirs.tconfint_diff(usevar="unequal"), rel=1e-9)
    assert found.p_value == pytest.approx(theirs.ttest_ind(usevar="unequal")[1], rel=1e-6)
    assert found.effect == pytest.approx(TREATMENT.mean() - CONTROL.mean(), rel=1e-12)


def test_tea_tasting_says_the_same():
    import pandas as pd

    frame = pd.DataFrame(
        {"variant": [0] * len(CONTROL) + [1] * len(TREATMENT), "value": np.concatenate([CONTROL, TREATMENT])}
    )
    theirs = tea_tasting.Experiment(value=tea_tasting.Mean("value")).analyze(frame)["value"]
    found = effect_of()
    assert found.effect == pytest.approx(theirs.effect_size, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(
        (theirs.effect_size_ci_lower, theirs.effect_size_ci_upper), rel=1e-6
    )
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-6)
    relative = effect_of(relative=True)
    assert relative.effect == pytest.approx(theirs.rel_effect_size, rel=1e-9)
    # theirs is symmetric on the scale of logarithms, the delta method on the plain one: nearly alike
    assert relative.low == pytest.approx(theirs.rel_effect_size_ci_lower, abs=5e-3)
    assert relative.high == pytest.approx(theirs.rel_effect_size_ci_upper, abs=5e-3)


def test_ratios_by_user_agree_with_tea_tasting():
    import pandas as pd

    arms, rng = [], np.random.default_rng(3)
    for variant, rate in ((0, 0.2), (1, 0.25)):
        searches = rng.geometric(0.2, 800)
        arms.append((variant, searches, rng.binomial(searches, rate)))
    frame = pd.concat([pd.DataFrame({"variant": v, "searches": s, "clicks": c}) for v, s, c in arms])
    theirs = tea_tasting.Experiment(rate=tea_tasting.RatioOfMeans("clicks", "searches")).analyze(frame)["rate"]
    found = compare(*(Moments.of_ratio(clicks, searches, name="arm") for _, searches, clicks in arms))
    assert found.effect == pytest.approx(theirs.effect_size, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(
        (theirs.effect_size_ci_lower, theirs.effect_size_ci_upper), rel=1e-4
    )
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-2)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("sequential", [False, True])
def test_proportions_are_means_of_zeros_and_ones(relative, sequential):
    of = {"relative": relative, "sequential": sequential}
    found = nearer.compare_proportions(control=(500, 60), treatment=(520, 90), **of)
    assert found == nearer.compare_means(control=(500, 60, 60), treatment=(520, 90, 90), **of)


def test_the_variance_is_unbiased():
    found = nearer.compare_proportions(control=(10, 3), treatment=(10, 6))
    variance = (0.3 * 0.7 + 0.6 * 0.4) / 10 * 10 / 9
    half = (found.high - found.low) / 2
    assert half / math.sqrt(variance) == pytest.approx(2.1, abs=0.02)  # Student's quantile for some 18 degrees


def test_the_sequence_is_the_formula_and_its_p_value_the_level_that_just_excludes_nothing():
    settings = {"sequential": True, "tuning": 1000.0}
    found = effect_of(**settings)
    num, rho2 = 2000, (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 1000
    variance = CONTROL.var(ddof=1) / 900 + TREATMENT.var(ddof=1) / 1100
    wanted = math.sqrt(variance * num) * math.sqrt(
        2 * (num * rho2 + 1) / (num**2 * rho2) * math.log(math.sqrt(num * rho2 + 1) / 0.05)
    )
    assert (found.high - found.low) / 2 == pytest.approx(wanted, rel=1e-12)
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)
    plain = effect_of()
    assert found.low < plain.low < plain.high < found.high
    assert found.p_value > plain.p_value


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.09, 0.2, 3.0])
@pytest.mark.parametrize("relative", [False, True])
def test_interval_and_p_value_agree_at_any_effect(shift, relative):
    for sequential in (False, True):
        found = effect_of(CONTROL, CONTROL + shift, relative=relative, sequential=sequential)
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)
        assert 0 <= found.p_value <= 1


def test_relative_effects_follow_the_delta_method():
    found = effect_of(relative=True)
    mean, other = CONTROL.mean(), TREATMENT.mean()
    variance = TREATMENT.var(ddof=1) / 1100 / mean**2 + CONTROL.var(ddof=1) / 900 * other**2 / mean**4
    assert found.effect == pytest.approx(other / mean - 1)
    assert (found.high - found.low) / 2 == pytest.approx(1.9612 * math.sqrt(variance), rel=1e-3)


@pytest.mark.parametrize(
    ("control", "treatment", "settings", "why"),
    [
        ((1, 1.0, 1.0), (10, 5.0, 5.0), {}, "control has 1 units"),
        ((10, 5.0, 5.0), (0, 0.0, 0.0), {}, "treatment has 0 units"),
        ((10, 5.0, 1.0), (10, 5.0, 5.0), {}, "needs at least"),
        ((10, float("nan"), 1.0), (10, 5.0, 5.0), {}, "the sum of control is nan, which is no finite number"),
        ((float("nan"), 5.0, 5.0), (10, 5.0, 5.0), {}, "the number of units of control is nan"),
        ((10, "5", 5.0), (10, 5.0, 5.0), {}, "the sum of control is '5'"),
        ((10, 5.0, 10**400), (10, 5.0, 5.0), {}, "the sum of squares of control is above 1e100"),
        ((100, 1e-5, 0.0), (10, 5.0, 5.0), {}, "needs at least 1e-12"),
        ((10, 0.0, 4.0), (10, 5.0, 5.0), {"relative": True}, "control's mean is 0"),
        ((10, 10.0, 10.0), (10, 0.0, 0.0), {}, "neither arm vary"),
        ((10, 5.0, 5.0), (10, 5.0, 5.0), {"confidence": 1.0}, "confidence"),
        ((10, 5.0, 5.0), (10, 5.0, 5.0), {"tuning": 0.0, "sequential": True}, "tuning"),
    ],
)
def test_what_cannot_be_compared_is_refused(control, treatment, settings, why):
    with pytest.raises(InputError, match=why):
        nearer.compare_means(control, treatment, **settings)


@pytest.mark.parametrize("successes", [11, -1, 2.5])
def test_successes_that_are_no_count_of_units_are_refused(successes):
    with pytest.raises(InputError, match=f"{successes} successes of 10 units"):
        nearer.compare_proportions((10, successes), (10, 1))


def test_nothing_in_either_arm_is_no_effect():
    found = nearer.compare_proportions((100, 0), (100, 0))
    assert (found.effect, found.low, found.high, found.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float32, np.float64])
def test_a_number_of_numpy_is_the_number(kind):
    plain = nearer.compare_proportions((100_000, 90_000), (100_000, 91_000))
    arms = [tuple(kind(each) for each in arm) for arm in ((100_000, 90_000), (100_000, 91_000))]
    assert nearer.compare_proportions(*arms) == plain
    assert plain.p_value == pytest.approx(2.411333e-14, rel=1e-5)


def test_sums_over_a_million_million_users_do_not_overflow():
    sums = (10**12, 10**13, 2 * 10**14), (10**12, 10**13 + 10**8, 2 * 10**14 + 10**8)
    found = nearer.compare_means(*(tuple(np.int64(each) for each in arm) for arm in sums))
    assert found.effect == pytest.approx(1e-4)
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * math.sqrt(200 / 1e12), rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"relative": True}, {"sequential": True}])
def test_values_that_are_all_one_number_do_not_vary_by_rounding(settings):
    values = [0.1] * 10
    by_hand, exact = (10, sum(values), sum(each * each for each in values)), (10, 1.0, 0.1)
    assert by_hand != exact
    found = nearer.compare_means(by_hand, exact, **settings)
    assert (found.effect, found.low, found.high, found.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("scale", [1e-90, 1e40])
def test_an_effect_has_no_scale(scale):
    found, plain = effect_of(CONTROL * scale, TREATMENT * scale), effect_of()
    assert (found.effect / scale, found.high / scale) == pytest.approx((plain.effect, plain.high), rel=1e-9)
    assert found.p_value == pytest.approx(plain.p_value, rel=1e-6)


def test_large_numbers_lose_no_variance():
    shifted = effect_of(CONTROL + 1e6, TREATMENT + 1e6)
    assert shifted.high - shifted.low == pytest.approx(effect_of().high - effect_of().low, rel=1e-2)


def test_a_guardrail_needs_proof():
    unsure = effect_of(CONTROL[:20], CONTROL[20:40])
    assert unsure.p_value > 0.05
    found = not_worse(unsure, margin=0.01)
    assert not found.is_safe
    assert not found.is_harmed
    assert not_worse(effect_of(), margin=0.01).is_safe
    slower = effect_of()  # latency: higher is worse
    assert not_worse(slower, margin=0.01, higher_is_better=False).is_harmed
    with pytest.raises(InputError, match="margin"):
        not_worse(slower, margin=-1)


def test_few_heavy_users_are_brought_down():
    values = np.concatenate([np.ones(99), [1000.0]])
    assert winsorised(values, share=0.01).max() < 12
    assert winsorised(values, share=0.0).max() == 1000
    with pytest.raises(InputError, match="share"):
        winsorised(values, share=0.5)
