"""A cross-encoder trained here: named, measured, released and rolled back like another; refused, killed, resumed."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from embedding_server import EmbeddingServer
from folders import write_jsonl
from kept import trainings
from learn.test_resume import flip
from nearer.core.errors import RecipeError, WorkspaceError
from nearer.core.progress import Silent
from nearer.core.results.training import FalseNegatives
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.embedded import EmbeddedCorpus
from nearer.encode.encoder import Encoder
from nearer.flows.train_reranker import train_reranker
from nearer.learn import negatives
from nearer.learn.fit_reranker import ListwiseLoss
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.training.examples import find_excluded, read_examples
from nearer.training.rerank_set import build_rerank_dev, mine_ranked_lists
from processes import run

RECIPE = {"learning_rate": 1e-3, "epochs": 1.0, "num_negatives": 3, "max_dev_queries": 15}
MOSTLY_FALSE = FalseNegatives(method="hidden positives", value=0.95, low=0.9, high=1.0, num_queries=20)
STEPS = {
    "train.examples": 1,
    "train.checkpoint": 2,
    "train.pass": 1,
    "reranker.model": 1,
    "reranker.registered": 1,
}
"""The durable steps of a training, and how often each is reached."""


def outcome(folder, result):
    """All that a training leaves, but for the times it took."""
    workspace = Workspace.open(folder)
    try:
        registry = workspace.registry
        ids = [each.reranker_id for each in registry.rerankers()]
        known = [(each, replace(registry.training_of(each), duration_s=None).to_dict()) for each in ids]
        events = [part_id for part_id, _ in trainings(workspace, "train_reranker")]
        models = sorted(path.name for path in workspace.models.glob("*")) if workspace.models.is_dir() else []
        left = sorted(path.name for path in workspace.training.rglob("run-*"))
    finally:
        workspace.close()
    reported = {key: value for key, value in dict(result).items() if key != "duration_s"}
    return {"result": reported, "rerankers": known, "events": events, "models": models, "left": left}


@pytest.fixture(scope="session")
def _reranked(_made, topic_cross_encoder_folder, tmp_path_factory):
    """A workspace with the base live before and after a cross-encoder was trained, what training told, and left."""
    root = tmp_path_factory.mktemp("reranked")
    for name in ("before", "after"):
        folder = Path(shutil.copytree(_made["base live"], root / name))
        values = "".join(f"{key} = {value}\n" for key, value in RECIPE.items())
        (folder / "nearer.toml").write_text((folder / "nearer.toml").read_text() + "\n[reranker]\n" + values)
    workspace = Workspace.open(folder)
    reported = train_reranker(workspace, str(topic_cross_encoder_folder)).to_dict()
    workspace.close()
    return root / "before", folder, reported, outcome(folder, reported)


@pytest.fixture
def before(_reranked, tmp_path):
    """The workspace before, one's own."""
    return Path(shutil.copytree(_reranked[0], tmp_path / "before"))


@pytest.fixture
def after(_reranked, tmp_path):
    """The workspace after, one's own."""
    return Path(shutil.copytree(_reranked[1], tmp_path / "after"))


@pytest.fixture
def reported(_reranked):
    """What the training answered."""
    return _reranked[2]


@pytest.fixture
def wanted(_reranked):
    """All that the training left."""
    return _reranked[3]


@pytest.fixture
def named(after, reported):
    """The options that make search rerank with the trained one."""
    return "--set", f"search.rerank.model={reported['reranker_id']}"


def value(result, system):
    [found] = [each for each in result["results"] if each["system"] == system]
    return found["metrics"]["nDCG@10"]["value"]


# What a training does


def test_it_is_better_than_the_order_it_found_and_than_where_it_began(reported):
    dev, [only] = reported["dev"], reported["passes"]
    assert reported["improved"]
    assert dev["best"] > max(dev["retriever"], dev["start"])
    assert (dev["metric"], dev["num_queries"], dev["depth"]) == ("nDCG@10", 15, 20)
    assert only["fit"]["dev"][0]["value"] == dev["start"]
    assert (reported["num_pairs"], reported["num_excluded"]) == (140, {"queries": 0, "pairs": 0})
    assert reported["start"]["is_fresh"] is False
    assert only["mining"]["num_filled_at_random"] == 0


