"""Training that begins with a linear map, which dev alone decides on and the pairs teach."""

import shutil
from functools import partial

import pytest
import torch

from nearer.encode.encoder import Encoder, EncoderSettings
from nearer.flows.merge import merge
from nearer.flows.train import train
from nearer.learn.matrices import LINEAR, ROTATION, has_matrix
from nearer.measure.significance import compare_all
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.training import passes as passes_module
from nearer.training import warm_start
from power import cut_at_each
from said import Said

LINEAR_FIRST = "train.warm_start_epochs=5"
MUCH = "adapter.learning_rate=1e-2"
ONCE = ("train.passes=1", "train.evals_per_pass=1")
NOTHING = "train.learning_rate=1e-12"


@pytest.fixture
def run(base_live):
    """Train; the result, and the model that it made."""

    def run(*overrides, start="base", folder=base_live):
        workspace = Workspace.open(folder, overrides=(*ONCE, MUCH, *overrides))
        try:
            result = train(workspace, start, progress=Said())
            encoder = open_system(workspace, result["model_id"]).encoder
            return result, getattr(encoder, "queries", encoder).model
        finally:
            workspace.close()

    return run


@pytest.mark.exhaustive
def test_dev_sees_a_better_model_before_its_weights_learn(run):
    plain, without = run()
    result, model = run(LINEAR_FIRST)
    assert (has_matrix(without, LINEAR), has_matrix(model, LINEAR)) == (False, True)
    assert [each["number"] for each in result["passes"]] == [0, 1]
    assert result["dev"]["start"] == pytest.approx(plain["dev"]["start"], abs=1e-6)
    mapped, learned = (each["fit"]["dev"] for each in result["passes"])
    best = max(point["value"] for point in mapped)
    assert best > mapped[0]["value"]
    assert learned[0]["value"] == pytest.approx(best, abs=1e-6)


def test_the_map_alone_is_a_model_where_its_weights_learn_nothing(run):
    result, model = run(LINEAR_FIRST, NOTHING)
    assert result["improved"]
    assert result["passes"][1]["fit"]["best_step"] == 0
    assert has_matrix(model, LINEAR)


def test_a_map_that_dev_does_not_want_is_not_there(run):
    plain, _ = run()
    result, model = run(LINEAR_FIRST, "adapter.learning_rate=1e-12")
    assert result["passes"][0]["fit"]["best_step"] == 0
    assert not has_matrix(model, LINEAR)
    assert result["model_id"] == plain["model_id"]


@pytest.mark.exhaustive
def test_a_map_that_is_not_proven_better_is_not_there_and_its_gain_not_reported(run, monkeypatch):
    unproven = partial(compare_all, confidence=1 - 1e-9)
    monkeypatch.setattr(warm_start, "compare_all", lambda *values, **settings: unproven(*values, **settings))
    result, model = run(LINEAR_FIRST, NOTHING)
    fit = result["passes"][0]["fit"]
    assert max(point["value"] for point in fit["dev"]) > fit["dev"][0]["value"]
    assert fit["best_step"] == 0
    assert not has_matrix(model, LINEAR)
    assert (result["improved"], result["dev"]["best"]) == (False, result["dev"]["start"])


def test_pass_1_learns_from_what_the_map_mines_and_nothing_is_encoded_for_it(run, monkeypatch):
    seen, mine, encode = [], passes_module.mine_negatives, Encoder.encode_documents

    def mined(workspace, encoder, corpus, examples, **options):
        with monkeypatch.context() as patch:
            patch.setattr(Encoder, "encode_documents", lambda *_: pytest.fail("documents were encoded for mining"))
            found = mine(workspace, encoder, corpus, examples, **options)
            seen.append((corpus.passages[:5], encoder.encode_documents(corpus.passages[:5])))
        return found

    monkeypatch.setattr(passes_module, "mine_negatives", mined)
    result, model = run(LINEAR_FIRST, NOTHING)
    assert result["passes"][1]["mining"]["share_with_enough"] > 0
    [(passages, vectors)] = seen
    settings = EncoderSettings(max_seq_length=model.max_seq_length)
    assert vectors == pytest.approx(encode(Encoder(model, settings=settings), passages), abs=1e-5)


