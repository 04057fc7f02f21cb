"""Shorter and smaller vectors: the curve of sizes, and models of fewer dimensions through their whole life."""

import shutil
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

import processes
from embedding_server import EmbeddingServer
from nearer.encode.api import PROBE
from nearer.encode.compressed import compressed
from nearer.encode.encoder import Encoder
from nearer.evaluation.sizes import proposed
from nearer.flows.compress import compression_curve
from nearer.retrieval.index import open_index
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.vectors.quantise import stored_bytes

SMALL = ("--set", "compress.dimensions=[8,16,64]")
PRECISIONS = ["float32", "float16", "int8", "binary"]


def vectors_of(folder, space_id):
    return open_index(folder / ".nearer" / "indexes" / space_id, space_id=space_id).content.vectors_PD


def answers(ask, folder):
    return [(each["doc_id"], each["score"]) for each in ask(folder, "search", "music and water", "-k", 80)["results"]]


# The curve


def test_every_size_is_measured_beside_the_full_vectors(ask, trained):
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    curve = ask(trained, "compress", model_id, *SMALL)
    assert (curve["model_id"], curve["split"], curve["metric"], curve["num_queries"]) == (
        model_id,
        "dev",
        "nDCG@10",
        20,
    )
    rows = curve["rows"]
    assert [(row["dimension"], row["precision"]) for row in rows] == [(d, p) for d in (32, 16, 8) for p in PRECISIONS]
    passages = curve["num_passages"] / curve["num_documents"]
    for row in rows:
        assert row["bytes_per_document"] == stored_bytes(row["dimension"], row["precision"]) * passages
        assert row["search_time_ratio"] == row["search_ms"] / row["full_search_ms"] > 0
    full, *others = rows
    assert (full["difference"], full["share_of_full"], full["is_within"], full["is_proven"]) == (None, 1.0, True, True)
    for row in others:
        assert row["difference"]["difference"] == pytest.approx(row["value"] - full["value"])
        assert row["difference"]["low"] <= row["difference"]["difference"] <= row["difference"]["high"]
        assert row["difference"]["p_adjusted"] >= row["difference"]["p_value"]
        assert row["is_within"] == (row["share_of_full"] >= 0.99)
    assert curve["proposal"] in [row for row in rows if row["is_within"]]
    assert curve["ledger"] == {"split": "dev", "num_test_uses": None}


def test_quality_is_that_of_evaluate(ask, trained):
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    rows = ask(trained, "compress", model_id, *SMALL)["rows"]
    short = ask(trained, "compress", model_id, "--dimension", 16)["model_id"]
    measured = ask(trained, "evaluate", model_id, short)
    for found, row in zip(measured["results"], (rows[0], rows[4]), strict=True):
        assert found["metrics"]["nDCG@10"]["value"] == pytest.approx(row["value"])
    compared = next(each for each in measured["comparisons"] if each["metric"] == "nDCG@10")
    assert compared["difference"] == pytest.approx(rows[4]["difference"]["difference"])
    assert compared["num_wins"] == rows[4]["difference"]["num_wins"]


def test_the_recipe_says_which_sizes_there_are(ask, base_live):
    rows = ask(base_live, "compress", "base", "--set", "compress.dimensions=[8,8,999]")["rows"]
    precisions = ("float32", "float16", "int8", "binary")
    assert [(row["dimension"], row["precision"]) for row in rows] == [(d, each) for d in (32, 8) for each in precisions]
    error = ask(base_live, "compress", "base", "--set", "compress.dimensions=[0]", code=2)["error"]
    assert "compress.dimensions" in error["message"]


def size(stored, value, *, ratio=1.0, within):
    return SimpleNamespace(bytes_per_document=stored, value=value, search_time_ratio=ratio, is_within=within)


def test_the_smallest_that_is_near_enough_is_proposed():
    rows = [
        size(400, 0.50, within=True),
        size(100, 0.49, within=False),
        size(200, 0.4951, ratio=0.9, within=True),
        size(200, 0.4999, ratio=1.1, within=True),
        size(50, 0.1, within=False),
    ]
    assert proposed(rows) is rows[2]


def test_what_may_be_lost_decides(ask, base_live):
    generous = ask(base_live, "compress", "base", *SMALL, "--set", "compress.max_loss=0.99")
    assert (generous["proposal"]["dimension"], generous["proposal"]["precision"]) == (8, "int8")
    first, second = generous["next"]
    base = ask(base_live, "status")["live"]["model_id"]
    short = ask(base_live, *first.split()[1:])
    assert first == f"nearer compress {base} --dimension 8"
    assert second.startswith(f"nearer promote {short['model_id']} --set gate.min_gain=-")