def test_what_was_measured_is_what_the_system_does(ask, after, reported, named):
    """Dev's queries are 20, of which training looked at 15."""
    everything = ("--set", "reranker.max_dev_queries=20")
    result = ask(after, "evaluate", "base", "base+rerank", "--split", "dev", *named)
    assert value(result, "base+rerank") > value(result, "base")
    again = ask(
        after, "train", "--reranker", "--from", reported["reranker_id"], *everything, "--set", "reranker.epochs=0.1"
    )
    assert again["dev"]["start"] == pytest.approx(value(result, "base+rerank"))
    assert again["dev"]["retriever"] == pytest.approx(value(result, "base"))


def test_it_is_named_in_status_and_lineage_and_history_stays_about_live(ask, nearer, after, reported):
    [known] = ask(after, "status")["rerankers"]
    assert (known["reranker_id"], known["parent_id"]) == (reported["reranker_id"], None)
    [link] = ask(after, "lineage", reported["reranker_id"])["lineage"]
    assert (link["reranker_id"], link["cross_encoder_id"]) == (reported["reranker_id"], reported["cross_encoder_id"])
    assert (link["data"]["num_pairs"], link["seed"], link["releases"]) == (140, 0, [])
    shown = nearer("lineage", reported["reranker_id"], "--dir", after).out
    assert f"{reported['reranker_id']}  " in shown
    assert "reranker from /" in shown
    assert [event["action"] for event in ask(after, "history")["events"]] == ["promote"]
    assert nearer("report", "--dir", after).exit_code == 0


@pytest.mark.exhaustive
def test_a_fresh_one_comes_from_the_encoder_and_its_parents_follow_in_the_lineage(ask, opened, trained):
    [*_, model] = ask(trained, "status")["models"]
    workspace = opened(trained, "reranker.epochs=0.1", "reranker.max_dev_queries=5")
    result = train_reranker(workspace, model["model_id"])
    assert result["start"].to_dict() == {"name": model["model_id"], "is_fresh": True, "cross_encoder_id": None}
    assert result["retriever"] == model["model_id"]
    assert result["improved"] is False, "after two steps a fresh head knows nothing"
    assert (result["reranker_id"], workspace.registry.rerankers()) == (None, [])


@pytest.mark.slow
def test_a_fresh_one_learns_to_rerank_what_it_has_not_seen(opened, base_live):
    settings = ("epochs=6", "learning_rate=3e-3", "num_negatives=5", "max_dev_queries=20")
    dev = train_reranker(opened(base_live, *(f"reranker.{each}" for each in settings)), "base")["dev"]
    assert dev["best"] > 2 * dev["start"]


@pytest.mark.exhaustive
def test_one_that_was_trained_here_teaches(ask, after, reported):
    setting = ("--set", f"mining.reranker={reported['reranker_id']}", "--set", "train.max_pairs=32")
    trained = ask(after, "train", *setting)
    assert trained["passes"][1]["mining"]["num_masked_by_teacher"] > 0


@pytest.mark.exhaustive
def test_what_brings_nothing_better_is_reported_and_not_kept(nearer, before, topic_cross_encoder_folder):
    few = ("--set", "reranker.epochs=0.1", "--set", "reranker.learning_rate=1e-12")
    outcome = nearer("train", "--reranker", "--from", topic_cross_encoder_folder, *few, "--dir", before)
    assert outcome.exit_code == 0
    assert "no reranker: nDCG@10 on training dev (15 queries, the first 20 of model-" in outcome.out
    assert "leave it as it is" in outcome.out
    assert not (before / ".nearer" / "models").exists()


@pytest.mark.exhaustive
def test_a_better_one_says_how_to_use_it(nearer, before, topic_cross_encoder_folder, reported):
    outcome = nearer("train", "--reranker", "--from", topic_cross_encoder_folder, "--dir", before)
    assert f'next: search.rerank.model = "{reported["reranker_id"]}" in nearer.toml' in outcome.out
    assert " as found, " in outcome.out
    assert " as it began, " in outcome.out


