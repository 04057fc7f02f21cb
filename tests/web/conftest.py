"""Fixtures of the service's tests: uvicorn on a free port of this machine, in a thread of this process."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from nearer.store.workspace import Workspace
from nearer.web.app import make_app
from nearer.web.limits import Limits
from nearer.web.service import Service

PATIENCE_S = 30


def eventually(found: Callable[[], Any], *, what: str, patience_s: float = PATIENCE_S) -> Any:
    """What ``found`` returns, once it is true."""
    until = time.monotonic() + patience_s
    while not (value := found()):
        assert time.monotonic() < until, f"not within {patience_s} s: {what}"
        time.sleep(0.01)
    return value


class Running:
    """A service that listens, and a client of it."""

    def __init__(self, folder: Path, *, limits: Limits, origins: Sequence[str] = ()) -> None:
        self.workspace = Workspace.open(folder)
        self.service = Service(self.workspace, limits=limits)
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(make_app(self.service, origins=origins), log_level="warning", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]})
        self._thread.start()
        self.client = httpx2.Client(base_url=self.url, timeout=PATIENCE_S)

    def ready(self) -> "Running":
        """Wait until it answers searches."""
        eventually(lambda: self.client.get("/readyz").status_code == 200, what="ready")
        return self

    def post(self, path: str, *, status: int = 200, **body: Any) -> Any:
        """The answer to a JSON body, with its status checked."""
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def end(self) -> None:
        """Have it end as SIGTERM does."""
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self.workspace.close()


@pytest.fixture
def serving() -> Iterator[Callable[..., Running]]:
    """``serving(folder, deadline_s=1.0)``: a service with these limits, ended with the test."""
    running: list[Running] = []

    def start(folder: Path, *, origins: Sequence[str] = (), **limits: Any) -> Running:
        running.append(Running(folder, limits=Limits(**limits), origins=origins))
        return running[-1]

    yield start
    for each in running:
        each.end()


@pytest.fixture
def live(serving: Callable[..., Running], base_live: Path) -> Running:
    """A service of a workspace in which the base is live, ready."""
    return serving(base_live).ready()


@pytest.fixture(scope="module")
def live_for_all(_made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for all tests of a file that change nothing: they ask for what is refused."""
    running = Running(
        Path(shutil.copytree(_made["base live"], tmp_path_factory.mktemp("live") / "shop")), limits=Limits()
    )
    try:
        yield running.ready()
    finally:
        running.end()
