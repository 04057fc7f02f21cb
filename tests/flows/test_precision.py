"""Vectors of lower precision in the index: what a release pins, which index it searches, and what it may lose."""

import pytest

from flows import processes
from flows.folders import write_jsonl
from nearer.retrieval.index import open_index

INT8 = ("--set", "index.precision=int8")
ANY_RECALL = ("--set", "index.min_recall=0")
LIVE = (*INT8, *ANY_RECALL, "--set", "gate.min_gain=-1")


def answers(ask, folder):
    return [(each["doc_id"], each["score"]) for each in ask(folder, "search", "music and water", "-k", 80)["results"]]


def indexes(folder):
    return sorted(path.parent.name for path in folder.glob(".nearer/indexes/*/manifest.json"))


def test_a_release_pins_its_precision_and_rolls_back(ask, nearer, base_live):
    before, live = answers(ask, base_live), ask(base_live, "status")["live"]
    promoted = ask(base_live, "promote", "base", *LIVE)
    assert promoted["verdict"] == "promoted"
    space = live["space_id"]
    assert indexes(base_live) == [space, f"{space}.int8"]
    index = open_index(base_live / ".nearer" / "indexes" / f"{space}.int8", space_id=space)
    assert (index.manifest.spec.precision, index.kept.vectors_PD.dtype) == ("int8", "int8")
    after = answers(ask, base_live)
    assert dict(after) == pytest.approx(dict(before), abs=0.01)
    assert after != before
    assert "is live already" in ask(base_live, "promote", "base", *INT8, code=2)["error"]["message"]
    assert "exact in int8, recall@10" in nearer("index", "--dir", base_live).out, "the recipe says float32, live int8"
    assert len(ask(base_live, "index")["indexes"]) == 2, "live's and its predecessor's"
    assert ask(base_live, "rollback")["release_id"] == live["release_id"]
    assert answers(ask, base_live) == before
    assert ask(base_live, "promote", promoted["release_id"])["verdict"] == "promoted"
    assert answers(ask, base_live) == after


@pytest.mark.parametrize("precision", ["float16", "int8", "binary"])
def test_edits_are_followed_without_encoding_the_rest(ask, base_live, words, precision):
    chosen = ("--set", f"index.precision={precision}", *ANY_RECALL)
    [first] = ask(base_live, "index", "base", *chosen)["indexes"]
    assert (first["num_encoded"], first["index"]["precision"]) == (0, precision)
    row = [{"_id": "d007", "text": " ".join(words[-9:])}]
    ask(base_live, "add", "corpus", write_jsonl(base_live.parent / "e.jsonl", row))
    assert ask(base_live, "index", "base", "--verify", *chosen, code=3)["verdict"] == "faults"
    [again] = ask(base_live, "index", "base", *chosen)["indexes"]
    assert (again["num_encoded"], again["num_documents"]) == (1, 80)
    assert ask(base_live, "index", "base", "--verify", *chosen)["verdict"] == "ok"
    ask(base_live, "remove", "d007")
    [less] = ask(base_live, "index", "base", *chosen)["indexes"]
    assert (less["num_encoded"], less["num_documents"]) == (0, 79)


def test_a_release_below_the_floor_is_refused(ask, base_live):
    refused = ask(
        base_live, "promote", "base", *INT8, "--set", "index.min_recall=1", "--set", "gate.min_gain=-1", code=3
    )
    assert any("recall@10 against exact search" in reason for reason in refused["reasons"])
    assert ask(base_live, "status")["previous"] is None


def test_a_shortened_model_in_int8_is_served(ask, base_live):
    short = ask(base_live, "shorten", "base", "--dimension", 16)
    force = ("--force", "--reason", "to see it live")
    assert ask(base_live, "promote", short["model_id"], *LIVE, *force)["verdict"] == "promoted"
    assert f"{short['space_id']}.int8" in indexes(base_live)
    assert len(answers(ask, base_live)) == 80
    assert ask(base_live, "diagnose", "live")["system"] == "live"


def test_what_is_not_offered_is_refused(ask, base_live):
    error = ask(base_live, "index", "base", *INT8, "--set", "index.kind=lancedb", code=2)["error"]
    assert "LanceDB keeps float32" in error["message"]
    adapted = ask(base_live, "train", "--adapter", "query")["model_id"]
    error = ask(base_live, "promote", adapted, *INT8, code=2)["error"]
    assert "adapts queries alone" in error["message"]
    assert 'index.precision = "float32"' in error["hint"]
    error = ask(base_live, "index", "base", "--set", "index.precision=int4", code=2)["error"]
    assert "index.precision" in error["message"]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["index.vectors", "index.passages", "index.manifest", "registry.pointer"])
def test_killed_on_the_way_to_another_precision(ask, base_live, step):
    before = answers(ask, base_live)
    promote = ("promote", "base", *LIVE, "--dir", base_live)
    assert processes.run(*promote, die_at=step).was_killed
    is_live = step == "registry.pointer"
    assert (answers(ask, base_live) == before) is not is_live
    assert processes.run(*promote).code == (2 if is_live else 0)  # it is live already
    assert answers(ask, base_live) != before
    assert ask(base_live, "index", "--verify", *ANY_RECALL)["verdict"] == "ok"
    ask(base_live, "rollback")
    assert answers(ask, base_live) == before
    assert not list(base_live.rglob(".tmp-*"))