def test_lists_hold_what_the_retriever_finds_and_nothing_that_is_an_answer(opened, before):
    workspace = opened(before)
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    excluded = find_excluded(workspace)
    examples = read_examples(embedded, excluded=excluded)
    lists, _ = mine_ranked_lists(embedded, examples, excluded=excluded)
    query_emb_QD = encoder.encode_queries([each.anchor for each in lists])
    for each, example, query_D in zip(lists, examples, query_emb_QD, strict=True):
        nearest = (-(embedded.passage_emb_PD @ query_D)).argsort()[:20]
        best = [embedded.corpus.passages[row] for row in nearest]
        assert each.targets == (1.0, 0.0, 0.0, 0.0)
        assert set(each.texts[1:]) <= set(best)
        assert example.positive not in each.texts[1:]


def test_grades_become_soft_targets(ask, opened, new_workspace, graded_beir):
    folder = new_workspace(reranker=RECIPE)
    ask(folder, "add", "beir", graded_beir)
    workspace = opened(folder)
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    excluded = find_excluded(workspace)
    examples = read_examples(embedded, excluded=excluded)
    lists, _ = mine_ranked_lists(embedded, examples, excluded=excluded)
    assert {each.targets[:2] for each in lists} == {(0.8, 0.2)}
    dev = build_rerank_dev(embedded, excluded=excluded)
    assert dev.as_found() > 0


def test_dev_of_an_unchanged_order_is_what_was_found(opened, before):
    workspace = opened(before)
    encoder = open_system(workspace, "base").encoder
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    dev = build_rerank_dev(embedded, excluded=find_excluded(workspace))

    class AsFound:
        def scores(self, pairs):
            texts = [query for query, _ in pairs]
            return -1.0 * _counted(texts)

    assert dev.reranked(AsFound()) == pytest.approx(dev.as_found())

    class Broken:
        def scores(self, pairs):
            return _counted([query for query, _ in pairs]) * math.nan

    assert math.isnan(dev.reranked(Broken()))


def _counted(texts):
    """The place of each text among equal ones."""
    import numpy as np

    seen = {}
    return np.array([seen.setdefault(text, []).append(1) or len(seen[text]) for text in texts], np.float32)


# As a part of systems


def test_it_goes_live_and_back_and_its_lineage_is_reported(ask, after, reported, named):
    promoted = ask(after, "promote", "base+rerank", "--force", "--reason", "a test", *named, code=None)
    assert promoted["verdict"] == "promoted"
    found = ask(after, "search", "music and water")["results"]
    assert len(found) == 5
    lineage = ask(after, "lineage")
    assert [each["reranker_id"] for each in lineage["reranker"]] == [reported["reranker_id"]]
    assert lineage["reranker"][0]["releases"] == [promoted["release_id"]]
    assert lineage["lineage"][0]["model_id"] == reported["retriever"]
    ask(after, "rollback")
    assert ask(after, "status")["live"]["stages"] == []
    assert ask(after, "lineage")["reranker"] == []
    ask(after, "promote", promoted["release_id"])
    assert ask(after, "search", "music and water")["results"] == found


def test_a_release_refuses_files_that_are_no_longer_what_was_trained(
    ask, after, reported, named, tiny_cross_encoder_folder
):
    ask(after, "promote", "base+rerank", "--force", "--reason", "a test", *named, code=None)
    folder = after / ".nearer" / "models" / reported["cross_encoder_id"]
    kept = shutil.copytree(folder, after / "kept")
    shutil.rmtree(folder)
    error = ask(after, "search", "music", code=2)["error"]
    assert "the reranker's folder is gone" in error["message"]
    shutil.copytree(tiny_cross_encoder_folder, folder)
    for verb in (("search", "music"), ("evaluate", "base+rerank", *named), ("advise", *named)):
        error = ask(after, *verb, code=2)["error"]
        assert (error["code"], "now makes ce-" in error["message"]) == ("model_refused", True)
        assert "nearer train --reranker" in error["hint"]
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)
    assert ask(after, "search", "music")["results"]


@pytest.mark.exhaustive
def test_shorter_inputs_are_pinned_by_the_release(ask, after, reported, named):
    short = ("--set", "search.rerank.max_seq_length=16")
    ask(after, "promote", "base+rerank", "--force", "--reason", "a test", *named, *short, code=None)
    before = ask(after, "evaluate", "live", "--split", "dev")["results"][0]["metrics"]
    assert before == ask(after, "evaluate", "base+rerank", "--split", "dev", *named, *short)["results"][0]["metrics"]
    assert before != ask(after, "evaluate", "base+rerank", "--split", "dev", *named)["results"][0]["metrics"]
    error = ask(after, "evaluate", "base+rerank", *named, "--set", "search.rerank.max_seq_length=999", code=2)["error"]
    assert "reads 8 to 128" in error["message"]


