"""The learning curve: short trainings that forecast a long one and leave nothing behind."""

import json
import shutil
import tempfile
from itertools import count

import numpy as np
import pytest

import nearer
from kept import trainings
from nearer.advice import learning_curve as module
from nearer.core.errors import InputError, RecipeError
from nearer.core.progress import Silent
from nearer.encode.embedded import Corpora, EmbeddedCorpus
from nearer.evaluation.judged_split import read_judged_split
from nearer.evaluation.ranking import measure
from nearer.flows.learning_curve import learning_curve
from nearer.learn.objective import Objective
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.training.dev_sample import DevSample
from said import Said


@pytest.fixture(scope="module")
def measured(_made, tmp_path_factory):
    """A curve measured once, the files before and after it, and what was said."""
    folder = shutil.copytree(_made["base live"], tmp_path_factory.mktemp("curve") / "workspace")
    before, said = files(folder), Said()
    workspace = Workspace.open(folder)
    found = learning_curve(workspace, max_pairs=100, progress=said, clock=count().__next__)
    registry = workspace.registry
    state = {"models": len(registry.models()), "trainings": trainings(workspace)}
    workspace.close()
    return {"folder": folder, "found": found, "before": before, "said": said.said, **state}


def files(folder):
    """All files but caches, and what the database puts beside itself."""
    return {path.name for path in folder.rglob("*") if "embeddings" not in path.parts and "sqlite-" not in path.name}


@pytest.fixture
def opened(base_live):
    """Open the workspace with other values."""
    workspaces = []

    def opened(*overrides):
        workspaces.append(Workspace.open(base_live, overrides=overrides))
        return workspaces[-1]

    yield opened
    for workspace in workspaces:
        workspace.close()


def test_points_rise_from_the_base_and_the_forecast_goes_on(measured):
    found = measured["found"]
    json.dumps(found.to_dict(), allow_nan=False)
    assert [point["num_pairs"] for point in found["points"]] == [0, 25, 50, 100]
    base, *_, last = found["points"]
    assert base["gain"].to_dict() == {"value": 0, "low": 0, "high": 0}
    assert last["value"] > base["value"], "the tiny set is made to be learnable"
    assert last["gain"]["value"] == pytest.approx(last["value"] - base["value"])
    assert all(point["low"] <= point["value"] <= point["high"] for point in found["points"])
    assert {point["metric"] for point in found["points"]} == {found["metric"]} == {"nDCG@10"}
    assert (found["num_training_pairs"], found["num_queries"], found["num_documents"]) == (140, 20, 80)
    assert [each["num_pairs"] for each in (found["forecast"], *found["more_pairs"])] == [140, 280, 560]
    for each in (found["forecast"], *found["more_pairs"]):
        assert 0 <= each["low"] <= each["high"] <= 1
        assert each["is_proven"] == (each["gain"]["low"] > 0)
        assert each["gain"]["value"] == pytest.approx(each["value"] - base["value"])


def test_the_base_is_measured_as_evaluate_does_where_the_corpus_is_small(measured):
    workspace = Workspace.open(measured["folder"])
    judged = read_judged_split(workspace, "dev")
    known = measure(Corpora(workspace, Silent()), open_system(workspace, "base"), judged).values["nDCG@10"]
    workspace.close()
    assert measured["found"]["points"][0]["value"] == pytest.approx(known.mean())


def test_it_registers_nothing_and_leaves_no_files(measured):
    assert files(measured["folder"]) == measured["before"]
    assert (measured["models"], measured["trainings"]) == (1, [])


def test_time_is_reported(measured):
    assert [point["seconds"] for point in measured["found"]["points"]] == [0, 2, 2, 2]
    assert [line.split(":")[0] for line in measured["said"]] == ["25 pairs", "50 pairs", "100 pairs"]
    # A training of 100 pairs and its measuring took 1 s each: 1.4 s a pass, the second on twice as many documents;
    # then a measurement in each of 2 passes, and mining once, of 80 passages at 1/80 s.
    assert measured["found"]["hours"] == pytest.approx((1.4 * 3 + 2 + 1) / 3600, abs=1e-4)


def test_what_it_measured_answers_the_short_question(measured):
    found = measured["found"]
    answer = nearer.should_finetune(found["points"][0]["value"], 1.0, 80, 140, 0.1, learning_curve=found)
    assert answer["forecast"]["origin"] == "forecast from a measured learning curve"
    assert answer["forecast"]["ndcg"] == max(found["forecast"]["value"], *(p["value"] for p in found["points"]))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_same_again_gives_the_same_curve(measured, opened):
    found = learning_curve(opened(), max_pairs=100, clock=count().__next__)
    assert found == measured["found"]


def test_subsets_are_nested_and_keep_a_query_together():
    examples = [module.Example(anchor=f"q{n % 9}", positive=f"p{n}") for n in range(27)]
    ordered = module._in_drawn_order(examples, seed=3)
    assert sorted(ordered, key=str) == sorted(examples, key=str)
    assert [each.anchor for each in ordered[::3]] == [each.anchor for each in ordered[1::3]]
    assert ordered == module._in_drawn_order(examples, seed=3) != module._in_drawn_order(examples, seed=4)
    assert [each.anchor for each in ordered[::3]] != sorted(each.anchor for each in ordered[::3])


