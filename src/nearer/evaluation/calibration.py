"""Judgments of models and of clicks held against people's, and what systems are worth by either and by both."""

from collections.abc import Mapping, Sequence

import numpy as np

from nearer.core.judging import blend
from nearer.core.records import TRUSTED, Judgment, JudgmentSource
from nearer.core.results.llm import Calibration, CorrectedMetric
from nearer.core.results.measuring import Interval
from nearer.core.results.signals import JudgeAgreement
from nearer.evaluation.pooling import Rankings
from nearer.measure.agreement import agreement
from nearer.measure.metrics import Measure, evaluate_run
from nearer.measure.prediction_powered import LEAST_LABELLED, prediction_powered_mean
from nearer.measure.raters import against_others
from nearer.measure.significance import mean_intervals
from nearer.signals.grading_tasks import ORDERS, Pair

_NDCG = Measure.parse("nDCG@10")
POOR_KAPPA = 0.4
"""Below this weighted kappa with people a model's grades are not to be trained on.

Source: Landis and Koch, The Measurement of Observer Agreement for Categorical Data (1977): above 0.40 is moderate.
"""


def calibrate(
    grade_of: Mapping[Pair, int],
    human: Mapping[Pair, int],
    *,
    answers: Mapping[Pair, Mapping[str, Sequence[int]]],
    max_grade: int,
) -> Calibration:
    """How far the grades of a model agree with those of people on the pairs that both judged.

    ``answers`` has those of each pair by the order in which it was asked, of ``ORDERS``; a grade of people above
    ``max_grade`` counts as that.
    """
    shared = sorted(grade_of.keys() & human.keys())
    confusion = [[0] * (max_grade + 1) for _ in range(max_grade + 1)]
    for pair in shared:
        confusion[min(human[pair], max_grade)][grade_of[pair]] += 1
    ratings_RU = np.array([[human[pair] for pair in shared], [grade_of[pair] for pair in shared]], np.float64)
    against = against_others(ratings_RU)[1] if shared else None
    both = [each for each in answers.values() if len(each) == len(ORDERS)]
    means = [[sum(each[order]) / len(each[order]) for order in ORDERS] for each in both]
    return Calibration(
        num_pairs=len(shared),
        kappa=against.kappa if against else None,
        bias=against.bias if against else None,
        confusion=tuple(map(tuple, confusion)),
        order_agreement=sum(left == right for left, right in means) / len(means) if means else None,
    )


def trust_of(calibration: Calibration) -> str:
    """Whether people agree with the model: "calibrated", "poor", or "uncalibrated" where nobody knows."""
    if calibration.kappa is None:
        return "uncalibrated"
    return "poor" if calibration.kappa.value < POOR_KAPPA else "calibrated"


def agreements(said: Sequence[Judgment]) -> tuple[JudgeAgreement, ...]:
    """How far each source that is no person agrees with people and files on what both judged."""
    trusted = {(each.query_id, each.doc_id): each.grade for each in blend(said, TRUSTED)}
    others: tuple[JudgmentSource, ...] = ("llm", "clicks")
    rows = []
    for source in others:
        shared = [each for each in blend(said, [source]) if (each.query_id, each.doc_id) in trusted]
        if any(each.source == source for each in said):
            found = agreement([trusted[j.query_id, j.doc_id] for j in shared], [j.grade for j in shared])
            rows.append(
                JudgeAgreement(
                    source=source,
                    num_pairs=found.num_pairs,
                    kendall_tau=found.kendall_tau,
                    weighted_kappa=found.weighted_kappa,
                    mean_bias=found.mean_bias,
                )
            )
    return tuple(rows)


def corrected_metrics(
    rankings: Rankings, grade_of: Mapping[Pair, int], human: Mapping[Pair, int]
) -> list[CorrectedMetric]:
    """Each system's nDCG@10 over queries by people, by the model, and by both."""
    found = []
    for system, its in rankings.items():
        by_model, by_people = _values(its, grade_of), _values(its, human)
        both = sorted(by_model.keys() & by_people.keys())
        others = sorted(by_model.keys() - by_people.keys())
        powered = None
        if len(both) >= LEAST_LABELLED and others:
            powered = prediction_powered_mean(
                [by_people[q] for q in both], [by_model[q] for q in both], [by_model[q] for q in others]
            )
        found.append(
            CorrectedMetric(
                system=system,
                num_queries=len(by_model),
                num_human=len(both),
                human=_interval(list(by_people.values())),
                model=_interval(list(by_model.values())),
                corrected=powered.interval if powered else None,
                weight_of_model=powered.weight if powered else None,
            )
        )
    return found


def _values(rankings: Mapping[str, Sequence[str]], grade_of: Mapping[Pair, int]) -> dict[str, float]:
    """nDCG@10 of each query that has a judgment; 0 where none is above 0."""
    qrels: dict[str, dict[str, int]] = {}
    for (query_id, doc_id), grade in grade_of.items():
        if query_id in rankings:
            qrels.setdefault(query_id, {})[doc_id] = grade
    run = {q: {doc_id: 1.0 / rank for rank, doc_id in enumerate(rankings[q], start=1)} for q in qrels}
    return evaluate_run(run, qrels, [_NDCG])[_NDCG] if qrels else {}


def _interval(values: Sequence[float]) -> Interval | None:
    return mean_intervals([[value] for value in values], num_resamples=2000)[0] if values else None
