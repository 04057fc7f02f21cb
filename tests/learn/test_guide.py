import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from learn.test_fit import equal, examples, weights
from learn.test_losses import batch, value
from nearer.core.errors import RecipeError
from nearer.core.progress import Silent
from nearer.core.records import GradeScale, Judgment, Pair, Query
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import Example, from_judgments, from_pairs, text_key
from nearer.learn.fit import Sides, fit
from nearer.learn.guide import Guide
from nearer.learn.losses import mnrl

NAN = np.nan


def at(*cosines):
    """Unit vectors with these cosines to the first axis, each in a plane of its own."""
    made = np.zeros((len(cosines), 1 + len(cosines)), np.float32)
    made[:, 0] = cosines
    made[np.arange(len(cosines)), 1 + np.arange(len(cosines))] = np.sqrt(1 - np.square(cosines))
    return made


def masked(text_TD, *, anchor=(1.0,), margin):
    anchor_AD = np.zeros((1, text_TD.shape[1]), np.float32)
    anchor_AD[0, : len(anchor)] = anchor
    guide = Guide(anchor_AD=anchor_AD, text_TD=text_TD, margin=margin)
    one = np.zeros(1, np.int64)
    return guide.masks(one, one, np.arange(len(text_TD)))[0].tolist()


@pytest.mark.parametrize(
    ("margin", "wanted"),
    [(0.0, [True, True, False, False]), (0.05, [True, True, True, False]), (0.5, [True, True, True, True])],
)
def test_what_is_as_near_as_the_positive_less_the_margin_is_masked(margin, wanted):
    assert masked(at(0.8, 0.9, 0.77, 0.5), margin=margin) == wanted


def test_where_the_positive_is_far_away_a_margin_still_spares_more():
    assert masked(at(-0.4, -0.39, -0.41, -0.5), margin=0.0) == [True, True, False, False]
    assert masked(at(-0.4, -0.39, -0.41, -0.5), margin=0.1) == [True, True, True, False]


