"""The verb ``nearer serve``: ready once it has answered, drained when it is told to end."""

import os
import re
import signal
import socket
import sys
import threading
from pathlib import Path

import httpx2
import pytest

from flows.processes import Running as Verb
from nearer.core.errors import InputError
from nearer.flows.key import add_key
from nearer.flows.promote import promote
from nearer.store.workspace import Workspace
from nearer.web.run import serve
from web.conftest import eventually


class Served:
    """``nearer serve`` in a process of its own."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.verb = Verb("serve", "--dir", folder, "--port", 0, *options)
        said = eventually(
            lambda: re.search(r"http://127\.0\.0\.1:\d+", self.verb.printed()), what="it listens", patience_s=120
        )
        self.client = httpx2.Client(base_url=said[0], timeout=30)

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.client.close()
        self.verb.signal(signal.SIGTERM)
        return self.verb.wait().code


@pytest.fixture
def served():
    started = []

    def start(folder, *options):
        started.append(Served(folder, *options))
        return started[-1]

    yield start
    for each in started:
        each.verb.kill(after_s=0)


def test_it_answers_and_ends_without_an_error(served, base_live):
    process = served(base_live)
    assert process.client.get("/healthz").status_code == 200
    eventually(lambda: process.client.get("/readyz").status_code == 200, what="ready")
    assert process.client.post("/v1/search", json={"query": "rain"}).json()["results"]
    assert process.end() == 0


def test_before_anything_is_live_it_says_so_and_then_follows(serving, new_workspace_folder, beir):
    from nearer.flows.add import add

    running = serving(new_workspace_folder)
    eventually(lambda: "nothing is live" in running.client.get("/readyz").text, what="says why")
    refused = running.client.post("/v1/search", json={"query": "rain"})
    assert (refused.status_code, refused.json()["error"]["hint"]) == (503, "make something live: nearer promote base")
    assert running.client.get("/healthz").status_code == 200
    with Workspace.open(new_workspace_folder) as workspace:
        add(workspace, "beir", beir)
        promote(workspace, "base")
    running.ready()
    assert running.post("/v1/search", query="rain")["results"]


@pytest.fixture
def new_workspace_folder(tmp_path, tiny_recipe):
    Workspace.init(tmp_path / "new", recipe=tiny_recipe).close()
    return tmp_path / "new"


def test_requests_at_hand_are_answered_when_it_ends(base_live, monkeypatch):
    """SIGTERM comes while a search is under way: it is answered, and new connections are not taken."""
    from nearer.serving.searcher import Searcher

    began, may, search = threading.Event(), threading.Event(), Searcher.search_many

    def slow(*arguments, **options):
        began.set()
        assert may.wait(20)
        return search(*arguments, **options)

    monkeypatch.setattr(Searcher, "search_many", slow)
    said, answers = [], []

    def ask():
        url = eventually(lambda: said and re.search(r"http://[\d.:]+", said[0]), what="it listens")[0]
        with httpx2.Client(base_url=url, timeout=30) as client:
            eventually(lambda: client.get("/readyz").status_code == 200, what="ready")
            threading.Timer(0, after_begun).start()
            answers.append(client.post("/v1/search", json={"query": "rain"}))

    def after_begun():
        assert began.wait(20)
        os.kill(os.getpid(), signal.SIGTERM)
        may.set()

    asking = threading.Thread(target=ask)
    asking.start()
    before = signal.getsignal(signal.SIGTERM)
    with Workspace.open(base_live) as workspace:
        serve(workspace, port=0, say=said.append)
    asking.join()
    assert [each.status_code for each in answers] == [200]
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_address_that_is_taken_is_said(base_live):
    with socket.create_server(("127.0.0.1", 0)) as taken, Workspace.open(base_live) as workspace:
        with pytest.raises(InputError, match="cannot listen at"):
            serve(workspace, port=taken.getsockname()[1])
        add_key(workspace, "shop")
        with pytest.raises(InputError, match="cannot listen at"):
            serve(workspace, host="no.such.host.invalid", port=0)


def test_without_the_extra_it_gives_the_command(base_live, monkeypatch, capsys):
    from nearer.cli import main

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--dir", str(base_live)])
    assert ended.value.code == 2
    assert "pip install 'nearer[serve]'" in capsys.readouterr().err


def test_the_demo_ends_by_telling_how_to_serve_it():
    from types import SimpleNamespace

    from nearer.printing import demonstrated

    report = "made/demo/.nearer/reports/report.html"
    result = SimpleNamespace(comparison=None, num_test_uses=1, verdict="promoted", duration_s=1.0, report=report)
    assert demonstrated(result).splitlines()[-1] == "serve:   nearer serve --dir made/demo"
