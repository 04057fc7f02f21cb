"""Treatment against control: effects with intervals, at a fixed time or at any.

The sequential interval is an asymptotic confidence sequence of the DIFFERENCE of the arms: it covers the true effect at
all times at once, so an experiment may be looked at daily and stopped at any look.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence
sequences (arXiv 2103.06476), theorem 2.2; the p-value is the level at which its interval would just reach 0.
"""

from math import exp, isfinite, log, sqrt
from typing import NamedTuple

from scipy.stats import t as student

from nearer.core.errors import InputError
from nearer.core.results.online import Effect, Guardrail
from nearer.online.moments import Moments, exact

TUNING = 5000.0
"""Units in all at which a confidence sequence is about narrowest. Source: GrowthBook's default."""
CONFIDENCE = 0.95
_ROUNDING = 1e-12
"""Means that differ by a smaller share were rounded, where no value varies."""


class _Estimate(NamedTuple):
    """An effect, its variance, and the degrees of freedom of that (Satterthwaite)."""

    effect: float
    variance: float
    freedom: float
    num: int


def compare_means(
    control: tuple[int, float, float],
    treatment: tuple[int, float, float],
    *,
    relative: bool = False,
    sequential: bool = False,
    tuning: float = TUNING,
    confidence: float = CONFIDENCE,
) -> Effect:
    """The difference of the means of two arms, each given as (units, sum of values, sum of squared values).

    At a fixed time it is Welch's test. ``relative`` divides by control's mean, with the variance of the delta method.
    ``sequential`` makes interval and p-value valid at every look; they are narrowest near ``tuning`` units in all.

    Raises InputError for fewer than 2 units an arm, what is no finite number, sums that cannot be, a relative effect
    over a mean of 0, values that vary in neither arm though the means differ, and settings out of range.

    Source: Welch (Biometrika 34, 1947); relative: Deng, Knoblich and Lu (KDD 2018), section 2; sequential: this module.

    >>> found = compare_means((100, 50.0, 50.0), (100, 65.0, 65.0))
    >>> round(found.effect, 3), round(found.low, 3), round(found.high, 3), round(found.p_value, 3)
    (0.15, 0.013, 0.287, 0.032)
    """
    arms = Moments.of_sums(*control, name="control"), Moments.of_sums(*treatment, name="treatment")
    return compare(*arms, relative=relative, sequential=sequential, tuning=tuning, confidence=confidence)


def compare_proportions(
    control: tuple[int, float],
    treatment: tuple[int, float],
    *,
    relative: bool = False,
    sequential: bool = False,
    tuning: float = TUNING,
    confidence: float = CONFIDENCE,
) -> Effect:
    """The difference of two shares of units that succeeded, each arm given as (units, successes).

    It is ``compare_means`` over values of 0 and 1. Raises InputError as that does, and for successes out of range.

    >>> round(compare_proportions((1000, 100), (1000, 130), relative=True).effect, 4)
    0.3
    """
    arms = (
        Moments.of_successes(*control, name="control"),
        Moments.of_successes(*treatment, name="treatment"),
    )
    return compare(*arms, relative=relative, sequential=sequential, tuning=tuning, confidence=confidence)


def compare(
    control: Moments,
    treatment: Moments,
    *,
    relative: bool = False,
    sequential: bool = False,
    tuning: float = TUNING,
    confidence: float = CONFIDENCE,
) -> Effect:
    """The same for moments that are there already: of ratios, or after an adjustment. Raises InputError as above."""
    if not 0 < exact(confidence, "the confidence") < 1:
        raise InputError(f"a confidence of {confidence} is not between 0 and 1", hint="for example 0.95")
    if not exact(tuning, "tuning") > 0:
        raise InputError(f"tuning = {tuning} is not a number of units", hint="for example 5000")
    estimate = _estimate(control, treatment, relative=relative)
    if estimate.variance == 0:
        scale = 1.0 if relative else max(abs(control.mean), abs(treatment.mean))
        return _without_spread(estimate, scale=scale)
    if sequential:
        return _at_any_time(estimate, tuning=tuning, alpha=1 - confidence)
    return _at_a_fixed_time(estimate, alpha=1 - confidence)


