"""One number means one thing: remedies share a scale, training dev has its name, few queries leave a gain open."""

import re

import numpy as np
import pytest

from nearer import printing
from nearer.advice import rows
from nearer.advice.advice_data import MAIN, AdviceData
from nearer.advice.expense import measure_rate
from nearer.core.progress import Silent
from nearer.core.results.advice import Advice, CurveForecast, CurvePoint, LearningCurve
from nearer.core.results.measuring import Interval
from nearer.flows.advise import advise
from nearer.flows.check import check
from nearer.flows.evaluate import evaluate
from nearer.flows.train import train
from nearer.measure.forecast import expanded_tail, forecast
from nearer.store.workspace import Workspace
from nearer.training.deadline import Deadline

SHORT = ("evaluate.num_resamples=200",)


@pytest.fixture
def live(base_live):
    workspace = Workspace.open(base_live, overrides=SHORT)
    yield workspace
    workspace.close()


def curve(gain, *, queries=25):
    value, low, high = gain
    base = Interval(value=0.9, low=0.8, high=1.0)
    points = [
        CurvePoint(
            num_pairs=pairs,
            metric=str(MAIN),
            value=base.value + part * value,
            low=base.low,
            high=base.high,
            gain=Interval(value=part * value, low=part * low, high=part * high),
            seconds=1.0,
        )
        for pairs, part in ((0, 0.0), (100, 0.5), (200, 0.8))
    ]
    expected = CurveForecast(
        num_pairs=500, value=0.99, low=0.9, high=1.0, gain=Interval(value=value, low=low, high=high), is_proven=low > 0
    )
    return LearningCurve(
        metric=str(MAIN),
        num_queries=queries,
        num_groups=None,
        num_documents=60,
        num_training_pairs=500,
        points=tuple(points),
        forecast=expected,
        more_pairs=(),
        notes=(),
        hours=0.1,
        method="a method",
    )


@pytest.fixture
def forecasts(monkeypatch):
    """Advice whose learning curve is made up."""

    def given(gain):
        monkeypatch.setattr(rows, "refuse_what_cannot_tell", lambda workspace: None)
        monkeypatch.setattr(rows, "few_queries", lambda workspace: None)
        monkeypatch.setattr(rows, "measure_curve", lambda workspace, **_: curve(gain))

    return given


def test_fine_tuning_is_on_the_scale_of_the_base(live, forecasts):
    forecasts((0.086, -0.02, 0.19))
    data = AdviceData(live, Silent())
    rate = measure_rate(data.system.encoder, data.corpus)
    row = rows.fine_tuning(data, rate, full_curve=False, deadline=Deadline.never(lambda: 0.0), clock=lambda: 0.0)
    shown, base = row.described, float(data.base[str(MAIN)].mean())
    value = shown.metrics[str(MAIN)]
    assert value.value == row.tried.value == pytest.approx(base + 0.086), "the table and the verdict say one number"
    assert (value.low, value.high) == (pytest.approx(base - 0.02), pytest.approx(min(1.0, base + 0.19)))
    assert (shown.difference, shown.low, shown.high) == (0.086, -0.02, 0.19)
    assert "of 25 dev queries over 60 documents, where base has 0.900" in shown.notes[0]


@pytest.mark.exhaustive
def test_the_printed_table_and_the_verdict_agree(live, forecasts):
    forecasts((0.086, 0.03, 0.14))
    result = advise(live, confirm_on_test=False)
    [tuned] = [each for each in result.remedies if each.name == "fine_tune"]
    base = result.remedies[0].metrics[result.metric].value
    assert tuned.metrics[result.metric].value == pytest.approx(min(1.0, base + 0.086))
    text = printing.advised(result)
    assert "fine_tune: the gain is of 25 dev queries over 60 documents" in text
    reported = re.search(r"; (\S+) gains ([+-]\d\.\d+) \[(\S+), (\S+)\] on (\d+) dev queries", tuned.notes[0])
    assert reported, "the best of the others, on the queries that training never learns from"
    assert reported[1] in {each.name for each in result.remedies}
    assert float(reported[3]) <= float(reported[2]) <= float(reported[4])
    dev = {query.query_id for query in live.collection.queries("dev")}
    assert int(reported[5]) <= len(dev)
    said = [reason for reason in result.reasons if "fine_tune" in reason or "Fine-tuning" in reason]
    assert all("forecast from 25 dev queries" in reason for reason in said)
    assert Advice.read(result.to_dict()) == result


def test_few_queries_leave_a_gain_more_open_than_percentiles_say(monkeypatch):
    rng = np.random.default_rng(1)
    base = rng.uniform(0.4, 0.6, 12)
    trained = [base + rng.normal(gain, 0.1, 12) for gain in (0.03, 0.04, 0.05)]

    def gain():
        [found] = forecast(base, trained, pairs_T=[100, 200, 400], wanted_F=[400], num_resamples=4000)
        return found.gain

    ours = gain()
    monkeypatch.setattr("nearer.measure.forecast.expanded_tail", lambda number, confidence: (1 - confidence) / 2)
    percentiles = gain()
    assert ours.value == percentiles.value
    assert (ours.high - ours.low) > 1.08 * (percentiles.high - percentiles.low), "t with 11 degrees of freedom"
    assert expanded_tail(6, 0.95) < expanded_tail(25, 0.95) < expanded_tail(1000, 0.95) < 0.025


def test_what_training_measures_has_another_name_than_what_an_evaluation_does(live):
    trained = train(live)
    text = printing.trained(trained)
    assert "on training dev" in text or "better on training dev" in text
    assert " on dev " not in text
    if trained.improved:
        over = f"training dev: {trained.dev.num_queries} queries over {trained.dev.num_documents} documents"
        assert over in text
    assert " on training dev" not in printing.evaluated(evaluate(live, ["base"]))


def test_check_leaves_the_question_to_advise(live):
    notes = " ".join(check(live.with_values({"advise.min_pairs": 10_000})).notes)
    assert "nearer advise measures whether training pays" in notes
    assert "seldom" not in notes
