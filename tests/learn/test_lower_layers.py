import numpy as np
import pytest
import torch
import transformers

from learn.test_fit import examples, weights
from nearer.core.errors import RecipeError
from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn import fit as module
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.fit import Sides, fit
from nearer.learn.lower_layers import Activations, frozen, layers_of

TEXTS = ["music", "the river of the school", "water", "the king and the army of the river"]


@pytest.fixture
def model(tiny_encoder):
    return tiny_encoder.model.train()


def vectors(model, texts=TEXTS):
    return model(model.preprocess(texts))["sentence_embedding"]


def without_dropout(model):
    for each in model.modules():
        if isinstance(each, torch.nn.Dropout):
            each.p = 0.0
    return model


def test_vectors_are_the_same_the_first_time_and_from_what_is_kept(model):
    wanted = vectors(without_dropout(model)).detach()
    with frozen(model.transformers_model, 1):
        first = vectors(model).detach()
        again = vectors(model, TEXTS[::-1]).detach().flip(0)
        one = vectors(model, TEXTS[1:2]).detach()
    assert torch.allclose(first, wanted, atol=1e-3)
    assert torch.allclose(again, first, atol=1e-6)
    assert torch.allclose(one, first[1:2], atol=1e-6)


def test_known_texts_do_not_pass_through_the_frozen_layers_again(model, monkeypatch):
    lowest, calls = layers_of(model.transformers_model)[0], []
    attention = lowest.attention.forward
    monkeypatch.setattr(lowest.attention, "forward", lambda *a, **k: calls.append(len(a[0])) or attention(*a, **k))
    with frozen(model.transformers_model, 1):
        calls.clear()  # of a look at what the layers use
        vectors(model)
        vectors(model, TEXTS[:2])
        assert calls == [4]
        vectors(model, [TEXTS[0], "film"])
        assert calls == [4, 2]
        model.eval()
        vectors(model)  # nothing is looked up outside training
        assert calls == [4, 2, 4]


def test_what_is_kept_serves_later_trainings_until_another_number_of_layers_is_frozen(model, monkeypatch):
    lowest, calls, kept = layers_of(model.transformers_model)[0], [], Activations()
    attention = lowest.attention.forward
    monkeypatch.setattr(lowest.attention, "forward", lambda *a, **k: calls.append(len(a[0])) or attention(*a, **k))
    without_dropout(model)
    found = []
    for _ in range(2):
        with frozen(model.transformers_model, 1, kept=kept):
            found.append(vectors(model).detach())
    assert torch.equal(*found)
    assert calls.count(len(TEXTS)) == 1
    kept.serve(2)
    assert not kept.by_tokens


def test_gradients_reach_the_layers_above_and_no_others(model):
    without_dropout(model)
    vectors(model).square().sum().backward()
    transformer = model.transformers_model
    upper = layers_of(transformer)[1]
    wanted = {name: each.grad.clone() for name, each in upper.named_parameters()}
    model.zero_grad()
    with frozen(transformer, 1):
        for _ in range(2):
            model.zero_grad()
            vectors(model).square().sum().backward()
            for name, each in upper.named_parameters():
                np.testing.assert_allclose(each.grad, wanted[name], atol=2e-2, rtol=2e-2)
        others = [*transformer.embeddings.parameters(), *layers_of(transformer)[0].parameters()]
        assert all(each.grad is None for each in others)
    assert all(each.requires_grad for each in model.parameters())


def test_frozen_layers_drop_nothing_out_and_the_others_do(model):
    upper = layers_of(model.transformers_model)[1]
    with frozen(model.transformers_model, 1):
        assert not torch.equal(vectors(model), vectors(model))
        for each in upper.modules():
            each.p = 0.0
        assert torch.equal(vectors(model), vectors(model))


def test_a_layer_must_be_left_to_train(model):
    with pytest.raises(RecipeError, match="2 layers: none"), frozen(model.transformers_model, 2):
        pass


def test_without_room_nothing_is_kept(model, monkeypatch):
    lowest, calls = layers_of(model.transformers_model)[0], []
    attention = lowest.attention.forward
    monkeypatch.setattr(lowest.attention, "forward", lambda *a, **k: calls.append(1) or attention(*a, **k))
    with frozen(model.transformers_model, 1, kept=Activations(most_bytes=0)):
        calls.clear()
        vectors(model)
        vectors(model)
    assert len(calls) == 2


def test_the_model_is_as_before_when_it_ends(model):
    before = dict(model.state_dict())
    with pytest.raises(KeyError), frozen(model.transformers_model, 1):
        raise KeyError
    assert "forward" not in vars(layers_of(model.transformers_model)[0])
    assert all(torch.equal(each, model.state_dict()[name]) for name, each in before.items())
    assert "forward" not in vars(model.transformers_model)


# Decoders, and other architectures


@pytest.fixture(params=[("qwen3", "left"), ("qwen3", "right"), ("llama", "left"), ("llama", "right")], ids="-".join)
def decoder(request, make_decoder):
    kind, side = request.param
    return make_decoder(kind=kind, side=side)


