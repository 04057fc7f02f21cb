"""What fine-tuning is expected to reach: read from a learning curve, or from a rule of thumb where there is none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearer.core.checked_numbers import number_up_to, whole_number
from nearer.core.results.advice import ExpectedGain, LearningCurve
from nearer.core.results.base import JSON
from nearer.core.sections import AdviseRecipe

HEURISTIC = "heuristic"
HEURISTIC_SHARE = 0.25
"""Share of the room above the baseline that much training data wins. Our rule.

Measured on test: 0.38 with 2,765 pairs (nl2bash), 0.34 with 861 (medquad; 0.10 on unseen sources), 0.16 and 0.17 with
1,200 and 3,758 queries (the demos). Source: docs/results.md.
"""
HALF_OF_IT_PAIRS = 1000
"""Training pairs that win half of that share. Our rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The best nDCG@10 that was measured with up to so many pairs, what is forecast beyond, and remarks on that.

    ``is_proven`` says whether the gain is, where the curve has an interval of it.
    """

    measured: Mapping[int, float]
    beyond: Mapping[int, float]
    notes: tuple[str, ...] = ()
    is_proven: bool | None = None


def expected_gain(baseline: float, num_pairs: int, curve: Curve) -> ExpectedGain:
    """The curve at this number of pairs, between points by the logarithm of pairs; else the heuristic."""
    pairs, points, origin = num_pairs, curve.measured, "measured learning curve"
    if not points or pairs < min(points):
        won = HEURISTIC_SHARE * pairs / (pairs + HALF_OF_IT_PAIRS)
        return ExpectedGain(ndcg=baseline + won * (1 - baseline), origin=HEURISTIC)
    if curve.beyond and pairs > max(points):
        points, origin = _best_so_far({**curve.beyond, **points}), f"forecast from a {origin}"
    below = max(number for number in points if number <= pairs)
    above = min((number for number in points if number > pairs), default=below)
    share = 0.0 if above == below else math.log(pairs / below) / math.log(above / below)
    return ExpectedGain(ndcg=points[below] + share * (points[above] - points[below]), origin=origin)


def read_curve(given: Mapping[int, float] | LearningCurve | JSON, baseline: float) -> Curve:
    """The curve as numbers by number of pairs, or as ``nearer.learning_curve`` returns it, from the baseline on."""
    found: Any = given
    if "points" not in found:
        return Curve(measured=_best_so_far(found), beyond={})
    begin = next((each["value"] for each in found["points"] if not each["num_pairs"]), baseline)

    def values(points: Sequence[JSON]) -> dict[int, float]:
        return {each["num_pairs"]: min(1.0, max(0.0, each["value"] + (baseline - begin))) for each in points}

    measured = values([each for each in found["points"] if each["num_pairs"]])
    forecasts = values([found["forecast"], *found["more_pairs"]])
    return Curve(
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
    for pairs in sorted(whole_number(each, "a number of pairs in learning_curve", least=1) for each in curve):
        best = max(best, number_up_to(curve[pairs], f"learning_curve[{pairs}]", most=1.0))
        best_so_far[pairs] = best
    return best_so_far
