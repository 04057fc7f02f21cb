"""What cannot be trained on: refused in words with what to change, and nothing of the workspace is another after it."""

import shutil
from types import SimpleNamespace

import pytest

from folders import write_jsonl
from nearer.core.errors import RecipeError
from nearer.training.job import TrainingJob

PAIR = {"query": "music", "positive": "the film was music"}


def refused(ask, folder, *settings):
    """The error of a training that is refused; what is live, trained models and history stay as they were."""
    before = seen(ask, folder)
    error = ask(folder, "train", *(part for each in settings for part in ("--set", each)), code=2)["error"]
    assert error["hint"]
    assert seen(ask, folder) == before
    return error


def seen(ask, folder):
    status = ask(folder, "status")
    return status["live"], [each for each in status["models"] if each["parent_model_id"]], ask(folder, "history")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.batch_size=1"], "train.batch_size = 1 leaves no in-batch negatives"),
        (["train.max_pairs=1"], "only one training pair"),
        (["train.loss=cosine"], "needs a score with every pair; 140 of 140 examples lack it"),
        (["train.loss=cosent"], "needs a score with every pair; 140 of 140 examples lack it"),
        (["train.loss=triplet"], "needs negatives: with the pairs, or mined"),
        (["train.loss=margin_mse"], "name one in mining.reranker"),
        (["train.freeze_layers=2"], "the model has 2 layers: none is trained"),
    ],
)
def test_settings_that_the_data_cannot_feed(ask, base_live, settings, message):
    assert message in refused(ask, base_live, *settings)["message"]


def test_pairs_whose_positives_are_all_one_text(ask, new_workspace, beir, tmp_path):
    source = shutil.copytree(beir, tmp_path / "one-answer")
    path = source / "qrels" / "train.tsv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *(f"{row.split()[0]}\td000\t1" for row in rows)]) + "\n")
    folder = new_workspace()
    ask(folder, "add", "beir", source)
    assert "all positives are the same text" in refused(ask, folder)["message"]


def test_a_training_with_settings_that_cannot_be_is_refused_as_the_recipe_is(opened, base_live):
    job = SimpleNamespace(workspace=opened(base_live))
    for settings in ({"train.epochs": -1}, {"train.learning_rate": "fast"}, {"train.no_such_key": 1}):
        with pytest.raises(RecipeError, match=next(iter(settings))):
            TrainingJob.under(job, settings)


@pytest.mark.parametrize(("score", "reason"), [(1.5, "outside 0 to 1"), (-0.1, "outside 0 to 1"), ("good", "text")])
def test_scores_that_no_loss_can_learn_from_are_refused_with_their_line(ask, base_live, tmp_path, score, reason):
    path = write_jsonl(tmp_path / "pairs.jsonl", [{**PAIR, "score": 0.5}, {**PAIR, "score": score}])
    [fault] = ask(base_live, "add", "pairs", path, code=2)["error"]["faults"]
    assert (fault["line"], reason in fault["reason"], bool(fault["remedy"])) == (2, True, True)


def test_a_triplet_learns_from_mined_negatives(ask, trained):
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    options = ("--from", model_id, "--set", "train.loss=triplet", "--set", "train.passes=1")
    [each] = ask(trained, "train", *options)["passes"]
    assert (each["fit"]["loss"], each["fit"]["fault"]) == ("triplet", "")
    assert 0 < each["fit"]["num_negatives"] <= 1