@pytest.mark.exhaustive
def test_a_map_that_brings_little_of_what_is_lacking_is_not_there_and_mines_nothing(run, monkeypatch):
    kept, _ = run(LINEAR_FIRST)
    gain, lacking = kept["passes"][0]["gain"]["difference"], 1 - kept["passes"][0]["fit"]["dev"][0]["value"]
    monkeypatch.setattr(warm_start, "_LEAST_SHARE", 1.01 * gain / lacking)
    result, model = run(LINEAR_FIRST)
    assert not has_matrix(model, LINEAR)
    assert (kept["passes"][1]["mining"] is not None, result["passes"][1]["mining"]) == (True, None)


@pytest.mark.exhaustive
@pytest.mark.parametrize("setting", ["train.warm_start_epochs=0", "train.sides=query"])
def test_none_where_that_is_asked_or_documents_keep_their_vectors(run, setting):
    result, _ = run(LINEAR_FIRST, setting)
    assert [each["number"] for each in result["passes"]] == [1]


@pytest.mark.exhaustive
def test_it_is_the_base_alone_that_begins_with_one(run):
    result, _ = run(LINEAR_FIRST)
    again, _ = run(LINEAR_FIRST, start=result["model_id"])
    assert [each["number"] for each in again["passes"]] == [2]


@pytest.mark.exhaustive
def test_a_base_that_was_trained_with_one_keeps_it(run, base_live):
    result, before = run(LINEAR_FIRST, NOTHING)
    [folder] = (base_live / ".nearer" / "models").glob("*")
    again, after = run(LINEAR_FIRST, NOTHING, f"encoder.model={folder}")
    assert [each["number"] for each in again["passes"]] == [1]
    assert (again["improved"], again["dev"]["start"]) == (False, pytest.approx(result["dev"]["best"], abs=1e-6))
    assert torch.equal(after.state_dict()[f"{LINEAR}.linear.weight"], before.state_dict()[f"{LINEAR}.linear.weight"])


@pytest.mark.exhaustive
def test_what_is_distilled_may_begin_with_one(run, topic_cross_encoder_folder):
    teacher = f'mining.reranker="{topic_cross_encoder_folder}"'
    result, model = run(LINEAR_FIRST, teacher, "train.loss=kl")
    assert [each["number"] for each in result["passes"]] == [0, 1]
    assert has_matrix(model, LINEAR)


@pytest.mark.exhaustive
def test_a_pass_that_breaks_down_leaves_the_map(run):
    result, model = run(LINEAR_FIRST, "train.learning_rate=1e30")
    assert result["passes"][1]["fit"]["fault"]
    assert result["improved"]
    assert has_matrix(model, LINEAR)


@pytest.mark.exhaustive
def test_vectors_that_may_be_cut_are_mapped_and_then_turned(run):
    _, model = run(LINEAR_FIRST, "train.matryoshka_dims=[8, 16]")
    assert [name for name, _ in model.named_children()][-3:-1] == [LINEAR, ROTATION]


@pytest.mark.exhaustive
def test_it_merges_with_the_base(run, base_live):
    result, _ = run(LINEAR_FIRST)
    workspace = Workspace.open(base_live)
    merged = merge(workspace, result["model_id"], weight=0.5)
    workspace.close()
    assert merged["points"][0]["value"] == pytest.approx(result["dev"]["start"], abs=1e-6)
    assert merged["points"][-1]["value"] == pytest.approx(result["dev"]["best"], abs=1e-6)


def test_it_is_reported_and_shown(nearer, base_live, run):
    settings = [part for setting in (LINEAR_FIRST, MUCH, *ONCE) for part in ("--set", setting)]
    reported = nearer("train", "--dir", base_live, *settings)
    assert "1 pass after a linear map" in reported.out
    assert ", kept" in reported.err
    nearer("report", "--dir", base_live)
    page = (base_live / ".nearer" / "reports" / "report.html").read_text()
    assert '<th scope="row">linear map</th>' in page
    assert "in 1 pass," in page


@pytest.mark.exhaustive
@pytest.mark.slow
def test_cut_short_it_ends_the_same(run, base_live, tmp_path, monkeypatch):
    other = shutil.copytree(base_live, tmp_path / "other")
    often = (LINEAR_FIRST, "train.passes=2", "train.checkpoint_steps=1")
    whole, _ = run(*often)
    steps = ("train.checkpoint", "train.pass", "train.mined", "train.checkpoint")
    cut_at_each(monkeypatch, steps, lambda: run(*often, folder=other))
    assert run(*often, folder=other)[0]["model_id"] == whole["model_id"]
