"""Training to vectors that may be cut: it starts with vectors rotated onto the axes of its pairs."""

import shutil

import pytest

from nearer.encode.paired import PairedEncoder
from nearer.flows.merge import merge
from nearer.flows.train import train
from nearer.learn.matrices import ROTATION, has_matrix
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from power import cut_at_each
from said import Said

CUT = "train.matryoshka_dims=[8, 16]"
ROTATES = "vectors are rotated, so that"


@pytest.fixture
def run(base_live):
    """Train; the result, whether the model is rotated, and whether it was said that it was rotated now."""

    def run(*overrides, start="base", folder=base_live):
        workspace, said = Workspace.open(folder, overrides=overrides), Said()
        try:
            result = train(workspace, start, progress=said)
            encoder = open_system(workspace, result["model_id"]).encoder
            model = encoder.queries.model if isinstance(encoder, PairedEncoder) else encoder.model
            return result, has_matrix(model, ROTATION), any(line.startswith(ROTATES) for line in said.said)
        finally:
            workspace.close()

    return run


def test_it_starts_as_good_as_the_model_was_and_rotates_once(run):
    plain, is_plain_rotated, _ = run("train.passes=1")
    result, was_rotated, reported = run(CUT, "train.passes=1")
    assert (is_plain_rotated, was_rotated, reported) == (False, True, True)
    assert result["improved"]
    assert result["dev"]["start"] == pytest.approx(plain["dev"]["start"], abs=1e-6)
    assert run(CUT, "train.passes=1", start=result["model_id"])[1:] == (True, False)


@pytest.mark.exhaustive
def test_as_it_is_where_documents_keep_their_vectors(run):
    assert run(CUT, "train.sides=query", "train.passes=1")[1:] == (False, False)


@pytest.mark.exhaustive
def test_without_an_improvement_it_is_the_model_that_there_was(run):
    result, was_rotated, _ = run(CUT, "train.passes=1", "train.learning_rate=1e-12", "train.evals_per_pass=1")
    assert (result["improved"], was_rotated) == (False, False)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_cut_short_it_ends_the_same(run, base_live, tmp_path, monkeypatch):
    other = shutil.copytree(base_live, tmp_path / "other")
    often = (CUT, "train.checkpoint_steps=1")
    whole, *_ = run(*often)
    steps = ("train.checkpoint", "train.pass", "train.mined", "train.checkpoint")
    cut_at_each(monkeypatch, steps, lambda: run(*often, folder=other))
    assert run(*often, folder=other)[0]["model_id"] == whole["model_id"]


@pytest.mark.exhaustive
def test_a_rotated_model_is_merged_with_base_rotated_alike(run, base_live):
    result, *_ = run(CUT, "train.passes=1")
    workspace = Workspace.open(base_live)
    merged = merge(workspace, result["model_id"], weight=0.5)
    workspace.close()
    assert merged["points"][0]["value"] == pytest.approx(result["dev"]["start"], abs=1e-6)
    assert merged["points"][-1]["value"] == pytest.approx(result["dev"]["best"], abs=1e-6)