def test_the_same_vector_is_as_near():
    texts = np.random.default_rng(0).standard_normal((9, 300)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    texts[5] = texts[0]
    anchor = tuple(texts[0] * 0.6)
    assert masked(texts, anchor=anchor, margin=0.0) == [True, *[False] * 4, True, *[False] * 3]


# What is known comes first


def example(anchor, positive, *negatives, **others):
    return Example(anchor=anchor, positive=positive, negatives=negatives, **others)


def everything(table):
    """The same table with a guide that masks all that may be masked."""
    anchor_AD, text_TD = (np.ones((len(texts), 1), np.float32) for texts in (table.anchors, table.texts))
    return replace(table, guide=Guide(anchor_AD=anchor_AD, text_TD=text_TD, margin=0.5))


def test_a_guide_says_nothing_of_what_is_known():
    known = {"known_negatives": frozenset({"refused"}), "grades": {"graded": 0.5}, "grade": 4.0}
    table = ExampleTable.build([example("q", "answer", "refused", "mined", "graded", **known), example("r", "other")])
    grades = everything(table).grades([0, 1], [table.texts.index(t) for t in ("answer", "refused", "graded", "mined")])
    np.testing.assert_array_equal(grades, [[4, 0, 0.5, NAN], [NAN, NAN, NAN, NAN]])


def test_what_is_spared_stays_masked_though_it_was_refused_as_well():
    both = frozenset({"text"})
    table = ExampleTable.build([example("q", "answer", "text", masked=both, known_negatives=both)])
    assert np.isnan(table.grades([0], [table.texts.index("text")])).all()


def test_negatives_that_were_named_or_judged_are_known(make_judgments):
    [judged] = from_judgments(**make_judgments({"right": 1, "Wrong": 0}), max_positives=4, graded=True, seed=0)
    assert judged.known_negatives == {text_key("Wrong")}
    close = Pair(query="q", positive="p", negatives=("Far", "near"), score=0.9, negative_scores=(0.1, 0.89))
    [paired] = from_pairs([close], margin=0.05)
    assert (paired.negatives, paired.known_negatives) == (("Far",), {text_key("Far")})


@pytest.fixture
def make_judgments():
    def make(grades):
        return {
            "queries": [Query(query_id="q", text="asked")],
            "judgments": [Judgment(query_id="q", doc_id=each, grade=grade) for each, grade in grades.items()],
            "scale": GradeScale(max_grade=1, relevant_from=1, positive_from=1),
            "texts_of": {("q", each): [each] for each in grades},
        }

    return make


def test_how_many_negatives_are_left_and_the_share_that_is_not():
    data = [
        example(f"anchor {n}", f"answer {n}", f"wrong {n}", known_negatives=frozenset({f"wrong {n}"})) for n in range(4)
    ]
    table = ExampleTable.build(data)
    assert table.negatives([range(4)]) == (7, 0)
    assert everything(table).negatives([range(4)]) == (1, pytest.approx(6 / 7))
    assert everything(table).negatives([[0, 1], [2, 3]]) == (1, pytest.approx(2 / 3))
    alone = ExampleTable.build([example("q", "a")])
    assert everything(alone).negatives([[0]]) == (0, 0)


def test_a_guide_of_many_texts_is_asked_a_batch_at_a_time():
    number, rng = 20_000, np.random.default_rng(0)
    vectors = rng.standard_normal((number, 8)).astype(np.float32)
    guide = Guide(anchor_AD=vectors, text_TD=vectors, margin=0.0)
    rows = rng.integers(0, number, 64)
    tracemalloc.start()
    masked = guide.masks(rows, rows, rows)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert masked.shape == (64, 64)
    assert most < 1_000_000


# In the loss


def test_with_no_margin_the_loss_is_that_of_gistembed(tiny_model_folder):
    from sentence_transformers.sentence_transformer.losses import GISTEmbedLoss

    data = examples(16)
    model, guide = (Encoder.load(str(tiny_model_folder)) for _ in range(2))
    torch.manual_seed(5)
    with torch.no_grad():
        for each in guide.model.parameters():
            each.add_(0.1 * torch.randn_like(each))
    theirs = GISTEmbedLoss(
        model.model.eval(), guide.model.eval(), temperature=0.05, contrast_anchors=False, contrast_positives=False
    )
    columns = [[e.anchor for e in data], [e.positive for e in data]]
    wanted = theirs([model.model.preprocess(texts) for texts in columns], torch.empty(0))
    table = ExampleTable.build([replace(each, masked=frozenset()) for each in data])
    table = replace(
        table,
        guide=Guide(
            anchor_AD=guide.encode_queries(table.anchors),
            text_TD=guide.encode_documents(table.texts),
            margin=0.0,
        ),
    )
    grades = table.grades(range(16), range(len(table.texts)))
    assert 10 < np.isnan(grades).sum() < 200
    cosines = model.encode_queries(table.anchors)[table.anchor_E] @ model.encode_documents(table.texts).T
    found = mnrl(batch(cosines.tolist(), grades=grades.tolist()), scale=20, margin=0)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_a_triplet_does_without_a_negative_that_is_masked():
    cosines, own = [[0.9, 0.7, 0.8]], [[0, 1, 2]]
    given = batch(cosines, grades=[[1.0, 0.0, NAN]], candidates=own)
    assert value("triplet", given).item() == pytest.approx(0.7 - 0.9 + 0.3)
    assert value("triplet", batch(cosines, grades=[[1.0, NAN, NAN]], candidates=own)).item() == 0


# In a pass


@pytest.fixture
def train(tiny_model_folder, tmp_path):
    """Train a fresh tiny model for a pass, guided by the model as it was before unless ``margin`` is None."""
    frozen, num_calls = Encoder.load(str(tiny_model_folder)), iter(range(99))

    def of_it(margin):
        return lambda anchors, texts: Guide(
            anchor_AD=frozen.encode_queries(anchors),
            text_TD=frozen.encode_documents(texts),
            margin=margin,
        )

    def train(data=None, *, margin=0.0, guide=None, **recipe):
        model = Encoder.load(str(tiny_model_folder)).model
        report = fit(
            model,
            examples() if data is None else data,
            recipe=TrainRecipe(**{"batch_size": 8, "learning_rate": 1e-3, "evals_per_pass": 2, **recipe}),
            sides=Sides(query="", document="", guide=guide or (None if margin is None else of_it(margin))),
            measure=lambda step: DevPoint(step=step, value=float(step)),
            checkpoints=Checkpoints.open(tmp_path / f"pass-{next(num_calls)}", say=print),
            progress=Silent(),
        )
        return report, weights(model)

    return train


def test_a_guided_pass_learns_and_says_what_was_left_out(train):
    plain, _ = train(margin=None, epochs=0.25)
    report, _ = train(epochs=10, learning_rate=3e-3)
    assert plain.share_masked is None
    assert 0 < report.share_masked < 1
    assert report.num_negatives == pytest.approx(plain.num_negatives * (1 - report.share_masked), rel=0.05)
    assert report.losses[0] < plain.losses[0]
    assert sum(report.losses[-3:]) < 0.8 * sum(report.losses[:3])


@pytest.mark.parametrize("options", [{"grad_cache": True}, {"matryoshka_dims": (8, 32)}, {"loss": "triplet"}])
def test_other_ways_to_train_are_guided_as_well(train, options):
    data = examples(24, num_negatives=1)
    _, plain = train(data, margin=None, **options)
    report, guided = train(data, margin=0.0, **options)
    assert np.isfinite(report.losses).all()
    assert report.share_masked > 0.1
    assert not equal(plain, guided)


def test_a_cached_batch_has_the_loss_of_one_that_is_not(train):
    (plain, _), (cached, _) = (train(dropout=0.0, grad_cache=each, batch_size=16) for each in (False, True))
    assert cached.losses == pytest.approx(plain.losses, rel=1e-5)
    assert (cached.num_negatives, cached.share_masked) == (plain.num_negatives, plain.share_masked)


def test_a_loss_without_negatives_has_nothing_to_guide_and_asks_no_guide(train):
    scored = [replace(each, score=n / 32) for n, each in enumerate(examples())]
    with pytest.raises(RecipeError, match=r"cosent \(every pair has a score") as caught:
        train(scored, guide=lambda *_: pytest.fail("asked"))
    assert "train.guide" in caught.value.hint


def test_a_guide_that_leaves_no_negative_is_refused(train):
    with pytest.raises(RecipeError, match="the guide leaves out every text") as caught:
        train(margin=0.999)
    assert "train.guide_margin" in caught.value.hint
