"""``nearer agreement``: raters beside each other, the one far from the rest, and weights."""

import random

import pytest

from folders import small_rows, write_jsonl
from nearer.flows.add import add
from nearer.store.workspace import Workspace


@pytest.fixture
def rated(new_workspace, words, tmp_path):
    """Four raters of the same pairs; dan guesses."""
    folder, rng = new_workspace(grades={"max_grade": 4}), random.Random(0)
    rows = small_rows(words, num_documents=12)
    with Workspace.open(folder) as workspace:
        for kind in ("corpus", "queries"):
            add(workspace, kind, write_jsonl(tmp_path / f"{kind}.jsonl", rows[kind]))
        pairs = [(q["_id"], d["_id"]) for q in rows["queries"][:8] for d in rows["corpus"][:8]]
        truth = {pair: rng.randrange(5) for pair in pairs}
        for name, error in (("ann", 0.05), ("bob", 0.1), ("cem", 0.1), ("dan", 0.9)):
            said = [
                {"query_id": q, "doc_id": d, "grade": rng.randrange(5) if rng.random() < error else truth[q, d]}
                for q, d in pairs
            ]
            add(workspace, "judgments", write_jsonl(tmp_path / f"{name}.jsonl", said), by=f"human:{name}")
    return folder


def test_raters_are_compared_and_weighed(ask, rated, nearer):
    reported = ask(rated, "agreement")
    assert reported["num_raters"] == 4
    assert reported["far"] == ["dan"]
    assert 0 < reported["alpha"]["low"] < reported["alpha"]["value"] < reported["alpha"]["high"] < 1
    by_name = {each["rater"]: each for each in reported["raters"]}
    assert by_name["dan"]["reliability"] < 0.4 < 0.85 < by_name["ann"]["reliability"]
    assert {each["weight"] for each in reported["raters"]} == {1.0}
    shown = nearer("agreement", "--dir", rated).out
    assert "far from the rest: dan" in shown
    weighed = ask(rated, "agreement", "--write")
    assert weighed["is_written"]
    assert {e["rater"]: e["weight"] for e in weighed["raters"]} == {
        name: pytest.approx(max(0.05, each["reliability"]), abs=1e-3) for name, each in by_name.items()
    }
    with Workspace.open(rated) as workspace:
        assert {j.weight for j in workspace.collection.all_judgments() if j.rater == "dan"} == {
            weighed["raters"][3]["weight"]
        }


def test_what_cannot_be_compared_is_refused(ask, rated, new_workspace, words, tmp_path):
    assert "to compare takes two" in ask(rated, "agreement", "--source", "llm", code=2)["error"]["message"]
    assert "no source" in ask(rated, "agreement", "--source", "people", code=2)["error"]["message"]
    with Workspace.open(rated) as workspace:
        few = write_jsonl(tmp_path / "few.jsonl", [{"query_id": "q000", "doc_id": "d000", "grade": 1}])
        for name in ("a", "b"):
            add(workspace, "judgments", few, by=f"llm:{name}")
    error = ask(rated, "agreement", "--source", "llm", "--write", code=2)["error"]
    assert "1 pairs have several ratings" in error["message"]
    assert ask(rated, "agreement", "--source", "llm")["notes"]
