"""Search over HTTP is the search of the command line, and what cannot be answered is said in one shape."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from nearer.flows.promote import promote
from nearer.flows.search import search
from nearer.store.workspace import Workspace
from web.conftest import eventually


def ranking(answer):
    return [(each["doc_id"], pytest.approx(each["score"], abs=1e-5)) for each in answer["results"]]


@pytest.mark.parametrize("system", ["base", "hybrid", "bm25"])
@pytest.mark.parametrize("mode", ["release", "lexical"])
def test_it_ranks_as_the_command_does(live, system, mode):
    if system != "base":
        promote(live.workspace, system, force_reason="to serve it")
        live_id = live.workspace.registry.live_id()
        eventually(lambda: live.client.get("/readyz").json()["release_id"] == live_id, what="follows")
    for query in live.workspace.collection.queries("dev")[:8]:
        expected = search(live.workspace, query.text, lexical=mode == "lexical", k=7)
        answer = live.post("/v1/search", query=query.text, k=7, mode=mode)
        assert ranking(answer) == [(each["doc_id"], each["score"]) for each in expected["results"]]
        assert (answer["release_id"], answer["space_id"]) == (expected["release_id"], expected["space_id"])
        for result, other in zip(answer["results"], expected["results"], strict=True):
            assert result["snippet"] in other["text"]
            span, place = result["span"], other["passage"]
            assert span == (place and {"start": place["start"], "end": place["end"]})


def test_one_release_answers_a_batch_and_ids_differ(live):
    texts = [query.text for query in live.workspace.collection.queries("dev")[:5]]
    answers = live.post("/v1/search/batch", queries=[{"query": text, "k": 3} for text in texts])["answers"]
    assert [ranking(each) for each in answers] == [ranking(live.post("/v1/search", query=t, k=3)) for t in texts]
    assert len({each["query_id"] for each in answers}) == 5
    assert {each["arm"] for each in answers} == {"live"}
    for each in answers:
        assert set(each["took_ms"]) == {"encode", "rank", "passages", "total"}
        assert sum(each["took_ms"].values()) > 0


def test_many_clients_are_answered_as_one_is(live):
    texts = [query.text for query in live.workspace.collection.queries("dev")[:24]]
    alone = [ranking(live.post("/v1/search", query=text)) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda text: ranking(live.post("/v1/search", query=text)), texts * 2))
    assert together == alone * 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "query"),
        ({"query": "  "}, 400, "the query is blank"),
        ({"query": "rain", "k": 0}, 422, "k"),
        ({"query": "rain", "k": 1001}, 413, "results"),
        ({"query": "rain", "topk": 3}, 422, "topk: this field is not known"),
        ({"query": ["rain"]}, 422, "query"),
        ({"query": "rain", "mode": "magic"}, 422, "mode"),
        ({"query": "rain", "filter": {"type": "eq", "key": "year", "value": 1}}, 400, "cannot be filtered by 'year'"),
        ({"query": "rain", "filter": {"type": "like"}}, 400, "unknown filter type"),
        ({"query": "rain", "known": {"colour": "red"}}, 400, "no use of the query's 'colour'"),
        ({"query": "x" * 20_001}, 413, "20001 characters"),
    ],
)
def test_what_cannot_be_answered_is_refused(live_for_all, body, status, said):
    error = live_for_all.post("/v1/search", status=status, **body)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert said in error["message"]


def test_documents_are_filtered(live, tmp_path, ask_index):
    ask_index(live)
    filtered = live.post("/v1/search", query="rain", k=50, filter={"type": "eq", "key": "year", "value": 2020})
    assert {each["metadata"]["year"] for each in filtered["results"]} == {2020}
    assert len(filtered["results"]) == 3


@pytest.fixture
def ask_index(base_live, tmp_path):
    """Add documents that a year may filter, and have the index keep it."""
    from folders import write_jsonl
    from nearer.flows.add import add
    from nearer.flows.index import index

    def make(running):
        rows = [{"_id": f"y{n}", "text": f"rain {n}", "metadata": {"year": 2018 + n % 4}} for n in range(12)]
        with (base_live / "nearer.toml").open("a") as recipe:
            recipe.write('\n[index]\nfilter_fields = ["year"]\n')
        with Workspace.open(base_live) as workspace:
            add(workspace, "corpus", write_jsonl(tmp_path / "years.jsonl", rows))
            index(workspace)
        eventually(lambda: running.service.searcher.served.fields, what="follows the index")

    return make


def test_bodies_that_are_none(live):
    for content, kind, status in [
        (b"{", "application/json", 422),
        (b'"rain"', "application/json", 422),
        (b'{"query": "\\ud800"}', "application/json", 422),
        (b'{"query": "rain"}', "text/plain", 422),
    ]:
        answer = live.client.post("/v1/search", content=content, headers={"content-type": kind})
        assert answer.status_code == status, answer.text
        assert set(answer.json()["error"]) == {"code", "message", "hint"}


def test_other_paths_and_methods_have_the_same_shape(live):
    assert live.client.get("/nothing").json()["error"]["code"] == "not_found"
    answer = live.client.get("/v1/search")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    assert live.client.post("/v1/documents").headers["allow"] == "DELETE, GET, PUT"


def test_a_page_of_another_site_may_not_ask(live):
    answer = live.client.post("/v1/search", json={"query": "rain"}, headers={"origin": "http://elsewhere.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert live.client.post("/v1/search", json={"query": "rain"}, headers={"origin": live.url}).status_code == 200


def test_the_reference_page_asks_no_other_server(live):
    page = live.client.get("/docs")
    assert "/v1/search" in page.text
    assert "SearchRequest" in page.text
    assert "//" not in page.text.replace("http://www.w3.org", "")
    assert "default-src 'none'" in page.headers["content-security-policy"]
