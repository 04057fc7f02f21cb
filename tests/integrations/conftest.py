"""A workspace with the base live and fields that filter, asked in this process and over HTTP."""

import socket
import threading
import time

import pytest
import uvicorn

from folders import write_jsonl
from nearer.flows.add import add
from nearer.flows.promote import promote
from nearer.serving.searcher import Searcher
from nearer.store.workspace import Workspace
from nearer.web.app import make_app
from nearer.web.service import Service

ROWS = [
    {"_id": f"d{n}/é", "title": f"title {n}", "text": f"rain on the harbour {n} " * 3, "metadata": {"year": 2000 + n}}
    for n in range(12)
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tiny_recipe):
    folder = tmp_path_factory.mktemp("integrations")
    recipe = {**tiny_recipe, "index": {"filter_fields": ["year"]}}
    with Workspace.init(folder / "shop", recipe=recipe) as opened:
        add(opened, "corpus", write_jsonl(folder / "corpus.jsonl", ROWS))
        promote(opened, "base")
        yield opened


@pytest.fixture(scope="module")
def url(workspace):
    service = Service(workspace)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(service), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until = time.monotonic() + 60
    while service.follower.served is None:
        assert time.monotonic() < until, "the service is not ready"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def searcher(workspace):
    with Searcher.open(workspace) as opened:
        yield opened


@pytest.fixture(params=["searcher", "url"])
def source(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def expected(workspace):
    """``expected(query, k, where)``: ids, scores and passages that Nearer itself finds."""

    def found(query, k, where=None):
        with Searcher.open(workspace) as searcher:
            hits = searcher.search(query, k=k, where=where).hits
        return [(hit.document.doc_id, pytest.approx(hit.score, abs=1e-6), hit.passage_text) for hit in hits]

    return found