def test_a_test_split_is_a_look(ask, base_live):
    looks = [ask(base_live, "compress", "base", *SMALL, "--split", "test")["ledger"]["num_test_uses"] for _ in range(2)]
    assert looks == [2, 3], "the first was the release"


def test_times_are_medians_of_single_searches_beside_those_of_full_vectors(base_live, monkeypatch):
    ticks = count()
    monkeypatch.setattr("nearer.evaluation.sizes.NUM_TIMED", 3)
    workspace = Workspace.open(base_live, overrides=("compress.dimensions=[]",))
    curve = compression_curve(workspace, "base", clock=lambda: float(next(ticks) ** 2))
    workspace.close()
    durations = [2 * tick + 1 for tick in range(0, next(ticks), 2)]  # (t + 1)^2 - t^2
    for number, row in enumerate(curve["rows"]):
        full, own = durations[6 * number : 6 * number + 3], durations[6 * number + 3 : 6 * number + 6]
        assert (row["full_search_ms"], row["search_ms"]) == (1000 * np.median(full), 1000 * np.median(own))


def test_what_is_printed_and_reported(ask, nearer, base_live):
    said = nearer("compress", "base", *SMALL, "--dir", base_live)
    assert "proposed: " in said.out
    assert "of the full quality" in said.out
    assert said.out.count("binary") >= 3
    nearer("report", "--dir", base_live)
    page = (base_live / ".nearer" / "reports" / "report.html").read_text()
    section = page[page.index('id="size"') : page.index('id="decisions"')]
    assert section.count("<tr>") == 13
    assert "<svg" in section
    assert [event["action"] for event in ask(base_live, "history")["events"]] == ["promote"]


def test_a_report_without_a_curve_says_how_to_get_one(nearer, base_live):
    nearer("report", "--dir", base_live)
    assert "nearer compress" in (base_live / ".nearer" / "reports" / "report.html").read_text()


# A model of fewer dimensions


def test_the_whole_life_of_a_compressed_model(ask, nearer, trained, monkeypatch):
    before, models = answers(ask, trained), sorted((trained / ".nearer" / "models").iterdir())
    parent = ask(trained, "status")["models"][-1]["model_id"]
    [whole] = ask(trained, "index", parent)["indexes"]
    monkeypatch.setattr("nearer.evaluation.comparison.examples", lambda *_, **__: [])  # explaining cuts some anew
    monkeypatch.setattr(Encoder, "encode_documents", lambda _, texts: pytest.fail(f"{len(texts)} documents encoded"))
    made = ask(trained, "compress", parent, "--dimension", 12)
    assert (made["parent_model_id"], made["dimension"], made["full_dimension"]) == (parent, 12, 32)
    assert made["space_id"] == made["encoder_id"]
    assert ask(trained, "compress", parent, "--dimension", 12) == made, "the same again"
    assert sorted((trained / ".nearer" / "models").iterdir()) == models, "no weights are stored twice"

    short, forced = made["model_id"], ("--force", "--reason", "to see it live")
    assert ask(trained, "promote", short, *forced, code=None)["verdict"] == "promoted"
    live = ask(trained, "status")["live"]
    assert (live["model_id"], live["space_id"]) == (short, made["space_id"])
    kept = vectors_of(trained, made["space_id"])
    np.testing.assert_allclose(kept, compressed(vectors_of(trained, whole["space_id"]), 12), atol=1e-6)
    found = answers(ask, trained)
    assert len(found) == 80
    workspace = Workspace.open(trained)
    query = open_system(workspace, parent).encoder.encode_queries(["music and water"])
    workspace.close()
    scores = np.sort(compressed(query, 12) @ kept.T)[0][::-1]
    assert [score for _, score in found] == pytest.approx(scores.tolist(), abs=1e-5)
    assert ask(trained, "index", short, "--verify")["verdict"] == "ok"
    run = trained / "short.run"
    assert ask(trained, "export", "run", short, run)["num_lines"] > 0
    measured = ask(trained, "evaluate", short, f"run:{run}")["results"]
    assert measured[0]["metrics"]["nDCG@10"] == measured[1]["metrics"]["nDCG@10"]

    assert [each["model_id"] for each in ask(trained, "lineage")["lineage"]][:2] == [short, parent]
    assert "the first 12 dimensions" in nearer("lineage", "--dir", trained).out
    assert len(ask(trained, "index")["indexes"]) == 2, "live's and its predecessor's"
    ask(trained, "rollback")
    assert answers(ask, trained) == before


