"""A training that was killed goes on where it was, and makes the model that it would have made: to the bit."""

import json
import math
import shutil
from collections import Counter
from dataclasses import replace

import pytest

import processes
from folders import synthetic_rows, write_jsonl
from kept import trainings
from learn.test_resume import flip
from nearer.core.errors import Conflict, NotFound, RecipeError, WorkspaceError
from nearer.encode.encoder import Encoder
from nearer.flows.add import add
from nearer.flows.remove import remove
from nearer.flows.status import status
from nearer.flows.train import train
from nearer.learn.objective import Objective
from nearer.store.workspace import Workspace
from nearer.training import passes as passes_module
from nearer.training import run as run_module
from nearer.training.unfinished import discard_run
from power import PowerCut, cut, cut_at
from said import Said

STEPS = {
    "train.examples": 1,
    "train.checkpoint": 4,
    "train.mined": 1,
    "train.pass": 2,
    "train.model": 1,
    "train.registered": 1,
}
"""The durable steps of a training, and how often each is reached."""


@pytest.fixture(scope="module")
def _prepared(tmp_path_factory, tiny_recipe, beir):
    """A workspace whose pairs have no, one or two negatives of their own, and what training it gives uninterrupted."""
    root = tmp_path_factory.mktemp("resume")
    values = {"epochs": 1.5, "evals_per_pass": 3, "patience": 9, "max_pairs": 80}
    workspace = Workspace.init(root / "filled", recipe={**tiny_recipe, "train": {**tiny_recipe["train"], **values}})
    add(workspace, "beir", beir)
    documents = [row["text"] for row in synthetic_rows(num_documents=80)["corpus"]]
    rows = [
        {"query": " ".join(text.split()[:3]) + " ?", "positive": text, "negatives": documents[n + 1 : n + 1 + n % 3]}
        for n, text in enumerate(documents[:30])
    ]
    add(workspace, "pairs", write_jsonl(root / "pairs.jsonl", rows))
    workspace.close()
    shutil.copytree(root / "filled", root / "whole")
    workspace = Workspace.open(root / "whole")
    wanted = train(workspace)
    seen = outcome(workspace, wanted)
    workspace.close()
    return root / "filled", seen


@pytest.fixture
def wanted(_prepared):
    return _prepared[1]


@pytest.fixture
def folder(_prepared, tmp_path):
    return shutil.copytree(_prepared[0], tmp_path / "workspace")


@pytest.fixture
def run(folder):
    """Train as a process of its own would; returns the outcome, and what was said."""

    def run(*overrides, start="base"):
        workspace, said = Workspace.open(folder, overrides=overrides), Said()
        try:
            return outcome(workspace, train(workspace, start, progress=said)), said.said
        finally:
            workspace.close()

    return run


def outcome(workspace, result):
    """All that a training leaves, but for the times it took."""
    training = replace(workspace.registry.training_of(result["model_id"]), duration_s=None).to_dict()
    return {
        "result": {key: value for key, value in result.to_dict().items() if key != "duration_s"},
        "training": training,
        "events": trainings(workspace),
        "left": sorted(path.name for path in workspace.training.iterdir()),
        "unfinished": sorted(map(str, workspace.state.rglob(".tmp-*"))),
    }


@pytest.fixture
def cut_short(run, monkeypatch):
    """``cut_short("train.pass", 2)``: train, until the power goes at that time of that step."""

    def cut_short(step, time=1, overrides=()):
        cut_at(monkeypatch, step, time)
        with pytest.raises(PowerCut):
            run(*overrides)
        monkeypatch.undo()

    return cut_short


def test_the_set_is_one_that_could_go_wrong(wanted):
    passes = wanted["result"]["passes"]
    assert [each["number"] for each in passes] == [1, 2]
    assert wanted["result"]["improved"]
    assert wanted["left"] == wanted["unfinished"] == []
    assert [len(each["fit"]["dev"]) for each in passes] == [4, 4]
    assert passes[1]["mining"]["num_examples"] == 80


@pytest.mark.exhaustive
@pytest.mark.slow
def test_cut_short_after_every_durable_step_it_ends_the_same(run, wanted, monkeypatch):
    left = Counter(STEPS)
    cut(monkeypatch, lambda step: left[step] > 0 and not left.subtract([step]))
    for _ in range(left.total()):
        with pytest.raises(PowerCut):
            run()
    assert run()[0] == wanted


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_again_and_again_it_ends_the_same(folder, run, wanted):
    deaths = {}
    for step in ("train.examples", "checksums.written", *list(STEPS)[1:]):
        deaths[step] = processes.run("train", "--dir", folder, die_at=step)
        assert deaths[step].was_killed, step
    assert list(folder.rglob("run.json"))
    assert "goes on from pass 1, step " in deaths["train.mined"].printed
    got, _ = run()
    assert got == wanted


def test_it_says_from_where_it_goes_on_and_mines_once(run, wanted, cut_short, monkeypatch):
    cut_short("train.checkpoint", 4)
    monkeypatch.setattr(passes_module, "mine_negatives", None)
    got, said = run()
    assert got == wanted
    steps = wanted["result"]["passes"][1]["fit"]["num_steps"]
    assert said[0].startswith("pass 1: nDCG@10 on training dev")
    assert said[1] == f"goes on from pass 2, step {2 * math.ceil(steps / 3)} of {steps}"


