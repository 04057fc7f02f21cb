"""The command line under torchrun: processes train together, the first has the workspace, and none outlives it."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import kept
from nearer.encode.encoder import Encoder
from nearer.flows.train import train
from nearer.store.workspace import Workspace
from together import Together, free_port

NO_DROPOUT = ("--set", "train.dropout=0.0", "--set", "train.evals_per_pass=2")


def vectors(folder, model_id):
    """What a registered model makes of some texts."""
    encoder = Encoder.load(str(next(Path(folder).glob(f".nearer/models/*{model_id.removeprefix('model-')}*"))))
    return torch.from_numpy(encoder.encode_queries(["music and water", "the army of the church", "book of law"]))


def trainings(folder):
    """The lines of history about trainings, and the ids of the models that trainings made."""
    workspace = Workspace.open(folder)
    registry = workspace.registry
    lines, models = kept.trainings(workspace), registry.trained_parts()
    workspace.close()
    return lines, models


@pytest.fixture(scope="module")
def of_one(_made, tmp_path_factory):
    """What one process makes of two passes, and the folder of its workspace."""
    folder = shutil.copytree(_made["base live"], tmp_path_factory.mktemp("devices") / "alone")
    workspace = Workspace.open(folder, overrides=NO_DROPOUT[1::2])
    made = train(workspace)
    workspace.close()
    return made, folder


def same_model(folder, model_id, of_one):
    made, whole = of_one
    found, wanted = vectors(folder, model_id), vectors(whole, made["model_id"])
    return torch.allclose(found, wanted, rtol=0, atol=1e-4)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_torchrun_trains_the_model_of_one_process(base_live, of_one):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    ended = subprocess.run(
        [*launch, "-m", "nearer", "train", *NO_DROPOUT, "--json", "--dir", str(base_live)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    [line] = ended.stdout.splitlines()
    found = json.loads(line)
    assert found["improved"]
    for one, two in zip(of_one[0]["passes"], found["passes"], strict=True):
        assert two["fit"]["losses"] == pytest.approx(one["fit"]["losses"], rel=1e-4)
        assert [each["value"] for each in two["fit"]["dev"]] == [each["value"] for each in one["fit"]["dev"]]
        assert two["fit"]["num_negatives"] == one["fit"]["num_negatives"]
    assert same_model(base_live, found["model_id"], of_one)
    assert "the first of 2 processes" in ended.stderr
    lines, models = trainings(base_live)
    assert [model_id for model_id, _ in lines] == models == [found["model_id"]]


def test_the_first_process_alone_touches_the_workspace(base_live):
    codes, printed = Together("train", "--dir", base_live, "--set", "train.passes=1").wait()
    assert codes == [0, 0], printed
    lines, models = trainings(base_live)
    assert [model_id for model_id, _ in lines] == models
    assert len(models) == 1
    assert models[0] in printed[0]
    assert printed[1] == ""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["train.checkpoint", "train.pass:2"])
def test_when_the_first_process_dies_the_other_ends_and_one_alone_goes_on(base_live, nearer, of_one, step):
    codes, printed = Together("train", "--dir", base_live, *NO_DROPOUT, die_at=step).wait()
    assert codes == [-9, 2], printed
    assert "the connection to another process of this training broke" in printed[1]
    assert trainings(base_live) == ([], [])
    outcome = nearer("train", *NO_DROPOUT, "--json", "--dir", base_live)
    assert "goes on with 1 processes what began with 2" in outcome.err
    assert same_model(base_live, outcome.json["model_id"], of_one)
    assert [len(each) for each in trainings(base_live)] == [1, 1]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_when_another_process_dies_the_first_says_so_and_the_command_can_be_repeated(base_live, ask):
    settings = ("train.passes=1", "train.epochs=12", "train.patience=9", "train.evals_per_pass=6")
    long = [each for setting in settings for each in ("--set", setting)]
    together = Together("train", "--dir", base_live, *long, "--json")
    until(lambda: list(base_live.glob(".nearer/training/run-*/pass-1/step-*")))
    together.processes[1].kill()
    codes, printed = together.wait()
    assert codes == [2, -9], printed
    error = json.loads(printed[0].splitlines()[-1])["error"]
    assert error["code"] == "process_lost"
    assert trainings(base_live) == ([], [])
    assert ask(base_live, "train", *long)["model_id"]
    assert len(trainings(base_live)[0]) == 1


def until(is_so, *, timeout_s=60):
    ends_at = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_a_fault_of_the_command_is_reported_once_and_ends_both(base_live):
    codes, printed = Together("train", "--dir", base_live, "--set", "train.batch_size=1", "--json").wait()
    assert codes == [2, 2], printed
    assert json.loads(printed[0].splitlines()[-1])["error"]["code"] == "bad_recipe"
    assert "{" not in printed[1]


@pytest.mark.parametrize("arguments", [("status",), ("train", "--adapter", "query")])
def test_what_trains_no_encoder_runs_in_the_first_process_alone(base_live, arguments):
    codes, printed = Together(*arguments, "--dir", base_live, "--json").wait()
    assert codes == [0, 0], printed
    assert json.loads(printed[0].splitlines()[-1])
    assert printed[1] == ""