@pytest.mark.exhaustive
def test_a_document_that_changes_reaches_both_spaces(ask, trained, words):
    from folders import write_jsonl

    short = ask(trained, "compress", "base", "--dimension", 12)["model_id"]
    ask(trained, "promote", short, "--force", "--reason", "to see it live", code=None)
    row = [{"_id": "d007", "text": " ".join(words[-9:])}]
    ask(trained, "add", "corpus", write_jsonl(trained.parent / "e.jsonl", row))
    assert ask(trained, "index", "--verify", code=3)["verdict"] == "faults"
    assert [each["num_encoded"] for each in ask(trained, "index")["indexes"]] == [1, 0], "encoded once for both"
    assert ask(trained, "search", " ".join(words[-9:]), "-k", 1)["results"][0]["doc_id"] == "d007"


@pytest.mark.exhaustive
def test_shorter_still_and_adapted(ask, base_live):
    one = ask(base_live, "compress", "base", "--dimension", 16)
    two = ask(base_live, "compress", one["model_id"], "--dimension", 8)
    assert (two["parent_model_id"], two["full_dimension"]) == (one["model_id"], 16)
    adapted = ask(base_live, "train", "--adapter", "query", "--from", one["model_id"])
    assert adapted["improved"] is True
    assert adapted["space_id"] == one["space_id"]
    over = ask(base_live, "compress", adapted["model_id"], "--dimension", 8)
    assert over["space_id"] == two["space_id"] != over["encoder_id"], "the documents of both are the same"
    measured = ask(base_live, "evaluate", two["model_id"], over["model_id"])["results"]
    assert [each["space_id"] for each in measured] == [two["space_id"]] * 2
    error = ask(base_live, "compress", "base", "--dimension", 32, code=2)["error"]
    assert "32 dimensions cannot be compressed to 32" in error["message"]


def test_an_encoder_behind_an_api_is_compressed_here(ask, new_workspace, beir):
    with EmbeddingServer(dimension=16) as server:
        folder = new_workspace(encoder={"model": "tiny", "api": {"endpoint": server.endpoint}})
        ask(folder, "add", "beir", beir)
        ask(folder, "evaluate", "base")
        asked = len(server.texts)
        made = ask(folder, "compress", "base", "--dimension", 8)
        [result] = ask(folder, "evaluate", made["model_id"])["results"]
        assert result["model_id"] == made["model_id"]
        assert set(server.texts[asked:]) == set(PROBE), "what was paid for is compressed, not asked for again"
        assert ask(folder, "compress", "base", "--set", "compress.dimensions=[8]")["rows"][4]["value"] == pytest.approx(
            result["metrics"]["nDCG@10"]["value"]
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("base", "--dimension", "0"), "cannot be compressed to 0"),
        (("model-0",), "no system 'model-0'"),
        (("base+hybrid",), "base+hybrid is more than a model"),
        (("base+hybrid", "--dimension", "8"), "base+hybrid is more than a model"),
        (("run:x",), "is a ranking, not a model"),
        (("base", "--split", "nowhere"), "split 'nowhere' has no query"),
        (("base", "--dimension", "8", "--split", "dev"), "do not go together"),
    ],
)
def test_what_cannot_work_is_refused(ask, base_live, arguments, message):
    error = ask(base_live, "compress", *arguments, code=2)["error"]
    assert message in error["message"]
    assert error["hint"]


def test_it_has_no_weights_to_train_further(ask, base_live):
    short = ask(base_live, "compress", "base", "--dimension", 8)["model_id"]
    error = ask(base_live, "train", "--from", short, code=2)["error"]
    assert "is compressed" in error["message"]
    assert "nearer lineage" in error["hint"]


def test_without_its_parents_weights_it_is_refused(ask, trained):
    parent = ask(trained, "status")["models"][-1]["model_id"]
    short = ask(trained, "compress", parent, "--dimension", 8)["model_id"]
    shutil.rmtree(trained / ".nearer" / "models")
    error = ask(trained, "evaluate", short, code=2)["error"]
    assert (error["code"], "folder is gone" in error["message"]) == ("model_refused", True)


# Killed


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        ("registry.model", ("compress", "base", "--dimension", "8")),
        ("compress.curve", ("compress", "base", *SMALL)),
        ("registry.use_test_split", ("compress", "base", *SMALL, "--split", "test")),
    ],
)
def test_a_killed_compression_leaves_all_or_nothing_and_can_be_repeated(ask, base_live, step, arguments):
    live = answers(ask, base_live)
    assert processes.run(*arguments, "--dir", base_live, die_at=step).was_killed
    assert answers(ask, base_live) == live
    assert not list(base_live.rglob(".tmp-*"))
    for each in ask(base_live, "status")["models"]:
        assert ask(base_live, "evaluate", each["model_id"])["results"]
    assert processes.run(*arguments, "--dir", base_live).code == 0
    made = [each for each in ask(base_live, "status")["models"] if each["parent_model_id"]]
    assert len(made) == ("--dimension" in arguments)
