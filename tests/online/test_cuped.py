"""CUPED takes out what the past explains, and says when it may not be believed."""

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.online.compare import compare
from nearer.online.cuped import adjust
from nearer.online.moments import Moments


def arms(rho, *, num=20_000, effect=0.0, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for arm in (0, 1):
        past = rng.standard_normal(num) + shift * arm
        now = rho * past + np.sqrt(1 - rho**2) * rng.standard_normal(num) + effect * arm
        found.append((now, past))
    return found


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.9])
def test_variance_falls_by_the_squared_correlation(rho):
    control, treatment = arms(rho)
    found = adjust(control, treatment)
    fallen = 1 - found.treatment.variance / treatment[0].var(ddof=1)
    assert fallen == pytest.approx(rho**2, abs=0.02)
    assert found.share_removed == pytest.approx(rho**2, abs=0.02)
    assert found.faults == ()


def test_the_effect_stays_and_is_surer():
    control, treatment = arms(0.8, effect=0.02, seed=5)
    found = adjust(control, treatment)
    after = compare(found.control, found.treatment)
    plain = compare(*(Moments.of_sums(len(a), a.sum(), (a**2).sum(), name="a") for a in (control[0], treatment[0])))
    assert after.low < 0.02 < after.high
    assert after.high - after.low == pytest.approx(0.6 * (plain.high - plain.low), rel=0.02)


def test_arms_that_differed_before_are_an_alarm():
    found = adjust(*arms(0.5, shift=0.1))
    assert "differed before" in found.faults[0]


def test_a_flipped_sign_is_an_alarm():
    rng = np.random.default_rng(1)
    past = rng.standard_normal(400)
    control = (past + 0.01 * rng.standard_normal(400), past)
    treatment = (past + 0.05 - 0.01, past + 0.05)
    found = adjust(control, treatment)
    assert any("flips the sign" in each for each in found.faults)


def test_without_a_past_nothing_changes():
    control, treatment = arms(0.5)
    found = adjust((control[0], np.zeros(20_000)), (treatment[0], np.zeros(20_000)))
    assert (found.theta, found.share_removed, found.faults) == (0, 0, ())
    assert found.control.mean == pytest.approx(control[0].mean())


@pytest.mark.parametrize(
    "broken", [(np.ones(3), np.ones(2)), (np.ones(1), np.ones(1)), (np.array([1, np.nan]), np.ones(2))]
)
def test_what_does_not_pair_up_is_refused(broken):
    with pytest.raises(InputError):
        adjust(broken, (np.ones(3), np.ones(3)))
