"""Events over HTTP: impressions that the service writes, events that it takes in or keeps apart, explored answers."""

import itertools
import json
import threading

import pytest

from nearer.core.errors import NotFound
from nearer.flows.events import event_counts
from nearer.flows.lineage import lineage
from nearer.serving.searcher import Searcher
from nearer.store.events.reading import read_events
from nearer.store.events.salt import Salt
from nearer.store.events.segments import OpenFile
from nearer.store.keys import Keys
from nearer.store.workspace import Workspace
from web.conftest import eventually


def click(query_id, doc_id, **more):
    place = {"event_attributes": {"position": {"ordinal": 1}}}
    return {"action_name": "click", "query_id": query_id, "object_id": doc_id, "client_id": "ann", **place, **more}


def send(running, body, status=200):
    answer = running.client.post("/v1/events", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def logged(running):
    return read_events(running.workspace.events)


def impressions(running, number):
    """All impressions, once so many are there."""
    found = lambda: rows if len(rows := logged(running).impressions.to_pylist()) >= number else None  # noqa: E731
    return eventually(found, what="impressions")


def test_the_service_writes_what_it_showed(live):
    answer = live.post("/v1/search", query="rain", k=3, user="ann@example.org", session="tab 1")
    [shown] = impressions(live, 1)
    assert shown["doc_ids"] == [each["doc_id"] for each in answer["results"]]
    assert shown["ordinals"] == [1, 2, 3]
    assert shown["propensities"] == [1.0] * 3
    assert {name: shown[name] for name in ("query_id", "release_id", "space_id", "arm")} == {
        name: answer[name] for name in ("query_id", "release_id", "space_id", "arm")
    }
    assert shown["query"] == "rain"
    live.post("/v1/search/batch", queries=[{"query": "sun"}, {"query": "snow", "k": 1}])
    assert [row["query"] for row in impressions(live, 3)] == ["rain", "sun", "snow"]
    assert live.post("/v1/search", query="qqq", mode="lexical")["results"] == []
    assert impressions(live, 4)[-1]["doc_ids"] == []


def test_an_event_is_durable_once_it_is_answered(live):
    answer = live.post("/v1/search", query="rain", k=3)
    doc_id = answer["results"][1]["doc_id"]
    sent = click(answer["query_id"], doc_id, timestamp="2099-11-30T12:00:00+01:00", event_id="e1")
    sent["event_attributes"] = {"position": {"ordinal": 2, "x": 7}, "dwell_s": 12.5, "value": 4, "colour": "red"}
    assert send(live, sent) == {"num_events": 1, "num_apart": 0, "apart": {}}
    found = logged(live)
    assert found.impressions.num_rows == 1, "an event's impression is on the disk before it"
    [row] = found.events.to_pylist()
    assert (row["doc_id"], row["ordinal"], row["dwell_s"], row["value"]) == (doc_id, 2, 12.5, 4.0)
    assert row["at"].isoformat() == "2099-11-30T11:00:00+00:00"
    assert row["details"] == '{"colour":"red","position":{"x":7}}'


def test_one_or_many_and_each_once(live):
    answer = live.post("/v1/search", query="rain", k=3)
    ids = [each["doc_id"] for each in answer["results"]]
    many = [click(answer["query_id"], doc_id, timestamp="2026-11-30T12:00:00Z") for doc_id in ids]
    for _ in range(2):
        assert send(live, many)["num_events"] == 3
    nested = click(answer["query_id"], None, event_attributes={"object": {"object_id": ids[0], "name": "Rain"}})
    assert send(live, nested)["num_apart"] == 0
    assert send(live, [])["num_events"] == 0
    found = logged(live)
    assert (found.events.num_rows, found.num_repeated) == (4, 3)
    counts = event_counts(live.workspace)
    assert counts.by_action == {"click": 3}
    assert counts.apart == {"repeated": 1}
    assert (counts.num_impressions, counts.num_users, counts.num_repeated) == (1, 1, 3)
    assert counts.last_hour == {"impressions": 1, "events": 3, "apart": 1}
    assert counts.first_at <= counts.last_at


def test_what_is_sent_together_is_of_no_machine(live):
    answer = live.post("/v1/search", query="rain", k=10)
    send(live, [click(answer["query_id"], each["doc_id"]) for each in answer["results"]])
    assert event_counts(live.workspace).apart == {}


def test_what_the_service_never_gave_is_kept_apart(live):
    answer = live.post("/v1/search", query="rain", k=2)
    [first, *_] = [each["doc_id"] for each in answer["results"]]
    hidden = next(doc for doc in live.workspace.collection.document_hashes() if doc not in str(answer["results"]))
    forged = answer["query_id"][:-1] + ("0" if answer["query_id"][-1] != "0" else "1")
    told = send(live, [click(forged, first), click("query-1", first), {"action_name": "login"}])
    assert told == {"num_events": 3, "num_apart": 3, "apart": {"unknown query": 2, "no query": 1}}
    send(live, [click(answer["query_id"], hidden), click(answer["query_id"], "no such document")])
    counts = event_counts(live.workspace)
    assert counts.num_events == 0
    assert counts.apart == {
        "unknown query": 2,
        "no query": 1,
        "no such document": 1,
        "not shown": 1,
    }


def test_people_are_hashed_before_the_disk(live):
    answer = live.post("/v1/search", query="rain", user="ann@example.org", session="tab-77")
    attributes = {"user_id": "ann@example.org", "cart": [{"client_id": "browser-4711"}], "position": {"ordinal": 1}}
    people = {"client_id": "browser-4711", "user_id": "ann@example.org", "session_id": "tab-77"}
    send(live, {**click(answer["query_id"], answer["results"][0]["doc_id"]), **people, "event_attributes": attributes})
    [row], [shown] = logged(live).events.to_pylist(), impressions(live, 1)
    assert row["user"] == shown["user"] != ""
    assert row["session"] == shown["session"] != ""
    live.service.close()
    for path in live.workspace.state.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        assert not any(name in held for name in (b"ann@example", b"browser-4711", b"tab-77")), path


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"action_name": None}, 422, "action_name"),
        ({"action_name": ""}, 422, "action_name"),
        ({"action_name": "x" * 101}, 422, "action_name"),
        ({"clicked": True}, 422, "clicked: this field is not known"),
        ({"event_attributes": {"position": {"ordinal": 0}}}, 422, "ordinal"),
        ({"event_attributes": {"position": {"ordinal": 2**31}}}, 422, "ordinal"),
        ({"event_attributes": {"position": {"ordinal": True}}}, 422, "ordinal"),
        ({"event_attributes": {"dwell_s": -1}}, 422, "dwell_s"),
        ({"event_attributes": {"x": "\ud800"}}, 422, "surrogate"),
        ({"event_attributes": {"x": "y" * 10_001}}, 400, "characters"),
        ({"event_attributes": []}, 422, "event_attributes"),
        ({"timestamp": "yesterday"}, 400, "the timestamp 'yesterday'"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, 400, "timestamp"),
        ({"timestamp": 1764504000}, 422, "timestamp"),
        ({"object_id": "x" * 513}, 400, "513 characters"),
        ({"event_attributes": {"object": {"object_id": "another"}}}, 400, "two documents"),
        ({"query_id": "x" * 101}, 422, "query_id: String should have at most 100 characters"),
        ({"query_id": "\ud800"}, 422, "query_id"),
        ({"action_name": "\ud800"}, 422, "action_name"),
        ({"user_id": "\ud800"}, 422, "user_id"),
    ],
)
def test_what_is_no_event_is_refused_whole(live_for_all, changes, status, said):
    body = json.dumps([click("q", "d"), {**click("q", "d"), **changes}])
    answer = live_for_all.client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True), answer.text
    assert logged(live_for_all).events.num_rows == 0


