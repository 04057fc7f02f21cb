import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch

from nearer.core.errors import RecipeError
from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.learn.batch_sampler import BatchOrder
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import Example, text_key
from nearer.learn.fit import Sides, fit
from nearer.learn.lower_layers import layers_of
from nearer.learn.objective import Objective
from nearer.learn.trainer import steps_of
from precisions import IN_STEP, Precisions

WORDS = ["music", "water", "school", "church", "river", "army", "film", "law"]
WORDS += ["book", "football", "bank", "train", "road", "party", "king", "war"]


def examples(count=32, *, num_negatives=0):
    made = []
    for n in range(count):
        word, other = WORDS[n % 16], WORDS[(n + 5) % 16]
        anchor, positive = f"the {word} of {n % 7}", f"in {other} and {other} was {n % 5}"
        negatives = tuple(f"by {WORDS[(n + k + 7) % 16]} for {n}" for k in range(num_negatives))
        keys = frozenset(text_key(text) for text in (anchor, positive))
        made.append(Example(anchor=anchor, positive=positive, negatives=negatives, masked=keys))
    return made


@pytest.fixture
def train(tiny_encoder, tmp_path):
    """Train the tiny model; by default dev gets better at every look, so the last weights are kept."""

    num_calls = iter(range(1000))

    def train(data=None, *, dev=None, model=None, prompts=("", ""), documents=None, start=None, **recipe):
        looks = iter(range(1000)) if dev is None else iter(dev)
        values = {"batch_size": 8, "learning_rate": 1e-3, "evals_per_pass": 2, "epochs": 1, **recipe}
        return fit(
            model or tiny_encoder.model,
            examples() if data is None else data,
            recipe=TrainRecipe(**values),
            sides=Sides(query=prompts[0], document=prompts[1], vectors=documents, start=start),
            measure=lambda step: point_at(step, next(looks)),
            checkpoints=Checkpoints.open(tmp_path / f"pass-{next(num_calls)}", say=print),
            progress=Silent(),
        )

    return train


def point_at(step, said):
    """What dev says: its mean alone, or what each of its queries does."""
    if isinstance(said, tuple):
        return DevPoint(step=step, value=sum(said) / len(said), queries=said)
    return DevPoint(step=step, value=float(said))