def test_it_is_no_system_of_its_own_and_unknown_ids_are_reported(ask, after, reported):
    for verb in ("evaluate", "promote", "diagnose"):
        error = ask(after, verb, reported["reranker_id"], code=2)["error"]
        assert "is a reranker, and no system of its own" in error["message"]
        assert f'search.rerank.model = "{reported["reranker_id"]}"' in error["hint"]
    error = ask(after, "evaluate", "base+rerank", "--set", "search.rerank.model=reranker-0123456789ab", code=2)["error"]
    assert f"no reranker 'reranker-0123456789ab'; known: {reported['reranker_id']}" in error["message"]
    error = ask(after, "lineage", "reranker-0123456789ab", code=2)["error"]
    assert error["code"] == "not_found"


@pytest.mark.exhaustive
@pytest.mark.slow
def test_advice_measures_it_on_queries_that_it_did_not_learn_from(ask, after, reported, named):
    few = ("--set", "advise.curve_pairs=20", "--set", "train.epochs=0.1", "--no-test")
    advice = ask(after, "advise", *named, *few)
    [row] = [each for each in advice["remedies"] if each["name"] == "base+rerank"]
    assert row["num_queries"] == 20
    assert row["notes"] == ["on 20 queries of dev, for it learned from those of train"]
    dev = ask(after, "evaluate", "base+rerank", "--split", "dev", *named)
    assert row["metrics"]["nDCG@10"]["value"] == pytest.approx(value(dev, "base+rerank"))


def test_slices_cannot_be_held_out_of_what_was_trained(ask, after, reported):
    path = after / "nearer.toml"
    path.write_text(path.read_text() + '\n[split.held_out]\nold = "year<2018"\n')
    error = ask(after, "evaluate", "base", code=2)["error"]
    assert reported["reranker_id"] in error["message"]


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--adapter", "query"), "--reranker and --adapter do not go together"),
        (("--from", "base+hybrid"), "is more than a model"),
        (("--from", "nothing-here"), "nothing-here: cannot be loaded"),
        (("--from", "./gone"), "no such model folder"),
        (("--from", "live", "--set", "reranker.max_seq_length=129"), "129 tokens, but live reads 8 to 128"),
        (("--set", "search.rerank.depth=3"), "leaves no room for the positive"),
        (("--set", "train.precision=tf32"), "is slow here"),
        (("--set", "grades.max_grade=2", "--set", "grades.positive_from=2"), "no training pairs"),
        (("--set", "reranker.epochs=0"), "reranker.epochs"),
    ],
)
def test_what_cannot_work_is_refused(ask, before, options, message):
    error = ask(before, "train", "--reranker", *options, code=2)["error"]
    assert message in error["message"]
    assert error["hint"]


def _pickle(folder):
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")


def _three_numbers(folder):
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, ignore_mismatched_sizes=True
    ).save_pretrained(folder)


def _garbage(folder):
    (folder / "model.safetensors").write_bytes(b"garbage")


@pytest.mark.parametrize(
    ("damage", "message"),
    [(_pickle, "may run code"), (_three_numbers, "gives 3 numbers a pair"), (_garbage, "not whole safetensors")],
)
def test_folders_that_are_no_reranker_to_begin_with_are_refused(
    ask, before, tmp_path, tiny_cross_encoder_folder, damage, message
):
    folder = shutil.copytree(tiny_cross_encoder_folder, tmp_path / "start")
    damage(folder)
    error = ask(before, "train", "--reranker", "--from", folder, code=2)["error"]
    assert (error["code"], message in error["message"]) == ("model_refused", True), error


def test_an_embedding_model_is_told_from_a_reranker(ask, before, tiny_model_folder):
    error = ask(before, "train", "--reranker", "--from", tiny_model_folder, code=2)["error"]
    assert "an embedding model cannot rerank" in error["hint"]


