"""The short answer to whether fine-tuning is worth it, from five numbers or from a measured learning curve."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from nearer.advice.verdict import (
    COLLECT_DATA,
    FINE_TUNE,
    FINE_TUNE_AND_PIPELINE,
    FIX_DATA,
    LEAVE,
    SATURATED_BASE,
    Rules,
    broken,
    few_pairs,
    obstacle,
)
from nearer.core.errors import InputError
from nearer.core.results.advice import ExpectedGain, LearningCurve, ShortAnswer
from nearer.core.results.base import JSON
from nearer.core.sections import AdviseRecipe

SMALL_GAP = 0.02
"""What fusing with BM25 may close, without training.

Source: reciprocal rank fusion brought 0.695 to 0.707 on WANDS (laoujin Atlas), within 0.02 of it elsewhere.
"""
RERANK_GAP = 0.05
"""What reranking may close. Source: Dai et al., Promptagator (2023), abstract: 5.0 points of nDCG@10 on average."""
LONG_REINDEX_HOURS = 24.0
"""A re-embedding longer than a day makes remedies that leave the index alone worth less gain. Our rule."""
MAX_LONG_REINDEX_HOURS = 168.0
"""A re-embedding longer than a week is taken as out of the question while something else may do. Our rule."""

HEURISTIC = "heuristic"
HEURISTIC_SHARE = 0.25
"""Share of the room above the baseline that much training data wins. Our rule.

