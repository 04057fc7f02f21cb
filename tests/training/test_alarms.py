"""The alarms of whole trainings: each raised by a fault that was seeded, and none of a healthy run."""

import json
import shutil

import pytest

from folders import split_by_ordinal, synthetic_rows, write_jsonl
from nearer.core.progress import Silent
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.encode.embedded import EmbeddedCorpus
from nearer.flows.add import add
from nearer.flows.train import train
from nearer.learn.examples import Example
from nearer.store.changing import put_documents, put_judgments, put_pairs, put_queries, put_split
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.training.alarms import lessons
from nearer.training.dev_set import build_dev_set
from nearer.training.examples import find_excluded, read_examples
from nearer.training.monitor import Monitor, build_monitor


@pytest.fixture
def train_on(tmp_path, tiny_recipe):
    """``train_on(folder, epochs=2)``: what training on a BEIR folder answers, one pass unless said otherwise."""
    opened = []

    def run(folder, *, model=None, pairs=(), **settings):
        values = {**tiny_recipe, "train": {**tiny_recipe["train"], "passes": 1, **settings}}
        if model:
            values["encoder"] = {"model": str(model)}
        opened.append(Workspace.init(tmp_path / "workspace", recipe=values))
        add(opened[-1], "beir", folder)
        if pairs:
            add(opened[-1], "pairs", write_jsonl(tmp_path / "pairs.jsonl", pairs))
        return train(opened[-1])

    yield run
    for workspace in opened:
        workspace.close()


def raised(result):
    return {alarm["name"] for alarm in result["alarms"] if alarm["raised"]}


def of(result, name):
    [alarm] = [alarm for alarm in result["alarms"] if alarm["name"] == name]
    return alarm


# A healthy run


def test_a_healthy_training_raises_none_and_its_record_has_them_all(ask, trained):
    workspace = Workspace.open(trained)
    registry = workspace.registry
    training = registry.training_of(registry.models()[-1].model_id)
    workspace.close()
    alarms = training.alarms
    assert len(alarms) == 4
    assert not [alarm for alarm in alarms if alarm["raised"]]
    for each in training.passes:
        for point in each["fit"]["dev"]:
            assert 0 <= point["train"] <= 1
            assert 1 <= point["effective_rank"] <= 32
    assert all(alarm["value"] is not None for alarm in alarms)
    assert not any("Alarm" in note for note in ask(trained, "promote")["notes"])


@pytest.mark.exhaustive
def test_monitoring_changes_no_model(base_live, tmp_path, ask):
    unmonitored = shutil.copytree(base_live, tmp_path / "unmonitored")
    one = ask(base_live, "train", "--set", "train.passes=1")
    two = ask(unmonitored, "train", "--set", "train.passes=1", "--set", "train.alarms=false")
    assert one["encoder_id"] == two["encoder_id"]
    assert all(point["train"] is None for point in two["passes"][0]["fit"]["dev"])
    assert two["alarms"] == []
    assert [p["value"] for p in one["passes"][0]["fit"]["dev"]] == [p["value"] for p in two["passes"][0]["fit"]["dev"]]


# Overfitting


@pytest.mark.slow
def test_twenty_pairs_learned_by_heart_raise_the_gap_and_the_gate_names_it(ask, nearer, base_live):
    reported = nearer(
        "train",
        "--dir",
        base_live,
        "--set",
        "train.passes=1",
        "--set",
        "train.max_pairs=20",
        "--set",
        "train.epochs=10",
    )
    assert "alarm train_dev_gap 0." in reported.out
    assert "train on more queries, for fewer epochs" in reported.out
    answer = ask(base_live, "promote", code=None)
    [note] = [note for note in answer["notes"] if note.startswith("Alarm")]
    assert note.startswith("Alarm train_dev_gap was raised in training: Training queries minus dev was")


@pytest.mark.slow
def test_wrong_answers_learned_by_heart_raise_dev_falls(ask, trained, tmp_path):
    """The words of dev's queries in another order, and no leak therefore, are taught to mean other documents."""
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    rows = synthetic_rows(num_documents=80, queries_each=3)
    text_of = {row["_id"]: f"{row['title']}\n{row['text']}" for row in rows["corpus"]}
    asked_of = {row["_id"]: " ".join(reversed(row["text"].split())) for row in rows["queries"]}
    on_dev = [row for row in rows["judgments"] if split_by_ordinal(row["query_id"]) == "dev"]
    others = [on_dev[-1], *on_dev[:-1]]
    wrong = [
        {
            "query": asked_of[row["query_id"]],
            "positive": text_of[other["doc_id"]],
            "negatives": [text_of[row["doc_id"]]],
        }
        for row, other in zip(on_dev, others, strict=True)
    ]
    ask(trained, "add", "pairs", write_jsonl(tmp_path / "wrong.jsonl", wrong))
    taught = [row for row in rows["judgments"] if split_by_ordinal(row["query_id"]) == "train"]
    ask(trained, "add", "judgments", write_jsonl(tmp_path / "none.jsonl", [{**row, "grade": 0} for row in taught]))
    sets = ("train.passes=1", "train.epochs=20")
    result = ask(trained, "train", "--from", model_id, *(part for each in sets for part in ("--set", each)))
    assert raised(result) == {"dev_falls"}
    assert "learned by heart" in of(result, "dev_falls")["sentence"]
    assert (result["num_pairs"], result["improved"]) == (20, False)


# Repeated pairs


