"""What became of searches, against a log made by hand."""

from datetime import timedelta

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.online.metrics import METRICS, by_unit, latency_metric, metric_of
from nearer.online.outcomes import read_outcomes
from online.synthetic_log import START, event, impression, tables

ARMS = ("control", "treatment")


def later(seconds):
    return START + timedelta(seconds=seconds)


LOG = [
    impression("old", user="u1", arm="live", at=later(-3600)),
    impression("q1", user="u1", arm="control", at=later(0), query="rain"),
    impression("q2", user="u1", arm="control", at=later(60), query="rain today"),
    impression("q3", user="u2", arm="treatment", at=later(100), doc_ids=()),
    impression("q4", user="u2", arm="treatment", at=later(1000), took_ms=None),
    impression("q5", user="", arm="control", at=later(10)),
    impression("q6", user="u3", arm="control", at=later(20)),
    impression("q7", user="u3", arm="treatment", at=later(30)),
    impression("late", user="u1", arm="control", at=later(10 * 86_400)),
    event("q2", doc_id="c", at=later(64), dwell_s=30.0),
    event("q2", doc_id="b", at=later(70), dwell_s=1e9),
    event("q4", doc_id="a", at=later(990)),
    event("q4", doc_id="a", at=later(1200), action="purchase", value=9.5),
    event("q4", doc_id="", at=later(1300), action="rating", value=4.0),
]


def outcomes(log=LOG, **options):
    asked = {"arms": ARMS, "unit": "user", "since": START, "until": later(5 * 86_400)}
    return read_outcomes(*tables(log), **{**asked, **options})


def values(name, arm, found=None):
    sums = by_unit(metric_of(name), found or outcomes(), arm)
    return sums.top_U.sum(), sums.below_U.sum()


def test_who_is_left_out_is_counted():
    found = outcomes()
    assert len(found.unit_I) == 4, "q1, q2 of u1 and q3, q4 of u2"
    assert (found.num_without_unit, found.num_mixed_units) == (1, 1)
    assert found.is_returning_I.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("name", "control", "treatment"),
    [
        ("click_through", (1, 2), (1, 2)),
        ("success@1", (0, 2), (1, 2)),
        ("success@5", (1, 2), (1, 2)),
        ("time_to_success", (4, 1), (0, 1)),  # a click before it was shown is a clock that is wrong
        ("zero_results", (0, 2), (1, 2)),
        ("reformulation", (1, 2), (0, 2)),
        ("abandonment", (0, 2), (0, 2)),
        ("dwell_s", (1830, 2), (0, 2)),
        ("conversion", (0, 2), (1, 2)),
        ("rating", (0, 0), (4, 1)),
        ("share:purchase", (0, 2), (1, 2)),
        ("value:purchase", (0, 2), (9.5, 2)),
        ("share:never", (0, 2), (0, 2)),
    ],
)
def test_every_metric(name, control, treatment):
    assert values(name, "control") == control
    assert values(name, "treatment") == treatment


def test_the_service_trusts_its_own_clock():
    log = [
        impression("q", user="u", arm="control"),
        event("q", at=later(-5000), received_at=later(7)),
    ]
    assert outcomes(log).to_click_s_I.tolist() == [7.0]
    imported = [impression("q", user="u", arm="control"), event("q", at=later(3), received_at=later(7), source="f")]
    assert outcomes(imported).to_click_s_I.tolist() == [3.0]


def test_asked_anew_in_the_same_words_or_much_later_is_no_reformulation():
    log = [
        impression("q1", user="u", arm="control", at=later(0)),
        impression("q2", user="u", arm="control", at=later(5)),
        impression("q3", user="u", arm="control", at=later(4000), query="snow"),
    ]
    assert not outcomes(log).is_reformulated_I.any()


def test_sessions_as_units():
    log = [impression(f"q{n}", user="", session=f"s{n % 2}", arm="control") for n in range(6)]
    found = outcomes(log, unit="session")
    assert len(np.unique(found.unit_I)) == 2
    assert found.num_without_unit == 0


def test_all_searches_before_have_the_same_unit_numbers():
    before = outcomes(arms=None, since=later(-86_400), until=START)
    assert len(before.unit_I) == 1
    assert before.unit_I[0] in outcomes().unit_I


def test_an_empty_log():
    found = outcomes([])
    assert len(found.unit_I) == 0
    for name in METRICS:
        assert values(name, "control", found) == (0, 0)


def test_latency_is_held_against_controls_95th_percentile():
    log = [impression(f"c{n}", user=f"u{n}", arm="control", took_ms=float(n)) for n in range(101)]
    log += [impression(f"t{n}", user=f"v{n}", arm="treatment", took_ms=n + 50.0) for n in range(101)]
    found = outcomes(log)
    metric = latency_metric(found, "control")
    assert "95 ms" in metric.meaning
    assert by_unit(metric, found, "control").top_U.sum() == 5
    assert by_unit(metric, found, "treatment").top_U.sum() == 55
    with pytest.raises(InputError, match="timed"):
        latency_metric(outcomes([impression("q", user="u", arm="control", took_ms=None)]), "control")


def test_an_unknown_metric():
    with pytest.raises(InputError, match="no metric 'clicks'") as caught:
        metric_of("clicks")
    assert "click_through" in caught.value.hint
