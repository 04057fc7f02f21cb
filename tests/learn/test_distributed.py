"""Two processes that train together make what one makes, up to the rounding of sums."""

import os

import pytest
import torch

from learn.test_fit import equal, examples, weights
from nearer.core.errors import InputError, ProcessLost
from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn import distributed as team_module
from nearer.learn import fit as fit_module
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.distributed import distributed, divided
from nearer.learn.example_table import ExampleTable
from nearer.learn.fit import Sides, as_in_training, fit
from nearer.learn.losses import mnrl
from nearer.learn.objective import Collator, Objective
from nearer.learn.tokens import MinibatchSize, Tokens
from nearer.learn.word_vectors import densify
from together import other_process

DATA = [*examples(12), *examples(17, num_negatives=2)[12:]]
"""Two batches of eight and a last one of a single example."""


@pytest.fixture
def both(monkeypatch):
    """``both(work)``: what it gives in this process alone, and with another one."""

    def both(work):
        with monkeypatch.context() as alone:
            for module in (fit_module, team_module):
                alone.setattr(module, "num_processes", lambda: 1)
            of_one = work()
        return of_one, work()

    with other_process():
        yield both


def gradients(folder, **values):
    """Of one batch of all the data, with several mini-batches a side."""
    model = Encoder.load(str(folder)).model
    recipe = TrainRecipe(**{"dropout": 0.0, **values})
    with distributed(model, recipe) as team, as_in_training(model, recipe):
        table = ExampleTable.build(DATA)
        anchors, texts = (Tokens(model, each, prompt="") for each in (table.anchors, table.texts))
        size = MinibatchSize(most_tokens=48, most_padding=48)
        batch = Collator(table=table, anchors=anchors, texts=texts, size=size)(range(len(DATA)))["batch"]
        assert len(batch.texts.minibatches) > 3
        objective = Objective(
            table=table,
            recipe=recipe,
            loss=mnrl,
            score_E=[1.0] * len(DATA),
            teacher_E=[()] * len(DATA),
            dimensions=recipe.matryoshka_dims,
        )
        if team:
            objective.embed = team.embed
        loss = objective(model.train(), batch)
        loss.backward()
        densify(model)
        if team:
            team.collect(model)
    return loss.item(), {name: each.grad for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize(
    "recipe", [{}, {"grad_cache": True}, {"matryoshka_dims": (32, 8)}], ids=["plain", "cached", "cut"]
)
def test_gradients_are_those_of_one_process(both, tiny_model_folder, recipe):
    (loss, alone), (again, together) = both(lambda: gradients(tiny_model_folder, **recipe))
    assert again == pytest.approx(loss, rel=1e-6)
    assert alone.keys() == together.keys()
    assert max(each.abs().max() for each in alone.values()) > 0.01
    for name, gradient in alone.items():
        torch.testing.assert_close(together[name], gradient, rtol=0, atol=1e-5)


@pytest.fixture
def train(tiny_model_folder, tmp_path):
    """Train a fresh copy of the model, dev getting better at each look unless told, and give report and weights."""
    numbers = iter(range(1000))

    def train(*, looks=None, folder=None, documents=False, **recipe):
        model = Encoder.load(str(tiny_model_folder))
        looks = iter(range(1000)) if looks is None else iter(looks)
        values = {"batch_size": 8, "learning_rate": 1e-3, "evals_per_pass": 2, "epochs": 2, "dropout": 0.0, **recipe}
        vectors = Encoder.load(str(tiny_model_folder)).encode_documents if documents else None
        report = fit(
            model.model,
            DATA,
            recipe=TrainRecipe(**values),
            sides=Sides(query="", document="", vectors=vectors),
            measure=lambda step: DevPoint(step=step, value=float(next(looks))),
            checkpoints=Checkpoints.open(tmp_path / (folder or f"pass-{next(numbers)}"), say=print),
            progress=Silent(),
        )
        return report, weights(model.model)

    return train


def alike(found, wanted):
    """The same weights up to rounding; of a key's bias the gradient is nothing but rounding, which Adam makes large."""
    names = [name for name in wanted if "key.bias" not in name]
    return all(torch.allclose(found[name], wanted[name], rtol=0, atol=3e-5) for name in names)


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"grad_cache": True, "matryoshka_dims": (8,), "l2_sp": 0.01},
        {"lora_rank": 2, "learning_rate": 1e-2},
        {"freeze_layers": 1, "grad_cache": True},
        {"sides": "query", "documents": True},
    ],
    ids=["plain", "cached", "lora", "frozen", "query"],
)
def test_the_model_is_that_of_one_process(both, train, tiny_model_folder, recipe):
    (alone, of_one), (together, of_two) = both(lambda: train(**recipe))
    assert (together.num_negatives, together.num_steps) == (alone.num_negatives, 6)
    assert together.losses == pytest.approx(alone.losses, rel=1e-4)
    start = weights(Encoder.load(str(tiny_model_folder)).model)
    assert max((of_one[name] - start[name]).abs().max() for name in start) > 2e-3
    assert alike(of_two, of_one)
    for name, wanted in of_one.items():
        assert torch.equal(wanted, start[name]) == torch.equal(of_two[name], start[name])


