"""Two service processes, each with a folder of its own, on one PostgreSQL: what one does the other has soon."""

import shutil
import signal
import time

import httpx2
import pytest

import nearer as package
from nearer.flows.promote import promote
from nearer.flows.rollback import rollback
from nearer.store.workspace import Workspace
from processes import Running
from web.conftest import eventually

pytestmark = pytest.mark.slow
PATIENCE_S = 10
"""Each is there within a second where nobody else works on the machine: docs/how-to/move-to-postgres.md."""


class Served:
    """A service in a process of its own, and a client of it."""

    def __init__(self, folder):
        self.process = Running("serve", "--port", 0, "--dir", folder)
        said = eventually(lambda: self._said(), what="listens", patience_s=120)
        self.client = httpx2.Client(base_url=said, timeout=30)
        eventually(lambda: self.client.get("/readyz").status_code == 200, what="ready", patience_s=120)

    def _said(self):
        words = self.process.printed().split()
        return next((each.rstrip("/") for each in words if each.startswith("http://127.0.0.1:")), None)

    def serves(self):
        return self.client.get("/readyz").json().get("release_id")

    def finds(self, text):
        found = self.client.post("/v1/search", json={"query": text, "k": 1000})
        return {each["doc_id"] for each in found.raise_for_status().json()["results"]}


@pytest.fixture
def two(trained, postgres_schema, tmp_path):
    with Workspace.open(trained) as workspace:
        promote(workspace, force_reason="to serve it")
        package.copy_store(workspace, postgres_schema, write=True)
    other = shutil.copytree(trained, tmp_path / "other machine", ignore=shutil.ignore_patterns("*.sqlite*"))
    services = [Served(trained), Served(other)]
    yield trained, *services
    for each in services:
        each.client.close()
        each.process.kill(after_s=0)


def took(services, is_so, what):
    """How long it took until it was so of all services."""
    began = time.monotonic()
    for each in services:
        eventually(lambda each=each: is_so(each), what=what, patience_s=PATIENCE_S)
    return time.monotonic() - began


def test_both_follow_and_one_goes_on_when_the_other_is_killed(two):
    folder, first, second = two
    both, found = (first, second), {}
    with Workspace.open(folder) as workspace:
        newer, older = workspace.registry.live_id(), workspace.registry.previous().release_id
        assert {each.serves() for each in both} == {newer}
        rollback(workspace)
        found["rollback"] = took(both, lambda each: each.serves() == older, "the rollback")
        promote(workspace, newer)
        found["swap"] = took(both, lambda each: each.serves() == newer, "the swap")
        document = {"id": "zebra", "text": "stripes of a zebra"}
        first.client.put("/v1/documents", json={"documents": [document]}).raise_for_status()
        assert second.client.get("/v1/documents/zebra").json()["text"] == document["text"]
        found["document"] = took(both, lambda each: "zebra" in each.finds("stripes of a zebra"), "the document")
        first.process.signal(signal.SIGKILL)
        second.client.put("/v1/documents", json={"documents": [{"id": "horse", "text": "a horse"}]}).raise_for_status()
        took([second], lambda each: "horse" in each.finds("a horse"), "after the kill")
        second.client.delete("/v1/documents", params={"id": ["zebra"]}).raise_for_status()
        assert "zebra" not in second.finds("stripes of a zebra")
        rollback(workspace)
        found["rollback after the kill"] = took([second], lambda each: each.serves() == older, "after the kill")
    print({name: round(seconds, 2) for name, seconds in found.items()})  # noqa: T201
