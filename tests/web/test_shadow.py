"""A candidate in the shadow is asked what live is asked; users see live's answers, and notice nothing."""

import statistics
import time
from threading import Event

import httpx2
import pytest

from forked import die_at
from nearer.core.errors import Conflict, InputError, NotFound
from nearer.flows.history import history
from nearer.flows.promote import promote
from nearer.flows.prune import prune
from nearer.flows.shadow import shadow_report, start_shadow, stop_shadow
from nearer.measure.rank_overlap import overlap
from nearer.serving.searcher import Searcher
from nearer.store.shadows import MOST_KEPT, Shadows
from nearer.store.workspace import Workspace
from web.conftest import eventually
from web.killed import answer, counts, shadow_once

pytestmark = pytest.mark.slow


@pytest.fixture
def texts(live):
    return [query.text for query in live.workspace.collection.queries("dev")]


def shadowing(live, system, share=1.0):
    """Begin, and wait until the service asks the candidate."""
    start_shadow(live.workspace, system, share=share)
    eventually(lambda: live.service.shadow.served, what="the candidate is open")


def compared(live, number):
    return eventually(
        lambda: (
            (told := shadow_report(live.workspace)).agreement
            and told.agreement.num_queries + told.num_dropped + told.num_failed >= number
            and told
        ),
        what=f"{number} compared",
    )


@pytest.mark.parametrize("system", ["bm25", "hybrid"])
def test_the_report_is_that_of_asking_both(live, texts, system):
    shadowing(live, system)
    answers = [live.post("/v1/search", query=text) for text in texts[:12]]
    told = compared(live, 12)
    assert {each["arm"] for each in answers} == {"live"}
    assert (told.num_offered, told.num_dropped, told.num_failed) == (12, 0, 0)
    entry = Shadows(live.workspace.database).active()
    with Searcher.open(live.workspace, target=lambda _: entry.release) as searcher:
        expected = {text: [hit.document.doc_id for hit in searcher.search(text).hits] for text in texts[:12]}
    kept = Shadows(live.workspace.database).answers(entry.shadow_id)
    assert {each.query: [doc_id for doc_id, _ in each.shadow] for each in kept} == expected
    alike = []
    for text, live_answer in zip(texts[:12], answers, strict=True):
        shown = [each["doc_id"] for each in live_answer["results"]]
        alike.append(overlap(shown, expected[text], k=10))
    assert told.agreement.overlap.value == pytest.approx(statistics.mean(alike))
    ranked = [each.rank_biased_overlap for each in told.agreement.most_different]
    assert ranked == sorted(ranked)
    assert told.agreement.sides["live"].num_zero_results == 0
    assert told.agreement.sides["shadow"].latency_ms.p50 > 0
    assert told.live_release_id == answers[0]["release_id"]


def test_live_waits_for_nothing_that_the_candidate_encodes(live, monkeypatch):
    shadowing(live, "hybrid")
    encoder, begun, may = live.service.shadow.served.system.encoder, Event(), Event()
    encode = encoder.encode_queries

    def slow(texts):
        begun.set()
        assert may.wait(60)
        return encode(texts)

    monkeypatch.setattr(encoder, "encode_queries", slow)
    live.post("/v1/search", query="rain")
    assert begun.wait(30)
    try:
        assert live.post("/v1/search", query="harbour lantern")["results"]
    finally:
        may.set()


def test_a_share_is_drawn_and_what_finds_no_room_is_dropped_and_counted(live, texts, monkeypatch):
    shadowing(live, "bm25", share=0.5)
    drawn = iter([0.4, 0.6] * 40)
    monkeypatch.setattr(live.service.shadow, "_draw", lambda: next(drawn))
    for text in texts[:10]:
        live.post("/v1/search", query=text)
    assert compared(live, 5).num_offered == 5
    monkeypatch.setattr(live.service.shadow, "_is_busy", lambda: True)
    monkeypatch.setattr("nearer.serving.shadow._MOST_YIELDED_S", 60.0)
    monkeypatch.setattr(live.service.shadow, "_draw", lambda: 0.0)
    answered = [live.post("/v1/search", query=texts[0]) for _ in range(100)]
    assert all(answer["results"] for answer in answered), "users notice nothing"
    monkeypatch.setattr("nearer.serving.shadow._MOST_YIELDED_S", 0.0)
    monkeypatch.setattr(live.service.shadow, "_is_busy", lambda: False)
    told = eventually(
        lambda: (told := shadow_report(live.workspace)).num_dropped and told, what="what was dropped is counted"
    )
    assert 30 <= told.num_dropped <= 36
    told = compared(live, 105)
    assert told.num_offered == 105
    assert told.agreement.num_queries == 105 - told.num_dropped


