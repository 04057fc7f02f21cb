"""A workspace whose models and vectors are in object storage: the verbs do what they do without it."""

import shutil

import pytest

import processes
from s3_server import SECRET


def answers(ask, folder, *options):
    found = ask(folder, "search", "music and water", *options)["results"]
    return [(each["doc_id"], pytest.approx(each["score"], abs=1e-6)) for each in found]


def test_lances_tables_lie_there_follow_edits_and_come_back(ask, base_live, s3, s3_server, tmp_path):
    there = ("--set", "index.kind=lancedb", "--set", f"store.files={s3}/shop")
    exact = answers(ask, base_live)
    [built] = ask(base_live, "index", *there)["indexes"]
    assert (built["index"]["kind"], built["num_encoded"]) == ("lancedb", 0)
    assert not list((base_live / ".nearer" / "indexes").glob("*/*.lance"))
    assert answers(ask, base_live) == exact
    assert ask(base_live, "index", "--verify", *there)["verdict"] == "ok"
    ask(base_live, "remove", "d000")
    assert ask(base_live, "index", "--verify", *there, code=3)["verdict"] == "faults"
    ask(base_live, "index", *there)
    assert "d000" not in {each[0] for each in answers(ask, base_live)}
    files = s3_server.files()
    for path in files.find(f"{s3}/shop/indexes"):
        if path.endswith(".lance") and "/data/" in path:
            files.rm_file(path)
    assert ask(base_live, "index", "--verify", *there, code=3)["verdict"] == "faults"
    ask(base_live, "index", *there)
    assert ask(base_live, "index", "--verify", *there)["verdict"] == "ok"
    [built] = ask(base_live, "index", "--set", "index.kind=lancedb")["indexes"]
    assert list((base_live / ".nearer" / "indexes").glob("*/*.lance"))
    assert ask(base_live, "index", "--verify", "--set", "index.kind=lancedb")["verdict"] == "ok"


def test_a_model_is_there_when_it_is_made_and_is_fetched_when_it_is_gone(ask, trained, s3, s3_server):
    there = ("--set", f"store.files={s3}/shop")
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    before = ask(trained, "evaluate", model_id)["results"][0]["metrics"]
    adapted = ask(trained, "train", "--adapter", "query", "--from", model_id, *there)
    paths = s3_server.files().find(f"{s3}/shop/models")
    assert any(path.endswith("model.safetensors") for path in paths), "what was made before goes there too"
    assert not any(path.endswith(".lock") for path in paths)
    shutil.rmtree(trained / ".nearer" / "models")
    assert ask(trained, "doctor", *there)["verdict"] == "ok"
    assert ask(trained, "evaluate", model_id, *there)["results"][0]["metrics"] == before
    assert ask(trained, "evaluate", adapted["model_id"], *there)["results"]


def test_a_changed_model_is_refused(ask, trained, s3, s3_server):
    there = ("--set", f"store.files={s3}")
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    ask(trained, "promote", model_id, "--force", "--reason", "to have it there", *there)
    files = s3_server.files()
    [weights] = [path for path in files.find(s3) if path.endswith("model.safetensors")]
    files.pipe_file(weights, files.cat_file(weights)[:-8] + b"12345678")
    shutil.rmtree(trained / ".nearer" / "models")
    error = ask(trained, "evaluate", model_id, *there, code=2)["error"]
    assert "is not what was uploaded" in error["message"]
    assert not list((trained / ".nearer").rglob("model.safetensors"))


@pytest.mark.parametrize("kind", ["credentials", "server", "bucket"])
def test_where_it_is_not_there_nothing_goes_live_and_nothing_is_lost(ask, nearer, trained, s3, monkeypatch, kind):
    monkeypatch.setattr("nearer.store.objects._ATTEMPTS", 1)
    address = "s3://no-such-bucket-here" if kind == "bucket" else s3
    if kind == "credentials":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-word")
    elif kind == "server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    there = ("--set", f"store.files={address}")
    live, model_id = ask(trained, "status")["live"], ask(trained, "status")["models"][-1]["model_id"]
    reported = nearer("promote", model_id, "--force", "--reason", "it is good", "--dir", trained, *there)
    assert reported.exit_code == 2
    assert address in reported.err
    assert not any(secret in reported.err + reported.out for secret in (SECRET, "wrong-word", "test-key"))
    assert ask(trained, "status")["live"] == live
    reported = nearer("index", "--dir", trained, "--set", "index.kind=lancedb", *there)
    assert reported.exit_code == 2
    assert address in reported.err
    assert not any(secret in reported.err + reported.out for secret in (SECRET, "wrong-word", "test-key"))
    assert answers(ask, trained)
    adapted = ask(trained, "train", "--adapter", "query", "--from", model_id, *there)
    assert ask(trained, "evaluate", adapted["model_id"])["results"], "what was made is here"


@pytest.mark.slow
@pytest.mark.parametrize("step", ["objects.files", "objects.manifest"])
def test_a_killed_upload_is_nothing_or_all_and_is_made_up_for(ask, trained, s3, s3_server, step):
    there = ("--set", f"store.files={s3}/shop")
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    arguments = ("promote", model_id, "--force", "--reason", "it is good", *there)
    keys = s3_server.environment
    assert processes.run(*arguments, "--dir", trained, die_at=step, environment=keys).was_killed
    assert ask(trained, "status")["live"]["model_id"] != model_id
    assert processes.run(*arguments, "--dir", trained, environment=keys).code == 0
    shutil.rmtree(trained / ".nearer" / "models")
    assert ask(trained, "evaluate", model_id, *there)["results"]
