"""Int8 weights: offered where they are measured to be worth it, and then a candidate like any other."""

import shutil
import signal
from itertools import count

import pytest

from forked import SERVER
from killed_int8 import offer
from nearer.flows.int8 import compress_int8

pytest.importorskip("onnxruntime")


@pytest.fixture
def offered(ask, base_live, monkeypatch):
    """A workspace with the int8 model of its base, whatever this machine is."""
    monkeypatch.setattr("nearer.flows.int8.LEAST_SPEEDUP", 0.0)
    monkeypatch.setattr("nearer.flows.int8.MOST_LOST", 1.0)
    return ask(base_live, "compress", "base", "--int8")


def test_it_is_measured_beside_the_full_model(ask, base_live, offered):
    speed, quality = offered["speed"], offered["quality"]
    assert (offered["verdict"], offered["reasons"]) == ("offered", [])
    assert speed["ratio"] == pytest.approx(speed["passages_per_second"] / speed["full_passages_per_second"])
    assert (speed["num_threads"], speed["mean_cosine"] > 0.98) == (1, True)
    assert (quality["split"], quality["metric"], quality["num_queries"]) == ("dev", "nDCG@10", 20)
    assert quality["difference"]["difference"] == pytest.approx(quality["value"] - quality["full_value"])
    measured = ask(base_live, "evaluate", "base", offered["model_id"])["results"]
    for found, value in zip(measured, (quality["full_value"], quality["value"]), strict=True):
        assert found["metrics"]["nDCG@10"]["value"] == pytest.approx(value)


def test_it_is_a_candidate_like_any_other(ask, nearer, base_live, offered, tmp_path):
    model_id = offered["model_id"]
    judged = ask(base_live, "promote", model_id, "--set", "gate.min_gain=-1", code=None)
    assert judged["evaluation"]["results"][-1]["model_id"] == model_id
    if judged["verdict"] != "promoted":
        ask(base_live, "promote", model_id, "--force", "--reason", "to try it")
    status = ask(base_live, "status")
    assert status["live"]["model_id"] == model_id
    assert status["live"]["space_id"] == offered["encoder_id"]
    assert ask(base_live, "search", "music and water")["results"]
    assert ask(base_live, "index", "--verify")["verdict"] == "ok"
    assert ask(base_live, "doctor", code=None)["verdict"] == "ok"
    assert "weights of int8" in nearer("lineage", "live", "--dir", base_live).out
    assert ask(base_live, "export", "vectors", tmp_path / "vectors.parquet")
    error = ask(base_live, "export", "model", model_id, tmp_path / "model", code=2)["error"]
    assert "weights of int8" in error["message"]
    error = ask(base_live, "train", "--from", model_id, code=2)["error"]
    assert "cannot be trained further" in error["message"]
    ask(base_live, "backup", tmp_path / "backup.zip")
    restored = tmp_path / "restored"
    nearer("restore", tmp_path / "backup.zip", restored)
    assert (
        ask(restored, "search", "music and water")["results"] == ask(base_live, "search", "music and water")["results"]
    )
    ask(base_live, "rollback")
    assert ask(base_live, "status")["live"]["model_id"] != model_id


def test_its_vectors_can_be_mapped_and_cut(ask, base_live, offered):
    short = ask(base_live, "compress", offered["model_id"], "--dimension", 8)
    assert ask(base_live, "evaluate", short["model_id"])["results"]
    adapted = ask(base_live, "train", "--adapter", "query", "--from", offered["model_id"])
    assert adapted["model_id"] == offered["model_id"] or adapted["space_id"] == offered["encoder_id"]


def test_where_it_is_slow_the_verdict_is_no_and_nothing_is_kept(base_live, opened):
    workspace = opened(base_live)
    before = sorted(path for path in workspace.state.rglob("*") if path.is_file() and "locks" not in path.parts)
    seconds = count()
    found = compress_int8(workspace, "base", clock=lambda: float(next(seconds)))
    assert (found.verdict, found.model_id, found.quality) == ("not offered", None, None)
    assert found.reasons == ("it encodes 1.00 times the passages a second, below 1.4",)
    after = sorted(path for path in workspace.state.rglob("*") if path.is_file() and "locks" not in path.parts)
    assert {path.name for path in after} - {path.name for path in before} <= {"nearer.db-wal", "nearer.db-shm"}


def test_where_it_loses_too_much_the_verdict_is_no(ask, nearer, base_live, monkeypatch):
    monkeypatch.setattr("nearer.flows.int8.LEAST_SPEEDUP", 0.0)
    monkeypatch.setattr("nearer.flows.int8.MOST_LOST", -1.0)
    outcome = nearer("compress", "base", "--int8", "--dir", base_live)
    assert outcome.exit_code == 3
    assert "not offered on this machine" in outcome.out
    assert "more than -1.0" in outcome.out
    assert not [each for each in ask(base_live, "status")["models"] if each["parent_model_id"]]
    assert not list((base_live / ".nearer" / "models").iterdir())


def test_a_look_at_a_test_split_is_entered(ask, base_live, offered):
    assert offered["ledger"] == {"split": "dev", "num_test_uses": None}
    again = ask(base_live, "compress", "base", "--int8", "--split", "test")
    assert again["ledger"]["num_test_uses"] >= 1
    assert again["model_id"] == offered["model_id"]


def test_without_its_folder_it_is_refused(ask, base_live, offered):
    shutil.rmtree(base_live / ".nearer" / "models" / offered["encoder_id"])
    error = ask(base_live, "evaluate", offered["model_id"], code=2)["error"]
    assert (error["code"], "is damaged" in error["message"]) == ("model_refused", True)
    assert ask(base_live, "doctor", code=3)["verdict"] == "faults"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("base", "--int8", "--dimension", "8"), "--int8 takes neither"),
        (("base", "--int8", "--rotated"), "--int8 takes neither"),
        (("base+hybrid", "--int8"), "more than a model"),
        (("base", "--int8", "--split", "nowhere"), "nowhere"),
        (("model-0", "--int8"), "no system"),
    ],
)
def test_what_cannot_work_is_refused(ask, base_live, arguments, message):
    error = ask(base_live, "compress", *arguments, code=2)["error"]
    assert message in error["message"]
    assert error["hint"]


def test_int8_of_int8_is_refused(ask, base_live, offered):
    error = ask(base_live, "compress", offered["model_id"], "--int8", code=2)["error"]
    assert "weights of int8" in error["message"]


@pytest.mark.slow
def test_a_killed_one_is_no_model_and_can_be_made_again(ask, base_live):
    before = ask(base_live, "status")["models"]
    process = SERVER.Process(target=offer, args=(base_live, "compress.kept"))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert ask(base_live, "status")["models"] == before
    process = SERVER.Process(target=offer, args=(base_live, "none"))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    made = [each for each in ask(base_live, "status")["models"] if each["parent_model_id"]]
    assert ask(base_live, "evaluate", made[0]["model_id"])["results"]