@pytest.mark.exhaustive
def test_an_error_in_the_middle_is_no_end_either(run, wanted, monkeypatch):
    forward, num_calls = Objective.__call__, []

    def interrupted(*args):
        num_calls.append(1)
        if len(num_calls) == 7:
            raise KeyboardInterrupt
        return forward(*args)

    monkeypatch.setattr(Objective, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert run()[0] == wanted


def test_another_training_keeps_what_there_is_until_it_is_resumed_or_discarded(run, cut_short, folder, wanted):
    cut_short("train.checkpoint")
    [before] = (folder / ".nearer/training").iterdir()
    got, said = run("train.passes=1", "train.learning_rate=2e-3")
    assert got["left"] == [before.name]
    assert not any(line.startswith("goes on") for line in said)
    with Workspace.open(folder, overrides=("train.passes=1",)) as workspace:
        [unfinished] = status(workspace)["unfinished"]
        assert (unfinished["run_id"], unfinished["is_running"]) == (before.name, False)
        with pytest.raises(NotFound, match=before.name):
            train(workspace, resume="run-0")
        assert train(workspace, resume="newest").to_dict()["passes"] == wanted["result"]["passes"]
        with pytest.raises(NotFound, match="known: none"):
            discard_run(workspace, before.name)


def test_other_libraries_are_reported_and_asked_for(run, cut_short, monkeypatch, folder, wanted):
    cut_short("train.checkpoint")
    [before] = (folder / ".nearer/training").iterdir()
    monkeypatch.setattr(run_module, "version", lambda package: "9.9")
    with pytest.raises(Conflict, match="begun with another accelerate, nearer") as caught:
        run()
    assert f"nearer train --resume {before.name}" in caught.value.hint
    assert f"nearer train --discard {before.name}" in caught.value.hint
    with Workspace.open(folder) as workspace:
        assert train(workspace, resume=before.name).to_dict()["passes"] == wanted["result"]["passes"]
        assert not list(workspace.training.iterdir())


def test_what_had_other_data_cannot_be_resumed_but_discarded(cut_short, folder):
    cut_short("train.checkpoint")
    [before] = (folder / ".nearer/training").iterdir()
    with Workspace.open(folder) as workspace:
        remove(workspace, [workspace.collection.documents()[-1].doc_id])
        with pytest.raises(Conflict, match=r"cannot go on: it had another .*documents") as caught:
            train(workspace, resume="newest")
        assert f"nearer train --discard {before.name}" in caught.value.hint
        assert discard_run(workspace, before.name)["discarded"]["num_bytes"] > 0
        assert not before.exists()


@pytest.mark.exhaustive
def test_what_does_not_decide_the_outcome_makes_no_other_run(run, cut_short, monkeypatch, wanted):
    cut_short("train.checkpoint")
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    got, said = run("train.checkpoint_steps=2", "evaluate.depth=20", "gate.alpha=0.1")
    assert got["result"] == wanted["result"]
    assert said[0].startswith("goes on with 3 threads what began with 1: sums round differently")
    assert said[1].startswith("goes on from pass 1, step ")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["mined", "result"])
def test_what_is_damaged_is_made_again(run, cut_short, monkeypatch, folder, wanted, name):
    cut_short("train.checkpoint", 3)
    number = {"mined": 2, "result": 1}[name]
    [report] = (folder / ".nearer/training").glob(f"run-*/pass-{number}/{name}/report.json")
    flip(report)
    got, said = run()
    assert got == wanted
    [damaged] = [line for line in said if "damaged" in line]
    assert f"report.json is not as it was written): pass {number} begins anew" in damaged


@pytest.mark.exhaustive
@pytest.mark.parametrize("content", ["", "[]", '{"started_at": 1}', None])
def test_a_run_that_cannot_be_read_is_dropped(run, cut_short, monkeypatch, folder, wanted, content):
    cut_short("train.examples")
    [record] = (folder / ".nearer/training").glob("run-*/run.json")
    record.unlink() if content is None else record.write_text(content)
    cut_short("train.pass")
    assert json.loads(record.read_text())["decides"]["train.epochs"] == 1.5


@pytest.mark.exhaustive
def test_a_resumed_run_claims_no_duration(run, cut_short, monkeypatch, folder):
    cut_short("train.pass", overrides=("train.passes=1",))
    got, _ = run("train.passes=1")
    workspace = Workspace.open(folder)
    assert workspace.registry.training_of(got["result"]["model_id"]).duration_s is None
    workspace.close()


@pytest.mark.exhaustive
def test_a_disk_that_is_full_in_the_end_costs_no_training(run, monkeypatch, wanted):
    def full(self, folder):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "save", full)
        with pytest.raises(WorkspaceError, match="No space left") as caught:
            run()
    assert "room" in caught.value.hint
    monkeypatch.setattr(Objective, "__call__", None)
    assert run()[0] == wanted


def test_a_training_that_diverges_at_once_is_refused_with_the_remedy(run, folder):
    with pytest.raises(RecipeError, match=r"pass 1, before dev saw anything better: .* not a number at step") as caught:
        run("train.learning_rate=1e30")
    assert "lower train.learning_rate (it is 1e+30)" in caught.value.hint
    assert not list((folder / ".nearer/training").iterdir())


@pytest.mark.exhaustive
def test_a_pass_that_diverges_later_leaves_what_was_best(run, monkeypatch, wanted):
    forward, first = Objective.__call__, wanted["result"]["passes"][0]["fit"]
    num_calls = []

    def diverge(*args):
        num_calls.append(1)
        return forward(*args) * (math.nan if len(num_calls) == first["num_steps"] + 1 else 1)

    monkeypatch.setattr(Objective, "__call__", diverge)
    got, said = run()
    one, two = got["result"]["passes"]
    assert one == wanted["result"]["passes"][0]
    assert two["fit"]["fault"] == "the loss was not a number at step 1"
    assert (two["fit"]["best_step"], two["fit"]["stopped_early"], two["fit"]["losses"]) == (0, True, [])
    assert "(step 0 of 1); ended there, for the loss was not a number at step 1" in said[-1]
    json.dumps(got, allow_nan=False)
