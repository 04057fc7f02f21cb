"""The service follows the live pointer: no request fails, and none is answered by two releases."""

import threading
import weakref
from itertools import cycle

import httpx2
import pytest

from nearer.flows.promote import promote
from nearer.flows.rollback import rollback
from nearer.flows.search import search
from nearer.store.workspace import Workspace
from web.conftest import eventually

NUM_CLIENTS = 8


@pytest.fixture
def two_releases(trained):
    """A workspace in which the base was live, and a trained model is."""
    with Workspace.open(trained) as workspace:
        promote(workspace, force_reason="to serve it")
    return trained


class Clients:
    """Eight clients that ask all the time, and check each answer by what its release answers."""

    def __init__(self, url, expected):
        self.failures, self.seen, self._expected, self._ending = [], [], expected, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(NUM_CLIENTS)]
        for each in self._threads:
            each.start()

    def end(self):
        self._ending.set()
        for each in self._threads:
            each.join()

    def _ask(self, url):
        texts = cycle(sorted({text for _, _, text in self._expected}))
        with httpx2.Client(base_url=url, timeout=30) as client:
            while not self._ending.is_set():
                text = next(texts)
                answer = client.post("/v1/search", json={"query": text})
                self.seen.append(answer.json().get("release_id", answer.text))
                if answer.status_code != 200 or not self._is_whole(text, answer.json()):
                    self.failures.append((text, answer.text))

    def _is_whole(self, text, answer):
        hits = [(each["doc_id"], each["score"]) for each in answer["results"]]
        wanted = self._expected[answer["release_id"], answer["space_id"], text]
        return hits == [(doc_id, pytest.approx(score, abs=2e-5)) for doc_id, score in wanted]


def answers_of(workspace, texts):
    """What the release that is live answers, by release, space and text."""
    found = {}
    for text in texts:
        result = search(workspace, text)
        hits = [(each["doc_id"], each["score"]) for each in result["results"]]
        found[result["release_id"], result["space_id"], text] = hits
    return found


@pytest.mark.parametrize("num_moves", [10, 50])
def test_moves_under_eight_clients(serving, two_releases, num_moves):
    running = serving(two_releases).ready()
    texts = [query.text for query in running.workspace.collection.queries("dev")[:6]]
    with Workspace.open(two_releases) as workspace:
        newer, older = workspace.registry.live(), workspace.registry.previous()
        expected = answers_of(workspace, texts)
        rollback(workspace)
        expected |= answers_of(workspace, texts)
        clients, served = Clients(running.url, expected), []
        try:
            for number in range(num_moves):
                served.append(weakref.ref(running.service.searcher.served.system.encoder))
                moved = [older, newer][number % 2 == 0]
                rollback(workspace) if moved is older else promote(workspace, newer.release_id)
                eventually(lambda wanted=moved: serves(running, wanted), what="the service follows")
        finally:
            clients.end()
    eventually(lambda: not any(each() for each in served), what="one release's model is left")
    assert len(clients.seen) > num_moves
    assert clients.failures == []
    assert set(clients.seen) == {newer.release_id, older.release_id}


def serves(running, release):
    return running.service.searcher.served.release.release_id == release.release_id


def test_what_was_served_before_is_let_go(serving, two_releases):
    running = serving(two_releases).ready()
    before = weakref.ref(running.service.searcher.served.system.encoder)
    running.post("/v1/search", query="rain")
    with Workspace.open(two_releases) as workspace:
        live_id = workspace.registry.live_id()
        rollback(workspace)
    eventually(lambda: running.client.get("/readyz").json()["release_id"] != live_id, what="follows")
    running.post("/v1/search", query="rain")

    eventually(lambda: before() is None, what="the former model is let go")


def test_a_release_that_cannot_be_opened_leaves_what_was_served(serving, two_releases, caplog, monkeypatch):
    from nearer.core.errors import ModelRefused

    running = serving(two_releases).ready()
    live_id = running.service.searcher.served.release.release_id

    def refuse(*_, **__):
        raise ModelRefused("/secret/model: damaged", hint="restore it")

    with Workspace.open(two_releases) as workspace:
        rollback(workspace)
        with monkeypatch.context() as patch:
            patch.setattr("nearer.serving.served.open_release", refuse)
            eventually(lambda: "damaged" in caplog.text, what="the log says it")
            assert running.post("/v1/search", query="rain")["release_id"] == live_id
    eventually(lambda: running.client.get("/readyz").json()["release_id"] != live_id, what="follows later")
