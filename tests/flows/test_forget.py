"""A person goes from the log and from what was judged by it; what is old goes too."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flows.test_judge_clicks import QUERIES, clicked, folder, judged, log  # noqa: F401
from forked import die_at
from nearer.core.errors import InputError
from nearer.flows.events import event_counts
from nearer.flows.forget import forget_user
from nearer.flows.retention import enforce_retention
from nearer.store.events.log import EventLog
from nearer.store.events.reading import read_events
from nearer.store.events.salt import Salt
from nearer.store.workspace import Workspace
from store.event_writers import event, impression


def rows(users=8, asks=60):
    rng = np.random.default_rng(0)
    for n in range(asks):
        order = ["d0", "d1", "d2"]
        at = int(rng.integers(0, 2))
        order[at], order[at + 1] = order[at + 1], order[at]
        for rank, doc in enumerate(order, start=1):
            yield f"s{n}", QUERIES["q1"][0], doc, rank, int(doc == "d2" and n % users == 0), f"u{n % users}"


def forgotten(folder, user):  # noqa: F811
    with Workspace.open(folder) as workspace:
        return forget_user(workspace, user)


def held(folder):  # noqa: F811
    with Workspace.open(folder) as workspace:
        found = read_events(workspace.events)
        return found.impressions.num_rows, found.events.num_rows


def on_disk(folder, user):  # noqa: F811
    with Workspace.open(folder) as workspace:
        name = Salt.open(workspace.events).hashed(user).encode()
    return [path for path in (folder / ".nearer/events").rglob("*") if path.is_file() and name in path.read_bytes()]


def test_a_person_goes_from_imports_and_from_judgments(folder):  # noqa: F811
    log(folder, rows())
    judged(folder, model="ctr", min_impressions=5)
    before = {each.doc_id: each.grade for each in clicked(folder)}
    assert before["d2"] == 1
    assert on_disk(folder, "u0")
    done = forgotten(folder, "u0")
    assert (done.num_impressions, done.num_events) == (8, 8)
    assert held(folder) == (52, 0)
    assert on_disk(folder, "u0") == []
    assert done.num_changed == len(done.changed) == len(before)
    assert {(each.before, each.after) for each in done.changed} == {(0, None), (1, None)}, "no click is left"
    assert clicked(folder) == []
    again = forgotten(folder, "u0")
    assert (again.num_impressions, again.num_events, again.num_changed) == (0, 0, 0)
    with pytest.raises(InputError, match="no user"):
        forgotten(folder, " ")


def test_others_judgments_stay(folder):  # noqa: F811
    log(folder, rows(users=4, asks=80))
    judged(folder, model="ctr", min_impressions=5)
    before = clicked(folder)
    done = forgotten(folder, "u3")
    assert (done.num_impressions, done.num_events) == (20, 0)
    assert len(clicked(folder)) == len(before)


def test_a_person_goes_from_a_file_that_is_written(folder):  # noqa: F811
    with Workspace.open(folder) as workspace:
        salt = Salt.open(workspace.events)
        ann, bob = salt.hashed("ann"), salt.hashed("bob")
        service = EventLog(workspace.events, locks=workspace.locks)
        service.add([impression("q-ann", user=ann), impression("q-bob", user=bob), impression("q-none", user="")])
        service.commit(
            [
                event("e1", query_id="q-ann", user=""),
                event("e2", query_id="q-bob", user=bob),
                event("e3", query_id="q-none", user=ann),
            ]
        )
        done = forget_user(workspace, "ann")
        assert (done.num_impressions, done.num_events) == (2, 2)
        assert read_events(workspace.events).events["event_id"].to_pylist() == ["e2"]
        later = datetime.now(UTC) + timedelta(seconds=1)
        service.commit([event("e4", query_id="q-bob", user=ann, at=later, received_at=later)])
        service.close()
        assert read_events(workspace.events).events["event_id"].to_pylist() == ["e2", "e4"], "who comes back is there"
        [sealed] = workspace.events.glob("*.events.parquet")
        assert ann in str(read_events(workspace.events).events["user"].to_pylist())
        assert sealed.exists()
        assert not list(workspace.events.glob("*.log"))
        assert (workspace.events / "forgotten.json").exists()
        event_counts(workspace)
        assert not (workspace.events / "forgotten.json").exists(), "no file tells of them any more"
        assert read_events(workspace.events).events["event_id"].to_pylist() == ["e2", "e4"]


def do_forget(folder):  # noqa: F811
    forgotten(folder, "u0")


def test_killed_and_repeated(folder):  # noqa: F811
    log(folder, rows())
    die_at("events.forgotten", do_forget, folder)
    assert held(folder) == (52, 0), "nobody reads it any more"
    forgotten(folder, "u0")
    assert held(folder) == (52, 0)
    assert on_disk(folder, "u0") == []


def test_what_is_old_is_removed(folder):  # noqa: F811
    now = datetime.now(UTC)
    header = "session,query,doc,position,clicked,user,time"
    days = [(f"s{n}", "rain", "d0", 1, 1, "u", (now - timedelta(days=n)).isoformat()) for n in range(10)]
    log(folder, days, header=header)
    assert held(folder) == (10, 10)
    with Workspace.open(folder, overrides=("events.keep_days=5",)) as workspace:
        counts = event_counts(workspace)
    assert counts.num_impressions == 5
    assert held(folder) == (5, 5)


def test_the_service_removes_what_is_old(folder):  # noqa: F811
    old = datetime.now(UTC) - timedelta(days=9)
    with Workspace.open(folder, overrides=("events.keep_days=5",)) as workspace:
        first = EventLog(workspace.events, locks=workspace.locks)
        first.commit([event("old", at=old, received_at=old), event("new", received_at=datetime.now(UTC))])
        first.close()
        EventLog(workspace.events, locks=workspace.locks, sealed=lambda: enforce_retention(workspace)).close()
        assert read_events(workspace.events).events["event_id"].to_pylist() == ["new"]


def test_the_verb(folder, nearer):  # noqa: F811
    log(folder, rows())
    shown = nearer("forget", "u0", "--dir", str(folder))
    assert shown.exit_code == 0
    assert "removed 8 impressions and 8 events" in shown.out
