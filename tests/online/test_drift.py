"""Tests between periods: they stay silent where nothing changed, and speak where something did."""

import numpy as np
import pytest

from nearer.online.drift import FALSE_ALARMS, MOST, energy_test, one_a_person, worsened
from nearer.online.metrics import UnitSums


def topics(rng, number, *, share_new=0.0, dimension=16):
    """Queries around two topics, of which the second is new."""
    centre_TD = np.eye(2, dimension)
    topic = (rng.random(number) < share_new).astype(int)
    vectors = centre_TD[topic] + rng.normal(0, 0.3, (number, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def people(rng, number, *, rate=0.4):
    """Searches of people of very unequal traffic, and how many were clicked."""
    searches = 1 + rng.poisson(rng.lognormal(0, 1, number))
    own_rate = rng.beta(8 * rate, 8 * (1 - rate), number)
    return UnitSums(
        units_U=np.arange(number),
        top_U=rng.binomial(searches, own_rate).astype(float),
        below_U=searches.astype(float),
    )


def test_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(0)
    runs = 150
    shifts = [energy_test(topics(rng, 40), topics(rng, 60), rng=rng).p_value for _ in range(runs)]
    falls = [worsened(people(rng, 40), people(rng, 60), is_higher_better=True, rng=rng) for _ in range(runs)]
    for p_values in (shifts, falls):
        assert np.mean(np.asarray(p_values) <= FALSE_ALARMS) <= 0.04, "1 in 100, of 150"
        assert np.mean(np.asarray(p_values) <= 0.2) == pytest.approx(0.2, abs=0.08)


def test_a_new_topic_is_found_and_its_queries_are_named():
    rng = np.random.default_rng(1)
    new, old = topics(rng, 150, share_new=0.3), topics(rng, 150)
    found = energy_test(new, old, rng=rng)
    assert found.p_value <= FALSE_ALARMS
    assert 0 < found.size < 1
    strangest = np.argsort(-found.novelty_N)[:10]
    assert new[strangest, 1].mean() > 0.5
    assert energy_test(old, old, rng=rng).size == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("rate", "is_alarm"), [(0.25, True), (0.55, False)])
def test_only_a_fall_is_an_alarm(rate, is_alarm):
    rng = np.random.default_rng(2)
    p_value = worsened(people(rng, 300, rate=rate), people(rng, 300), is_higher_better=True, rng=rng)
    assert (p_value <= FALSE_ALARMS) == is_alarm
    other_way = worsened(people(rng, 300, rate=rate), people(rng, 300), is_higher_better=False, rng=rng)
    assert (other_way <= FALSE_ALARMS) != is_alarm


def test_what_never_happened_is_no_alarm_and_what_always_does_is_one():
    rng = np.random.default_rng(3)
    none, every = people(rng, 50, rate=1e-9), people(rng, 50, rate=1 - 1e-9)
    assert worsened(none, none, is_higher_better=False, rng=rng) == 1.0
    assert worsened(every, none, is_higher_better=False, rng=rng) <= FALSE_ALARMS


def test_one_search_a_person_and_never_too_many():
    rng = np.random.default_rng(4)
    person = np.repeat(np.arange(-1, 3 * MOST), 2)
    is_in = np.arange(len(person)) % 4 < 2  # every second person
    rows = one_a_person(person, is_in, rng=rng)
    assert len(rows) == MOST
    assert len(set(person[rows].tolist())) == MOST
    assert is_in[rows].all()
    assert (person[rows] >= 0).all()
