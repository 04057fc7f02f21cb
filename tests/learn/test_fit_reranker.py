"""A cross-encoder learns to rank lists, stops when it should, and goes on from where it was cut: to the bit."""

import math
import resource
import shutil
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
import torch

from learn.test_fit import WORDS, equal, weights
from learn.test_resume import flip
from nearer.core import failpoints
from nearer.core.errors import InputError, WorkspaceError
from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import RerankerRecipe
from nearer.encode.cross_encoder import CrossEncoder
from nearer.learn import checkpoint
from nearer.learn import fit_reranker as module
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.fit_reranker import ListwiseLoss
from nearer.learn.listwise import RankedList
from power import PowerCut
from precisions import IN_STEP, Precisions


def lists(count=20, *, num_negatives=3):
    """Lists whose positive is the text with the word "film" in it, whatever is asked."""
    return [
        RankedList(
            anchor=f"the {WORDS[n % 16]}",
            texts=(
                f"film {WORDS[(n + 3) % 16]}",
                *(f"{WORDS[(n + k) % 6]} of {n}" for k in range(n % num_negatives + 1)),
            ),
            targets=(1.0, *(0.0 for _ in range(n % num_negatives + 1))),
        )
        for n in range(count)
    ]


def train(source, folder, *, data=None, say=print, looks=None, every=None, precision="float32", **recipe):
    """Train it, or a fresh copy; dev is made of the bits of the weights, which tell any two apart, unless ``looks``."""
    encoder = source if isinstance(source, CrossEncoder) else CrossEncoder.load(str(source))
    model, given = encoder.model, iter(looks or ())
    values = {"batch_size": 4, "learning_rate": 1e-3, "epochs": 1, "evals": 5, "patience": 99, **recipe}
    often = {name.upper(): values.pop(name) for name in ("evals", "patience")}
    with patch.multiple(module, **often):
        report = module.fit_reranker(
            model,
            lists() if data is None else data,
            recipe=RerankerRecipe(**values),
            precision=precision,
            checkpoint_steps=every,
            measure=lambda step: DevPoint(step=step, value=next(given) if looks else dev_of(model)),
            checkpoints=Checkpoints.open(folder, say=say),
            progress=Silent(),
        )
    return report, weights(model), encoder


def dev_of(model):
    return math.sin(1e6 * sum(float(tensor.double().sum()) for tensor in model.state_dict().values()))


@pytest.fixture
def run(tiny_cross_encoder_folder, tmp_path):
    return partial(train, tiny_cross_encoder_folder, tmp_path / "pass")


