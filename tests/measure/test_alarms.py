"""Each alarm on figures that must raise it, and on figures that must not."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from nearer.core.sections import AlarmsRecipe
from nearer.measure.alarms import Evidence, Gains, Limits, Point, compare_gains, judge, raised_in

LIMITS = Limits(**{name: getattr(AlarmsRecipe(), name) for name in Limits.__dataclass_fields__})
NAMES = [
    "train_dev_gap",
    "dev_falls",
    "repeated_pairs",
    "familiar_gain",
    "mean_cosine",
    "spread_lost",
    "rank_unused",
    "rank_lost",
]


def points(number, *rows):
    """Points of (dev, train, mean cosine, effective rank), ten steps apart."""
    return [
        Point(number=number, step=10 * at, dev=dev, train=train, mean_cosine=cosine, effective_rank=rank)
        for at, (dev, train, cosine, rank) in enumerate(rows)
    ]


HEALTHY = Evidence(
    passes=[
        points(1, (0.50, 0.51, 0.30, 200), (0.55, 0.58, 0.25, 210), (0.60, 0.64, 0.20, 215)),
        points(2, (0.60, 0.64, 0.20, 215), (0.64, 0.71, 0.18, 220), (0.63, 0.72, 0.18, 220)),
    ],
    kept=Point(number=2, step=10, dev=0.64, train=0.71, mean_cosine=0.18, effective_rank=220),
    num_dev=300,
    num_train=100,
    lessons=[*range(95), *[100] * 5],
    gains=Gains(familiar=0.15, others=0.12, p_value=0.2),
    most_dimensions=384,
)


def alarms(limits=LIMITS, **changes):
    return {alarm.name: alarm for alarm in judge(replace(HEALTHY, **changes), limits)}


def with_end(dev, train, cosine=0.2, rank=215.0):
    """A pass that ends so, after its best."""
    return [points(1, (0.50, 0.51, 0.30, 200), (0.60, 0.64, 0.20, 215), (dev, train, cosine, rank))]


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
    later = [HEALTHY.passes[0], points(2, (0.60, 0.64, 0.2, 215), (0.64, 0.71, 0.2, 215), (0.63, 0.99, 0.2, 215))]
    assert not alarms(passes=later)["train_dev_gap"].raised


def test_a_gap_that_was_there_from_the_start_is_none_of_trainings_doing():
    passes = [points(1, (0.30, 0.80, 0.3, 200), (0.40, 0.95, 0.2, 210))]
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


@pytest.mark.parametrize(
    ("gains", "value", "raised"),
    [
        (Gains(familiar=0.20, others=0.02, p_value=0.001), 0.9, True),
        (Gains(familiar=0.20, others=0.02, p_value=0.2), 0.9, False),
        (Gains(familiar=0.20, others=0.15, p_value=0.001), 0.25, False),
        (Gains(familiar=0.20, others=-0.10, p_value=0.001), 1.5, True),
        (Gains(familiar=-0.01, others=0.10, p_value=0.9), None, False),
        (None, None, False),
    ],
)
def test_a_gain_on_familiar_queries_alone(gains, value, raised):
    alarm = alarms(gains=gains)["familiar_gain"]
    assert alarm.raised == raised
    assert alarm.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("cosine", "rank", "raised"),
    [
        (0.97, 90, {"mean_cosine", "spread_lost", "rank_lost"}),
        (0.70, 210, {"spread_lost"}),
        (0.40, 90, {"rank_lost"}),
        (0.99, 10, {"mean_cosine", "spread_lost", "rank_unused", "rank_lost"}),
        (0.30, 150, set()),
    ],
)
def test_a_collapse_at_the_end_of_a_pass_is_told_though_dev_kept_what_was_before(cosine, rank, raised):
    found = alarms(passes=with_end(0.2, 0.2, cosine, rank))
    assert {name for name, alarm in found.items() if alarm.raised} == raised
    assert all("at pass 1, step 20" in found[name].sentence for name in raised)


def test_a_model_that_had_collapsed_before_is_judged_by_what_it_is():
    flat = points(1, (0.1, 0.1, 1.0, 1.0), (0.1, 0.1, 1.0, 1.0))
    found = alarms(passes=[flat], kept=flat[0])
    assert {name for name, alarm in found.items() if alarm.raised} == {"mean_cosine", "rank_unused"}
    assert found["spread_lost"].value is None


def test_what_was_not_measured_raises_nothing_and_says_so():
    bare = [Point(number=1, step=0, dev=0.5), Point(number=1, step=10, dev=0.4)]
    found = alarms(passes=[bare], kept=bare[0], num_train=0, gains=None)
    assert [name for name, alarm in found.items() if alarm.value is not None] == ["repeated_pairs"]
    assert not any(alarm.raised for alarm in found.values())
    assert "No training queries were measured" in found["train_dev_gap"].sentence


def test_a_limit_decides():
    strict = replace(LIMITS, max_repeated_pairs=0.0, max_rank_unused=0.1)
    assert {name for name, alarm in alarms(strict).items() if alarm.raised} == {"repeated_pairs", "rank_unused"}


def test_raised_in_a_record():
    recorded = [asdict(alarm) for alarm in alarms(kept=kept(train=0.95)).values()]
    assert [alarm["name"] for alarm in raised_in({"alarms": recorded})] == ["train_dev_gap"]
    assert raised_in({"passes": []}) == raised_in(None) == []


def test_gains_are_compared_by_permutation():
    gains, familiar = np.zeros(60), np.arange(60) < 20
    gains[:20] = 0.5
    found = compare_gains(gains, familiar, num_resamples=999, seed=0)
    assert (found.familiar, found.others, found.p_value) == (0.5, 0.0, 1 / 1000)
    even = compare_gains(np.full(60, 0.3), familiar, num_resamples=999, seed=0)
    assert even.p_value == 1


def test_by_chance_p_is_as_often_small_as_it_says():
    rng, small = np.random.default_rng(1), 0
    for seed in range(400):
        found = compare_gains(rng.normal(size=40), np.arange(40) < 15, num_resamples=199, seed=seed)
        small += found.p_value <= 0.05
    assert 8 <= small <= 34


@pytest.mark.parametrize("num_familiar", [0, 9, 51, 60])
def test_too_few_of_either_are_not_compared(num_familiar):
    assert compare_gains(np.ones(60), np.arange(60) < num_familiar, num_resamples=99, seed=0) is None
