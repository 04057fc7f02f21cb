import numpy as np
import pytest
import torch

from learn.test_fit import examples
from nearer.core.sections import TrainRecipe
from nearer.learn.examples import Example, text_key
from nearer.learn.losses import ranking
from nearer.learn.objective import Collator, Objective
from nearer.learn.table import ExampleTable
from nearer.learn.tokens import Tokens

DATA = [*examples(5), *examples(6, num_negatives=2)[5:]]


@pytest.fixture
def made(tiny_encoder):
    def make(data=DATA, *, also=(), most_tokens=16, memory_MD=None, dimensions=(), start=None, **recipe):
        table = ExampleTable.build(data, also=also)
        model = tiny_encoder.model.eval()
        collate = Collator(
            table=table,
            anchors=Tokens(model, table.anchors, prompt=""),
            texts=Tokens(model, table.texts, prompt=""),
            most_tokens=most_tokens,
        )
        objective = Objective(
            table=table,
            recipe=TrainRecipe(**recipe),
            loss=ranking,
            score_E=[1.0] * len(data),
            teacher_E=[()] * len(data),
            memory_MD=memory_MD,
            dimensions=dimensions,
            start=start or {},
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


def naive(model, data, *, size=None, memory=()):
    """The loss of distinct texts, from the model's own vectors, one text at a time."""
    table = ExampleTable.build(data, also=[text for text, _ in memory])
    by_text = {text: torch.tensor(vector) for text, vector in memory}
    texts = [*dict.fromkeys(t for e in data for t in (e.positive, *e.negatives))]
    by_text |= {text: model(model.preprocess([text]))["sentence_embedding"][0] for text in texts}
    total = 0.0
    for row, example in enumerate(data):
        anchor = model(model.preprocess([example.anchor]))["sentence_embedding"][0][:size]
        grade = dict(zip(table.texts, table.grades([row], range(len(table.texts)))[0], strict=True))
        logits = {t: 20 * torch.cosine_similarity(anchor, v[:size], dim=0) for t, v in by_text.items()}
        counted = torch.stack([logits[t] for t in by_text if grade[t] == 0 or t == example.positive])
        total += counted.logsumexp(0) - logits[example.positive]
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
    plain, cached = made(), made(cached=True)
    for _, _, model in (plain, cached):
        model.train()
    (loss, wanted), (again, found) = gradients(*plain, seed=4), gradients(*cached, seed=4)
    assert loss == pytest.approx(again, rel=1e-6)
    assert alike(wanted, found, atol=1e-5)


def test_what_is_in_memory_is_a_negative_and_what_is_fresh_is_not_there_twice(made):
    rng = np.random.default_rng(0)
    also = ("an old passage", DATA[0].positive, DATA[1].positive + " ")
    memory_MD = rng.normal(size=(3, 32)).astype(np.float32)
    objective, batch, model = made(also=also, memory_MD=torch.from_numpy(memory_MD))
    counted = [(also[0], memory_MD[0]), (also[2], memory_MD[2])]
    assert text_key(also[2]) == text_key(DATA[1].positive)  # so it is left out for that example, not for others
    assert objective(model, batch).item() == pytest.approx(naive(model, DATA, memory=counted).item(), rel=1e-5)


def test_matryoshka_is_the_mean_over_vectors_cut_and_made_unit_again(made):
    objective, batch, model = made(dimensions=(32, 8))
    wanted = (naive(model, DATA).item() + naive(model, DATA, size=8).item()) / 2
    assert objective(model, batch).item() == pytest.approx(wanted, rel=1e-5)


def test_the_pull_is_the_squared_distance_from_the_start(made):
    _, batch, model = made()
    start = {name: each.detach().clone() for name, each in model.named_parameters()}
    (plain, *_), (pulled, *_) = made(), made(start=start, pull=0.5)
    assert pulled(model, batch).item() == plain(model, batch).item()
    with torch.no_grad():
        next(model.parameters()).view(-1)[:4] += 3.0
    assert pulled(model, batch).item() - plain(model, batch).item() == pytest.approx(0.5 * 4 * 9, rel=1e-4)
