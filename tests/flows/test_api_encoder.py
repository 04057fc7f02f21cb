"""The whole job with a base behind an API: measured, live, searched, counted, and refused when its model changes."""

import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from embedding_server import EmbeddingServer, raw, stalled, status
from nearer.encode.api import PROBE
from nearer.store.workspace import Workspace
from processes import run

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server():
    with EmbeddingServer(key=KEY) as running:
        yield running


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("EMBEDDING_KEY", KEY)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def made(tmp_path, server, ask, beir):
    """``made(batch_texts=8)``: the folder of a workspace with the small set and the server as its base."""

    def make(*, folder="made", model="bag", **api):
        api = {"endpoint": server.endpoint, "key_env": "EMBEDDING_KEY", "price_per_million_tokens": 1000.0, **api}
        recipe = {
            "encoder": {"model": model, "api": {name: value for name, value in api.items() if value is not None}},
            "evaluate": {"num_resamples": 200},
        }
        Workspace.init(tmp_path / folder, recipe=recipe).close()
        ask(tmp_path / folder, "add", "beir", beir)
        return tmp_path / folder

    return make


@pytest.fixture
def live(made, ask):
    """That workspace with the base live."""
    folder = made()
    ask(folder, "promote", "base")
    return folder


def in_recipe(folder, before, after):
    path = folder / "nearer.toml"
    content = path.read_text()
    assert before in content
    path.write_text(content.replace(before, after))


def test_the_base_is_measured_released_and_searched_and_what_it_cost_is_reported(made, ask, nearer, server):
    folder = made(batch_texts=16)
    evaluated = ask(folder, "evaluate", "base")
    [result] = evaluated["results"]
    assert result["metrics"]["nDCG@10"]["value"] > 0.8
    assert evaluated["api"]["num_requests"] == len(server.requests)
    assert max(len(request.texts) for request in server.requests) <= 16

    promoted = ask(folder, "promote", "base")
    assert promoted["verdict"] == "promoted"
    documents = [text for text in server.texts if "." in text and text not in PROBE]
    assert len(documents) == len(set(documents)) == 80, "no document was paid for twice"

    asked_before = len(server.requests)
    found = ask(folder, "search", documents[5])
    assert found["results"][0]["text"] == documents[5]
    assert (found["api"]["num_requests"], found["space_id"]) == (2, result["space_id"])
    assert [request.texts for request in server.requests[asked_before:]] == [list(PROBE), [documents[5]]]

    assert ask(folder, "index")["api"]["num_requests"] == 1  # the probe: nothing had changed
    assert ask(folder, "lineage")["lineage"][0]["source"] == "bag"

    [spent] = ask(folder, "status")["api"]
    num_tokens = sum(len(text.split()) for text in server.texts)
    assert (spent["endpoint"], spent["model"]) == (server.endpoint, "bag")
    assert (spent["num_requests"], spent["num_tokens"]) == (len(server.requests), num_tokens)
    assert spent["cost_usd"] == pytest.approx(num_tokens / 1000)
    shown = nearer("status", "--dir", folder).out
    assert f"bag at {server.endpoint}: {len(server.requests)} requests, {num_tokens} tokens" in shown
    assert "asked of services: 2 requests" in nearer("search", "music", "--dir", folder).out


@pytest.mark.parametrize("verb", ["evaluate", "promote"])
def test_what_a_job_will_cost_is_said_before_it_begins(made, nearer, server, verb):
    folder = made()
    server.fault_of = lambda request: status(400, "stop here") if request.texts[0] not in PROBE else None
    outcome = nearer(verb, "base", "--dir", folder)
    assert outcome.exit_code == 2
    [said] = re.finditer(r"documents to encode: 80 texts for bag at \S+: about (\d+) tokens, ([\d.]+) USD", outcome.err)
    assert float(said[2]) == pytest.approx(int(said[1]) / 1000)


def test_without_a_price_the_cost_is_unknown_rather_than_nothing(made, ask, nearer):
    folder = made(price_per_million_tokens=None)
    assert ask(folder, "evaluate", "base")["api"]["cost_usd"] is None
    assert ask(folder, "status")["api"][0]["cost_usd"] is None
    assert "price unknown" in nearer("status", "--dir", folder).out


def test_a_local_model_shows_no_cost(base_live, ask):
    assert "api" not in ask(base_live, "evaluate", "base")
    assert "api" not in ask(base_live, "search", "music")
    assert ask(base_live, "status")["api"] == []


@pytest.mark.exhaustive
def test_the_api_is_compared_with_a_local_model_in_one_call(made, ask, tiny_model_folder, server):
    folder = made()
    ask(folder, "promote", "base")
    in_recipe(folder, f'endpoint = "{server.endpoint}"', "")
    (folder / "nearer.toml").write_text(f'[encoder]\nmodel = "{tiny_model_folder}"\n')
    compared = ask(folder, "evaluate", "live", "base")
    assert [each["system"] for each in compared["results"]] == ["live", "base"]
    assert compared["api"]["num_requests"] > 0
    assert ask(folder, "search", "music and water")["results"], "live is asked as it was registered"