Measured on test: 0.38 with 2,765 pairs (nl2bash), 0.34 with 861 (medquad; 0.10 on unseen sources), 0.16 and 0.17 with
1,200 and 3,758 queries (the demos). Source: docs/results.md.
"""
HALF_OF_IT_PAIRS = 1000
"""Training pairs that win half of that share. Our rule."""
ADAPTER_SHARE = 0.5
"""Share of fine-tuning's gain that an adapter on stored vectors keeps. Our rule, on the careful side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """The best nDCG@10 that was measured with up to so many pairs, what is forecast beyond, and remarks on that.

    ``is_proven`` says whether the gain is, where the curve has an interval of it.
    """

    measured: Mapping[int, float]
    beyond: Mapping[int, float]
    notes: tuple[str, ...] = ()
    is_proven: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    baseline: float
    target: float
    corpus_size: int
    num_training_pairs: int
    reindex_cost_hours: float

    @property
    def gap(self) -> float:
        return max(0.0, self.target - self.baseline)


def should_finetune(
    baseline_ndcg: float,
    target_ndcg: float,
    corpus_size: int,
    num_training_pairs: int,
    reindex_cost_hours: float,
    *,
    learning_curve: Mapping[int, float] | LearningCurve | JSON | None = None,
) -> ShortAnswer:
    """Which remedy to try first, out of five numbers.

    nDCG@10 is in [0, 1]. ``learning_curve`` is what ``nearer.learning_curve`` returned, or nDCG@10 measured after
    training, by number of pairs; it replaces the heuristic forecast from its smallest number of pairs on, and
    ``forecast`` says so in ``origin``. It is not extended beyond its largest number of pairs, measured or forecast,
    and what fewer pairs reached stands. Of what ``nearer.learning_curve`` returned the gains count, added to the
    baseline, since it has other queries and documents; fine-tuning is advised where ``nearer advise`` would: where the
    interval of the gain lies above 0.

    Raises InputError for numbers that are not finite, out of range, or not whole where things are counted.

    >>> should_finetune(0.55, 0.60, 200_000, 5_000, 2)["recommendation"]
    'fine_tune'
    >>> should_finetune(0.55, 0.60, 200_000, 300, 2)["recommendation"]
    'collect_data'
    """
    case = _Case(
        baseline=_share(baseline_ndcg, "baseline_ndcg"),
        target=_share(target_ndcg, "target_ndcg"),
        corpus_size=_count(corpus_size, "corpus_size", least=1),
        num_training_pairs=_count(num_training_pairs, "num_training_pairs", least=0),
        reindex_cost_hours=_number(reindex_cost_hours, "reindex_cost_hours", most=math.inf),
    )
    curve = _curve(learning_curve or {}, case.baseline)
    forecast = _forecast(case, curve)
    recommendation, reasons = _decide(case, forecast, curve.is_proven)
    if forecast.origin != HEURISTIC:
        reasons += curve.notes
    return ShortAnswer(
        recommendation=recommendation,
        baseline=case.baseline,
        target=case.target,
        gap=case.gap,
        forecast=forecast,
        reasons=tuple(reasons),
    )


def _decide(case: _Case, forecast: ExpectedGain, is_proven: bool | None) -> tuple[str, list[str]]:
    if case.target <= case.baseline:
        return LEAVE, [f"The baseline of {case.baseline:.3f} meets the target of {case.target:.3f} already."]
    short = [f"The baseline of {case.baseline:.3f} is {case.gap:.3f} short of the target of {case.target:.3f}."]
    is_measured = forecast.origin != HEURISTIC
    reaches = forecast.ndcg >= case.target if is_proven is None else is_proven
    rules = Rules.of(AdviseRecipe())
    first = None if is_measured and reaches else obstacle(case.baseline, case.num_training_pairs, rules)
    if first is None and is_measured and is_proven is False:
        why = f"No gain of fine-tuning is proven: {forecast.ndcg:.3f} is expected ({forecast.origin})."
        return LEAVE, [*short, why]
    if first is None:
        return _fine_tune(case, forecast, short)
    if first == FIX_DATA:
        return first, [*short, broken()]
    if first == LEAVE:
        why = f"At {SATURATED_BASE:g} and above, what is missing is mostly disagreement about the judgments."
        return first, [*short, why]
    few = few_pairs(case.num_training_pairs, rules)
    if case.gap <= SMALL_GAP:
        why = f"A gap of at most {SMALL_GAP} is in reach of fusing with BM25, which trains nothing."
        return "hybrid", [*short, few, why]
    return COLLECT_DATA, [*short, few]


def _fine_tune(case: _Case, forecast: ExpectedGain, short: list[str]) -> tuple[str, list[str]]:
    """Among the remedies that need pairs, the one that reaches the target with the least re-embedding."""
    hours = case.reindex_cost_hours
    cost = f"Fine-tuning re-embeds {case.corpus_size:,} documents, {hours:,.3g} hours."
    expected = f"Fine-tuning is expected to reach {forecast.ndcg:.3f} ({forecast.origin})."
    reasons = [*short, f"There are {case.num_training_pairs:,} training pairs.", expected, cost]
    adapted = case.baseline + ADAPTER_SHARE * (forecast.ndcg - case.baseline)
    if hours > LONG_REINDEX_HOURS and adapted >= case.target:
        why = f"An adapter re-embeds nothing and is expected to keep {ADAPTER_SHARE:.0%} of the gain (heuristic)."
        return "adapter", [*reasons, why]
    if hours > MAX_LONG_REINDEX_HOURS and case.gap <= RERANK_GAP:
        why = f"A gap of at most {RERANK_GAP} is in reach of reranking, which re-embeds nothing."
        return "rerank", [*reasons, why]
    if forecast.ndcg >= case.target:
        return FINE_TUNE, reasons
    why = "That is short of the target, so hybrid search, filters and reranking must close the rest."
    return FINE_TUNE_AND_PIPELINE, [*reasons, why]


def _forecast(case: _Case, curve: _Curve) -> ExpectedGain:
    """The curve at this number of pairs, between points by the logarithm of pairs; else the heuristic."""
    pairs, points, origin = case.num_training_pairs, curve.measured, "measured learning curve"
    if not points or pairs < min(points):
        won = HEURISTIC_SHARE * pairs / (pairs + HALF_OF_IT_PAIRS)
        return ExpectedGain(ndcg=case.baseline + won * (1 - case.baseline), origin=HEURISTIC)
    if curve.beyond and pairs > max(points):
        points, origin = _best_so_far({**curve.beyond, **points}), f"forecast from a {origin}"
    below = max(number for number in points if number <= pairs)
    above = min((number for number in points if number > pairs), default=below)
    share = 0.0 if above == below else math.log(pairs / below) / math.log(above / below)
    return ExpectedGain(ndcg=points[below] + share * (points[above] - points[below]), origin=origin)


def _curve(given: Mapping[int, float] | LearningCurve | JSON, baseline: float) -> _Curve:
    """The curve as numbers by number of pairs, or as ``nearer.learning_curve`` returns it, from the baseline on."""
    found: Any = given
    if "points" not in found:
        return _Curve(measured=_best_so_far(found), beyond={})
    begin = next((each["value"] for each in found["points"] if not each["num_pairs"]), baseline)

    def values(points: Sequence[JSON]) -> dict[int, float]:
        return {each["num_pairs"]: min(1.0, max(0.0, each["value"] + (baseline - begin))) for each in points}

    measured = values([each for each in found["points"] if each["num_pairs"]])
    forecasts = values([found["forecast"], *found["more_pairs"]])
    return _Curve(
        measured=_best_so_far(measured),
        beyond={pairs: value for pairs, value in forecasts.items() if pairs > max(measured)},
        notes=tuple(found["notes"]),
        is_proven=_is_proven(found["forecast"]),
    )


def _is_proven(forecast: JSON) -> bool | None:
    """Whether a gain that is worth it is proven, as advice has it; None where there is no interval."""
    if "is_proven" not in forecast:
        return None
    return bool(forecast["is_proven"]) and forecast["gain"]["value"] > AdviseRecipe().tolerance


def _best_so_far(curve: Mapping[int, float]) -> dict[int, float]:
    """The best with up to so many pairs: with more one may always train on fewer."""
    best_so_far: dict[int, float] = {}
    best = 0.0
    for pairs in sorted(_count(each, "a number of pairs in learning_curve", least=1) for each in curve):
        best = max(best, _share(curve[pairs], f"learning_curve[{pairs}]"))
        best_so_far[pairs] = best
    return best_so_far


def _share(value: object, name: str) -> float:
    return _number(value, name, most=1.0)


def _count(value: object, name: str, *, least: int) -> int:
    number = _number(value, name, most=math.inf)
    if number != int(number) or number < least:
        raise InputError(f"{name} is {value!r}", hint=f"give a whole number from {least}")
    return int(number)


def _number(value: object, name: str, *, most: float) -> float:
    hint = f"give a number from 0 to {most:g}" if math.isfinite(most) else "give a finite number from 0"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name} is {value!r}, not a number", hint=hint)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and 0 <= number <= most):
        raise InputError(f"{name} is {value!r}", hint=hint)
    return number
