"""Experiments in the service: interleaved lists, searches that fail, and the guard of a canary."""

import pytest

from nearer.flows.experiment import start_experiment, stop_experiment
from nearer.store.events.reading import read_events
from nearer.store.experiments import Experiments
from nearer.web.guard import CanaryGuard
from web.conftest import eventually

pytestmark = pytest.mark.slow


def begin(live, tmp_path, *lines):
    path = tmp_path / "plan.toml"
    path.write_text("\n".join(['name = "n"', 'hypothesis = "h"', 'treatment = "bm25"', *lines]))
    started = start_experiment(live.workspace, path, force_reason="to learn")
    eventually(lambda: live.service.router.served, what="the treatment is open")
    return started


def shown(live):
    return read_events(live.workspace.events).impressions.to_pylist()


def found_by(live, arm):
    return [hit.document.doc_id for hit in live.service.searcher_of(arm).search("harbour lantern", k=4).hits]


def test_two_rankings_in_one_list(live, tmp_path):
    begin(live, tmp_path, 'kind = "interleaving"')
    answers = [live.post("/v1/search", query="harbour lantern", user=f"u{n}", k=4) for n in range(20)]
    arms = {each["arm"] for each in answers}
    assert arms == {"control", "interleaved"}
    alone = {arm: found_by(live, arm) for arm in ("control", "treatment")}
    logged = eventually(lambda: [row for row in shown(live) if row["arm"] == "interleaved"], what="impressions")
    for row in logged:
        assert len(row["teams"]) == len(row["doc_ids"]) == len(set(row["doc_ids"]))
        for doc_id, side in zip(row["doc_ids"], row["teams"], strict=True):
            assert doc_id in alone["control" if side == "a" else "treatment"]
    stop_experiment(live.workspace, reason="enough")
    eventually(lambda: live.post("/v1/search", query="rain", user="u1")["arm"] == "live", what="live answers all")


def test_a_search_that_fails_is_noted_with_its_arm(live, tmp_path, monkeypatch):
    begin(live, tmp_path, "share = 0.5")
    searcher = live.service.router.follower.searcher
    monkeypatch.setattr(type(searcher), "search_many", _broken(type(searcher).search_many, searcher))
    statuses = {live.client.post("/v1/search", json={"query": "rain", "user": f"u{n}"}).status_code for n in range(20)}
    assert statuses == {200, 500}
    rows = eventually(lambda: [row for row in shown(live) if row["failed"]], what="failures are noted")
    assert {row["arm"] for row in rows} == {"treatment"}
    assert live.client.post("/v1/search", json={"query": "rain", "filter": {"bad": 1}}).status_code in (
        400,
        422,
    )
    assert not [row for row in shown(live) if row["failed"] and row["arm"] != "treatment"], "users' faults are not ours"


def _broken(search_many, broken):
    def search(self, asks, **options):
        if self is broken:
            raise RuntimeError("the index is gone")
        return search_many(self, asks, **options)

    return search


@pytest.mark.exhaustive
def test_the_guard_ends_a_canary(live, tmp_path, monkeypatch):
    begin(live, tmp_path, 'kind = "canary"', "sequential = true", "share = 0.5")
    searcher = live.service.router.follower.searcher
    monkeypatch.setattr(type(searcher), "search_many", _broken(type(searcher).search_many, searcher))
    for number in range(400):
        live.client.post("/v1/search", json={"query": "rain", "user": f"u{number}"})
    guard = CanaryGuard(live.workspace, log=live.service.log, every_s=0.05)
    guard.start()
    eventually(lambda: Experiments(live.workspace.database).running() is None, what="the canary is ended")
    guard.close()
    [ended] = Experiments(live.workspace.database).all()
    assert "errors" in ended.reason
    written = sum(path.stat().st_size for path in live.workspace.events.glob("*.log"))
    assert live.service.log.num_read_bytes <= written, "each record is read once, however often it looks"
    asked = {"query": "rain", "user": "u1"}
    eventually(lambda: live.client.post("/v1/search", json=asked).json().get("arm") == "live", what="live answers all")