@pytest.mark.exhaustive
def test_it_follows_the_documents_and_goes_when_it_is_ended(live, texts):
    shadowing(live, "bm25")
    live.client.put("/v1/documents?wait=true", json={"documents": [{"id": "z", "text": "a zebra at the quay"}]})
    revision = live.workspace.collection.revision()
    eventually(lambda: live.service.shadow.served.index.manifest.revision >= revision, what="the index follows")
    live.post("/v1/search", query="zebra")
    told = compared(live, 1)
    assert told.agreement.most_different[0].shadow[0].doc_id == "z"
    assert stop_shadow(live.workspace).ended_at
    eventually(lambda: live.service.shadow.served is None, what="the candidate is let go")
    live.post("/v1/search", query="zebra")
    time.sleep(0.3)
    assert shadow_report(live.workspace).num_offered == 1
    with pytest.raises(NotFound, match="no candidate"):
        stop_shadow(live.workspace)


def test_what_the_candidate_cannot_answer_is_counted(live, texts, monkeypatch):
    shadowing(live, "bm25")

    def failing(*_, **__):
        raise InputError("no", hint="")

    monkeypatch.setattr(live.service.shadow._follower.searcher, "search_many", failing)
    assert live.post("/v1/search", query=texts[0])["results"]
    told = eventually(lambda: (told := shadow_report(live.workspace)).num_failed and told, what="failed")
    assert (told.num_offered, told.num_failed, told.agreement) == (1, 1, None)


@pytest.mark.exhaustive
def test_over_http_it_is_a_job_and_the_gate_is_told(live, texts):
    job = live.post("/v1/admin/shadow", status=202, system="bm25", share=1.0)
    eventually(
        lambda: live.client.get(f"/v1/admin/jobs/{job['job_id']}").json()["state"] == "done",
        what="done",
        patience_s=120,
    )
    eventually(lambda: live.service.shadow.served, what="the candidate is open")
    for text in texts[:8]:
        live.post("/v1/search", query=text)
    compared(live, 8)
    told = live.client.get("/v1/admin/shadow").json()
    assert told["agreement"]["num_queries"] == 8
    promoted = promote(live.workspace, "bm25", force_reason="to see its notes")
    assert any("overlap@10" in note and "8 queries" in note for note in promoted.notes)
    assert any("overlap@10" in note for note in history(live.workspace).events[-1].notes)
    assert live.client.delete("/v1/admin/shadow").json()["ended_at"]
    assert live.client.get("/v1/admin/shadow").json()["ended_at"]


def test_what_cannot_be_shadowed_is_refused(live):
    workspace = live.workspace
    with pytest.raises(NotFound, match="no candidate was"):
        shadow_report(workspace)
    with pytest.raises(InputError, match="is what is live"):
        start_shadow(workspace, "base")
    for share in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="share"):
            start_shadow(workspace, "bm25", share=share)
    start_shadow(workspace, "bm25")
    with pytest.raises(Conflict, match="bm25 is in the shadow"):
        start_shadow(workspace, "hybrid")
    assert live.client.get("/v1/admin/shadow").json()["agreement"] is None


def test_the_newest_answers_are_kept(base_live, monkeypatch):
    monkeypatch.setattr("nearer.store.shadows.MOST_KEPT", 5)
    assert MOST_KEPT == 10_000
    with Workspace.open(base_live) as workspace:
        shadows = Shadows(workspace.database)
        live = workspace.registry.live()
        entry = shadows.start(live, system="x", share=0.5)
        for number in range(4):
            shadows.add(entry.shadow_id, [answer(f"{number}{n}") for n in range(3)], **counts(offered=3))
        assert [each.query for each in shadows.answers(entry.shadow_id)] == ["21", "22", "30", "31", "32"]
        assert shadows.active().num_offered == 12


def test_a_model_in_the_shadow_is_not_pruned(trained):
    with Workspace.open(trained) as workspace:
        model_id = workspace.registry.models()[-1].model_id
        start_shadow(workspace, model_id)
        assert not [each for each in prune(workspace, keep=0).removed if each.kind == "models"]
        stop_shadow(workspace)
        assert [each for each in prune(workspace, keep=0).removed if each.kind == "models"]


@pytest.mark.parametrize("step", ["shadow.started", "shadow.answers"])
def test_killed_it_is_there_whole(base_live, step):
    die_at(step, shadow_once, base_live)
    with Workspace.open(base_live) as workspace:
        active = Shadows(workspace.database).active()
        kept = Shadows(workspace.database).answers(active.shadow_id)
        assert len(kept) == active.num_offered == (step == "shadow.answers")


@pytest.mark.exhaustive
def test_a_candidate_that_is_slow_does_not_slow_live(live, texts, monkeypatch):
    """The candidate takes 100 ms a query, all of it without the processor: live is as fast as without it."""
    shadowing(live, "bm25")
    searcher = live.service.shadow._follower.searcher
    asked = searcher.search_many

    def slow(*arguments, **more):
        time.sleep(0.1)
        return asked(*arguments, **more)

    def took():
        with httpx2.Client(base_url=live.url) as client:
            start = time.perf_counter()
            for text in texts[:20]:
                assert client.post("/v1/search", json={"query": text}).status_code == 200
            return time.perf_counter() - start

    without = min(took() for _ in range(3))
    monkeypatch.setattr(searcher, "search_many", slow)
    assert min(took() for _ in range(3)) < without + 1.0, "twenty answers of 100 ms would take two seconds"