def weights(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_loss_falls_on_learnable_data(train):
    report = train(epochs=10, learning_rate=3e-3)
    assert report.num_examples == 32
    assert report.num_steps == 40 == report.best_step
    assert not report.stopped_early
    assert [point.step for point in report.dev] == [0, 20, 40]
    assert sum(report.losses[-3:]) < 0.7 * sum(report.losses[:3])


def test_training_that_hurts_leaves_the_model_bit_for_bit(train, tiny_encoder):
    before = weights(tiny_encoder.model)
    report = train(dev=[0.9, 0.5, 0.4])
    assert (report.best_step, report.dev[0].value) == (0, 0.9)
    assert equal(weights(tiny_encoder.model), before)


def test_a_tie_with_step_0_keeps_step_0(train, tiny_encoder):
    before = weights(tiny_encoder.model)
    assert train(dev=[0.5, 0.5, 0.5]).best_step == 0
    assert equal(weights(tiny_encoder.model), before)


def test_the_best_weights_are_those_dev_saw_in_the_middle(train, tiny_encoder):
    seen, values = [], iter([0.1, 0.9, 0.3, 0.2, 0.1])

    def look():
        for value in values:
            seen.append(weights(tiny_encoder.model))
            yield value

    report = train(dev=look(), evals_per_pass=4)
    assert report.best_step == 1
    assert equal(weights(tiny_encoder.model), seen[1])
    assert not equal(seen[1], seen[2])


HIGHER = (0.9, 0.2) * 20
LOWER = (0.5, 0.5) * 20
"""By 0.05 on average, which half of the queries contradict."""
START = (0.1,) * 40


def test_the_last_weights_stand_unless_the_best_are_proven_better(train, tiny_encoder):
    start = weights(tiny_encoder.model)
    train()
    last = weights(tiny_encoder.model)
    for said, step in (((HIGHER, LOWER), 4), ((HIGHER, (0.0,) * 40), 2)):
        tiny_encoder.model.load_state_dict(start)
        report = train(dev=[START, *said])
        assert report.best_step == step
        assert equal(weights(tiny_encoder.model), last) == (step == report.num_steps)


def test_the_start_stands_where_nothing_is_better_and_the_best_where_training_lost_patience(train, tiny_encoder):
    before = weights(tiny_encoder.model)
    assert train(dev=[HIGHER, LOWER, LOWER]).best_step == 0
    assert equal(weights(tiny_encoder.model), before)
    report = train(dev=[START, HIGHER, *[LOWER] * 9], evals_per_pass=4, patience=2)
    assert (report.num_steps, report.best_step) == (3, 1)


def test_the_best_stand_where_the_last_are_not_above_the_start(train, tiny_encoder):
    assert train(dev=[LOWER, HIGHER, LOWER]).best_step == 2, "though not proven better"
    assert train(dev=[LOWER, HIGHER, (0.51, 0.5) * 20]).best_step == 4


def test_what_each_query_said_is_not_in_the_report(train):
    assert [point.queries for point in train(dev=[START, LOWER, HIGHER]).dev] == [(), (), ()]


def test_patience_ends_a_pass_early(train):
    report = train(dev=[0.5, 0.6, 0.1, 0.2, 0.3, 0.4], epochs=4, evals_per_pass=16, patience=2)
    assert (report.num_steps, report.best_step, report.stopped_early) == (3, 1, True)
    assert len(report.dev) == 4


def test_a_seed_gives_the_same_weights_bit_for_bit_and_another_others(train, tiny_model_folder):
    from nearer.encode.encoder import Encoder

    made = []
    for seed in (1, 1, 2):
        torch.rand(seed)  # what happened before does not matter
        model = Encoder.load(str(tiny_model_folder)).model
        train(model=model, seed=seed)
        made.append(weights(model))
    assert equal(made[0], made[1])
    assert not equal(made[0], made[2])


def test_the_length_for_training_is_given_back(train, tiny_encoder):
    lengths = []

    def look():
        for value in range(10):
            lengths.append(tiny_encoder.model.max_seq_length)
            yield value

    train(dev=look(), max_seq_length=16)
    assert set(lengths) == {16}
    assert tiny_encoder.model.max_seq_length == 64


def test_a_pass_that_dies_gives_back_what_it_changed(train, tiny_encoder):
    with pytest.raises(RuntimeError, match="power"):
        train(dev=_dies(), max_seq_length=16, freeze_embeddings=True)
    assert tiny_encoder.model.max_seq_length == 64
    assert all(parameter.requires_grad for parameter in tiny_encoder.model.parameters())


def _dies():
    yield 0.5
    raise RuntimeError("power cut")


def test_frozen_embeddings_stay_as_they_were_and_the_layers_do_not(train, tiny_encoder):
    before = weights(tiny_encoder.model)
    train(freeze_embeddings=True)
    after = weights(tiny_encoder.model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if "word_embeddings" in name]
    assert all(parameter.requires_grad for parameter in tiny_encoder.model.parameters())


def test_embeddings_are_trained_unless_they_are_frozen(train, tiny_encoder):
    before = weights(tiny_encoder.model)["0.model.embeddings.word_embeddings.weight"]
    train()
    assert not torch.equal(weights(tiny_encoder.model)["0.model.embeddings.word_embeddings.weight"], before)


def test_examples_with_different_numbers_of_negatives_share_batches(train, monkeypatch):
    data, seen = [*examples(10), *examples(9, num_negatives=1), *examples(3, num_negatives=2)], []
    forward = Objective.__call__

    def spy(self, model, batch):
        seen.append(batch.rows)
        return forward(self, model, batch)

    monkeypatch.setattr(Objective, "__call__", spy)
    report = train(data)
    assert report.num_steps == steps_of(BatchOrder.of(data, TrainRecipe(batch_size=8)).num_batches, epochs=1) == 3
    assert sorted(row for rows in seen for row in rows) == list(range(22))
    assert any(len({len(data[row].negatives) for row in rows}) > 1 for rows in seen)


def test_batches_are_those_of_the_sources_and_so_are_steps_and_negatives(train, monkeypatch):
    data, seen = [dataclasses.replace(each, source="ab"[row % 4 == 0]) for row, each in enumerate(examples(32))], []
    forward = Objective.__call__

    def spy(self, model, batch):
        seen.append(batch.rows)
        return forward(self, model, batch)

    monkeypatch.setattr(Objective, "__call__", spy)
    report = train(data, batch_size=5, batches="single", source_weights={"a": 0.5, "b": 2.0}, epochs=2)
    assert report.num_steps == len(seen) == 2 * (3 + 4), "12 of 24, and 16 of 8"
    times = Counter(row for rows in seen for row in rows)
    assert [sum(times[row] for row in range(32) if (row % 4 == 0) == is_b) for is_b in (False, True)] == [24, 32]
    assert all(len({data[row].source for row in rows}) == 1 for rows in seen)
    table = ExampleTable.build(data)
    assert report.num_negatives == table.num_negatives(seen[: 3 + 4]) < 4


def test_each_text_is_tokenised_once_with_its_prompt_before_it(train, tiny_encoder, monkeypatch):
    data, texts = examples(12, num_negatives=1), []
    tokenize = type(tiny_encoder.model).preprocess

    def spy(self, inputs, *, prompt=None, **others):
        texts.extend((prompt or "") + text for text in inputs)
        return tokenize(self, inputs, prompt=prompt, **others)

    monkeypatch.setattr(type(tiny_encoder.model), "preprocess", spy)
    train(data, prompts=("ask ", "tell "), epochs=3)
    wanted = {f"ask {e.anchor}" for e in data} | {f"tell {text}" for e in data for text in (e.positive, *e.negatives)}
    assert sorted(texts) == sorted(wanted)


@pytest.mark.parametrize(("recipe", "rate"), [({}, 0.0), ({"dropout": 0.25}, 0.25), ({"dropout": "model"}, 0.1)])
def test_dropout_is_that_of_the_recipe_while_it_trains(train, tiny_encoder, recipe, rate):
    rates = []

    def look():
        for value in range(10):
            rates.append({each.p for each in tiny_encoder.model.modules() if isinstance(each, torch.nn.Dropout)})
            yield value

    train(dev=look(), **recipe)
    assert rates[0] == {rate}
    after = {each.p for each in tiny_encoder.model.modules() if isinstance(each, torch.nn.Dropout)}
    assert after == {0.1}


def test_frozen_layers_stay_as_they_were(train, tiny_encoder):
    before = weights(tiny_encoder.model)
    train(freeze_layers=1)
    after = weights(tiny_encoder.model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("layer.1." in name or "pooler" in name for name in changed)


def test_cached_over_frozen_layers_makes_the_same_model(train, tiny_encoder, tiny_model_folder):
    from nearer.encode.encoder import Encoder

    train(freeze_layers=1, epochs=2)
    other = Encoder.load(str(tiny_model_folder)).model
    train(freeze_layers=1, epochs=2, grad_cache=True, model=other)
    wanted, found = weights(tiny_encoder.model), weights(other)
    assert all(torch.allclose(found[name], wanted[name], atol=1e-4) for name in wanted if "key.bias" not in name)


def test_what_frozen_layers_made_serves_later_epochs_in_bfloat16_too(train, tiny_encoder, tiny_model_folder):
    from nearer.encode.encoder import Encoder

    train(freeze_layers=1, epochs=2)
    other = Encoder.load(str(tiny_model_folder)).model
    train(freeze_layers=1, epochs=2, precision="bfloat16", model=other)
    vectors = tiny_encoder.model.encode(list(WORDS))
    assert (vectors * other.encode(list(WORDS))).sum(1).min() > 0.99


@pytest.mark.parametrize("options", [{"grad_cache": True}, {"matryoshka_dims": (8, 16)}, {"l2_sp": 0.1}])
def test_ways_to_train_that_learn(train, options):
    report = train(epochs=10, learning_rate=3e-3, **options)
    assert sum(report.losses[-3:]) < 0.8 * sum(report.losses[:3])


@pytest.mark.exhaustive
def test_a_pull_keeps_near_to_where_training_began_or_leads_back_there(train, tiny_model_folder):
    from nearer.encode.encoder import Encoder

    def far(pull, start=None):
        model = Encoder.load(str(tiny_model_folder)).model
        began = weights(model)
        wanted = began if start is None else start
        train(model=model, epochs=10, learning_rate=3e-3, l2_sp=pull, start=start)
        return sum(float((each - wanted[name]).square().sum()) for name, each in weights(model).items())

    assert far(10.0) < 0.1 * far(0.0)
    elsewhere = {name: each + 0.01 for name, each in weights(Encoder.load(str(tiny_model_folder)).model).items()}
    assert far(10.0, elsewhere) < 0.1 * far(0.0, elsewhere)


@pytest.mark.parametrize("loss", ["margin_mse", "kl"])
def test_what_distils_comes_nearer_to_the_teacher(train, tiny_encoder, loss):
    """The teacher likes the last of each example's texts best, and the positive least."""
    data = [dataclasses.replace(each, scores=(0.0, 2.0, 4.0)) for each in examples(16, num_negatives=2)]

    def order_of_texts():
        vectors = [tiny_encoder.model.encode([e.positive, *e.negatives], normalize_embeddings=True) for e in data]
        anchors = tiny_encoder.model.encode([e.anchor for e in data], normalize_embeddings=True)
        cosines = np.stack([each @ anchor for each, anchor in zip(vectors, anchors, strict=True)])
        return np.mean(np.diff(cosines, axis=1) > 0)

    before = order_of_texts()
    train(data, loss=loss, epochs=12, learning_rate=3e-3)
    assert before < 0.6 < 0.75 < order_of_texts()


@pytest.mark.parametrize(
    ("count", "epochs", "wanted"), [(1, 1, 1), (8, 1, 1), (9, 1, 2), (16, 0.5, 1), (24, 0.5, 2), (9, 3, 6)]
)
def test_steps(count, epochs, wanted):
    order = BatchOrder.of(examples(count), TrainRecipe(batch_size=8))
    assert steps_of(order.num_batches, epochs=epochs) == wanted


def test_nothing_is_written_and_the_report_is_plain(train, tmp_path):
    report = train(epochs=0.25)
    assert dataclasses.asdict(report.dev[0]).items() >= {"step": 0, "value": 0.0}.items()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_documents_that_keep_their_vectors_are_neither_tokenised_nor_embedded(train, tiny_encoder, monkeypatch):
    data, texts, asked = examples(12, num_negatives=1), [], []
    tokenize = type(tiny_encoder.model).preprocess

    def spy(self, inputs, **options):
        texts.extend(inputs)
        return tokenize(self, inputs, **options)

    def fixed(wanted):
        asked.extend(wanted)
        return np.random.default_rng(0).standard_normal((len(wanted), 32), dtype=np.float32)

    monkeypatch.setattr(type(tiny_encoder.model), "preprocess", spy)
    report = train(data, sides="query", documents=fixed, epochs=20, learning_rate=3e-3)
    assert sorted(texts) == sorted({e.anchor for e in data})
    assert sorted(asked) == sorted({text for e in data for text in (e.positive, *e.negatives)})
    assert sum(report.losses[-3:]) < 0.9 * sum(report.losses[:3])


@pytest.mark.parametrize(("precision", "in_step"), IN_STEP)
def test_precision_is_the_recipes_in_a_step_and_the_searchs_outside(train, tiny_encoder, precision, in_step):
    first = layers_of(tiny_encoder.model.transformers_model)[0]
    precisions = Precisions(first, lambda: tiny_encoder.encode_queries(["music"]))
    train(dev=precisions.looks(), precision=precision)
    assert precisions.seen == {False: {(in_step, precision == "bfloat16")}, True: {("highest", False)}}
    precisions.use()
    assert precisions.seen[True] == {("highest", False)}, "and after training too"


@pytest.mark.exhaustive
def test_a_second_training_of_a_model_has_its_own_precision(train, tiny_encoder):
    seen = {}

    def spy(*_):
        seen.setdefault(precision, set()).add(torch.is_autocast_enabled("cpu"))

    layers_of(tiny_encoder.model.transformers_model)[0].register_forward_pre_hook(spy)
    for precision in ("float32", "bfloat16", "tf32", "bfloat16"):
        train(precision=precision)
    assert seen == {"float32": {False}, "bfloat16": {True}, "tf32": {False}}


@pytest.mark.exhaustive
def test_a_decoder_learns_the_same_with_padding_on_either_side(train, make_decoder):
    from nearer.encode.encoder import Encoder

    models = [Encoder.load(str(make_decoder(side=side))).model for side in ("left", "right")]
    left, right = (train(model=model, epochs=4, learning_rate=3e-3) for model in models)
    assert left.losses[:4] == pytest.approx(right.losses[:4], rel=1e-3)
    assert sum(left.losses[-3:]) < 0.8 * sum(left.losses[:3])


# What cannot be learned from


def test_a_last_batch_of_one_is_no_fault(train, tiny_encoder):
    before = weights(tiny_encoder.model)
    report = train(examples(9))
    assert (report.num_steps, report.fault) == (2, "")
    assert np.isfinite(report.losses).all()
    assert not equal(weights(tiny_encoder.model), before)


@pytest.mark.parametrize(
    "change",
    [
        lambda n, e: dataclasses.replace(e, positive="the one answer"),
        lambda n, e: dataclasses.replace(e, positive="where the one answer to it all is found" + " again" * (n % 2)),
        lambda n, e: dataclasses.replace(
            e, anchor="the one query", masked=frozenset(text_key(each.positive) for each in examples())
        ),
    ],
    ids=["one positive", "nearly one", "one query"],
)
def test_pairs_without_a_single_negative_are_refused_before_dev_is_asked(train, tiny_encoder, change):
    before = weights(tiny_encoder.model)
    with pytest.raises(RecipeError, match="no query has a negative") as caught:
        train([change(n, each) for n, each in enumerate(examples())], dev=_dies())
    assert "nearer check" in caught.value.hint
    assert equal(weights(tiny_encoder.model), before)


def test_one_positive_with_negatives_of_its_own_or_with_scores_can_be_learned_from(train):
    same = [dataclasses.replace(each, positive="the one answer") for each in examples(16, num_negatives=1)]
    assert train(same).num_negatives > 1
    scored = [dataclasses.replace(each, negatives=(), score=n / 16) for n, each in enumerate(same)]
    assert (train(scored).loss, train(scored, loss="cosine").num_negatives) == ("cosent", 0)


def test_negatives_of_a_triplet_are_an_examples_own(train):
    assert train(examples(12, num_negatives=2), loss="triplet").num_negatives == 2
