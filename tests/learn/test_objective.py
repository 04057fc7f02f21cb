import pytest
import torch

from learn.test_fit import examples
from nearer.core.sections import TrainRecipe
from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import Example
from nearer.learn.losses import mnrl
from nearer.learn.objective import Collator, Objective
from nearer.learn.tokens import MinibatchSize, Tokens

DATA = [*examples(5), *examples(6, num_negatives=2)[5:]]


@pytest.fixture
def made(tiny_encoder):
    def make(data=DATA, *, most_tokens=16, dimensions=(), start=None, text_TD=None, **recipe):
        table = ExampleTable.build(data)
        model = tiny_encoder.model.eval()
        collate = Collator(
            table=table,
            anchors=Tokens(model, table.anchors, prompt=""),
            texts=Tokens(model, table.texts, prompt="") if text_TD is None else None,
            size=MinibatchSize(most_tokens=most_tokens, most_padding=most_tokens),
        )
        objective = Objective(
            table=table,
            recipe=TrainRecipe(**recipe),
            loss=mnrl,
            score_E=[1.0] * len(data),
            teacher_E=[()] * len(data),
            dimensions=dimensions,
            start=start or {},
            text_TD=text_TD,
        )
        return objective, collate(range(len(data)))["batch"], model

    return make


def gradients(objective, batch, model, *, seed=0):
    model.zero_grad()
    torch.manual_seed(seed)
    loss = objective(model, batch)
    loss.backward()
    return loss.item(), {n: each.grad.clone() for n, each in model.named_parameters() if each.grad is not None}


def alike(left, right, *, atol=1e-6):
    return left.keys() == right.keys() and all(torch.allclose(left[n], right[n], atol=atol) for n in left)


def naive(model, data, *, size=None):
    """The loss of distinct texts, from the model's own vectors, one text at a time."""

    def vector(text):
        return model(model.preprocess([text]))["sentence_embedding"][0][:size]

    table = ExampleTable.build(data)
    grades = table.grades(range(len(data)), range(len(table.texts)))
    total = 0.0
    for example, grade_X in zip(data, grades, strict=True):
        anchor = vector(example.anchor)
        logits = {text: 20 * torch.cosine_similarity(anchor, vector(text), dim=0) for text in table.texts}
        counted = [logits[t] for t, g in zip(table.texts, grade_X, strict=True) if g == 0 or t == example.positive]
        total += torch.stack(counted).logsumexp(0) - logits[example.positive]
    return total / len(data)


def test_it_is_the_loss_of_the_texts_one_by_one(made):
    objective, batch, model = made()
    assert len(batch.texts.minibatches) > 2
    assert objective(model, batch).item() == pytest.approx(naive(model, DATA).item(), rel=1e-5)


def test_a_text_that_comes_twice_is_embedded_once(made):
    data = [*DATA, Example(anchor="the film of 9", positive=DATA[0].positive), DATA[1]]
    _, batch, _ = made(data)
    num_embedded = sum(len(features["input_ids"]) for features in batch.texts.minibatches)
    assert num_embedded == len(batch.texts.rows) == len({t for e in data for t in (e.positive, *e.negatives)})


def test_the_size_of_minibatches_changes_nothing(made):
    (one, few), (other, many) = gradients(*made(most_tokens=10_000)), gradients(*made(most_tokens=1))
    assert one == pytest.approx(other, rel=1e-6)
    assert alike(few, many, atol=1e-5)


def test_cached_gradients_are_those_of_one_pass_dropout_included(made):
    plain, cached = made(), made(grad_cache=True)
    for _, _, model in (plain, cached):
        model.train()
    (loss, wanted), (again, found) = gradients(*plain, seed=4), gradients(*cached, seed=4)
    assert loss == pytest.approx(again, rel=1e-6)
    assert alike(wanted, found, atol=1e-5)


def test_cached_keeps_no_activations(made):
    def kept(objective, batch, model):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda each: sizes.append(each.nbytes) or each, lambda each: each
        ):
            objective(model, batch)
        return sum(sizes)

    assert kept(*made(grad_cache=True)) < kept(*made()) / 20


def test_matryoshka_is_the_mean_over_vectors_cut_and_made_unit_again(made):
    objective, batch, model = made(dimensions=(32, 8))
    wanted = (naive(model, DATA).item() + naive(model, DATA, size=8).item()) / 2
    assert objective(model, batch).item() == pytest.approx(wanted, rel=1e-5)


def test_the_pull_is_the_squared_distance_from_the_start(made):
    _, batch, model = made()
    start = {name: each.detach().clone() for name, each in model.named_parameters()}
    (plain, *_), (pulled, *_) = made(), made(start=start, l2_sp=0.5)
    assert pulled(model, batch).item() == plain(model, batch).item()
    with torch.no_grad():
        next(model.parameters()).view(-1)[:4] += 3.0
    assert pulled(model, batch).item() - plain(model, batch).item() == pytest.approx(0.5 * 4 * 9, rel=1e-4)


def test_texts_of_known_vectors_are_looked_up_and_get_no_gradient(made, tiny_encoder):
    _, _, model = made()
    table = ExampleTable.build(DATA)
    text_TD = torch.from_numpy(tiny_encoder.encode_documents(table.texts))
    objective, batch, _ = made(text_TD=text_TD)
    assert batch.texts.minibatches == ()
    loss, found = gradients(objective, batch, model)
    assert loss == pytest.approx(naive(model, DATA).item(), rel=1e-5)
    _, of_both = gradients(*made())
    assert found.keys() == of_both.keys()
    assert not alike(found, of_both)
    assert not text_TD.requires_grad
    cached_loss, cached = gradients(*made(text_TD=text_TD, grad_cache=True))
    assert cached_loss == pytest.approx(loss, rel=1e-6)
    assert alike(cached, found)
