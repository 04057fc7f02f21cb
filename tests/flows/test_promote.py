"""A promotion reads the documents once, and cuts each of them once, whatever it measures and builds."""

import json
from collections import Counter

import pytest

from nearer.encode import corpus as cutting
from nearer.flows.evaluate import evaluate
from nearer.flows.promote import promote
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace


@pytest.fixture
def counted(monkeypatch):
    """How often each document was cut as it is indexed, not otherwise on trial, and how often all of them were read."""
    cut, reads, first = Counter(), [], []
    passages, snapshot, documents = cutting.passages, Collection.snapshot, Collection.documents

    def counting(some, **options):
        first.append(options["window"])
        if options["window"] == first[0]:
            cut.update(document.doc_id for document in some)
        return passages(some, **options)

    def read(self, doc_ids=None):
        reads.extend(["all"] if doc_ids is None else [])
        return documents(self, doc_ids)

    monkeypatch.setattr(cutting, "passages", counting)
    monkeypatch.setattr(Collection, "snapshot", lambda self: (reads.append("all"), snapshot(self))[1])
    monkeypatch.setattr(Collection, "documents", read)
    return cut, reads


def with_suite(folder):
    """The workspace with a suite that both systems run at the gate."""
    case = {"name": "a", "query": "a text", "must": ["d001"], "k": 80}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in case.items())
    (folder / "suite.toml").write_text(f"[[case]]\n{lines}\n")
    return Workspace.open(folder, overrides=("gate.suite=suite.toml",))


def test_one_promotion_reads_and_cuts_once(trained, counted):
    cut, reads = counted
    with with_suite(trained) as workspace:
        doc_ids = set(workspace.collection.document_hashes())
        found = promote(workspace, force_reason="to see what is read")
        assert found["suite"]["results"][0]["system"] == "live"
        assert found["release_id"]
    assert cut == dict.fromkeys(doc_ids, 1), "the suite, the measurement of both systems, examples and the index"
    assert reads == ["all"]


def test_systems_over_one_encoder_are_measured_on_one_cut(base_live, counted):
    cut, reads = counted
    with Workspace.open(base_live) as workspace:
        evaluate(workspace, ["base", "bm25", "hybrid"])
        doc_ids = set(workspace.collection.document_hashes())
    assert cut == dict.fromkeys(doc_ids, 1)
    assert reads == ["all"]