@pytest.mark.parametrize("body", [b"", b"1", b'"click"', b"[1]", b"null", b"[[]]", b"{", b'{"action_name": NaN}'])
def test_what_is_no_json_of_events_is_refused(live_for_all, body):
    answer = live_for_all.client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text


def test_nested_without_end(live):
    body = b'{"action_name": "click", "event_attributes": {"x": ' + b"[" * 900 + b"]" * 900 + b"}}"
    answer = live.client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 422), answer.text


def test_numbers_of_any_size_and_shape(live):
    answer = live.post("/v1/search", query="rain")
    sent = click(answer["query_id"], 123, event_attributes={"value": 10**300, "dwell_s": 1e30})
    assert send(live, sent)["num_events"] == 1
    assert logged(live).events["doc_id"].to_pylist() == ["123"]


def test_so_many_at_once_and_the_scope_write(live):
    assert send(live, [click("q", "d")] * 1001, status=413)["error"]["code"] == "too_large"
    _, reader = Keys(live.workspace.database).add("reader", scopes=["read"])
    _, writer = Keys(live.workspace.database).add("writer", scopes=["write"])
    ask = lambda token: live.client.post(  # noqa: E731
        "/v1/events", json=click("q", "d"), headers={"authorization": f"Bearer {token}"}
    )
    eventually(lambda: ask(reader).status_code == 403, what="keys are read")
    assert ask(writer).status_code == 200