def test_documents_that_are_all_answers_leave_nothing_to_learn(ask, new_workspace):
    folder = new_workspace()
    documents = [{"_id": "d", "text": "rain is water"}]
    queries = [{"_id": f"q{n}", "text": f"what falls on day {n}"} for n in range(20)]
    ask(folder, "add", "corpus", write_jsonl(folder / "c.jsonl", documents))
    ask(folder, "add", "queries", write_jsonl(folder / "q.jsonl", queries))
    judgments = [{"query_id": each["_id"], "doc_id": "d", "grade": 1} for each in queries]
    ask(folder, "add", "judgments", write_jsonl(folder / "j.jsonl", judgments))
    error = ask(folder, "train", "--reranker", "--set", "split.dev_fraction=0.4", code=2)["error"]
    assert "no pair has a negative" in error["message"]


@pytest.mark.exhaustive
def test_negatives_that_seem_to_be_positives_are_named_where_no_others_are(opened, before, monkeypatch):
    monkeypatch.setattr(negatives, "by_hidden_positives", lambda *_, **__: MOSTLY_FALSE)
    with pytest.raises(RecipeError, match="those that were mined seem mostly to be positives") as caught:
        train_reranker(opened(before))
    assert "mining.max_false = 1" in caught.value.message
    assert train_reranker(opened(before, "mining.max_false=1", "reranker.epochs=0.1"))["num_pairs"] > 0


def test_without_dev_queries_it_is_refused(ask, new_workspace, beir):
    folder = new_workspace()
    ask(folder, "add", "corpus", beir / "corpus.jsonl")
    assert "no judgments" in ask(folder, "train", "--reranker", code=2)["error"]["message"]


@pytest.mark.exhaustive
def test_behind_an_api_there_is_no_transformer_but_a_cross_encoder_can_learn(ask, before, topic_cross_encoder_folder):
    with EmbeddingServer(dimension=16) as server:
        api = ("--set", f"encoder.api.endpoint={server.endpoint}", "--set", f"encoder.model={server.model}")
        error = ask(before, "train", "--reranker", *api, code=2)["error"]
        assert "has no transformer here" in error["message"]
        assert "--from cross-encoder/" in error["hint"]
        trained = ask(before, "train", "--reranker", "--from", topic_cross_encoder_folder, *api)
        assert trained["api"]["num_requests"] > 0
        assert trained["dev"]["best"] >= trained["dev"]["start"]


@pytest.mark.exhaustive
def test_queries_that_leak_are_left_out(ask, new_workspace, beir, tmp_path, topic_cross_encoder_folder):
    source = Path(shutil.copytree(beir, tmp_path / "leaky"))
    queries = [json.loads(line) for line in (source / "queries.jsonl").read_text().splitlines()]
    text_of = {query["_id"]: query["text"] for query in queries}
    next(query for query in queries if query["_id"] == "q001-0")["text"] = text_of["q004-1"]
    next(query for query in queries if query["_id"] == "q008-1")["text"] = text_of["q003-2"]
    write_jsonl(source / "queries.jsonl", queries)
    folder = new_workspace(reranker={**RECIPE, "epochs": 0.1, "max_dev_queries": 99})
    ask(folder, "add", "beir", source)
    trained = ask(folder, "train", "--reranker", "--from", topic_cross_encoder_folder)
    assert (trained["num_pairs"], trained["dev"]["num_queries"]) == (139, 19)
    assert trained["num_excluded"] == {"queries": 2, "pairs": 0}


@pytest.mark.exhaustive
def test_a_training_that_breaks_down_at_once_is_refused_with_the_remedy(ask, before, topic_cross_encoder_folder):
    options = ("--set", "reranker.learning_rate=1e30")
    error = ask(before, "train", "--reranker", "--from", topic_cross_encoder_folder, *options, code=2)["error"]
    assert "broke down before dev saw anything better" in error["message"]
    assert "lower reranker.learning_rate (it is 1e+30)" in error["hint"]
    assert not list((before / ".nearer" / "training").rglob("run-*"))


