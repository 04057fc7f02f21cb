"""A cross-encoder as a teacher: it looks at what was mined, and its scores come with every example."""

import json
import shutil
from pathlib import Path

import pytest

from folders import write_jsonl
from nearer.core.progress import Silent
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.embedded import Corpora, EmbeddedCorpus
from nearer.flows.train import train
from nearer.learn.examples import text_key
from nearer.systems import open_system
from nearer.training import passes as passes_module
from nearer.training.examples import find_excluded, read_examples
from nearer.training.mining import mine_negatives
from nearer.training.relabel import _answers_elsewhere, teach, teacher_id
from processes import run


def mined_of(workspace):
    """The corpus, the training examples, and what base mines for them."""
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    examples, corpus = read_examples(embedded, excluded=find_excluded(workspace)), embedded.corpus
    return corpus, examples, *mine_negatives(workspace, encoder, corpus, examples, progress=Silent())


def topic(text):
    from folders import TOPICS

    return set(text.replace(".", "").split()) & set(TOPICS)


def test_what_shares_the_topic_is_masked_as_the_teacher_says(opened, base_live, topic_cross_encoder_folder):
    """This teacher scores all texts of the query's topic alike: as relevant as the positive."""
    workspace = opened(base_live, f"mining.reranker={topic_cross_encoder_folder}", "mining.num_negatives=2")
    corpus, examples, mined, mining = mined_of(workspace)
    assert {len(each.negatives) for each in mined} == {4}, "twice as many are drawn"
    taught, report = teach(workspace, corpus, examples, mined, mining, progress=Silent())
    assert report.num_added_by_teacher == 0, "none is clearly better than the positive"
    assert (report.num_examples, report.margin) == (mining.num_examples, mining.margin)
    teacher = CrossEncoder.load(str(topic_cross_encoder_folder))
    aside = set()
    for before, after in zip(mined, taught, strict=True):
        right, *others = teacher.scores([(before.anchor, text) for text in (before.positive, *before.negatives)])
        worse = [text for text, each in zip(before.negatives, others, strict=True) if each < right]
        aside.update((before.anchor, text) for text in set(before.negatives).difference(worse))
        assert after.negatives == tuple(worse[:2])
        assert after.scores[0] == pytest.approx(right, abs=1e-4)
        assert len(after.scores) == 1 + len(after.negatives)
    assert len(aside) == report.num_masked_by_teacher > 0
    assert all(topic(anchor) <= topic(text) for anchor, text in aside)


def test_without_a_teacher_nothing_is_scored_or_drawn_more(opened, base_live):
    workspace = opened(base_live)
    corpus, examples, mined, mining = mined_of(workspace)
    assert teach(workspace, corpus, examples, mined, mining, progress=Silent()) == (mined, mining)
    assert {(len(each.negatives), each.scores) for each in mined} == {(1, ())}
    assert teacher_id(workspace) == "none"


def test_a_mislabelled_positive_gets_the_answer_beside_it(
    opened, ask, new_workspace, beir, tmp_path, topic_cross_encoder_folder
):
    """Each judgment points to a document of another topic: texts of the query's own are then clearly better."""
    source = Path(shutil.copytree(beir, tmp_path / "wrong"))
    path = source / "qrels" / "train.tsv"
    head, *rows = path.read_text().splitlines()
    wrong = [f"{query}\td{(int(doc_id[1:]) + 1) % 80:03}\t1" for query, doc_id, _ in map(str.split, rows)]
    path.write_text("\n".join([head, *wrong]) + "\n")
    folder = new_workspace(mining={"reranker": str(topic_cross_encoder_folder), "num_negatives": 4})
    ask(folder, "add", "beir", source)
    workspace = opened(folder)
    corpus, examples, mined, mining = mined_of(workspace)
    taught, report = teach(workspace, corpus, examples, mined, mining, progress=Silent())
    added = [each for each in taught if topic(each.positive) == topic(each.anchor)]
    assert len(added) == report.num_added_by_teacher == len(taught) - len(examples) > 0
    assert report.num_added_by_teacher <= report.num_masked_by_teacher
    for each in added:
        assert each.scores[0] > max(each.scores[1:], default=-99)
        assert text_key(each.positive) in each.masked


def test_with_groups_no_document_that_answers_dev_or_test_becomes_a_positive(opened, base_live):
    workspace = opened(base_live)
    corpus = Corpora(workspace, Silent()).corpus(open_system(workspace, "base").encoder)
    assert _answers_elsewhere(workspace, corpus) == frozenset()
    grouped = opened(base_live, "split.by=group", "split.field=label_topic")
    collection = grouped.collection
    wanted = {judgment.doc_id for split in ("dev", "test") for judgment in collection.judgments(split)}
    texts = {text_key(corpus.passages[row]) for row, doc_id in enumerate(corpus.doc_ids) if doc_id in wanted}
    assert wanted
    assert _answers_elsewhere(grouped, corpus) == texts


