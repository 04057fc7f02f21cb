"""Too much, too large, too late, and failures: each has its status, and nobody else notices."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from nearer.core.errors import ServiceError, WorkspaceError
from nearer.serving.searcher import Searcher
from web.conftest import eventually


@pytest.fixture
def blocked(monkeypatch):
    """Searches wait until the event is set."""
    may, search = Event(), Searcher.search_many

    def slow(*arguments, **options):
        assert may.wait(20)
        return search(*arguments, **options)

    monkeypatch.setattr(Searcher, "search_many", slow)
    yield may
    may.set()


def test_what_waits_is_bounded(serving, base_live, blocked):
    running = serving(base_live, threads=1, waiting=2).ready()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(running.client.post, "/v1/search", json={"query": "rain"}) for _ in range(3)]
        eventually(lambda: running.service._work.num_pending == 3, what="all wait")
        refused = running.client.post("/v1/search", json={"query": "rain"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert running.client.get("/healthz").status_code == 200
        blocked.set()
        assert [each.result().status_code for each in asked] == [200] * 3
    eventually(lambda: running.service._work.num_pending == 0, what="none waits")
    assert running.client.post("/v1/search", json={"query": "rain"}).status_code == 200


@pytest.mark.exhaustive
def test_there_is_a_deadline(serving, base_live, blocked):
    running = serving(base_live, deadline_s=0.2).ready()
    assert running.post("/v1/search", status=504, query="rain")["error"]["code"] == "deadline_exceeded"
    blocked.set()
    eventually(lambda: running.service._work.num_pending == 0, what="it ends later")
    assert running.post("/v1/search", query="rain")["results"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_not_read(serving, base_live, declared):
    running = serving(base_live, body_bytes=1000).ready()
    content = b'{"query": "' + b"x" * 2000 + b'"}'
    sent = content if declared else iter([content[:900], content[900:]])
    answer = running.client.post("/v1/search", content=sent, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert running.post("/v1/search", query="rain")["results"]


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (ZeroDivisionError("in /secret/path.py"), 500, "internal"),
        (WorkspaceError("/secret/path/control.sqlite: cannot be read", hint="see /secret"), 500, "workspace"),
        (ServiceError("http://10.0.0.1/secret did not answer", hint=""), 502, "service"),
    ],
)
def test_failures_show_no_path_and_no_traceback(live, monkeypatch, raised, status, code, caplog):
    def fail(*_, **__):
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(Searcher, "search_many", fail)
        answer = live.client.post("/v1/search", json={"query": "rain"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "secret" in caplog.text, "the log says it"
    assert live.post("/v1/search", query="rain")["results"]


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_texts_of_a_megabyte_leave_memory_as_it_was(live):
    text = "the river and the school " * 40_000

    def embed():
        return live.post("/v1/embeddings", input=text)["data"][0]

    assert embed()["truncated"]
    before = resident_bytes()
    for _ in range(2):
        embed()
    assert resident_bytes() - before < 100 * 2**20
