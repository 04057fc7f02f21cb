"""A guide of the training: a system that is asked which texts of a batch are no negatives."""

import shutil

import pytest

from flows import processes
from nearer.core.errors import InputError, ModelRefused, NotFound, RecipeError
from nearer.core.progress import Silent
from nearer.encode.encoder import Encoder
from nearer.flows.learning_curve import learning_curve
from nearer.flows.train import train
from nearer.learn.guide import Guide
from nearer.training.guiding import guide_id, guide_of

GUIDED = ("train.guide=base", "train.guide_margin=0.1")


@pytest.fixture
def run(base_live, opened):
    """Train with these settings; the answer, and what was said."""

    def run(*settings):
        said = []
        watch = Silent()
        watch.say = said.append
        return train(opened(base_live, *settings), progress=watch), "\n".join(said)

    return run


def shares(answer):
    return [each["fit"]["share_masked"] for each in answer["passes"]]


@pytest.fixture
def num_encoded(monkeypatch):
    """How many texts were encoded by each encoder, by their ids."""
    counts = {}
    for name in ("encode_queries", "encode_documents"):
        real = getattr(Encoder, name)

        def counted(self, texts, real=real):
            counts.setdefault(id(self.model), []).extend(texts)
            return real(self, texts)

        monkeypatch.setattr(Encoder, name, counted)
    return counts


def test_both_passes_are_guided_and_say_so(run):
    answer, said = run(*GUIDED)
    assert len(answer["passes"]) == 2
    for each, share in zip(answer["passes"], shares(answer), strict=True):
        assert 0 < share < 1
        assert f"{each['fit']['num_negatives']:.0f} negatives a query, {share:.1%} masked by the guide" in said
    assert "masked by" not in run()[1]


def test_the_base_as_a_guide_encodes_no_text_that_the_cache_has(run, base_live, opened, num_encoded):
    run("train.passes=1", *GUIDED)
    first = {model: len(texts) for model, texts in num_encoded.items()}
    workspace = opened(base_live, *GUIDED)
    guide = guide_of(workspace, progress=Silent())
    for _ in range(2):
        made = guide(["asked by nobody"], ["a text that nobody knows"])
    new = {model: texts for model, texts in num_encoded.items() if model not in first}
    assert sorted(text for texts in new.values() for text in texts) == ["a text that nobody knows", "asked by nobody"]
    assert made.text_TD.shape == (1, 32)


def test_a_guide_reads_with_prompts_of_its_own(base_live, opened, make_decoder):
    folder = str(make_decoder())
    workspace = opened(base_live, f"train.guide={folder}")
    own = Encoder.load(folder)
    assert own.settings.query_prompt
    guide = guide_of(workspace, progress=Silent())(["music"], ["water", "music"])
    assert guide.anchor_AD == pytest.approx(own.encode_queries(["music"]), abs=1e-6)
    assert guide.text_TD == pytest.approx(own.encode_documents(["water", "music"]), abs=1e-6)
    assert guide_id(workspace) == own.encoder_id


@pytest.mark.parametrize(
    "settings", [("train.grad_cache=true",), ("train.sides=query",), ("train.matryoshka_dims=[8, 16]",)]
)
def test_other_ways_to_train_are_guided_too(run, settings):
    answer, _ = run(*GUIDED, "train.passes=1", *settings)
    assert 0 < shares(answer)[0] < 1


def test_the_learning_curve_is_guided_as_training_is(base_live, opened, monkeypatch):
    asked, real = [], Guide.masks
    monkeypatch.setattr(Guide, "masks", lambda self, *given: asked.append(1) or real(self, *given))
    learning_curve(opened(base_live, "train.guide=base"), shares=(1.0,), max_pairs=32)
    assert asked


@pytest.mark.slow
def test_killed_in_both_passes_it_makes_the_same_model(ask, base_live, tmp_path):
    options = ("train", *(part for each in GUIDED for part in ("--set", each)), "--set", "train.evals_per_pass=2")
    whole = ask(shutil.copytree(base_live, tmp_path / "whole"), *options)
    for step in ("train.checkpoint", "train.mined", "train.checkpoint"):
        assert processes.run(*options, "--dir", base_live, die_at=step).was_killed
    resumed = ask(base_live, *options)
    assert resumed["model_id"] == whole["model_id"]
    assert resumed["passes"] == whole["passes"]


def test_a_run_with_another_guide_is_another_run(ask, base_live, make_decoder):
    guide = base_live / "guide"
    options = ("--set", "train.passes=1", "--set", f"train.guide={guide}", "--dir", base_live)
    shutil.copytree(make_decoder(), guide)
    assert processes.run("train", *options, die_at="train.examples").was_killed
    shutil.rmtree(guide)
    shutil.copytree(make_decoder(kind="llama"), guide)
    ended = processes.run("train", *options)
    assert ended.code == 0
    [_unfinished] = (base_live / ".nearer" / "training").glob("run-*")  # the first stays, and nothing of it was taken
    assert "goes on from" not in ended.printed


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("base+hybrid", InputError, "train.guide = 'base\\+hybrid' is more than a model"),
        ("bm25", InputError, "is more than a model"),
        ("run:engine.trec", InputError, "is a ranking"),
        ("model-of-nobody", NotFound, "no system 'model-of-nobody'"),
        ("{pickled}", ModelRefused, "pytorch_model.bin may run code"),
        ("{numberless}", ModelRefused, "vectors that are not numbers"),
    ],
)
def test_what_cannot_guide_is_refused_before_anything_is_trained(
    run, tmp_path, tiny_model_folder, name, error, message
):
    pickled, numberless = (shutil.copytree(tiny_model_folder, tmp_path / each) for each in ("pickled", "numberless"))
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    _without_numbers(numberless)
    with pytest.raises(error, match=message) as caught:
        run(f"train.guide={name.format(pickled=pickled, numberless=numberless)}")
    assert caught.value.hint


def _without_numbers(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file({name: each * float("nan") for name, each in weights.items()}, folder / "model.safetensors")


def test_a_margin_of_no_guide_is_told(run):
    with pytest.raises(RecipeError, match=r"train.guide_margin = 0.1 says nothing without train.guide"):
        run("train.guide_margin=0.1")
