"""Prediction-powered means: coverage of nDCG's interval by simulation, and what a model is worth."""

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.measure.metrics import Measure, evaluate_run
from nearer.measure.prediction_powered import prediction_powered_mean
from nearer.measure.significance import mean_intervals

NDCG = Measure.parse("nDCG@10")


def ndcg_of_queries(rng, *, number, skill):
    """nDCG@10 of many queries by true grades, and by a model that sees them through noise; skill 0 guesses."""
    true, seen, run = {}, {}, {}
    for query in range(number):
        grades = rng.choice(5, p=[0.6, 0.15, 0.1, 0.1, 0.05], size=12)
        noisy = np.where(rng.random(12) < skill, grades, rng.integers(5, size=12))
        scores = grades + rng.normal(0, 2.5, size=12)
        true[str(query)] = {str(d): int(g) for d, g in enumerate(grades)}
        seen[str(query)] = {str(d): int(min(4, g + 1)) for d, g in enumerate(noisy)}
        run[str(query)] = {str(d): float(s) for d, s in enumerate(scores)}
    measured = [evaluate_run(run, qrels, [NDCG])[NDCG] for qrels in (true, seen)]
    return tuple(np.array([each[str(query)] for query in range(number)]) for each in measured)


@pytest.mark.parametrize(("skill", "narrower"), [(0.95, 0.75), (0.6, 0.97), (0.0, 1.05)])
def test_the_interval_of_ndcg_covers_the_truth_and_is_as_narrow_as_the_model_is_good(skill, narrower):
    rng = np.random.default_rng(0)
    y, f = ndcg_of_queries(rng, number=3000, skill=skill)
    truth, covered, widths, alone = y.mean(), [], [], []
    for _ in range(500):
        rows = rng.choice(len(y), size=640, replace=False)
        some, others = rows[:40], rows[40:]
        found = prediction_powered_mean(y[some], f[some], f[others]).interval
        covered.append(found.low <= truth <= found.high)
        widths.append(found.high - found.low)
        alone.append(2 * 2.02 * y[some].std(ddof=1) / np.sqrt(40))
    assert np.mean(covered) >= 0.93
    assert np.mean(widths) / np.mean(alone) <= narrower


def test_the_model_alone_would_not_cover_it():
    rng = np.random.default_rng(0)
    y, f = ndcg_of_queries(rng, number=2000, skill=0.6)
    [alone] = mean_intervals(f[:, None], num_resamples=500)
    assert not alone.low <= y.mean() <= alone.high, "it is biased, and many queries make it surer of that"


def test_what_the_model_is_worth():
    rng = np.random.default_rng(1)
    y, f = ndcg_of_queries(rng, number=1000, skill=0.95)
    good = prediction_powered_mean(y[:100], f[:100], f[100:])
    guess = prediction_powered_mean(y[:100], rng.random(100), rng.random(900))
    assert good.weight > 0.6 > 0.25 > guess.weight
    constant = prediction_powered_mean(y[:20], np.full(20, 0.5), np.full(900, 0.5))
    assert constant.weight == 0.0
    assert constant.interval.value == pytest.approx(y[:20].mean())
    assert prediction_powered_mean(y[:20], f[:20], []).weight == 0.0
    assert prediction_powered_mean(np.ones(20), np.ones(20), np.ones(50)).interval.high == 1.0


@pytest.mark.parametrize(
    ("y", "f", "others"),
    [([0.5] * 9, [0.5] * 9, [0.5]), ([0.5] * 10, [0.5] * 9, [0.5]), ([np.nan] * 10, [0.5] * 10, [])],
)
def test_what_cannot_be_told(y, f, others):
    with pytest.raises(InputError):
        prediction_powered_mean(y, f, others)
