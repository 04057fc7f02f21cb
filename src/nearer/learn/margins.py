"""How far below its positive a candidate must score to be a negative.

Arrays: Q examples x K candidates.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from nearer.core.arrays import Bools, Floats64
from nearer.core.sections import MarginKind, MiningRecipe
from nearer.learn.candidates import Candidates, Sifted
from nearer.measure.significance import min_units

NO_MARGIN = -1.0

_STEPS = 10_000  # a margin that was chosen from scores is a whole number of these
_ROUNDING = 1e-6  # more than float32 loses of a cosine
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """A margin and, where it was chosen from scores, why.

    ``wanted`` is what would reject as many known positives as the recipe says, ``with_enough`` the largest that leaves
    enough candidates to enough examples; the smaller of the two is used.
    """

    value: float
    wanted: float | None = None
    with_enough: float | None = None


def below_margin(candidates: Candidates, margin: float, kind: MarginKind = "relative") -> Bools:
    """Which candidates score below (1 - margin) times their positive, or below it by more than an absolute margin.

    Scores are cosines; a positive below 0 would turn the relative bound around, so it counts as 0. Above -1 a negative
    margin lets candidates score above the positive by so much; -1 lets all pass.
    Source: NV-Retriever (arXiv 2407.15831), section 3.2, TopK-PercPos and TopK-MarginPos.
    """
    if margin <= NO_MARGIN:
        return np.ones(candidates.rows_QK.shape, dtype=np.bool_)
    if kind == "absolute":
        limit_Q = candidates.positive_scores_Q - np.float32(margin)
    else:
        limit_Q = np.maximum(candidates.positive_scores_Q, 0) * np.float32(1 - margin)
    return np.asarray(candidates.scores_QK < limit_Q[:, None])


def choose_margin(candidates: Candidates, sifted: Sifted, recipe: MiningRecipe, *, num_wanted: int) -> Margin:
    """The margin that the recipe asks for, from its list or from the scores."""
    if recipe.margin_from == "scores":
        return _from_scores(candidates, sifted, recipe, num_wanted=num_wanted)
    return Margin(value=_from_list(candidates, sifted.allowed_QK, recipe, num_wanted=num_wanted))


def _from_list(candidates: Candidates, allowed_QK: Bools, recipe: MiningRecipe, *, num_wanted: int) -> float:
    """The first (strictest) margin that leaves enough candidates to enough examples; the last one if none does.

    A fixed margin fails on dense collections: 0.05 rejects nearly all candidates where texts lie close together.
    """
    margin = NO_MARGIN
    for each in sorted(recipe.margins, reverse=True):
        margin = max(each, NO_MARGIN)
        kept_QK = allowed_QK & below_margin(candidates, margin, recipe.margin_kind)
        if len(kept_QK) and float((kept_QK.sum(axis=1) >= num_wanted).mean()) >= recipe.min_share:
            break
    return margin


def _from_scores(candidates: Candidates, sifted: Sifted, recipe: MiningRecipe, *, num_wanted: int) -> Margin:
    """As strict as known positives show to be needed, and no stricter than leaves enough candidates.

    The other known positives of a query are what unknown ones look like: a margin is wanted that would reject
    ``reject_positives`` of those that would be candidates, were they not known. Where too few queries have any, it is
    the strictest margin of the recipe's list.
    """
    gaps_QK = _gaps(candidates, recipe.margin_kind)
    wanted = max(recipe.margins, default=NO_MARGIN)
    hidden = np.sort(gaps_QK[sifted.hidden_QK])
    if len(np.unique(sifted.queries_Q[sifted.hidden_QK.any(axis=1)])) >= min_units(_CONFIDENCE):
        wanted = _ceil(float(hidden[ceil(recipe.reject_positives * len(hidden) - _ROUNDING) - 1]))
    with_enough = _floor(_strictest(np.where(sifted.allowed_QK, gaps_QK, -np.inf), recipe.min_share, num_wanted))
    return Margin(value=min(wanted, with_enough), wanted=wanted, with_enough=with_enough)


def _gaps(candidates: Candidates, kind: MarginKind) -> Floats64:
    """The margin below which each candidate is kept (float64, Q x K): how far it scores below its positive."""
    scores_QK = candidates.scores_QK.astype(np.float64)
    positive_Q1 = candidates.positive_scores_Q.astype(np.float64)[:, None]
    if kind == "absolute":
        return np.asarray(positive_Q1 - scores_QK)
    is_above_0_Q1 = positive_Q1 > 0
    shares_QK = 1 - scores_QK / np.where(is_above_0_Q1, positive_Q1, 1)
    return np.where(is_above_0_Q1, shares_QK, np.where(scores_QK < 0, np.inf, -np.inf))


def _strictest(gaps_QK: Floats64, min_share: float, num_wanted: int) -> float:
    """The gap that ``min_share`` of the lines reach with ``num_wanted`` candidates; -inf where it cannot be had."""
    if not len(gaps_QK) or gaps_QK.shape[1] < num_wanted:
        return -np.inf
    last_Q = np.sort(np.sort(gaps_QK, axis=1)[:, -num_wanted])
    return float(last_Q[len(last_Q) - ceil(min_share * len(last_Q) - _ROUNDING)])


def _floor(gap: float) -> float:
    """The largest step below a gap, within -1 to 1, so that a candidate of this gap is kept."""
    return floor((min(max(gap, NO_MARGIN), 1.0) - _ROUNDING) * _STEPS) / _STEPS if gap > NO_MARGIN else NO_MARGIN


def _ceil(gap: float) -> float:
    """The smallest step above a gap, within -1 to 1, so that a candidate of this gap is rejected."""
    return ceil((min(max(gap, NO_MARGIN), 1.0) + _ROUNDING) * _STEPS) / _STEPS