@pytest.mark.exhaustive
def test_a_training_set_of_copies_raises_repeated_pairs(train_on, beir):
    pairs = [
        {
            "query": f"{mark} the answer to everything in the film {n} about music {mark}",
            "positive": f"it is {n} {n + 1}",
        }
        for n in range(10)
        for mark in ("", "!", "?", "...")
    ]
    result = train_on(beir, pairs=pairs)
    assert "repeated_pairs" in raised(result) <= {"repeated_pairs", "train_dev_gap"}
    alarm = of(result, "repeated_pairs")
    assert alarm["value"] == pytest.approx(40 / 180)
    assert "40 of 180 training pairs nearly repeat another, one of them 4 times" in alarm["sentence"]


def test_several_answers_to_a_question_and_questions_to_an_answer_repeat_nothing():
    def example(anchor, positive):
        return Example(anchor=anchor, positive=positive)

    answers = [example("how do I list all files", f"ls {n} and so on") for n in range(5)]
    questions = [example(f"{word} the files of this folder {word}", "ls -la") for word in ("show", "name", "count")]
    copies = [example("Print the   calendar of May", "cal 5"), example("print the calendar of may!", "CAL 5")]
    found = lessons([*answers, *questions, *copies])
    assert len(set(found)) == 9
    assert found[-1] == found[-2]


# Collapse


@pytest.mark.exhaustive
def test_an_absurd_learning_rate_raises_collapse_though_dev_kept_the_model_of_before(ask, nearer, base_live):
    sets = ("train.passes=1", "train.learning_rate=0.3")
    reported = nearer("train", "--dir", base_live, *(part for each in sets for part in ("--set", each)))
    assert "nothing was better on training dev" in reported.out
    assert {line.split()[1] for line in reported.out.splitlines() if line.startswith("alarm")} == {"rank_lost"}


# The sample of training queries


@pytest.fixture
def monitored(make_workspace):
    """Build the monitor of a workspace: documents, (query, document) by side, and pairs."""

    def build(documents, asked, pairs=(), **recipe):
        workspace = make_workspace(recipe)
        with workspace.database.write() as connection:
            put_documents(connection, [Document(doc_id=name, text=text) for name, text in documents.items()])
            for side, queries in asked.items():
                ids = {text: f"{side}-{n}" for n, text in enumerate(queries)}
                put_queries(connection, [Query(query_id=ids[text], text=text) for text in queries])
                put_judgments(connection, [Judgment(query_id=ids[q], doc_id=d, grade=1) for q, d in queries.items()])
                put_split(connection, side, list(ids.values()))
            put_pairs(connection, pairs)
        encoder, excluded = open_system(workspace, "base").encoder, find_excluded(workspace)
        embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
        dev = build_dev_set(embedded, excluded=excluded.query_ids)
        examples = read_examples(embedded, excluded=excluded)
        monitor = build_monitor(embedded, dev=dev, examples=examples)
        return monitor, encoder

    return build


def test_the_sample_is_of_trained_queries_over_as_many_documents_as_dev(monitored, words):
    documents = {f"d{n}": " ".join(words[3 * n : 3 * n + 3]) for n in range(40)}
    asked = {
        "train": {f"{words[3 * n]} and {words[3 * n + 1]}": f"d{n}" for n in range(30)},
        "dev": {f"{words[3 * n]} or {words[3 * n + 1]}": f"d{n}" for n in range(30, 38)},
    }
    monitor, encoder = monitored(documents, asked, train={"num_dev_distractors": 6, "max_pairs": 20})
    assert len(monitor.train.queries) == len(monitor.dev.queries) == 8
    assert len(monitor.train.starts_N) == len(monitor.dev.starts_N) == 14
    assert {query.text for query in monitor.train.queries} < set(asked["train"])
    for query in monitor.train.queries:
        assert documents[asked["train"][query.text]] in monitor.train.passages
    point = monitor.point(encoder, 7)
    assert point.step == 7
    assert point.value == monitor.dev.measure(encoder)
    assert point.train == pytest.approx(monitor.train.measure(encoder), abs=1e-6)
    alone = Monitor(dev=monitor.dev, train=None).point(encoder, 7)
    assert (alone.value, alone.train, alone.effective_rank) == (point.value, None, point.effective_rank)


def test_pairs_given_as_text_are_monitored_among_their_own_positives(monitored, words):
    documents = {f"d{n}": " ".join(words[3 * n : 3 * n + 3]) for n in range(10)}
    pairs = [
        Pair(query=f"tell me of {words[60]} {words[61]}", positive=f"{words[60]} is no document"),
        Pair(query=f"tell me of {words[60]} {words[61]}", positive=documents["d1"].upper()),
        Pair(query=f"what of {words[70]}", positive=f"{words[70]} neither"),
    ]
    monitor, encoder = monitored(documents, {"dev": {f"{words[27]} of old": "d9", f"{words[24]} anew": "d8"}}, pairs)
    assert {query.text for query in monitor.train.queries} == {pair.query for pair in pairs}
    assert {f"{words[60]} is no document", documents["d1"]} <= set(monitor.train.passages)
    assert sorted(monitor.train.qrels.num_relevant_Q.tolist()) == [1, 2]
    assert 0 <= monitor.point(encoder, 0).train <= 1


def test_none_is_asked_for(monitored, words):
    documents = {f"d{n}": " ".join(words[3 * n : 3 * n + 3]) for n in range(4)}
    asked = {"train": {words[0]: "d0"}, "dev": {words[3]: "d1"}}
    monitor, encoder = monitored(documents, asked, train={"alarms": False})
    assert monitor.train is None
    assert json.dumps(monitor.point(encoder, 0).train) == "null"