def test_a_decoder_gives_the_same_vectors_and_gradients_with_padding_on_either_side(decoder):
    model = Encoder.load(str(decoder)).model.train()
    upper = layers_of(model.transformers_model)[1]

    def gradients(texts):
        model.zero_grad()
        made = vectors(model, texts)
        (made * torch.linspace(-1, 1, made.shape[1])).sum(1).square().sum().backward()
        return made.detach(), {name: each.grad.clone() for name, each in upper.named_parameters()}

    wanted, alone = gradients(TEXTS), gradients(TEXTS[2:3])
    with frozen(model.transformers_model, 1):
        for texts, (vector, slopes) in ((TEXTS, wanted), (TEXTS, wanted), (TEXTS[2:3], alone)):
            found, grads = gradients(texts)
            assert torch.allclose(found, vector, atol=1e-3)
            for name, each in slopes.items():
                np.testing.assert_allclose(grads[name], each, atol=2e-2 * float(each.abs().max()))
        own = [
            *model.transformers_model.embed_tokens.parameters(),
            *layers_of(model.transformers_model)[0].parameters(),
        ]
        assert all(each.grad is None for each in own)
        assert not any(each.requires_grad for each in own)


def trained(folder, scratch, **recipe):
    model = Encoder.load(str(folder)).model
    report = fit(
        model,
        examples(24, num_negatives=1),
        recipe=TrainRecipe(**{"batch_size": 8, "learning_rate": 1e-3, "evals_per_pass": 1, "epochs": 3, **recipe}),
        sides=Sides(query="", document=""),
        measure=lambda step: DevPoint(step=step, value=float(step)),
        checkpoints=Checkpoints.open(scratch, say=print),
        progress=Silent(),
    )
    return report.losses, weights(model)


def test_a_pass_over_a_decoder_is_the_same_whether_activations_are_kept_or_not(decoder, tmp_path, monkeypatch):
    before = weights(Encoder.load(str(decoder)).model)
    losses, kept = trained(decoder, tmp_path / "kept", freeze_layers=1)
    monkeypatch.setattr(module, "frozen", lambda *args, kept: frozen(*args, kept=Activations(most_bytes=0)))
    wanted_losses, wanted = trained(decoder, tmp_path / "not-kept", freeze_layers=1)
    assert losses == pytest.approx(wanted_losses, rel=1e-4)
    for name, each in wanted.items():
        np.testing.assert_allclose(kept[name], each, atol=1e-4)
    changed = {name for name in before if not torch.equal(before[name], kept[name])}
    assert changed
    assert all("layers.1." in name or "norm" in name for name in changed)


TINY = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
GPT2 = {"vocab_size": 40, "n_embd": 32, "n_layer": 3, "n_head": 2, "bos_token_id": 1, "eos_token_id": 1}
T5 = {"vocab_size": 40, "d_model": 32, "num_layers": 3, "num_heads": 2, "d_ff": 64, "d_kv": 16}
ROWS = torch.tensor([[5, 6, 7, 8, 9], [11, 12, 0, 0, 0]])


def transformer_of(kind, **sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes))


def read(transformer):
    return transformer(input_ids=ROWS, attention_mask=(ROWS > 0).long()).last_hidden_state[ROWS > 0]


@pytest.mark.parametrize(("kind", "sizes"), [("GPT2", GPT2), ("MPNet", TINY), ("Bert", TINY)])
def test_what_the_frozen_layers_use_is_frozen_with_them_and_drops_nothing_out(kind, sizes):
    """GPT-2 drops out before its layers; MPNet's layers give tuples, and share weights with those above."""
    transformer = transformer_of(kind, **sizes)
    wanted = read(transformer.eval()).detach()
    for each in layers_of(transformer)[2].modules():
        each.p = 0.0
    transformer.train()
    with frozen(transformer, 2):
        for _ in range(2):
            found = read(transformer)
            assert torch.allclose(found, wanted, atol=2e-3)
        found.square().sum().backward()
        names = {name for name, each in transformer.named_parameters() if each.grad is not None}
        assert names
        assert all(".2." in name or name.startswith("ln_f") for name in names)
        with torch.no_grad():
            for name, each in transformer.named_parameters():
                each.add_(0.5 * (name in names))
        again = read(transformer).detach()
    assert not torch.allclose(again, wanted, atol=0.1)
    for each in transformer.modules():
        each.p = 0.0
    assert torch.allclose(again, read(transformer.eval()).detach(), atol=1e-2), "what is kept is still true"


@pytest.mark.parametrize(
    ("kind", "sizes", "message"),
    [("T5Encoder", T5, "hands on more than activations"), ("Albert", TINY, "does not keep its layers apart")],
)
def test_layers_that_cannot_be_passed_by_are_refused_in_words(kind, sizes, message):
    from transformers import T5Config, T5EncoderModel

    made = T5EncoderModel(T5Config(**sizes)) if kind == "T5Encoder" else transformer_of(kind, **sizes)
    with pytest.raises(RecipeError, match=message) as caught, frozen(made.train(), 1):
        read(made)
    assert "freeze" in caught.value.hint
    assert "forward" not in vars(made)


@pytest.mark.parametrize(("factor", "dtype"), [(1e6, torch.float32), (1.0, torch.bfloat16)], ids=["large", "bfloat16"])
def test_activations_that_float16_cannot_hold_and_half_weights(factor, dtype):
    transformer = transformer_of("Llama", **TINY, num_key_value_heads=1)
    with torch.no_grad():
        transformer.embed_tokens.weight.mul_(factor)
    transformer = transformer.to(dtype).train()
    wanted = read(transformer).detach()
    with frozen(transformer, 1):
        for _ in range(2):
            found = read(transformer)
            assert found.dtype == dtype
            assert torch.allclose(found, wanted, atol=5e-2)
