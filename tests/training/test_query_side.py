"""Training for queries alone: documents keep their vectors and their index; the model is one like any other."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import processes
from nearer.encode.encoder import Encoder
from nearer.encode.paired import PairedEncoder
from nearer.flows.learning_curve import learning_curve
from nearer.flows.train import train
from nearer.store.workspace import Workspace
from nearer.systems import open_system

QUERY = ("--set", "train.sides=query")


@pytest.fixture(scope="session")
def trained_queries(_made, tmp_path_factory):
    """A workspace with the base live and a model trained for queries alone, and what was encoded meanwhile."""
    folder = Path(shutil.copytree(_made["base live"], tmp_path_factory.mktemp("query-side") / "made"))
    workspace = Workspace.open(folder, overrides=["train.sides=query", "train.learning_rate=3e-3"])
    encoded = []
    encode = Encoder.encode_documents
    Encoder.encode_documents = lambda self, texts: encoded.extend(texts) or encode(self, texts)
    try:
        answer = train(workspace)
    finally:
        Encoder.encode_documents = encode
        workspace.close()
    return folder, answer, encoded


@pytest.fixture
def query_side(trained_queries, tmp_path):
    """Such a workspace of one's own, and what training answered."""
    folder, answer, _ = trained_queries
    return Path(shutil.copytree(folder, tmp_path / "query-side")), answer


def answers(ask, folder):
    return [(each["doc_id"], each["score"]) for each in ask(folder, "search", "music and water", "-k", 80)["results"]]


def indexed(folder):
    return {path.parent.name: path.read_text() for path in folder.glob(".nearer/indexes/*/manifest.json")}


def test_no_document_is_encoded_whose_vector_is_there(trained_queries):
    _, answer, encoded = trained_queries
    assert answer["improved"] is True
    assert len(answer["passes"]) == 2
    assert answer["passes"][1]["mining"]
    assert encoded == []


def test_it_goes_live_over_the_index_that_is_there(ask, nearer, query_side, tmp_path):
    folder, trained = query_side
    before, index, base = answers(ask, folder), indexed(folder), ask(folder, "status")["live"]
    assert trained["space_id"] == base["space_id"] != trained["encoder_id"]
    measured = ask(folder, "evaluate", "base", trained["model_id"])["results"]
    values = [each["metrics"]["nDCG@10"]["value"] for each in measured]
    assert values == pytest.approx([trained["dev"]["start"], trained["dev"]["best"]])
    assert values[1] > values[0]
    promoted = ask(folder, "promote", "--set", "gate.min_gain=-1")
    assert promoted["verdict"] == "promoted"
    assert indexed(folder) == index
    after = answers(ask, folder)
    assert after != before
    assert ask(folder, "index")["indexes"][0]["num_encoded"] == 0
    assert ask(folder, "rollback")["model_id"] == base["model_id"]
    assert answers(ask, folder) == before
    assert ask(folder, "promote", promoted["release_id"])["verdict"] == "promoted"
    assert answers(ask, folder) == after

    lines = ask(folder, "lineage", "live")["lineage"]
    assert [each["model_id"] for each in lines] == [trained["model_id"], base["model_id"]]
    assert "queries alone, trained on" in nearer("lineage", "live", "--dir", folder).out
    ask(folder, "export", "run", "live", tmp_path / "live.run")
    rows = [line.split() for line in (tmp_path / "live.run").read_text().splitlines()]
    assert (len({row[0] for row in rows}), len({row[2] for row in rows})) == (20, 80)


def test_queries_are_by_its_weights_and_documents_by_its_parents(query_side):
    folder, trained = query_side
    workspace = Workspace.open(folder)
    base, tuned = (open_system(workspace, name).encoder for name in ("base", trained["model_id"]))
    workspace.close()
    assert isinstance(tuned, PairedEncoder)
    assert (tuned.space_id, tuned.dimension, tuned.settings) == (base.space_id, base.dimension, base.settings)
    assert tuned.encoder_id == trained["encoder_id"]
    assert tuned.model_id == trained["model_id"]
    texts = ["music and water", "the king"]
    np.testing.assert_array_equal(tuned.encode_documents(texts), base.encode_documents(texts))
    assert abs(tuned.encode_queries(texts) - base.encode_queries(texts)).max() > 1e-3
    own = Encoder.load(str(folder / ".nearer" / "models" / tuned.encoder_id))
    np.testing.assert_array_equal(tuned.encode_queries(texts), own.encode_queries(texts))
    assert tuned.count_tokens(texts) == base.count_tokens(texts)
    assert tuned.token_spans(texts[0]) == base.token_spans(texts[0])


@pytest.mark.exhaustive
def test_what_can_follow_it(ask, query_side):
    folder, trained = query_side
    error = ask(folder, "train", "--from", trained["model_id"], code=2)["error"]
    assert "was trained for queries alone" in error["message"]
    assert f"nearer lineage {trained['model_id']}" in error["hint"]
    adapted = ask(folder, "train", "--adapter", "query", "--from", trained["model_id"])
    assert adapted["space_id"] == trained["space_id"]
    shorter = ask(folder, "compress", trained["model_id"], "--dimension", 16)
    assert shorter["space_id"] == ask(folder, "compress", "base", "--dimension", 16)["space_id"]
    ask(folder, "evaluate", shorter["model_id"], adapted["model_id"])
    diagnosed = ask(folder, "diagnose", trained["model_id"])
    assert diagnosed["num_failed"] == len(diagnosed["by_query"]) > 0
    ask(folder, "report")
    shutil.rmtree(folder / ".nearer" / "models" / trained["encoder_id"])
    assert "folder is gone" in ask(folder, "evaluate", trained["model_id"], code=2)["error"]["message"]


@pytest.mark.exhaustive
def test_with_lora_and_what_is_no_better_is_not_registered(ask, base_live):
    lora = ("--set", "train.lora_rank=4", "--set", "train.passes=1")
    trained = ask(
        base_live, "train", *QUERY, *lora, "--set", "train.lora_alpha=32", "--set", "train.learning_rate=0.01"
    )
    assert trained["space_id"] == ask(base_live, "status")["live"]["space_id"]
    assert trained["improved"] is True
    again = ask(base_live, "train", *QUERY, *lora, "--set", "train.learning_rate=1e-12")
    assert (again["improved"], again["encoder_id"]) == (False, again["space_id"])


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("step", ["train.mined", "train.model"])
def test_killed_at_a_step_it_makes_the_same_model(ask, base_live, query_side, step):
    options = ("train", *QUERY, "--set", "train.learning_rate=3e-3")
    assert processes.run(*options, "--dir", base_live, die_at=step).was_killed
    assert len(ask(base_live, "status")["models"]) == 1
    assert ask(base_live, *options)["model_id"] == query_side[1]["model_id"]


@pytest.mark.exhaustive
def test_the_learning_curve_leaves_documents_as_they_are(base_live, monkeypatch):
    workspace = Workspace.open(base_live, overrides=["train.sides=query", "train.lora_rank=4"])
    monkeypatch.setattr(Encoder, "encode_documents", lambda _, texts: pytest.fail(f"{len(texts)} documents encoded"))
    curve = learning_curve(workspace, shares=(0.5, 1.0), max_pairs=32)
    workspace.close()
    assert [each["num_pairs"] for each in curve["points"]] == [0, 16, 32]