def not_worse(effect: Effect, *, margin: float, higher_is_better: bool = True) -> Guardrail:
    """Whether an effect is proven to be no worse than minus ``margin`` (non-inferiority).

    The interval of ``effect`` decides: at 95 % the one-sided level is 2.5 %. Raises InputError for a margin below 0.

    Source: Piaggio et al., Reporting of Noninferiority and Equivalence Randomized Trials (JAMA 308, 2012).
    """
    if not margin >= 0:
        raise InputError(f"a margin of {margin} is below 0", hint="give what may be lost, for example 0.01")
    worst, best = (effect.low, effect.high) if higher_is_better else (-effect.high, -effect.low)
    return Guardrail(effect=effect, margin=margin, is_safe=worst > -margin, is_harmed=best < -margin)


def _estimate(control: Moments, treatment: Moments, *, relative: bool) -> _Estimate:
    own, other = treatment.variance / treatment.num, control.variance / control.num
    effect = treatment.mean - control.mean
    if relative:
        if control.mean == 0:
            raise InputError("control's mean is 0: no effect is a share of it", hint="ask for the absolute effect")
        effect /= control.mean
        weight = treatment.mean / control.mean / control.mean
        own = own / control.mean / control.mean
        other *= weight * weight
    variance = own + other
    if not isfinite(variance):
        raise InputError(
            f"control's mean is {control.mean:g}: no effect is a share of it", hint="ask for the absolute effect"
        )
    share = own / variance if variance else 1.0
    freedom = 1 / (share * share / (treatment.num - 1) + (1 - share) * (1 - share) / (control.num - 1))
    return _Estimate(effect, variance, freedom, control.num + treatment.num)


def _without_spread(estimate: _Estimate, *, scale: float) -> Effect:
    """Values that do not vary are alike or not; means that differ by rounding alone are alike."""
    if abs(estimate.effect) > _ROUNDING * scale:
        raise InputError(
            "the values of neither arm vary, so nothing says how sure the difference is",
            hint="wait for more units, until the values of an arm differ",
        )
    return Effect(effect=0.0, low=0.0, high=0.0, p_value=1.0)


def _at_a_fixed_time(estimate: _Estimate, *, alpha: float) -> Effect:
    error = sqrt(estimate.variance)
    half = float(student.isf(alpha / 2, estimate.freedom)) * error
    p_value = 2 * float(student.sf(abs(estimate.effect) / error, estimate.freedom))
    return Effect(effect=estimate.effect, low=estimate.effect - half, high=estimate.effect + half, p_value=p_value)


def _at_any_time(estimate: _Estimate, *, tuning: float, alpha: float) -> Effect:
    """With N units in all, the variance of one is N times that of the effect."""
    rho = _rho(tuning, alpha)
    grown = estimate.num * rho**2 + 1
    half = sqrt(estimate.variance * estimate.num) * sqrt(
        2 * grown * log(sqrt(grown) / alpha) / (estimate.num * rho) ** 2
    )
    errors = estimate.effect / sqrt(estimate.variance)
    evidence = errors * errors * (grown - 1) / (2 * grown) - log(grown) / 2
    p_value = min(1.0, exp(-evidence)) if evidence < 700 else 0.0
    return Effect(effect=estimate.effect, low=estimate.effect - half, high=estimate.effect + half, p_value=p_value)


def _rho(tuning: float, alpha: float) -> float:
    """The parameter whose sequence is about narrowest at ``tuning`` units. Source: the same, appendix B."""
    return sqrt((-2 * log(alpha) + log(-2 * log(alpha) + 1)) / tuning)