def test_how_live_is_asked_follows_the_recipe_while_it_names_the_same_service(live, ask, monkeypatch):
    monkeypatch.setenv("OTHER_KEY", KEY)
    monkeypatch.delenv("EMBEDDING_KEY")
    assert "EMBEDDING_KEY" in ask(live, "search", "music", code=2)["error"]["message"]
    in_recipe(live, 'key_env = "EMBEDDING_KEY"', 'key_env = "OTHER_KEY"')
    assert ask(live, "search", "music")["results"]


def test_the_key_is_written_nowhere(live, ask, nearer):
    ask(live, "evaluate", "base")
    nearer("report", "--dir", live)
    for path in live.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_a_refused_key_is_explained_without_being_shown(made, nearer, monkeypatch, ask):
    folder = made()
    monkeypatch.setenv("EMBEDDING_KEY", "sk-wrong-9876543210")
    for arguments in (("evaluate", "base"), ("evaluate", "base", "--debug"), ("evaluate", "base", "--json")):
        outcome = nearer(*arguments, "--dir", folder)
        assert outcome.exit_code == 2
        assert "EMBEDDING_KEY" in outcome.out + outcome.err
        assert "sk-wrong" not in outcome.out + outcome.err
    monkeypatch.delenv("EMBEDDING_KEY")
    error = ask(folder, "evaluate", "base", code=2)["error"]
    assert "EMBEDDING_KEY holds no key" in error["message"]
    assert "export EMBEDDING_KEY" in error["hint"]
    monkeypatch.setenv("EMBEDDING_KEY", "sk-with\nline")
    error = ask(folder, "evaluate", "base", code=2)["error"]
    assert "cannot be a key" in error["message"]


def test_training_is_refused_before_anything_is_asked(made, ask, server):
    folder = made()
    error = ask(folder, "train", code=2)["error"]
    assert "base is behind an API" in error["message"]
    assert "encoder.model" in error["hint"]
    assert server.requests == []


def test_training_from_a_model_behind_an_api_is_refused_too(live, ask, server, tiny_model_folder):
    (live / "nearer.toml").write_text(f'[encoder]\nmodel = "{tiny_model_folder}"\n')
    asked = len(server.requests)
    model_id = ask(live, "status")["live"]["model_id"]
    for start in ("live", model_id):
        assert "behind an API" in ask(live, "train", "--from", start, code=2)["error"]["message"]
    assert len(server.requests) == asked


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_read_only_workspace_answers_and_says_that_the_cost_is_not_in_the_sum(made, ask, server):
    server.key = None
    folder = made(key_env=None)
    ask(folder, "promote", "base")
    spent = ask(folder, "status")["api"]
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    ended = run("search", "music and water", "--json", "--dir", folder, unprivileged=True)
    reported = run("search", "music and water", "--dir", folder, unprivileged=True)
    for path in paths:
        path.chmod(0o755)
    assert ended.code == 0, ended.printed
    assert ended.json["results"]
    assert (ended.json["api"]["num_requests"], ended.json["api"]["is_recorded"]) == (2, False)
    assert "not in the sum of nearer status" in reported.printed
    assert ask(folder, "status")["api"] == spent


# When the service's model changes


def test_a_changed_model_is_refused_everywhere_until_it_is_another_encoder(live, ask, server):
    before = ask(live, "status")["live"]
    server.model = "newer"
    for verb in (("search", "music"), ("evaluate", "live"), ("evaluate", "base"), ("index",)):
        error = ask(live, *verb, code=2)["error"]
        assert error["code"] == "model_refused"
        assert "is not the model that was registered" in error["message"]
        assert "encoder.api.revision" in error["hint"]
    assert ask(live, "status")["live"] == before
    assert server.texts[-len(PROBE) :] == list(PROBE), "nothing was embedded with the changed model"

    in_recipe(live, "[encoder.api]", '[encoder.api]\nrevision = "newer"')
    asked = len(server.requests)
    again = ask(live, "evaluate", "base")["results"][0]
    assert again["space_id"] != before["space_id"]
    assert len([text for request in server.requests[asked:] for text in request.texts if "." in text]) >= 80
    refused = ask(live, "promote", "base", code=3)
    assert any("live cannot be compared with" in reason for reason in refused["reasons"])
    assert any("--force" in note for note in refused["notes"])
    assert ask(live, "status")["live"] == before

    forced = ask(live, "promote", "base", "--force", "--reason", "the service changed its model")
    assert forced["verdict"] == "promoted"
    assert ask(live, "search", "music and water")["space_id"] == again["space_id"]
    refused = ask(live, "index", code=2)["error"]
    assert "the release before live: bag at" in refused["message"]
    assert "nearer index live" in refused["hint"]
    assert ask(live, "index", "live")["indexes"][0]["num_encoded"] == 0
    server.model = "bag"
    assert "not the model" in ask(live, "search", "music", code=2)["error"]["message"]
    assert ask(live, "rollback")["model_id"] == before["model_id"]
    assert ask(live, "search", "music")["results"]


