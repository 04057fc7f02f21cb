"""While a training is under way, everything else goes on at once."""

import importlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from folders import write_jsonl
from nearer.core import failpoints
from nearer.core.errors import WorkspaceBusy
from nearer.flows.add import add
from nearer.flows.check import check
from nearer.flows.compress import compress
from nearer.flows.index import index
from nearer.flows.promote import promote
from nearer.flows.remove import remove
from nearer.flows.rollback import rollback
from nearer.flows.search import search
from nearer.flows.status import status
from nearer.flows.train import train
from nearer.store.workspace import Workspace

evaluate_module = importlib.import_module("nearer.flows.evaluate")
AT_ONCE_S = 20
"""Far more than any of them takes here, and far less than a training that does not end."""


@pytest.fixture
def held_training(base_live, monkeypatch):
    """A training that waits behind its first durable step until it is let go."""
    reached, let_go = threading.Event(), threading.Event()

    def wait(name):
        if name == "train.examples":
            reached.set()
            assert let_go.wait(300)

    monkeypatch.setattr(failpoints, "handler", wait)
    with ThreadPoolExecutor(1) as thread, Workspace.open(base_live) as workspace:
        training = thread.submit(train, workspace)
        while not reached.wait(0.1):
            if training.done():
                training.result()
        yield training, let_go
        let_go.set()


def test_everything_else_works_at_once_beside_a_training(base_live, held_training, tmp_path):
    training, let_go = held_training
    rows = write_jsonl(tmp_path / "c.jsonl", [{"_id": "new", "text": "music and water"}])
    with Workspace.open(base_live) as workspace:
        [running] = status(workspace)["unfinished"]
        assert running["is_running"]
        before = workspace.collection.revision()
        for name, operation in {
            "add": lambda: add(workspace, "corpus", rows),
            "remove": lambda: remove(workspace, ["d001"]),
            "search": lambda: search(workspace, "music"),
            "promote": lambda: promote(
                workspace, compress(workspace, "base", dimension=8)["model_id"], force_reason="to be undone"
            ),
            "rollback": lambda: rollback(workspace),
            "index": lambda: index(workspace, compress(workspace, "base", dimension=12)["model_id"]),
            "status": lambda: status(workspace),
            "check": lambda: check(workspace),
        }.items():
            began = time.monotonic()
            operation()
            assert time.monotonic() - began < AT_ONCE_S, name
        with pytest.raises(WorkspaceBusy, match="busy with nearer train"):
            workspace.lease(f"training-{running['run_id']}", verb="train").__enter__()
        let_go.set()
        result = training.result()
        data = workspace.registry.training_of(result["model_id"]).data
        assert (data["revision"], data["revision_at_end"]) == (before, before + 2)
        assert status(workspace)["unfinished"] == ()


def test_a_document_edited_between_two_systems_of_a_measurement_is_seen_by_neither(base_live, tmp_path, monkeypatch):
    edited = write_jsonl(tmp_path / "c.jsonl", [{"_id": "d002", "text": "another text"}])
    with Workspace.open(base_live) as workspace:
        measure = evaluate_module.measure

        def edit_after(*args, **options):
            found = measure(*args, **options)
            add(workspace, "corpus", edited)
            return found

        monkeypatch.setattr(evaluate_module, "measure", edit_after)
        base, live = evaluate_module.evaluate(workspace, ["base", "live"]).results
        assert live.by_query == base.by_query, "one model, and the same documents"
        assert len(workspace.results.evaluations()) == 1
