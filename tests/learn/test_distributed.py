"""Processes that train together, each its share of a batch, make what one makes, up to the rounding of sums."""

import os
from dataclasses import replace

import pytest
import torch

from learn.test_fit import equal, examples, weights
from nearer.core.errors import InputError, ProcessLost
from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn import fit as module
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.example_table import ExampleTable
from nearer.learn.fit import Sides, fit
from nearer.learn.objective import Collator, Objective
from nearer.learn.tokens import MinibatchSize, Tokens
from together import other_processes

DATA = [*examples(12), *examples(17, num_negatives=2)[12:]]
"""Two batches of eight and a last one of a single example, of whose texts two or three processes have less than one."""


def scored(data=DATA):
    """The same with how alike each pair is."""
    return [replace(each, score=number % 5 / 4) for number, each in enumerate(data)]


def graded(data=DATA):
    """The same where another positive of the batch is relevant too, but less."""
    others = [*data[1:], data[0]]
    return [
        replace(each, grade=3, grades={each.positive: 3, other.positive: 1})
        for each, other in zip(data, others, strict=True)
    ]


def taught(data=None):
    """Examples with negatives and what a teacher gives each text."""
    data = data or examples(17, num_negatives=2)
    return [replace(each, scores=(2.0, 0.5 + number / 20, -1.0)) for number, each in enumerate(data)]


@pytest.fixture
def both(monkeypatch):
    """``both(work)``: what it gives in this process alone, and with others."""

    def both(work, *, number=2):
        of_one = work()
        with other_processes(number):
            return of_one, work()

    return both


@pytest.fixture
def train(tiny_model_folder, tmp_path):
    """Train a fresh copy of the model, dev getting better at each look unless told, and give report and weights."""
    numbers = iter(range(1000))

    def train(*, looks=None, folder=None, documents=False, data=DATA, **recipe):
        model = Encoder.load(str(tiny_model_folder))
        looks = iter(range(1000)) if looks is None else iter(looks)
        values = {"batch_size": 8, "learning_rate": 1e-3, "evals_per_pass": 2, "epochs": 2, "dropout": 0.0, **recipe}
        vectors = Encoder.load(str(tiny_model_folder)).encode_documents if documents else None
        report = fit(
            model.model,
            data,
            recipe=TrainRecipe(**values),
            sides=Sides(query="", document="", vectors=vectors),
            measure=lambda step: DevPoint(step=step, value=float(next(looks))),
            checkpoints=Checkpoints.open(tmp_path / (folder or f"pass-{next(numbers)}"), say=print),
            progress=Silent(),
        )
        return report, weights(model.model)

    return train


@pytest.fixture
def gradients(train, monkeypatch):
    """The loss of the first step of a training and its gradients, as they come to the optimiser, by step."""

    def gradients(**values):
        kept, own = [], module._Trainer.training_step

        def step(trainer, *arguments, **options):
            loss = own(trainer, *arguments, **options)
            named = trainer.model.model.named_parameters()
            kept.append((loss.item(), {name: each.grad.clone() for name, each in named if each.grad is not None}))
            return loss

        with monkeypatch.context() as patched:
            patched.setattr(module._Trainer, "training_step", step)
            train(epochs=1, **values)
        return kept

    return gradients


CASES = {
    "plain": {},
    "cached": {"grad_cache": True},
    "cut": {"matryoshka_dims": (32, 8)},
    "pulled": {"l2_sp": 0.01, "grad_cache": True},
    "lora": {"lora_rank": 2, "grad_cache": True},
    "frozen": {"freeze_layers": 1},
    "query": {"sides": "query", "documents": True},
    "grades": {"data": graded()},
    "triplet": {"loss": "triplet", "data": examples(17, num_negatives=2)},
    "cosine": {"loss": "cosine", "data": scored()},
    "cosent": {"data": scored()},
    "margins": {"loss": "margin_mse", "data": taught(), "grad_cache": True},
    "kl": {"loss": "kl", "data": taught()},
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_one_process(both, gradients, case):
    """Of every step, with the weights that the steps before made; in the last, of one example, a process has no text.

    Losses that compare examples of a batch teach nothing then.
    """
    alone, together = both(lambda: gradients(**CASES[case]))
    assert len(alone) == len(together) == 3
    assert all(max(each.abs().max() for each in wanted.values()) > 1e-3 for _, wanted in alone[:2])
    for (loss, wanted), (found_loss, found) in zip(alone, together, strict=True):
        assert found_loss == pytest.approx(loss, rel=1e-5)
        assert set(wanted) <= set(found)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, wanted.get(name, torch.zeros_like(gradient)), rtol=0, atol=1e-5)