@pytest.mark.exhaustive
def test_interrupted_it_leaves_nothing(opened, base_live, monkeypatch, tmp_path):
    before, num_calls, forward = files(base_live), [], Objective.__call__

    def interrupted(*args):
        num_calls.append(1)
        if len(num_calls) == 3:
            raise KeyboardInterrupt
        return forward(*args)

    monkeypatch.setattr(Objective, "__call__", interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    workspace = opened()
    with pytest.raises(KeyboardInterrupt):
        learning_curve(workspace, max_pairs=100)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert {name for name in files(base_live) if not name.startswith("process-")} == before
    assert len(workspace.registry.models()) == 1


def test_vectors_of_a_trained_model_never_enter_the_cache_of_the_base(measured):
    workspace = Workspace.open(measured["folder"])
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    queries = read_judged_split(workspace, "dev").queries
    cached = embedded.passage_emb_PD, embedded.embed_queries(queries)
    workspace.close()
    np.testing.assert_allclose(cached[0], encoder.encode_documents(embedded.corpus.passages), atol=1e-6)
    np.testing.assert_allclose(cached[1], encoder.encode_queries([query.text for query in queries]), atol=1e-6)


@pytest.mark.exhaustive
def test_a_larger_corpus_is_cut_down_to_what_no_model_has_chosen(opened, monkeypatch):
    monkeypatch.setattr("nearer.training.dev_sample.MOST_PASSAGES", 30)
    workspace = opened("train.max_dev_queries=10")
    encoder = open_system(workspace, "base").encoder
    corpus = EmbeddedCorpus.read(workspace, encoder, progress=Silent()).corpus
    dev = DevSample.read(workspace, corpus, excluded=frozenset())
    assert len(dev.rows_A) == 10
    assert len(dev.documents_M) == len(dev.passages_P) == 30
    assert dev.documents_M.tolist() == sorted(set(dev.documents_M.tolist()))
    kept = {corpus.doc_ids[row] for row in dev.documents_M}
    assert {doc_id for query in dev.queries for doc_id in dev.judged.relevant[query.query_id]} <= kept
    again = DevSample.read(workspace, corpus, excluded=frozenset())
    assert again.documents_M.tolist() == dev.documents_M.tolist()
    masked = frozenset(query.query_id for query in dev.queries[:4])
    assert not masked & {query.query_id for query in DevSample.read(workspace, corpus, excluded=masked).queries}
    few = DevSample.read(workspace, corpus, excluded=frozenset(), most=1)
    assert len(few.documents_M) == len(few.rows_A), "relevant documents stay in any case"
    found = learning_curve(workspace, max_pairs=16, shares=(1.0,))
    assert found["num_documents"] == 30


# What cannot be measured


@pytest.mark.parametrize("asked", [{"shares": each} for each in ((), (0.0, 1.0), (0.5, 1.5), (float("nan"),))])
def test_shares_that_are_none_are_refused(opened, asked):
    with pytest.raises(InputError, match="shares of"):
        learning_curve(opened(), **asked)


@pytest.mark.parametrize("most", [1, 0, -3])
def test_too_few_pairs_to_ask_for_are_refused(opened, most):
    with pytest.raises(InputError, match=f"max_pairs is {most}"):
        learning_curve(opened(), max_pairs=most)


def test_no_pairs_and_settings_that_cannot_work_are_refused_before_training(opened, monkeypatch):
    monkeypatch.setattr(module, "fit", None)
    with pytest.raises(RecipeError, match="leaves no in-batch negatives"):
        learning_curve(opened("train.batch_size=1"))
    monkeypatch.setattr(module, "read_examples", lambda *_, **__: [])
    with pytest.raises(RecipeError, match="no training pairs"):
        learning_curve(opened())


def test_a_base_behind_an_api_is_refused(opened):
    workspace = opened("encoder.api.endpoint=http://localhost:9/v1")
    with pytest.raises(InputError, match="not here to be trained"):
        learning_curve(workspace)


def test_a_training_that_breaks_down_names_the_setting(opened):
    with pytest.raises(RecipeError, match="training on 100 pairs broke down: ") as caught:
        learning_curve(opened("train.learning_rate=1e30"), shares=(1.0,), max_pairs=100)
    assert "lower train.learning_rate (it is 1e+30)" in caught.value.hint


def test_few_groups_leave_the_forecast_open(opened):
    found = learning_curve(opened("evaluate.group_field=label_topic"), shares=(1.0,), max_pairs=16)
    assert found["num_groups"] == 5
    expected = found["forecast"]
    assert (expected["low"], expected["high"], expected["is_proven"]) == (0, 1, False)
    assert found["notes"][0].startswith("No gain is proven")