@pytest.mark.slow
def test_a_training_with_a_teacher_reports_what_it_did_and_resumes_with_its_scores(
    opened, ask, base_live, topic_cross_encoder_folder, monkeypatch
):
    setting = ("--set", f"mining.reranker={topic_cross_encoder_folder}", "--set", "train.max_pairs=32")
    whole = Path(shutil.copytree(base_live, base_live.parent / "whole"))
    wanted = ask(whole, "train", *setting)
    mining = wanted["passes"][1]["mining"]
    assert mining["num_masked_by_teacher"] > 0
    assert wanted["passes"][0]["mining"] is None
    ended = run("train", *setting, "--dir", base_live, die_at="train.mined")
    assert ended.was_killed, ended.printed
    [report] = base_live.rglob("mined/report.json")
    assert all(each["scores"] for each in json.loads(report.read_text())["examples"])
    monkeypatch.setattr(passes_module, "mine_negatives", None)
    got = ask(base_live, "train", *setting)
    assert (got["model_id"], got["passes"]) == (wanted["model_id"], wanted["passes"])


@pytest.mark.exhaustive
def test_another_teacher_makes_another_training(
    base_live, topic_cross_encoder_folder, tiny_cross_encoder_folder, tmp_path
):
    own = shutil.copytree(topic_cross_encoder_folder, tmp_path / "teacher")
    train = ("train", "--set", f"mining.reranker={own}", "--dir", base_live)
    assert run(*train, die_at="train.examples").was_killed
    shutil.rmtree(own)
    shutil.copytree(tiny_cross_encoder_folder, own)
    assert run(*train, die_at="train.examples").was_killed
    assert len(list((base_live / ".nearer" / "training").glob("run-*"))) == 2, "the first stays"


def test_negatives_of_pairs_given_as_text_are_the_teams_own(
    opened, ask, base_live, topic_cross_encoder_folder, tmp_path
):
    rows = [{"query": "music of the day", "positive": "music by night", "negatives": ["music by day", "music in may"]}]
    ask(base_live, "add", "pairs", write_jsonl(tmp_path / "pairs.jsonl", rows))
    workspace = opened(base_live, f"mining.reranker={topic_cross_encoder_folder}")
    corpus, examples, mined, mining = mined_of(workspace)
    taught, _ = teach(workspace, corpus, examples, mined, mining, progress=Silent())
    [own] = [each for each in taught if each.anchor == "music of the day"]
    assert own.negatives == ("music by day", "music in may")
    assert len(own.scores) == 3


@pytest.mark.exhaustive
@pytest.mark.parametrize("loss", ["margin_mse", "kl"])
def test_losses_that_distil_learn_from_the_teacher_from_the_first_pass_on(
    ask, base_live, topic_cross_encoder_folder, loss
):
    few = ("--set", f"train.loss={loss}", "--set", "train.max_pairs=48", "--set", "train.epochs=0.5")
    error = ask(base_live, "train", *few, code=2)["error"]
    assert f'train.loss = "{loss}" learns from a cross-encoder: name one in mining.reranker' in error["message"]
    trained = ask(base_live, "train", *few, "--set", f"mining.reranker={topic_cross_encoder_folder}")
    assert [each["mining"]["num_masked_by_teacher"] > 0 for each in trained["passes"]] == [True, True]
    assert all(each["fit"]["losses"] and not each["fit"]["fault"] for each in trained["passes"])


def test_too_many_negatives_to_choose_from_are_refused(ask, base_live, topic_cross_encoder_folder):
    options = ("--set", "mining.num_negatives=6", "--set", f"mining.reranker={topic_cross_encoder_folder}")
    assert "twice which are drawn for mining.reranker" in ask(base_live, "train", *options, code=2)["error"]["message"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("./gone", "no such model folder"),
        ("reranker-0123456789ab", "no reranker 'reranker-0123456789ab'"),
    ],
)
def test_a_teacher_that_is_missing_is_reported_before_anything_is_trained(ask, base_live, monkeypatch, value, message):
    monkeypatch.setattr(passes_module, "fit", lambda *_, **__: pytest.fail("trained"))
    error = ask(base_live, "train", "--set", f"mining.reranker={value}", code=2)["error"]
    assert message in error["message"]
    assert error["hint"]


def test_bars_in_the_wrong_order_are_refused(ask, base_live):
    options = ("--set", "mining.masked_from=0.95")
    assert "positive_from must not be less" in ask(base_live, "train", *options, code=2)["error"]["message"]


@pytest.mark.exhaustive
def test_the_report_tells_what_the_teacher_did(opened, nearer, base_live, topic_cross_encoder_folder):
    workspace = opened(base_live, f"mining.reranker={topic_cross_encoder_folder}", "train.max_pairs=64")
    trained = train(workspace)
    number = trained["passes"][1]["mining"]["num_masked_by_teacher"]
    nearer("evaluate", "base", trained["model_id"], "--dir", base_live)
    nearer("report", "--dir", base_live)
    [page] = (base_live / ".nearer" / "reports").glob("*.html")
    assert f"The teacher took {number:,} of the drawn negatives for answers" in page.read_text()
