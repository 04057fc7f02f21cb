"""The mean of several trainings' weights: which of them join, and that it is what is kept."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nearer.flows.train import train
from nearer.learn.checkpoint import weights_of
from nearer.store.workspace import Workspace
from nearer.training import choice
from nearer.training.averaging import Averaged, averaged
from nearer.training.choice import Asked
from power import PowerCut, cut_at

TARGET = (1.0, 1.0)


def course(*ends):
    """Trainings that ended at these two weights, None for one that is damaged; dev is how near they are to TARGET."""
    model = torch.nn.Linear(2, 1, bias=False)

    def value_of(weights):
        return 1 - float((weights - torch.tensor([TARGET])).norm())

    def part(number):
        end = ends[number]
        weights = None if end is None else {"weight": torch.tensor([end])}
        return SimpleNamespace(weights=lambda last: weights if last == 2 else pytest.fail("not the last pass"))

    def dev_values(encoder):
        return np.array([value_of(encoder.model.weight.detach())])

    found = SimpleNamespace(
        first=1,
        encoder=SimpleNamespace(model=model),
        run=SimpleNamespace(part=part),
        watch=SimpleNamespace(dev_values=dev_values),
    )
    return found, [{"value": value_of(torch.tensor([end or TARGET])), "num_passes": 2} for end in ends]


def test_the_next_best_joins_unless_dev_falls():
    found, finished = course((9.0, 9.0), (0.5, 1.0), (1.4, 1.0), (1.0, 0.1))
    before = found.encoder.model.weight.clone()
    mean = averaged(found, finished)
    assert mean.trainings == (2, 1), "the best first; the others would lead away"
    assert mean.weights["weight"].tolist() == [pytest.approx([0.95, 1.0])]
    assert mean.value == pytest.approx(0.95)
    assert torch.equal(found.encoder.model.weight, before)


def test_each_of_three_weighs_the_same():
    found, finished = course((1.3, 1.0), (0.9, 1.3), (0.8, 0.7))
    mean = averaged(found, finished)
    assert sorted(mean.trainings) == [0, 1, 2]
    assert mean.weights["weight"].tolist() == [pytest.approx([1.0, 1.0])]


def test_one_that_is_as_good_joins():
    found, finished = course((1.0, 0.5), (1.0, 0.5))
    assert averaged(found, finished).trainings == (0, 1)


@pytest.mark.parametrize(
    "ends",
    [((1.1, 1.0),), ((1.0, 1.0), (3.0, 3.0)), ((1.1, 1.0), None), (None, (1.1, 1.0))],
    ids=["alone", "worse", "the other damaged", "the best damaged"],
)
def test_there_may_be_none(ends):
    assert averaged(*course(*ends)) is None


def test_one_that_broke_down_is_passed_over():
    found, finished = course((1.2, 1.0), (1.0, 1.0), (0.8, 1.0))
    finished[1]["value"] = None
    assert sorted(averaged(found, finished).trainings) == [0, 2]


PASS = "train.passes=1"


@pytest.fixture
def trained(base_live):
    """A training with these settings: the result, the weights of its model, and what is registered of it."""

    def trained(*overrides, **asked):
        workspace = Workspace.open(base_live, overrides=overrides)
        try:
            result = train(workspace, asked=Asked(**asked))
            model = workspace.registry.model(result["model_id"])
            [weights] = (workspace.state / model.source).rglob("model.safetensors")
            return result, load_file(weights), model.training
        finally:
            workspace.close()

    return trained


@pytest.mark.slow
def test_what_is_kept_of_seeds_is_their_mean(trained):
    alone = [trained(PASS, f"train.seed={seed}")[1] for seed in range(2)]
    result, weights, training = trained(PASS, num_seeds=2)
    told = result["seeds"]["averaged"]
    assert sorted(told["trainings"]) == [0, 1]
    assert training["seeds"]["averaged"] == told
    assert result["dev"]["best"] == told["value"] >= max(each["value"] for each in result["seeds"]["trainings"])
    for name, kept in weights.items():
        torch.testing.assert_close(kept, (alone[0][name] + alone[1][name]) / 2)
    assert any(not torch.equal(alone[0][name], alone[1][name]) for name in weights)


@pytest.mark.slow
def test_cut_off_it_is_the_same_mean(trained, monkeypatch):
    whole, *_ = trained(PASS, num_seeds=2)
    with monkeypatch.context() as patch:
        cut_at(patch, "train.part", 2)
        with pytest.raises(PowerCut):
            trained(PASS, num_seeds=2)
    again, *_ = trained(PASS, num_seeds=2)
    assert again["model_id"] == whole["model_id"]
    assert again["seeds"]["averaged"] == whole["seeds"]["averaged"] is not None


@pytest.mark.slow
def test_a_mean_is_a_model_though_none_of_its_seeds_would_be(trained, monkeypatch):
    def mean(course, finished):
        weights = {name: 1.5 * each for name, each in weights_of(course.encoder.model).items()}
        return Averaged(trainings=(0, 1), value=0.9, weights=weights)

    monkeypatch.setattr(choice, "averaged", mean)
    result, *_ = trained(PASS, "train.learning_rate=1e-12", num_seeds=2)
    assert [each["fit"]["best_step"] for each in result["passes"]] == [0]
    assert (result["improved"], result["dev"]["best"]) == (True, 0.9)


@pytest.mark.slow
def test_it_is_told_and_shown(ask, nearer, base_live):
    outcome = nearer("train", "--seeds", 2, "--set", PASS, "--dir", base_live)
    assert "; the mean of the weights of 2, dev 0." in outcome.out
    page = Path(ask(base_live, "report")["report"]).read_text()
    assert "Dev chose the mean of the weights of 2 of 2" in page