@pytest.mark.exhaustive
def test_a_training_that_breaks_down_later_keeps_what_was_best(
    nearer, before, monkeypatch, topic_cross_encoder_folder, reported
):
    forward, num_calls = ListwiseLoss.forward, []
    last = reported["passes"][0]["fit"]["num_steps"] - 1

    def broken(*args, **options):
        num_calls.append(1)
        return forward(*args, **options) * (math.nan if len(num_calls) == last else 1)

    monkeypatch.setattr(ListwiseLoss, "forward", broken)
    outcome = nearer("train", "--reranker", "--from", topic_cross_encoder_folder, "--dir", before)
    assert outcome.exit_code == 0
    assert f"training ended early: the loss was not a number at step {last}" in outcome.out


# Killed, resumed, full, read-only


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_at_every_step_again_and_again_it_ends_the_same(ask, before, wanted, topic_cross_encoder_folder):
    command = ("train", "--reranker", "--from", topic_cross_encoder_folder)
    for step in ("train.examples", "checksums.written", *list(STEPS)[1:]):
        ended = run(*command, "--dir", before, die_at=step)
        assert ended.was_killed, (step, ended.printed)
        assert ask(before, "search", "music")["results"]
    got = outcome(before, ask(before, *command))
    assert got == wanted
    assert not list(before.rglob(".tmp-*"))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_unfinished_training_of_an_encoder_and_of_a_reranker_do_not_drop_each_other(
    before, topic_cross_encoder_folder
):
    assert run("train", "--dir", before, die_at="train.examples").was_killed
    assert run("train", "--reranker", "--dir", before, die_at="train.examples").was_killed
    assert len(list((before / ".nearer" / "training").rglob("run-*"))) == 2
    run("train", "--reranker", "--dir", before, "--from", topic_cross_encoder_folder, die_at="train.examples")
    assert len(list((before / ".nearer" / "training").rglob("run-*"))) == 3


@pytest.mark.exhaustive
def test_a_damaged_result_is_made_again(before, ask, wanted, topic_cross_encoder_folder):
    command = ("train", "--reranker", "--from", topic_cross_encoder_folder)
    assert run(*command, "--dir", before, die_at="train.pass").was_killed
    [report] = before.rglob("result/report.json")
    flip(report)
    assert outcome(before, ask(before, *command)) == wanted


@pytest.mark.exhaustive
def test_a_disk_that_is_full_in_the_end_costs_no_training(
    before, opened, monkeypatch, wanted, topic_cross_encoder_folder
):
    def full(self, folder):
        raise OSError(28, "No space left on device")

    workspace = opened(before)
    with monkeypatch.context() as patch:
        patch.setattr(CrossEncoder, "save", full)
        with pytest.raises(WorkspaceError, match="No space left") as caught:
            train_reranker(workspace, str(topic_cross_encoder_folder))
    assert "room" in caught.value.hint
    monkeypatch.setattr(ListwiseLoss, "forward", None)
    result = train_reranker(workspace, str(topic_cross_encoder_folder))
    assert outcome(before, result.to_dict()) == wanted


def settled(status):
    """What is registered and live; a training that was cut short may wait there to be resumed."""
    return {name: value for name, value in status.items() if name not in ("unfinished", "bytes")}


@pytest.mark.exhaustive
@pytest.mark.slow
def test_without_room_or_permission_it_says_so_and_nothing_is_half_done(
    before, ask, wanted, topic_cross_encoder_folder
):
    command = ("train", "--reranker", "--from", topic_cross_encoder_folder, "--dir", before)
    reported = settled(ask(before, "status"))
    for limit in (4096, 200_000):
        ended = run(*command, max_file_bytes=limit)
        assert ended.code == 2, ended.printed
        assert "Traceback" not in ended.printed
        assert settled(ask(before, "status")) == reported
    for path in (before / ".nearer", *(before / ".nearer").rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    ended = run(*command, unprivileged=True)
    assert (ended.code, "Traceback" in ended.printed) == (2, False), ended.printed
    for path in (before / ".nearer", *(before / ".nearer").rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    assert run(*command).code == 0
    assert [each["reranker_id"] for each in ask(before, "status")["rerankers"]] == [wanted["result"]["reranker_id"]]


@pytest.mark.exhaustive
def test_an_encoder_is_not_changed_by_the_head_that_is_put_on_it(opened, before, tiny_model_folder):
    workspace = opened(before, "reranker.epochs=0.1", "reranker.max_dev_queries=3")
    train_reranker(workspace)
    assert open_system(workspace, "base").encoder.encoder_id == Encoder.load(str(tiny_model_folder)).encoder_id
