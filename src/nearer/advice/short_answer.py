"""The rules of the short answer: which remedy to try first, out of five numbers."""

from dataclasses import dataclass

from nearer.advice.expected_gain import HEURISTIC
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
from nearer.core.results.advice import ExpectedGain
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

ADAPTER_SHARE = 0.5
"""Share of fine-tuning's gain that an adapter on stored vectors keeps. Our rule, on the careful side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The five numbers: nDCG@10 now and wanted, documents, pairs, hours of a re-embedding."""

    baseline: float
    target: float
    corpus_size: int
    num_training_pairs: int
    reindex_cost_hours: float

    @property
    def gap(self) -> float:
        """How far the baseline is below the target."""
        return max(0.0, self.target - self.baseline)


def short_answer(case: Case, forecast: ExpectedGain, is_proven: bool | None) -> tuple[str, list[str]]:
    """The word and its reasons; ``is_proven`` says whether the forecast's gain is, where a curve has an interval."""
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


def _fine_tune(case: Case, forecast: ExpectedGain, short: list[str]) -> tuple[str, list[str]]:
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