def test_a_service_that_is_not_exact_stays_the_same_encoder(live, ask, server):
    space_id = ask(live, "status")["live"]["space_id"]
    server.noise = 0.005
    assert ask(live, "search", "music")["space_id"] == space_id
    assert [each["space_id"] for each in ask(live, "evaluate", "base", "live")["results"]] == [space_id] * 2
    assert len(ask(live, "status")["models"]) == 1


def test_a_lost_probe_is_not_replaced_in_silence(live, ask, server):
    with sqlite3.connect(live / ".nearer" / "control.sqlite") as connection:
        connection.execute("DELETE FROM probes")
    server.model = "newer"
    assert ask(live, "search", "music", code=2)["error"]["code"] == "model_refused"


# When the service fails


@pytest.mark.exhaustive
def test_an_unreachable_service_is_named_with_what_to_do(made, ask, nearer, server):
    with EmbeddingServer(key=KEY) as gone:
        folder = made(endpoint=gone.endpoint)
        ask(folder, "promote", "base")
    outcome = nearer("search", "music", "--dir", folder)
    assert outcome.exit_code == 2
    assert f"{gone.endpoint}: cannot be reached" in outcome.err
    assert "Traceback" not in outcome.err
    assert KEY not in outcome.err


def test_one_bad_moment_does_not_end_a_job(made, ask, server):
    folder = made(batch_texts=8, max_parallel=2)
    server.faults = [None, status(500), None, status(429, Retry_After="0.01"), raw(b"", code=503)]
    assert ask(folder, "evaluate", "base")["results"][0]["metrics"]["nDCG@10"]["value"] > 0.8


def test_what_was_paid_before_a_failure_is_not_paid_again(made, ask, server):
    folder = made(batch_texts=4)
    server.fault_of = lambda request: status(400, "bad") if len(server.requests) > 10 else None
    assert "400: bad" in ask(folder, "evaluate", "base", code=2)["error"]["message"]
    paid = [text for request in server.requests[1:10] for text in request.texts]
    assert ask(folder, "status")["api"][0]["num_requests"] == 10
    server.fault_of = lambda request: None
    server.requests.clear()
    ask(folder, "evaluate", "base")
    assert not set(paid) & set(server.texts)
    assert len([text for text in server.texts if "." in text and text not in PROBE]) + len(paid) == 80


@pytest.mark.slow
@pytest.mark.parametrize("step", ["registry.probe", "usage.commit:6", "cache.commit:5"])
def test_a_killed_job_goes_on_and_pays_only_for_the_rest(made, ask, server, step):
    server.key = None
    folder = made(key_env=None, batch_texts=4, max_parallel=1)
    assert run("evaluate", "base", "--dir", folder, die_at=step).was_killed
    paid = sum(len(text.split()) for text in server.texts)
    assert ask(folder, "status")["api"][0]["num_tokens"] == paid, "what was spent is known"
    kept = set(server.texts) - set(PROBE)
    if step.startswith("usage"):
        kept -= set(server.requests[-1].texts)  # answered, but the process died before they were kept
    server.requests.clear()
    evaluated = ask(folder, "evaluate", "base")
    assert not kept & set(server.texts)
    assert evaluated["results"][0]["metrics"]["nDCG@10"]["value"] > 0.8
    assert ask(folder, "status")["models"] == [], "to measure enters no model"


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_interrupted_job_ends_at_once(made, server):
    server.key, server.fault_of = None, lambda request: stalled if request.texts[0] not in PROBE else None
    folder = made(key_env=None)
    command = [sys.executable, "-m", "nearer", "evaluate", "base", "--dir", str(folder)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a background job has set to ignore
    )
    deadline = time.monotonic() + 60
    while len(server.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err


def test_a_turn_pays_no_more_than_it_may_and_goes_on_later(live, ask, nearer, server, beir):
    def paid():
        return sum(len(text.split()) for text in server.texts) / 1000

    before = paid()
    assert "0 or more" in ask(live, "cycle", "--max-cost=-1", code=2)["error"]["message"]
    stopped = ask(live, "cycle", "--max-cost", 0.7)
    assert stopped["cost_usd"] == pytest.approx(paid() - before)
    assert stopped["verdict"] == "stopped"
    assert 0 < stopped["cost_usd"] <= 0.7
    assert stopped["reasons"][-1].startswith("left out: ")
    assert stopped["reasons"][-1].endswith("report")
    before, known = paid(), [text for text in server.texts if text not in PROBE]
    told = nearer("cycle", "--max-cost", 100, "--dir", live)
    assert told.exit_code in (0, 3), told.err
    assert re.search(r"services were paid \d+\.\d+ USD of at most 100", told.out)
    assert "kept" in told.out, "what was done is not done again"
    new = [text for text in server.texts if text not in PROBE][len(known) :]
    assert not set(new) & set(known), "and not paid again"
    assert "train_base" in told.out


def test_a_turn_within_a_price_needs_one(made, ask):
    folder = made(price_per_million_tokens=None)
    assert "price" in ask(folder, "cycle", "--max-cost", 1, code=2)["error"]["message"]
