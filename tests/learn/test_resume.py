"""A pass that was cut short goes on from its last whole checkpoint, and ends as if nothing had happened: to the bit."""

import json
import math
import resource
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from learn.test_fit import equal, examples, weights
from nearer.core import failpoints
from nearer.core.errors import InputError, WorkspaceError
from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn import checkpoint as module
from nearer.learn.checkpoint import Checkpoint, Checkpoints
from nearer.learn.fit import Sides, fit
from nearer.learn.objective import Objective
from power import PowerCut

MIXED = [
    *(replace(each, source="clicks") for each in examples(30)),
    *examples(12, num_negatives=1),
    *examples(4, num_negatives=2),
]
"""6 steps an epoch, of examples with three numbers of negatives, the last batch smaller."""
ORDERED = {"source_weights": {"clicks": 0.5, "unnamed": 1.5}, "batches": "single"}
"""An order with every wish: 2 batches an epoch of 30 clicks, 3 of the 16 others."""


def train(model_folder, folder, *, say=print, looks=None, measure=None, **recipe):
    """Train a fresh copy of the model; dev is made of the bits of its weights, so it tells any two apart."""
    model = Encoder.load(str(model_folder)).model
    values = {"batch_size": 8, "learning_rate": 1e-3, "epochs": 1, "evals_per_pass": 5, "patience": 99, **recipe}
    report = fit(
        model,
        MIXED,
        recipe=TrainRecipe(**values),
        sides=Sides(query="", document=""),
        measure=measure or (lambda step: point_at(step, looks() if looks else dev_of(model))),
        checkpoints=Checkpoints.open(folder, say=say),
        progress=Silent(),
    )
    return report, weights(model)


def point_at(step, value):
    """The higher half of the queries says the more the less the others do, so that hardly anything is proven."""
    return DevPoint(
        step=step,
        value=value,
        queries=(3 * value, -value) * 10,
        train=value / 3,
        effective_rank=1 + abs(value) / 11,
    )


def dev_of(model):
    total = sum(float(tensor.double().sum()) for tensor in model.state_dict().values())
    return math.sin(1e6 * total)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pass"


@pytest.fixture
def run(tiny_model_folder, folder):
    return partial(train, tiny_model_folder, folder)


@pytest.fixture(scope="module")
def _often(tiny_model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("often") / "pass"
    return *train(tiny_model_folder, folder, checkpoint_steps=1), folder


@pytest.fixture
def wanted(_often):
    """What an epoch gives when nothing happens."""
    return _often[:2]


@pytest.fixture
def cut_at_the_end(_often, folder):
    """The checkpoints of an epoch with one at every step, as if it had been killed in the last step."""
    return shutil.copytree(_often[2], folder)


def same(left, right):
    return left[0] == right[0] and equal(left[1], right[1])


def cut_after_each_checkpoint(monkeypatch):
    def cut(name):
        if name == "train.checkpoint":
            raise PowerCut(name)

    monkeypatch.setattr(failpoints, "handler", cut)


def cut_in_every_step(monkeypatch):
    """Each process comes one step further than the one before; the power goes in the middle of the next."""
    forward, seen = Objective.__call__, set()

    def cut(self, model, batch):
        if batch.rows not in seen:
            seen.add(batch.rows)
            raise PowerCut
        return forward(self, model, batch)

    monkeypatch.setattr(Objective, "__call__", cut)


def run_until_done(run, **recipe):
    num_cuts = 0
    while True:
        np.random.seed(num_cuts)  # what else the process did does not matter
        torch.manual_seed(num_cuts)
        try:
            return *run(**recipe), num_cuts
        except PowerCut:
            num_cuts += 1


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    ("cut", "recipe", "num_cuts"),
    [
        (cut_after_each_checkpoint, {}, 4),  # at steps 2, 4, 6 (the end of an epoch) and 8 of 9
        (cut_after_each_checkpoint, {"checkpoint_steps": 1, "freeze_embeddings": True}, 8),
        (cut_after_each_checkpoint, {"checkpoint_steps": 2, "lora_rank": 4}, 4),
        (cut_after_each_checkpoint, {"checkpoint_steps": 2, "freeze_layers": 1}, 4),
        (cut_in_every_step, {"epochs": 1, "evals_per_pass": 6}, 6),
        (cut_after_each_checkpoint, {"checkpoint_steps": 1, **ORDERED}, 7),
        (cut_after_each_checkpoint, {"patience": 2, "evals_per_pass": 9, "max_seq_length": 16}, None),
    ],
    ids=["dev", "every-step", "lora", "frozen", "within-steps", "sources", "patience"],
)
def test_a_pass_cut_short_again_and_again_ends_as_the_whole_one(run, folder, monkeypatch, cut, recipe, num_cuts):
    recipe = {"epochs": 1.5, **recipe}
    whole = run(**recipe)
    shutil.rmtree(folder)
    cut(monkeypatch)
    *resumed, counted = run_until_done(run, **recipe)
    assert same(resumed, whole)
    assert counted == (num_cuts or len(whole[0].dev) - 2)
    assert whole[0].stopped_early == ("patience" in recipe)


