"""A smaller student: fewer layers, a teacher's vectors, and a candidate like any other."""

import json
import signal

import pytest

from embedding_server import EmbeddingServer
from forked import SERVER
from killed_distil import learn


@pytest.fixture
def student(ask, base_live):
    """A student of one of the two layers of the live base."""
    return ask(base_live, "compress", "base", "--layers", 1)


def test_it_is_measured_beside_its_teacher(ask, base_live, student):
    speed, quality = student["speed"], student["quality"]
    assert (len(student["layers"]), student["num_layers"], student["teacher"]) == (1, 2, student["parent_model_id"])
    assert (student["num_queries"] > 0, student["num_passages"] > 0, student["num_steps"] > 9) == (True, True, True)
    assert student["losses"][-1] < student["losses"][0] / 2
    assert speed["mean_cosine"] > 0.9
    assert student["is_within"] == (not student["reasons"])
    measured = ask(base_live, "evaluate", "base", student["model_id"])["results"]
    for found, value in zip(measured, (quality["full_value"], quality["value"]), strict=True):
        assert found["metrics"]["nDCG@10"]["value"] == pytest.approx(value)


def test_it_is_a_candidate_like_any_other(ask, nearer, base_live, student, tmp_path):
    model_id = student["model_id"]
    judged = ask(base_live, "promote", model_id, "--set", "gate.min_gain=-1", code=None)
    assert judged["evaluation"]["results"][-1]["model_id"] == model_id
    if judged["verdict"] != "promoted":
        ask(base_live, "promote", model_id, "--force", "--reason", "to try it")
    assert ask(base_live, "status")["live"]["space_id"] == student["encoder_id"] != student["parent_model_id"]
    assert ask(base_live, "search", "music and water")["results"]
    assert ask(base_live, "index", "--verify")["verdict"] == "ok"
    links = ask(base_live, "lineage", "live")["lineage"]
    assert links[0]["distilled"]["layers"] == student["layers"]
    assert [each["model_id"] for each in links] == [model_id, student["parent_model_id"]]
    assert "1 layers of its parent, taught by" in nearer("lineage", "live", "--dir", base_live).out
    assert ask(base_live, "export", "model", model_id, tmp_path / "model")["max_difference"] <= 1e-6
    assert json.loads((tmp_path / "model" / "config.json").read_text())["num_hidden_layers"] == 1
    assert "(distilled)" in (tmp_path / "model" / "README.md").read_text()
    assert ask(base_live, "train", "--from", model_id, "--set", "train.passes=1")["passes"]


def test_the_same_seed_makes_the_same_student(ask, base_live, student):
    again = ask(base_live, "compress", "base", "--layers", 1)
    other = ask(base_live, "compress", "base", "--layers", 1, "--set", "train.seed=1")
    assert again["model_id"] == student["model_id"] != other["model_id"]


def test_what_leaks_into_dev_is_not_learned_from(ask, base_live, opened, student, tmp_path):
    query = opened(base_live).collection.queries("dev")[0].text
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"query": query, "positive": "an answer"}) + "\n")
    ask(base_live, "add", "pairs", tmp_path / "pairs.jsonl")
    assert ask(base_live, "compress", "base", "--layers", 1)["num_queries"] == student["num_queries"]


def test_an_adapted_and_a_compressed_model_teach_the_layers_of_another(ask, base_live):
    short = ask(base_live, "compress", "base", "--dimension", 8)["model_id"]
    error = ask(base_live, "compress", short, "--layers", 1, code=2)["error"]
    assert "--from SYSTEM" in error["hint"]
    made = ask(base_live, "compress", short, "--layers", 1, "--from", "base")
    assert (made["teacher"], made["losses"][-1] < made["losses"][0]) == (short, True)
    whole = ask(base_live, "compress", short, "--layers", 2, "--from", "base")
    assert whole["layers"] == [0, 1]


def test_a_service_teaches_layers_that_are_here(ask, base_live):
    with EmbeddingServer() as server:
        other = ("--set", f'advise.encoders=[{{model = "there", api = {{endpoint = "{server.endpoint}"}}}}]')
        made = ask(base_live, "compress", "api:there", "--layers", 1, "--from", "base", *other)
    assert made["api"]["num_tokens"] > 0
    assert made["losses"][-1] < made["losses"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("base", "--layers", "1", "--dimension", "8"), "--layers takes neither"),
        (("base", "--layers", "1", "--int8"), "--layers takes neither"),
        (("base", "--from", "base"), "--from is of --layers"),
        (("base+hybrid", "--layers", "1"), "model"),
        (("base", "--layers", "2"), "the model has 2 layers"),
        (("base", "--layers", "0"), "the model has 2 layers"),
        (("base", "--layers", "1", "--split", "nowhere"), "nowhere"),
        (("model-0", "--layers", "1"), "no system"),
    ],
)
def test_what_cannot_work_is_refused(ask, base_live, arguments, message):
    error = ask(base_live, "compress", *arguments, code=2)["error"]
    assert message in error["message"]
    assert error["hint"]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["distil.model", "distil.registered"])
def test_a_killed_one_can_be_made_again(ask, base_live, step):
    before = ask(base_live, "status")["models"]
    for at, code in ((step, -signal.SIGKILL), ("none", 0)):
        process = SERVER.Process(target=learn, args=(base_live, at))
        process.start()
        process.join(120)
        assert process.exitcode == code
        if at == "distil.model":
            assert ask(base_live, "status")["models"] == before
    [made] = [each for each in ask(base_live, "status")["models"] if each["parent_model_id"]]
    assert ask(base_live, "evaluate", made["model_id"])["results"]