@pytest.mark.exhaustive
def test_more_processes_than_texts(both, gradients):
    alone, together = both(lambda: gradients(data=DATA[:2], batch_size=2, loss="mnrl"), number=4)
    for (_, wanted), (_, found) in zip(alone, together, strict=True):
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 3, 50])
def test_processes_share_the_texts_of_a_batch(tiny_encoder, number):
    """Each text is embedded by one, all have as much to do, and the order is the same for all."""
    table = ExampleTable.build(DATA)
    anchors, texts = (Tokens(tiny_encoder.model, each, prompt="") for each in (table.anchors, table.texts))
    size = MinibatchSize(most_tokens=48, most_padding=48)
    sides = [
        Collator(table=table, anchors=anchors, texts=texts, size=size, num_processes=number, process=process)(range(17))
        for process in range(number)
    ]
    batches = [each["batch"].texts for each in sides]
    assert {each.rows for each in batches} == {batches[0].rows}
    assert sorted(batches[0].rows) == sorted({text for row in range(17) for text in table.candidates[row]})
    for process, each in enumerate(batches):
        made = sum(len(features["input_ids"]) for features in each.minibatches)
        assert sum(each.shares) == len(each.rows)
        assert made == each.shares[process] or (each.shares[process] == 0 < made)
    tokens = [sum(int(f["attention_mask"].sum()) for f in each.minibatches) for each in batches]
    assert number == 50 or max(tokens) - min(tokens) <= size.most_tokens


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
    with other_processes():
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
        with other_processes():
            found = go_on()
    else:
        with pytest.raises(ZeroDivisionError), other_processes():
            train(looks=(1 / (4 - look) for look in range(9)), evals_per_pass=6, folder="cut")
        found = go_on()
    assert alike(found, wanted)


def test_an_error_of_the_first_process_ends_the_others(train):
    def refused():
        yield 0.5
        raise InputError("no more dev")

    with pytest.raises(InputError, match="no more dev"), other_processes():
        train(looks=refused())


def test_a_pass_that_is_broken_off_is_so_for_all_and_the_next_begins(both, train):
    """By patience after two steps; what the others hear then is another lesson."""

    def work():
        report, _ = train(looks=[0.9, 0.1, 0.1, 0.1, 0.1], evals_per_pass=6, patience=2)
        assert report.num_steps == 2
        return train()[1]

    alone, together = both(work)
    assert alike(together, alone)


def test_no_memory_in_a_step_ends_all_processes_with_a_remedy(train, monkeypatch):
    def starve(self, *_):
        raise torch.OutOfMemoryError("of 80 GiB")

    monkeypatch.setattr(Objective, "of", starve)
    lost = "no memory on device 1 of 2: of 80 GiB"
    with pytest.raises(ProcessLost, match=lost) as raised, other_processes():
        train()
    assert "train.grad_cache" in raised.value.hint


def test_a_process_that_dies_is_told_of(train):
    def looks(other):
        yield 0.1
        other.kill()
        other.join(60)
        yield 0.2

    with pytest.raises(ProcessLost, match="another process") as raised, other_processes() as [other]:
        train(looks=looks(other))
    assert "goes on" in raised.value.hint


def test_the_environment_tells_the_libraries_of_other_processes_while_they_train_alone(train):
    def seen():
        return {name for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE") if name in os.environ}

    def looks():
        for number in range(9):
            assert len(seen()) == 4
            yield number

    with other_processes():
        assert not seen()
        train(looks=looks())
        assert not seen()