def test_checkpoints_change_nothing(run, wanted):
    assert same(run(), wanted)


def test_what_was_done_is_not_done_again(run, folder, wanted, cut_at_the_end, monkeypatch):
    start = Checkpoints.open(folder, say=print).start
    assert (start.step, start.num_steps) == (5, 6)
    assert [point.step for point in start.dev] == [0, 2, 4]
    steps, forward = [], Objective.__call__
    monkeypatch.setattr(Objective, "__call__", lambda *args: steps.append(1) or forward(*args))
    assert same(run(), wanted)
    assert len(steps) == 1


def test_a_checkpoint_of_before_training_queries_were_measured_is_gone_on_from(folder, cut_at_the_end):
    record = folder / "step-5" / "dev.json"
    content = json.loads(record.read_text())
    content["dev"] = [{"step": point["step"], "value": point["value"]} for point in content["dev"]]
    record.write_text(json.dumps(content))
    [first, *_] = Checkpoint.read(folder / "step-5").dev
    assert first == DevPoint(step=0, value=first.value)
    assert first.train is first.effective_rank is None


def test_two_checkpoints_are_kept_without_pickles_to_run_and_none_of_the_end(folder, cut_at_the_end):
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("step")) == ["step-4", "step-5"]
    assert not list(folder.rglob("training_args.bin"))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        assert (folder / "step-5" / name).is_file()
    Checkpoints.open(folder, say=print).remove()
    assert not [path for path in folder.rglob("*") if path.is_file()]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, halve, lambda path: path.unlink()], ids=["flipped", "halved", "gone"])
@pytest.mark.parametrize("name", ["optimizer.pt", "best.safetensors", "dev.json", "manifest.json"])
def test_a_damaged_checkpoint_is_dropped_for_the_one_before(folder, cut_at_the_end, damage, name):
    damage(folder / "step-5" / name)
    said = []
    assert Checkpoints.open(folder, say=said.append).start.step == 4
    assert len(said) == 1
    assert "step-5 is damaged" in said[0]
    assert not (folder / "step-5").exists()


@pytest.mark.exhaustive
def test_a_pass_whose_checkpoints_are_all_damaged_begins_anew_and_ends_the_same(run, folder, wanted, cut_at_the_end):
    for path in folder.glob("step-*/rng_state.pth"):
        flip(path)
    said = []
    assert same(run(say=said.append), wanted)
    assert len(said) == 2


@pytest.mark.parametrize("moment", ["keep_checksummed", "save_file"])
def test_a_checkpoint_half_written_does_not_count(run, folder, wanted, monkeypatch, moment):
    real, num_calls = getattr(module, moment), []

    def cut(*args):
        num_calls.append(1)
        if len(num_calls) == 2:
            raise PowerCut
        return real(*args)

    monkeypatch.setattr(module, moment, cut)
    with pytest.raises(PowerCut):
        run()
    assert Checkpoints.open(folder, say=print).start.step == 2
    assert same(run(), wanted)


def test_a_full_disk_is_reported_with_its_remedy_and_training_goes_on_when_there_is_room(run, wanted):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(WorkspaceError, match="cannot be written") as caught:
            run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "room" in caught.value.hint
    assert same(run(), wanted)


def test_a_failure_that_is_not_the_disk_is_not_blamed_on_it(run, monkeypatch):
    def broken(*args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Objective, "__call__", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        run()


def test_a_loss_that_is_not_a_number_ends_the_pass_with_the_best_before(run, folder, monkeypatch):
    forward, num_calls = Objective.__call__, []

    def nan_in_step_3(*args):
        num_calls.append(1)
        return forward(*args) * (math.nan if len(num_calls) == 3 else 1)

    monkeypatch.setattr(Objective, "__call__", nan_in_step_3)
    report, got = run(evals_per_pass=3, checkpoint_steps=1, looks=iter([0.1, 0.5]).__next__)
    assert report.fault == "the loss was not a number at step 3"
    assert (report.num_steps, report.best_step, report.stopped_early, len(report.losses)) == (3, 2, True, 2)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in got.values())
    assert sorted(path.name for path in folder.glob("step-*")) == ["step-1", "step-2"]


def test_dev_that_is_not_a_number_ends_the_pass_too(run):
    report, _ = run(evals_per_pass=3, looks=iter([0.1, 0.5, math.nan]).__next__)
    assert report.fault == "dev was not a number at step 4"
    assert (report.best_step, [point.value for point in report.dev]) == (2, [0.1, 0.5])


def test_training_queries_that_are_no_number_end_it_as_well(run):
    def broken(step):
        return DevPoint(step=step, value=0.5 + step, train=math.nan if step else 0.5)

    report, _ = run(evals_per_pass=3, measure=broken)
    assert (report.fault, report.best_step) == ("train was not a number at step 2", 0)


def test_a_model_that_is_broken_from_the_start_is_refused(run):
    with pytest.raises(InputError, match="dev was not a number at step 0"):
        run(looks=lambda: math.nan)
