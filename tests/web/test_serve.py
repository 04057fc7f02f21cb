"""The verb ``nearer serve``: ready once it has answered, drained when it is told to end."""

import contextlib
import os
import re
import signal
import socket
import sys
import threading
from pathlib import Path

import httpx2
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nearer.core.errors import InputError
from nearer.flows.key import add_key
from nearer.flows.promote import promote
from nearer.store.workspace import Workspace
from nearer.web.run import serve, set_threads
from processes import Running as Verb
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


@pytest.mark.exhaustive
@pytest.mark.slow
def test_several_processes_serve_as_one_and_one_that_is_killed_is_begun_anew(served, base_live):
    process = served(base_live, "--workers", 2)

    def numbers():
        """The requests counted of all, and the processes that tell."""
        with httpx2.Client(base_url=process.client.base_url, timeout=30) as client:  # a connection of its own
            text = client.get("/metrics").text
        found = re.findall(r'nearer_requests_total\{[^}]*route="/v1/search"[^}]*\} ([0-9.]+)', text)
        return sum(map(float, found))

    def asked():
        """The status of an answer; 0 while the processes are still starting."""
        with (
            contextlib.suppress(httpx2.TransportError),
            httpx2.Client(base_url=process.client.base_url, timeout=20) as client,
        ):
            return client.post("/v1/search", json={"query": "rain"}).status_code
        return 0

    eventually(lambda: [asked() for _ in range(8)] == [200] * 8, what="both answer", patience_s=240)
    before = numbers()
    assert [asked() for _ in range(20)] == [200] * 20
    assert {numbers() for _ in range(6)} == {before + 20}, "each tells the numbers of both"
    children = eventually(lambda: len(workers_of(process)) == 2 and workers_of(process), what="two at work")
    os.kill(children[0], signal.SIGKILL)
    eventually(
        lambda: len(workers_of(process)) == 2 and children[0] not in workers_of(process),
        what="begun anew",
        patience_s=120,
    )
    eventually(lambda: [asked() for _ in range(8)] == [200] * 8, what="both answer again", patience_s=240)
    assert numbers() >= before + 20, "what the killed one counted is kept"
    assert process.end() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def workers_of(process):
    """The processes that a service began to serve, by their command."""
    parent = process.verb._process.pid
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                is_child = f"PPid:\t{parent}\n" in (folder / "status").read_text()
                if is_child and b"spawn_main" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return sorted(found)


def test_searches_take_no_core_from_encoding(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threadpool_limits(limits=2, user_api="blas"):  # and gives back what there was
        set_threads(1)
        assert {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"} == {1}
