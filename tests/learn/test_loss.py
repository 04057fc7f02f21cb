import pytest
import torch

from nearer.learn.examples import Example, text_key
from nearer.learn.loss import MaskedRankingLoss


def example(anchor, positive, *negatives, spared=(), weight=1.0):
    keys = frozenset(text_key(text) for text in (anchor, positive, *spared))
    return Example(anchor=anchor, positive=positive, negatives=negatives, spared=keys, weight=weight)


class Table(torch.nn.Module):
    """A model whose vector of a text is its row of a table, so that gradients can be read off."""

    def __init__(self, num_rows, *, dimension=6, seed=0):
        super().__init__()
        values = torch.randn(num_rows, dimension, generator=torch.Generator().manual_seed(seed))
        self.rows = torch.nn.Parameter(values)

    def forward(self, features):
        return {"sentence_embedding": self.rows[features["input_ids"][:, 0]]}


def columns(num_examples, num_columns):
    """Features of anchors, positives and negatives; text ``c * num_examples + r`` is column c of row r."""
    numbers = torch.arange(num_examples * num_columns).reshape(num_columns, num_examples, 1)
    return [{"input_ids": each, "attention_mask": torch.ones_like(each)} for each in numbers]


def loss_of(examples, *, scale=20.0, model=None):
    return MaskedRankingLoss(model, examples=examples, scale=scale, near_duplicate=0.8)


DISTINCT = [example(f"anchor {n} a b", f"positive {n} c d", f"negative {n} e f") for n in range(4)]


def test_nothing_is_masked_among_distinct_texts():
    assert not loss_of(DISTINCT).mask([2, 0, 1], num_columns=2).any()


def test_the_mask_of_a_batch_with_every_case():
    near = "how to open a savings account at the bank today"
    batch = [
        example("q", "first answer", "hard negative one", spared=["second answer"]),
        example("q", "Second  Answer", "hard negative two", spared=["first answer"]),
        example("other", near, "q"),  # its negative is the first two anchors' own text
        example("third", f"{near} please", "first answer"),  # a near-duplicate, and the first row's positive
        example("fourth", "first answer", "hard negative three"),  # the same text as the first row's
    ]
    mask = loss_of(batch).mask(range(5), num_columns=2).tolist()
    masked = [{position for position, out in enumerate(row) if out} for row in mask]
    # candidates 0-4 are the positives, 5-9 the negatives
    assert masked == [{1, 4, 7, 8}, {0, 4, 7, 8}, {3}, {2}, {0, 8}]


def test_rows_are_those_of_the_labels_not_of_the_batch():
    examples = [*DISTINCT, example(DISTINCT[1].anchor, "another", "n", spared=[DISTINCT[1].positive])]
    assert loss_of(examples).mask([4, 1], num_columns=1).tolist() == [[False, True], [False, False]]


def test_without_a_mask_it_is_multiple_negatives_ranking():
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = Table(12)
    labels = torch.tensor([0, 1, 2, 3])
    ours = loss_of(DISTINCT, model=model)(columns(4, 3), labels)
    theirs = MultipleNegativesRankingLoss(model, scale=20.0)(columns(4, 3), labels)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    gradients = [torch.autograd.grad(each, model.rows)[0] for each in (ours, theirs)]
    assert torch.allclose(*gradients, atol=1e-6)


def test_masked_candidates_get_no_gradient_and_do_not_count():
    # rows 0 and 1 are two positives of one query; row 2's positive is a negative to both
    examples = [
        example("q", "answer one here", spared=["answer two here"]),
        example("q", "answer two here", spared=["answer one here"]),
        example("z", "unrelated text there", weight=0.0),
    ]
    examples[1] = Example(**{**_fields(examples[1]), "weight": 0.0})
    model = Table(6)
    loss = loss_of(examples, model=model)(columns(3, 2), torch.tensor([0, 1, 2]))
    (gradient,) = torch.autograd.grad(loss, model.rows)
    assert gradient[3].abs().sum() > 0  # row 0's own positive
    assert torch.equal(gradient[4], torch.zeros(6))  # the masked one
    assert gradient[5].abs().sum() > 0  # the true negative
    cosine = torch.nn.functional.cosine_similarity(model.rows[0], model.rows[[3, 5]]) * 20
    assert loss.item() == pytest.approx(-torch.log_softmax(cosine, 0)[0].item(), rel=1e-5)


def _fields(made):
    return {name: getattr(made, name) for name in ("anchor", "positive", "negatives", "spared", "weight")}


def test_weights_multiply_rows():
    model, labels = Table(12), torch.tensor([0, 1, 2, 3])

    def weighted(*weights):
        examples = [Example(**{**_fields(e), "weight": w}) for e, w in zip(DISTINCT, weights, strict=True)]
        return loss_of(examples, model=model)(columns(4, 3), labels).item()

    alone = [weighted(*(float(n == row) for n in range(4))) for row in range(4)]
    assert weighted(1, 1, 1, 1) == pytest.approx(sum(alone) / 4, rel=1e-5)
    assert weighted(2, 1, 0, 0) == pytest.approx((2 * alone[0] + alone[1]) / 3, rel=1e-5)
    assert weighted(0, 0, 0, 0) == 0


def test_a_batch_of_one_has_no_loss_and_all_masked_is_no_nan():
    model = Table(4)
    assert loss_of(DISTINCT[:1], model=model)(columns(1, 2), torch.tensor([0])).item() == 0
    twins = [example("q", "same", spared=["same"]), example("r", "same")]
    loss = loss_of(twins, model=model)(columns(2, 2), torch.tensor([0, 1]))
    assert loss.item() == 0
    assert torch.equal(torch.autograd.grad(loss, model.rows)[0], torch.zeros(4, 6))


def test_the_scale_is_the_inverse_temperature():
    model, labels = Table(12), torch.tensor([0, 1, 2, 3])
    assert loss_of(DISTINCT, model=model, scale=1e-6)(columns(4, 3), labels).item() == pytest.approx(2.0794, abs=1e-3)
    assert loss_of(DISTINCT, scale=7.0).get_config_dict() == {"scale": 7.0}
