"""The short answer to whether fine-tuning is worth it, from five numbers or from a measured learning curve."""

import math
from collections.abc import Mapping

from nearer.advice.expected_gain import HEURISTIC, expected_gain, read_curve
from nearer.advice.short_answer import Case, short_answer
from nearer.core.checked_numbers import number_up_to, whole_number
from nearer.core.results.advice import LearningCurve, ShortAnswer
from nearer.core.results.base import JSON


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
    case = Case(
        baseline=number_up_to(baseline_ndcg, "baseline_ndcg", most=1.0),
        target=number_up_to(target_ndcg, "target_ndcg", most=1.0),
        corpus_size=whole_number(corpus_size, "corpus_size", least=1),
        num_training_pairs=whole_number(num_training_pairs, "num_training_pairs", least=0),
        reindex_cost_hours=number_up_to(reindex_cost_hours, "reindex_cost_hours", most=math.inf),
    )
    curve = read_curve(learning_curve or {}, case.baseline)
    forecast = expected_gain(case.baseline, case.num_training_pairs, curve)
    recommendation, reasons = short_answer(case, forecast, curve.is_proven)
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
