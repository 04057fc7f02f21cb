"""Simulated users: their clicks are those of the stated model, in files and against a running service."""

import csv
from collections import Counter

import numpy as np
import pytest

from nearer.core.errors import InputError, ServiceError
from nearer.flows.add import add
from nearer.flows.events import event_counts
from nearer.flows.judge_clicks import judge_clicks
from nearer.flows.simulate import simulate
from nearer.signals.simulate import Users, asked_queries, clicks_of
from nearer.store.workspace import Workspace
from web.conftest import eventually, live, serving  # noqa: F401


def rates(users, attract, *, draws=20_000):
    rng = np.random.default_rng(0)
    return np.mean([clicks_of(users, np.array(attract), rng) for _ in range(draws)], axis=0)


def test_clicks_are_those_of_the_model():
    attract = [0.5, 1.0, 0.2]
    assert rates(Users(model="position"), attract) == pytest.approx([0.5, 0.5, 0.2 / 3], abs=0.015)
    assert rates(Users(model="cascade"), attract) == pytest.approx([0.5, 0.5, 0.0], abs=0.015)
    trust = [a + (1 - a) * 0.3 / rank for rank, a in enumerate(attract, start=1)]
    assert rates(Users(model="trust"), attract) == pytest.approx(np.array(trust) / [1, 2, 3], abs=0.015)


@pytest.mark.parametrize(("drift", "is_other"), [(0.0, False), (1.0, True)])
def test_what_is_asked_drifts(drift, is_other):
    asked = asked_queries(Users(drift=drift), num_queries=50, num_sessions=20_000, rng=np.random.default_rng(1))
    first, last = (Counter(each).most_common(1)[0][0] for each in (asked[:2000], asked[-2000:]))
    assert (first != last) == is_other
    assert set(asked) == set(range(50))


def test_a_file_is_a_log_that_is_judged(base_live, tmp_path, nearer):
    path = tmp_path / "log.csv"
    with Workspace.open(base_live, overrides=("search.explore=0.9",)) as workspace:
        done = simulate(workspace, path, sessions=3000, noise=0.0)
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert done.num_impressions == len(rows) == 3000 * 10
        assert done.num_clicks == sum(int(row["clicked"]) for row in rows) > 100
        assert simulate(workspace, tmp_path / "again.csv", sessions=3000, noise=0.0).num_clicks == done.num_clicks
        assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
        add(workspace, "events", path)
        assert event_counts(workspace).num_events == done.num_clicks
        found = judge_clicks(workspace)
        assert found.verdict == "judged"
        [clicks] = found.agreement
        assert clicks.num_pairs > 0
        with pytest.raises(InputError, match="is there already"):
            simulate(workspace, path)
    with Workspace.open(base_live) as workspace:
        simulate(workspace, tmp_path / "fixed.csv", sessions=300)
    shown = nearer("simulate", str(tmp_path / "verb.csv"), "--sessions", "20", "--dir", str(base_live))
    assert "20 sessions of users of the model position" in shown.out


@pytest.mark.parametrize(
    "asked", [{"users": "angels"}, {"noise": 2}, {"drift": -1}, {"sessions": 0}, {"split": "none"}]
)
def test_what_cannot_be_simulated_is_refused(base_live, tmp_path, asked):
    with Workspace.open(base_live) as workspace, pytest.raises(InputError):
        simulate(workspace, tmp_path / "log.csv", **asked)
    assert not (tmp_path / "log.csv").exists()


def test_a_service_is_asked_and_sent_the_clicks(live):  # noqa: F811
    done = simulate(live.workspace, live.url, sessions=30, users="trust")
    counts = eventually(
        lambda: found if (found := event_counts(live.workspace)).num_impressions == 30 else None, what="impressions"
    )
    assert (counts.num_events, counts.num_apart, counts.num_users) == (done.num_clicks, 0, 6)
    with pytest.raises(ServiceError, match="no usable answer"):
        simulate(live.workspace, "http://127.0.0.1:9", sessions=1)