@pytest.fixture(scope="module")
def _often(tiny_cross_encoder_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("often") / "pass"
    return train(tiny_cross_encoder_folder, folder, every=1), folder


@pytest.fixture
def wanted(_often):
    """What an epoch of 5 steps gives when nothing happens."""
    return _often[0]


@pytest.fixture
def cut_at_the_end(_often, tmp_path):
    """The checkpoints of that epoch, as if it had been killed in the last step."""
    return shutil.copytree(_often[1], tmp_path / "pass")


def same(left, right):
    return left[0] == right[0] and equal(left[1], right[1])


# What is learned


def test_it_learns_to_put_the_positive_first(run):
    report, _, encoder = run(epochs=12, learning_rate=3e-3, looks=range(99), evals=2)
    assert report.losses[-1] < report.losses[0] / 4
    for each in lists(6):
        scores = encoder.scores([(each.anchor, text) for text in each.texts])
        assert int(np.argmax(scores)) == 0


@pytest.mark.parametrize(("precision", "in_step"), IN_STEP)
def test_precision_is_that_of_training_in_a_step_and_the_searchs_outside(
    tiny_cross_encoder_folder, tmp_path, precision, in_step
):
    encoder = CrossEncoder.load(str(tiny_cross_encoder_folder))
    precisions = Precisions(next(encoder.model.children()), lambda: encoder.scores([("music", "law")]))
    train(encoder, tmp_path / "pass", looks=precisions.looks(), precision=precision)
    assert precisions.seen == {False: {(in_step, precision == "bfloat16")}, True: {("highest", False)}}


def test_the_loss_is_the_cross_entropy_of_each_list_by_weight(tiny_cross_encoder_folder):
    encoder = CrossEncoder.load(str(tiny_cross_encoder_folder))
    anchors, texts = ["music", "law"], [["water", "river", "book"], ["army", "film"]]
    targets = [torch.tensor([0.75, 0.25, 0.0]), torch.tensor([0.5, 0.0])]
    encoder.model.eval()
    with torch.no_grad():
        loss = ListwiseLoss(encoder.model)([anchors, texts], targets)
    expected = 0.0
    for anchor, some, target in zip(anchors, texts, targets, strict=True):
        scores = encoder.scores([(anchor, text) for text in some]).astype(np.float64)
        shares = np.log(np.exp(scores) / np.exp(scores).sum())
        expected -= float((target.numpy() * shares).sum())
    assert float(loss) == pytest.approx(expected / 1.5, abs=1e-5)


def test_graded_targets_are_approached(run):
    data = [
        RankedList(anchor=f"the {word}", texts=(f"film {word}", f"law {word}", f"book {word}"), targets=(0.6, 0.4, 0.0))
        for word in WORDS[:8]
    ]
    _, _, encoder = run(data=data, epochs=30, learning_rate=3e-3, looks=range(99), evals=1)
    best, fair, wrong = encoder.scores([("the music", f"{word} music") for word in ("film", "law", "book")])
    assert best > fair > wrong + 1
    assert best - fair == pytest.approx(math.log(0.6 / 0.4), abs=0.4)


def test_the_prompt_of_search_is_that_of_training(tiny_cross_encoder_folder, monkeypatch):
    encoder = CrossEncoder.load(str(tiny_cross_encoder_folder))
    encoder.model.prompts, encoder.model.default_prompt_name = {"rank": "army "}, "rank"
    seen = []
    preprocess = encoder.model.preprocess
    monkeypatch.setattr(encoder.model, "preprocess", lambda *a, **k: seen.append(k["prompt"]) or preprocess(*a, **k))
    with torch.no_grad():
        ListwiseLoss(encoder.model)([["music"], [["water", "law"]]], [torch.tensor([1.0, 0.0])])
    assert seen == ["army "]


@pytest.mark.parametrize(
    ("number", "batch_size", "epochs", "steps"), [(20, 8, 2.0, 6), (20, 8, 0.1, 1), (1, 8, 1.5, 2)]
)
def test_steps(run, number, batch_size, epochs, steps):
    report, _, _ = run(data=lists(number), batch_size=batch_size, epochs=epochs, looks=range(99), evals=1)
    assert report.num_steps == steps


def test_a_single_list_and_batches_of_one_can_be_learned_from(run):
    report, _, _ = run(data=lists(1), batch_size=1, epochs=2, looks=range(9), evals=1)
    assert (report.num_steps, report.fault) == (2, "")


def test_lists_of_positives_alone_teach_nothing_and_break_nothing(run):
    data = [RankedList(anchor="the law", texts=("film",), targets=(1.0,))] * 4
    report, _, _ = run(data=data, looks=range(9), evals=1)
    assert report.losses == (0.0,)


# Early ends


def test_the_best_weights_are_kept_and_patience_ends_it(run, monkeypatch):
    seen = []
    monkeypatch.setattr(checkpoint, "weights_of", lambda model: seen.append(weights(model)) or seen[-1])
    report, got, _ = run(looks=[0.5, 0.4, 0.7, 0.6, 0.6, 0.9], patience=2)
    assert (report.best_step, report.num_steps, report.stopped_early) == (2, 4, True)
    assert equal(got, seen[1])
    assert not equal(got, seen[0])


def test_without_a_gain_the_model_is_as_it_was(run, tiny_cross_encoder_folder):
    report, got, _ = run(looks=[0.5, 0.4, 0.5], patience=2)
    assert report.best_step == 0
    assert equal(got, weights(CrossEncoder.load(str(tiny_cross_encoder_folder)).model))


def nan_in_step(monkeypatch, number):
    forward, num_calls = ListwiseLoss.forward, []

    def broken(*args, **options):
        num_calls.append(1)
        return forward(*args, **options) * (math.nan if len(num_calls) == number else 1)

    monkeypatch.setattr(ListwiseLoss, "forward", broken)


def test_a_loss_that_is_not_a_number_ends_it_with_the_best_before(run, monkeypatch, tmp_path):
    nan_in_step(monkeypatch, 3)
    report, got, _ = run(every=1, looks=[0.1, 0.5, 0.4, 0.4])
    assert report.fault == "the loss was not a number at step 3"
    assert (report.best_step, report.stopped_early) == (1, True)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in got.values())
    assert sorted(path.name for path in (tmp_path / "pass").glob("step-*")) == ["step-1", "step-2"]


def test_dev_that_is_not_a_number_ends_it_too(run):
    report, _, _ = run(looks=[0.1, 0.5, math.nan])
    assert (report.fault, report.best_step) == ("dev was not a number at step 2", 1)


def test_a_model_that_is_broken_from_the_start_is_refused(run):
    with pytest.raises(InputError, match="dev was not a number at step 0"):
        run(looks=[math.nan])


# Cut short


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("recipe", [{}, {"epochs": 1.4, "every": 1, "evals": 2}], ids=["dev", "every-step"])
def test_cut_after_each_checkpoint_it_ends_as_the_whole_one(run, tmp_path, monkeypatch, recipe):
    whole = run(**recipe)
    shutil.rmtree(tmp_path / "pass")

    def cut(name):
        if name == "train.checkpoint":
            raise PowerCut(name)

    monkeypatch.setattr(failpoints, "handler", cut)
    num_cuts = 0
    while True:
        torch.manual_seed(num_cuts)  # what else the process did does not matter
        np.random.seed(num_cuts)
        try:
            resumed = run(**recipe)
            break
        except PowerCut:
            num_cuts += 1
    assert same(resumed, whole)
    assert num_cuts >= 4


@pytest.mark.exhaustive
def test_what_was_done_is_not_done_again(run, wanted, cut_at_the_end, monkeypatch):
    assert Checkpoints.open(cut_at_the_end, say=print).start.step == 4
    steps, forward = [], ListwiseLoss.forward
    monkeypatch.setattr(ListwiseLoss, "forward", lambda *a, **k: steps.append(1) or forward(*a, **k))
    assert same(run(), wanted)
    assert len(steps) == 1


def test_a_damaged_checkpoint_is_dropped_for_the_one_before(run, wanted, cut_at_the_end):
    flip(cut_at_the_end / "step-4" / "optimizer.pt")
    said = []
    assert same(run(say=said.append), wanted)
    assert "step-4 is damaged" in said[0]


def test_checkpoints_hold_no_pickled_arguments(cut_at_the_end):
    assert not list(cut_at_the_end.rglob("training_args.bin"))


@pytest.mark.exhaustive
def test_a_full_disk_is_reported_and_training_goes_on_when_there_is_room(run, wanted):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(WorkspaceError, match="cannot be written") as caught:
            run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "room" in caught.value.hint
    assert same(run(), wanted)
