"""Each alarm on figures that must raise it, and on figures that must not."""

from dataclasses import replace

import pytest

from nearer.core.results.training import TrainingRecord
from nearer.measure.alarms import MeasuredStep, TrainingEvidence, judge

NAMES = ["train_dev_gap", "dev_falls", "repeated_pairs", "rank_lost"]


def points(number, *rows):
    """Points of (dev, train, effective rank), ten steps apart."""
    return [
        MeasuredStep(number=number, step=10 * at, dev=dev, train=train, effective_rank=rank)
        for at, (dev, train, rank) in enumerate(rows)
    ]


HEALTHY = TrainingEvidence(
    passes=[
        points(1, (0.50, 0.51, 200), (0.55, 0.58, 210), (0.60, 0.64, 215)),
        points(2, (0.60, 0.64, 215), (0.64, 0.71, 220), (0.63, 0.72, 220)),
    ],
    kept=MeasuredStep(number=2, step=10, dev=0.64, train=0.71, effective_rank=220),
    num_dev=300,
    num_train=100,
    lessons=[*range(95), *[100] * 5],
    num_passages=1000,
    dimension=384,
)


def alarms(**changes):
    return {alarm.name: alarm for alarm in judge(replace(HEALTHY, **changes))}


def with_end(dev, train, rank=215.0):
    """A pass that ends so, after its best."""
    return [points(1, (0.50, 0.51, 200), (0.60, 0.64, 215), (dev, train, rank))]


def kept(**changes):
    return replace(HEALTHY.kept, **changes)


def test_a_healthy_training_raises_nothing_and_every_alarm_says_what_it_found():
    found = alarms()
    assert list(found) == NAMES
    assert not [name for name, alarm in found.items() if alarm.raised]
    for alarm in found.values():
        assert alarm.source
        assert alarm.sentence.endswith(".")
        assert alarm.value <= alarm.threshold


def test_a_gap_that_grew_at_the_step_that_was_kept():
    alarm = alarms(kept=kept(train=0.90))["train_dev_gap"]
    assert alarm.raised
    assert alarm.value == pytest.approx(0.26 - 0.01)
    assert alarm.threshold == 0.2
    assert "was +0.010 at the start and is +0.260 at pass 2, step 10" in alarm.sentence
    assert "fewer epochs" in alarm.sentence
    later = [HEALTHY.passes[0], points(2, (0.60, 0.64, 215), (0.64, 0.71, 215), (0.63, 0.99, 215))]
    assert not alarms(passes=later)["train_dev_gap"].raised


def test_a_gap_that_was_there_from_the_start_is_none_of_trainings_doing():
    passes = [points(1, (0.30, 0.80, 200), (0.40, 0.95, 210))]
    assert not alarms(passes=passes, kept=passes[0][-1])["train_dev_gap"].raised


def test_of_few_queries_a_gap_must_be_larger():
    few = alarms(kept=kept(train=0.90), num_dev=20, num_train=5)["train_dev_gap"]
    assert not few.raised
    assert few.threshold == pytest.approx(2 * 0.32 * (1 / 20 + 1 / 5) ** 0.5)


@pytest.mark.parametrize(
    ("dev", "train", "raised"),
    [(0.56, 0.80, True), (0.56, 0.64, True), (0.58, 0.80, False), (0.56, 0.63, False), (0.61, 0.90, False)],
    ids=["rising", "at its ceiling", "a small fall", "both fall", "no fall"],
)
def test_dev_that_falls_while_training_queries_do_not(dev, train, raised):
    alarm = alarms(passes=with_end(dev, train))["dev_falls"]
    assert alarm.raised == raised
    assert ("dev went from 0.600 to 0.560" in alarm.sentence) == raised


def test_of_few_dev_queries_a_fall_must_be_larger():
    assert not alarms(passes=with_end(0.56, 0.80), num_dev=20)["dev_falls"].raised


def test_pairs_that_repeat_each_other():
    alarm = alarms(lessons=[*range(80), *[100] * 15, *[101] * 5])["repeated_pairs"]
    assert alarm.raised
    assert alarm.value == pytest.approx(0.2)
    assert "20 of 100 training pairs nearly repeat another, one of them 15 times" in alarm.sentence


def test_what_was_not_measured_raises_nothing_and_says_so():
    bare = [MeasuredStep(number=1, step=0, dev=0.5), MeasuredStep(number=1, step=10, dev=0.4)]
    found = alarms(passes=[bare], kept=bare[0], num_train=0)
    assert [name for name, alarm in found.items() if alarm.value is not None] == ["repeated_pairs"]
    assert not any(alarm.raised for alarm in found.values())
    assert "No training queries were measured" in found["train_dev_gap"].sentence


def test_raised_in_a_record():
    recorded = TrainingRecord(recipe={}, alarms=tuple(alarms(kept=kept(train=0.95)).values()))
    assert [alarm.name for alarm in TrainingRecord.read(recorded.to_dict()).raised] == ["train_dev_gap"]
    assert TrainingRecord(recipe={}).raised == ()


@pytest.mark.parametrize(("rank", "raised"), [(90, True), (150, False)])
def test_a_collapse_at_the_end_of_a_pass_is_reported_though_dev_kept_what_was_before(rank, raised):
    alarm = alarms(passes=with_end(0.2, 0.2, rank))["rank_lost"]
    assert alarm.raised == raised
    assert "at pass 1, step 20" in alarm.sentence
    assert alarm.sentence.startswith("The vectors of 1000 passages effectively spread over 200.0 of 384 dimensions")
