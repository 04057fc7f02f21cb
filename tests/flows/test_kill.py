"""A process killed at the worst moments leaves the state of before or the new one, and the verb can be repeated."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.folders import write_jsonl
from nearer.store.workspace import Workspace

DRIVER = """
import os, signal, sys
from importlib import import_module
from nearer.cli import main

place, name, when, number, *arguments = sys.argv[1:]
module, _, kind = place.partition(":")
owner = getattr(import_module(module), kind) if kind else import_module(module)
real, num_calls = getattr(owner, name), 0

def fatal(*args, **kwargs):
    global num_calls
    num_calls += 1
    if when == "before" and num_calls == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*args, **kwargs)
    if num_calls == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, fatal)
main(arguments)
"""


def kill(folder, moment, *arguments):
    """Run a verb in a process that kills itself at ``moment``: a function, and before or after which call of it."""
    place, when, number = moment.split()
    owner, _, name = place.rpartition(".")
    command = [sys.executable, "-c", DRIVER, owner, name, when, number, *map(str, arguments), "--dir", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def state(ask, folder):
    """All that a user sees; asking for it also shows that the workspace opens and that its lock is free."""
    workspace = Workspace.open(folder)
    with workspace.writer("look"):
        pass
    workspace.close()
    seen = {verb: ask(folder, verb) for verb in ("status", "history")}
    answers = ask(folder, "search", "music and water", "-k", 80)["results"]
    return {**seen, "answers": [{"doc_id": each["doc_id"], "score": each["score"]} for each in answers]}


@pytest.fixture
def edited(trained, ask, words) -> Path:
    """The trained workspace with one document edited since it was indexed."""
    ask(
        trained,
        "add",
        "corpus",
        write_jsonl(trained.parent / "e.jsonl", [{"_id": "d007", "text": " ".join(words[-9:])}]),
    )
    return trained


ONE_PASS = ("--set", "train.passes=1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "nearer.flows.train:DevSet.measure before 2",  # the last step is done, nothing is kept
        "nearer.flows.train.move_into_place after 1",  # the model's folder is there, its row is not
    ],
)
def test_train(ask, base_live, moment):
    before = state(ask, base_live)
    kill(base_live, moment, "train", *ONE_PASS)
    assert state(ask, base_live) == before
    again = ask(base_live, "train", *ONE_PASS)
    assert again["improved"]
    assert ask(base_live, "status")["models"][-1]["model_id"] == again["model_id"]
    assert ask(base_live, "promote", "--set", "gate.min_gain=-1")["verdict"] == "promoted"


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "nearer.retrieval.exact.write_atomic after 1",  # between its two files
        "nearer.retrieval.exact.write_manifest before 1",
        "nearer.retrieval.exact.keep_current before 1",  # the manifest is new, the old files are still there
    ],
)
def test_index(ask, edited, moment):
    before = state(ask, edited)
    kill(edited, moment, "index")
    after = state(ask, edited)
    is_new = "keep_current" in moment
    assert (after == before) != is_new
    assert ask(edited, "index", "--verify", code=0 if is_new else 3)["verdict"] == ("ok" if is_new else "faults")
    assert ask(edited, "index")["indexes"][0]["num_encoded"] == 0
    assert ask(edited, "index", "--verify")["verdict"] == "ok"
    [space] = (edited / ".nearer" / "indexes").iterdir()
    assert len(list(space.iterdir())) == 4, "nothing is left behind"


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "nearer.store.registry:Registry.move_live before 1",  # built and judged, not live
        "nearer.store.registry:Registry._record before 1",  # the pointer moved in a transaction that never ends
        "nearer.store.registry:Registry.move_live after 1",  # live, and nobody was told
    ],
)
def test_promote(ask, trained, moment):
    before = state(ask, trained)
    kill(trained, moment, "promote")
    after = state(ask, trained)
    if moment.endswith("move_live after 1"):
        assert after["status"]["live"]["model_id"] == before["status"]["models"][-1]["model_id"]
        assert [event["action"] for event in after["history"]["events"]] == ["promote", "promote"]
        assert "live already" in ask(trained, "promote", code=2)["error"]["message"]
    else:
        assert after == before
        assert ask(trained, "promote")["verdict"] == "promoted"
    assert ask(trained, "index", "--verify")["verdict"] == "ok"
    assert ask(trained, "rollback")["release_id"] == before["status"]["live"]["release_id"]
    assert state(ask, trained)["answers"] == before["answers"]


@pytest.mark.parametrize("moment", ["nearer.flows.add.put_judgments after 1", "nearer.flows.add.put_split after 1"])
def test_add(ask, new_workspace, beir, moment):
    folder = new_workspace()
    kill(folder, moment, "add", "beir", beir)
    found = ask(folder, "check", code=3)
    assert (found["counts"]["documents"], found["splits"]) == (0, {})
    assert ask(folder, "add", "beir", beir)["changes"]["documents"]["num_added"] == 80
    assert ask(folder, "check")["verdict"] == "ok"