def test_several_services_take_events_of_each_other_s_answers(live, serving, base_live):
    other = serving(base_live).ready()
    answer = live.post("/v1/search", query="rain")
    assert send(other, click(answer["query_id"], answer["results"][0]["doc_id"]))["num_apart"] == 0
    impressions(live, 1)
    assert event_counts(other.workspace).num_events == 1


def test_many_clients_at_once(live):
    answer = live.post("/v1/search", query="rain")
    doc_id = answer["results"][0]["doc_id"]

    def work(number):
        for each in range(20):
            assert send(live, click(answer["query_id"], doc_id, event_id=f"{number}-{each}"))["num_events"] == 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert logged(live).events.num_rows == 160


def test_a_full_disk_refuses_events_and_searches_go_on(live, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device: /secret")

    with monkeypatch.context() as patch:
        patch.setattr(OpenFile, "append", full)
        answer = live.client.post("/v1/events", json=click("q", "d"))
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert live.post("/v1/search", query="rain")["results"]
        eventually(lambda: "nearer_impressions_lost_total 1.0" in live.client.get("/metrics").text, what="counted")
    assert send(live, click("q", "d"))["num_events"] == 1
    assert 'nearer_events_total{kept="apart"} 1.0' in live.client.get("/metrics").text


def test_neighbours_are_swapped_for_a_share_of_queries(serving, base_live):
    with (base_live / "nearer.toml").open("a", encoding="utf-8") as recipe:
        recipe.write("\n[search]\nexplore = 0.5\n")
    running = serving(base_live).ready()
    with Workspace.open(base_live) as workspace:
        ranking = [hit.document.doc_id for hit in Searcher.open(workspace).search("rain", k=4).hits]
    shown = [[each["doc_id"] for each in running.post("/v1/search", query="rain", k=4)["results"]] for _ in range(60)]
    rows = impressions(running, 60)
    assert sorted(row["doc_ids"] for row in rows) == sorted(shown), "what is logged is what was shown"
    swaps = [
        [place for place, (a, b) in enumerate(zip(ranking, row["doc_ids"], strict=True)) if a != b] for row in rows
    ]
    assert {len(each) for each in swaps} == {0, 2}
    assert all(each[1] == each[0] + 1 for each in swaps if each)
    assert 15 <= sum(map(bool, swaps)) <= 45
    for row, moved in zip(rows, swaps, strict=True):
        for place, likely in enumerate(row["propensities"]):
            alone = 1 - 0.5 / 3 * ((place > 0) + (place < 3))
            assert likely == pytest.approx(0.5 / 3 if place in moved else alone, abs=1e-6)
    assert event_counts(running.workspace).num_explored == sum(map(bool, swaps))
    assert len(set(itertools.chain(*swaps))) == 4


def test_a_workspace_that_may_only_be_read_is_still_searched(base_live, serving, monkeypatch):
    def refuse(_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Salt, "open", refuse)
    running = serving(base_live).ready()
    assert running.post("/v1/search", query="rain")["query_id"].startswith("query-")


def test_the_verb_tells_what_came_in(live, ask, base_live, nearer):
    assert "no events yet" in nearer("events", "--dir", str(base_live)).out
    answer = live.post("/v1/search", query="rain")
    send(live, [click(answer["query_id"], answer["results"][0]["doc_id"]), click("x", "y")])
    told = ask(base_live, "events")
    assert (told["num_events"], told["apart"], told["num_impressions"]) == (1, {"unknown query": 1}, 1)
    text = nearer("events", "--dir", str(base_live)).out
    assert "1 click" in text
    assert "kept apart: 1 unknown query" in text


def test_an_answer_is_traced_to_its_release_and_model(live):
    answer = live.post("/v1/search", query="harbour lantern", user="ann", k=2)
    query_id, doc_id = answer["query_id"], answer["results"][0]["doc_id"]
    send(live, [click(query_id, doc_id), click(query_id, "never shown")])
    found = lineage(live.workspace, query_id)
    assert (found.answer.release_id, found.answer.space_id) == (answer["release_id"], answer["space_id"])
    assert found.answer.doc_ids == tuple(each["doc_id"] for each in answer["results"])
    assert found.answer.events == {"click": 1}
    assert found.lineage == lineage(live.workspace).lineage
    with pytest.raises(NotFound, match="no answer 'query-0'"):
        lineage(live.workspace, "query-0")
