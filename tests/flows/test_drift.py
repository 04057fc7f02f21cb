"""`nearer drift` on a workspace: what users ask and what becomes of it, beside the period before."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.core.results.drift import Drift
from nearer.flows.drift import drift
from nearer.store.events.log import EventLog
from nearer.store.workspace import Workspace
from online.synthetic_log import event, impression

pytestmark = pytest.mark.slow

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def workspace(base_live):
    with Workspace.open(base_live) as opened:
        yield opened


def write(workspace, *, new_topic=False, empty=0.0, rate=0.5, person="user", num_people=60, seed=0):
    """Two weeks of searches; in the second what users ask or do may be another."""
    rng, records = np.random.default_rng(seed), []
    topics = [["music of the river", "a school of music"], ["law of the army", "the army and its law"]]
    for who in range(num_people):
        for number in range(1 + rng.poisson(2)):
            for week in (0, 1):
                at = START + timedelta(days=7 * week + 7 * rng.random())
                query_id = f"q{who}-{number}-{week}"
                query = topics[int(week and new_topic and rng.random() < 0.7)][int(rng.integers(2))]
                is_empty = week and rng.random() < empty
                shown = {"doc_ids": ()} if is_empty else {}
                name = {"user": "", "session": "", person: f"p{who}"}
                records.append(impression(query_id, at=at, query=query, **name, **shown))
                if not is_empty and rng.random() < (rate if week else 0.5):
                    records.append(event(query_id, at=at + timedelta(seconds=3)))
    log = EventLog(workspace.events, locks=workspace.locks)
    log.commit(records)
    log.close()


def states(found):
    return {each.name: each.state for each in found.signals}


def test_nothing_changed(workspace):
    write(workspace)
    found = drift(workspace)
    assert found.verdict == "steady"
    assert states(found) == dict.fromkeys(("queries", "zero_results", "click_through"), "steady")
    assert found.new_queries == ()
    assert len(found.days) == 14
    assert sum(each.num_searches for each in found.days) == found.period.num_searches + found.before.num_searches
    assert found == drift(workspace), "the draws are the same"
    assert workspace.results.last("drift", Drift).result == found


@pytest.mark.parametrize(
    ("change", "signal"),
    [({"new_topic": True}, "queries"), ({"empty": 0.3}, "zero_results"), ({"rate": 0.2}, "click_through")],
)
def test_each_change_is_found(workspace, change, signal):
    write(workspace, **change, person="session")  # a session is a person where no user is known
    found = drift(workspace)
    assert found.verdict == "drift"
    assert states(found)[signal] == "drift"
    if signal == "queries":
        assert "army" in found.new_queries[0]
    else:
        [changed] = [each for each in found.signals if each.name == signal]
        assert changed.effect.effect == pytest.approx(changed.newest - changed.before)
        assert changed.p_value <= changed.false_alarm_rate == 0.01


def test_what_cannot_be_said_is_not_said(workspace):
    with pytest.raises(InputError, match="no searches"):
        drift(workspace)
    write(workspace, num_people=10)
    found = drift(workspace)
    assert found.verdict == "too little"
    assert any("20 people" in note for note in found.notes)
    for options, what in (({"days": 0}, "--days 0"), ({"against": "tea"}, "--against"), ({"metric": "x"}, "metric")):
        with pytest.raises(InputError, match=what):
            drift(workspace, **options)


def test_searches_of_nobody_are_counted_and_training_queries_are_compared_with(workspace, ask):
    write(workspace)
    write(workspace, person="arm", seed=1, num_people=5)  # neither user nor session
    found = ask(workspace.folder, "drift", "--against", "training", "--metric", "success@1")
    assert found["against"] == "training"
    assert found["signals"][0]["state"] == "drift", "people ask other things than were trained on"
    assert found["signals"][2]["name"] == "success@1"
    assert any("neither user nor session" in note for note in found["notes"])
