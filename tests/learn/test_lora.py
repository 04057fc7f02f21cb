"""LoRA: adapters while a model is trained, a plain model before and after."""

import pytest
import torch
from torch import nn

from learn.test_fit import equal, examples, weights
from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.fit import Sides, fit
from nearer.learn.lora import most_rank
from nearer.learn.lower_layers import layers_of
from nearer.learn.objective import Objective

TEXTS = ["music and water", "the river of the school"]


@pytest.fixture
def train(tmp_path):
    """``train(model, looks=...)``: one pass; dev says what ``looks`` does, by default better every time."""

    num_calls = iter(range(99))

    def train(model, looks=None, **recipe):
        seen = iter(range(99)) if looks is None else looks
        values = {"batch_size": 8, "learning_rate": 5e-3, "evals_per_pass": 2, "lora_rank": 4, **recipe}
        return fit(
            model,
            examples(),
            recipe=TrainRecipe(**values),
            sides=Sides(query="", document=""),
            measure=lambda step: DevPoint(step=step, value=float(next(seen))),
            checkpoints=Checkpoints.open(tmp_path / f"pass-{next(num_calls)}", say=print),
            progress=Silent(),
        )

    return train


@pytest.fixture(params=["bert", "qwen3"])
def model(request, tiny_model_folder, make_decoder):
    """An encoder's model, then a decoder's."""
    return Encoder.load(str(tiny_model_folder if request.param == "bert" else make_decoder())).model


def bits(model):
    return {name: each.view(torch.uint8).clone() for name, each in model.state_dict().items()}


def lora_layers(model):
    return [each for each in model.modules() if hasattr(each, "lora_A")]


def test_it_learns_and_leaves_a_plain_model(train, model):
    before, linear = weights(model), set()
    for name, each in model.named_modules():
        if isinstance(each, nn.Linear) and "pooler" not in name:
            linear.add(f"{name}.weight")
    report = train(model, epochs=10, lora_alpha=16)
    assert sum(report.losses[-3:]) < 0.95 * sum(report.losses[:3])
    after = weights(model)
    assert after.keys() == before.keys()
    assert {name for name in before if not torch.equal(before[name], after[name])} == linear
    assert not hasattr(model.transformers_model, "peft_config")
    assert not lora_layers(model)
    assert all(each.requires_grad for each in model.parameters())


def test_only_the_adapters_have_gradients(train, model, monkeypatch):
    forward, trained = Objective.__call__, set()

    def spy(self, net, batch):
        trained.update(name for name, each in net.named_parameters() if each.requires_grad)
        return forward(self, net, batch)

    monkeypatch.setattr(Objective, "__call__", spy)
    train(model, grad_cache=True)
    assert trained
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    assert len(trained) == 2 * sum(
        isinstance(each, nn.Linear) for each in layers_of(model.transformers_model).modules()
    )


def test_training_that_hurts_leaves_the_model_bit_for_bit(train, model):
    with torch.no_grad():
        next(layers_of(model.transformers_model)[0].parameters()).view(-1)[0] = -0.0
    before = bits(model)
    assert train(model, iter([0.9, 0.5, 0.4])).best_step == 0
    assert equal(bits(model), before)


@pytest.mark.exhaustive
def test_what_is_merged_is_what_dev_saw_at_its_best(train, model):
    seen, values = [], iter([0.1, 0.9, 0.3])

    def look():
        for value in values:
            seen.append(model.encode(TEXTS))
            yield value

    assert train(model, look(), lora_alpha=64).best_step == 2
    torch.testing.assert_close(torch.tensor(model.encode(TEXTS)), torch.tensor(seen[1]), atol=1e-5, rtol=0)
    assert abs(seen[1] - seen[0]).max() > 1e-3
    assert abs(seen[2] - seen[1]).max() > 1e-3


def test_a_pass_that_dies_drops_what_was_learned(train, model):
    before = bits(model)

    def dies():
        yield 0.5
        yield 0.6
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power"):
        train(model, dies())
    assert equal(bits(model), before)
    assert all(each.requires_grad for each in model.parameters())


@pytest.mark.parametrize(("recipe", "scaling"), [({}, 1.0), ({"lora_alpha": 16}, 4.0)])
def test_the_scale_and_dropout_are_the_recipes(train, tiny_encoder, recipe, scaling):
    found = set()

    def look():
        for value in range(9):
            for each in lora_layers(tiny_encoder.model):
                found.add((each.r["lora"], each.scaling["lora"], getattr(each.lora_dropout["lora"], "p", 0.0)))
            yield value

    train(tiny_encoder.model, look(), **recipe)
    assert found == {(4, scaling, 0.0)}


@pytest.mark.exhaustive
def test_a_seed_gives_the_same_adapters_and_another_others(train, tiny_model_folder):
    made = []
    for seed in (1, 1, 2):
        torch.rand(seed)  # what happened before does not matter
        model = Encoder.load(str(tiny_model_folder)).model
        train(model, seed=seed, epochs=0.5)
        made.append(weights(model))
    assert equal(made[0], made[1])
    assert not equal(made[0], made[2])


def test_adapters_are_float32_over_weights_that_are_not(train, tiny_encoder):
    found, model = set(), tiny_encoder.model.bfloat16()

    def look():
        for value in range(9):
            found.update(each.lora_B["lora"].weight.dtype for each in lora_layers(model))
            yield value

    before = weights(model)
    train(model, look())
    assert found == {torch.float32}
    assert {each.dtype for each in model.parameters()} == {torch.bfloat16}
    assert not equal(weights(model), before)


def test_the_most_that_a_rank_can_be(tiny_encoder):
    assert most_rank(layers_of(tiny_encoder.model.transformers_model)) == 32
    assert most_rank(nn.Embedding(8, 8)) == 0