def test_each_step_drops_out_anew_and_alike_when_it_is_repeated(train):
    with other_process():
        (first, one), (_, other) = train(dropout=0.3), train(dropout=0.3)
        _, without = train()
    assert equal(one, other)
    assert not equal(one, without)
    assert first.num_steps == 6


@pytest.mark.parametrize("begun_by", [1, 2])
def test_a_pass_goes_on_with_another_number_of_processes(train, begun_by):
    """Begun by one process and ended by two, or the other way round."""
    _, wanted = train(evals_per_pass=6)

    def begin():
        with pytest.raises(ZeroDivisionError):
            train(looks=(1 / (4 - look) for look in range(9)), evals_per_pass=6, folder="cut")

    def go_on():
        report, found = train(looks=range(9, 99), evals_per_pass=6, folder="cut")
        assert [point.step for point in report.dev] == list(range(7))
        return found

    if begun_by == 1:
        begin()
        with other_process():
            found = go_on()
    else:
        with pytest.raises(ZeroDivisionError), other_process():
            train(looks=(1 / (4 - look) for look in range(9)), evals_per_pass=6, folder="cut")
        found = go_on()
    assert alike(found, wanted)


def test_after_an_error_between_steps_the_processes_train_on(train):
    def refused():
        yield 0.5
        raise InputError("no more dev")

    _, wanted = train()
    with other_process():
        with pytest.raises(InputError, match="no more dev"):
            train(looks=refused())
        _, found = train()
    assert alike(found, wanted)


def test_no_memory_in_a_step_ends_all_processes_with_a_remedy(train, monkeypatch):
    def starve(self, *_):
        raise torch.OutOfMemoryError("of 80 GiB")

    monkeypatch.setattr(Objective, "of", starve)
    with pytest.raises(ProcessLost, match="no memory on the first of 2 devices: of 80 GiB") as raised, other_process():
        train()
    assert "train.grad_cache" in raised.value.hint


def test_a_process_that_dies_is_told_of(train):
    def looks(other):
        yield 0.1
        other.kill()
        other.join(60)
        yield 0.2

    with pytest.raises(ProcessLost, match="another process") as raised, other_process() as other:
        train(looks=looks(other))
    assert "goes on" in raised.value.hint


def test_the_environment_does_not_tell_the_libraries_of_other_processes(both):
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"} & os.environ.keys()


@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_shares_cost_alike_and_hold_every_item_once(number):
    costs = [7, 1, 4, 4, 9, 2, 2, 5, 3, 3, 6, 1]
    shares = divided(costs, number)
    assert sorted(item for share in shares for item in share) == list(range(len(costs)))
    totals = [sum(costs[item] for item in share) for share in shares]
    assert max(totals) <= max(max(costs), 4 / 3 * sum(costs) / number + 1)
    assert totals[0] > 0
