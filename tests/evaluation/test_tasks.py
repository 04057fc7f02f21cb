"""Other tasks than search, through the command line with a tiny model: what is answered, and what is refused."""

import numpy as np
import pytest

from folders import write_beir, write_jsonl
from nearer.core.progress import Silent
from nearer.encode import embedded
from nearer.encode.corpus import read_documents
from nearer.evaluation import tasks as flow
from nearer.evaluation.items import read_items, read_seeds, twins
from nearer.flows.evaluate_task import evaluate_task
from nearer.flows.remove import remove
from nearer.store.workspace import Workspace
from processes import Running

TOPIC = ("--label", "label_topic")
MEASURES = {
    "dedup": ["F1", "F1_hard"],
    "clustering": ["V-measure", "Purity"],
    "classification": ["Accuracy"],
    "recommendation": ["nDCG@10", "Recall@10"],
}


@pytest.fixture
def topics(base_live, tmp_path, ask):
    """The workspace with the base live; its documents carry the topic too."""
    workspace = Workspace.open(base_live)
    topic_of = {query.query_id[1:4]: query.metadata["label_topic"] for query in workspace.collection.queries()}
    rows = [
        {"_id": each.doc_id, "title": each.title, "text": each.text, "metadata": {"topic": topic_of[each.doc_id[1:]]}}
        for each in workspace.collection.documents()
    ]
    workspace.close()
    ask(base_live, "add", "corpus", write_jsonl(tmp_path / "labelled.jsonl", rows))
    return base_live


def label(task):
    return ("--label", "topic") if task == "recommendation" else TOPIC


@pytest.mark.parametrize("task", MEASURES)
def test_every_task_gives_intervals_beside_chance_and_counts_its_look(ask, nearer, topics, task):
    arguments = ("evaluate", "--task", task, *label(task), "--split", "test")
    found = ask(topics, *arguments)
    [base] = found["results"]
    assert list(base["metrics"]) == list(found["chance"]) == MEASURES[task]
    for interval in base["metrics"].values():
        assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1
        assert interval["high"] - interval["low"] < 0.5
    assert (found["task"], found["split"], found["label"]) == (task, "test", arguments[4])
    assert found["counts"]["num_labels"] == 10
    assert base["encoder_id"].startswith("enc-")
    assert found["ledger"] == {"split": "test", "num_test_uses": 2}  # the first was the promotion's
    shown = nearer(*arguments, "--dir", topics).out
    assert "random vectors" in shown
    assert "use 3 of this test set" in shown
    assert f"{base['metrics'][MEASURES[task][0]]['value']:.3f} [" in shown


def test_a_look_at_dev_is_free_and_its_threshold_is_said_to_flatter(ask, topics):
    found = ask(topics, "evaluate", "--task", "dedup", *TOPIC)
    assert found["ledger"]["num_test_uses"] is None
    assert any("flatters" in note for note in found["notes"])
    on_test = ask(topics, "evaluate", "--task", "dedup", *TOPIC, "--split", "test")
    assert not any("flatters" in note for note in on_test["notes"])
    thresholds = [each["results"][0]["details"]["F1"]["threshold"] for each in (found, on_test)]
    assert thresholds[0] == thresholds[1]  # no query of dev repeats one of test


@pytest.mark.parametrize("task", MEASURES)
def test_systems_are_compared_on_the_same_items(ask, nearer, trained, task, tmp_path):
    folder = with_topics(ask, trained, tmp_path) if task == "recommendation" else trained
    workspace = Workspace.open(folder)
    model_id = workspace.registry.models()[-1].model_id
    workspace.close()
    arguments = ("evaluate", "base", model_id, "base", "--task", task, *label(task), "--split", "test")
    found = ask(folder, *arguments)
    assert [each["system"] for each in found["results"]] == ["base", model_id, "base"]
    by_candidate = {name: [c for c in found["comparisons"] if c["candidate"] == name] for name in (model_id, "base")}
    for comparison in by_candidate[model_id]:
        first, second = (each["metrics"][comparison["metric"]]["value"] for each in found["results"][:2])
        assert comparison["difference"] == pytest.approx(second - first)
        assert comparison["low"] <= comparison["difference"] <= comparison["high"]
    for comparison in by_candidate["base"]:
        assert (comparison["difference"], comparison["p_value"], comparison["num_wins"]) == (0, 1, 0)
        assert comparison["num_losses"] == 0 < comparison["num_ties"]
    assert f"{model_id} - base = " in nearer(*arguments, "--dir", folder).out


def with_topics(ask, folder, tmp_path):
    workspace = Workspace.open(folder)
    documents = workspace.collection.documents()
    workspace.close()
    rows = [
        {"_id": each.doc_id, "title": each.title, "text": each.text, "metadata": {"topic": each.title.split()[0]}}
        for each in documents
    ]
    ask(folder, "add", "corpus", write_jsonl(tmp_path / "topics.jsonl", rows))
    return folder


@pytest.mark.parametrize("task", ["dedup", "clustering"])
def test_the_same_call_gives_the_same_and_another_seed_another(ask, topics, task):
    first, again, other = (
        ask(topics, "evaluate", "--task", task, *TOPIC, "--set", f"evaluate.seed={seed}")["results"]
        for seed in (0, 0, 5)
    )
    assert first == again
    assert first != other


def test_groups_are_resampled_whole(ask, topics):
    alone, grouped = (
        ask(topics, "evaluate", "--task", "classification", *TOPIC, "--split", "test", *extra)["results"][0]["metrics"]
        for extra in ((), ("--set", "evaluate.group_field=year"))
    )
    assert alone["Accuracy"]["value"] == pytest.approx(grouped["Accuracy"]["value"])
    assert alone["Accuracy"] != grouped["Accuracy"]


def test_items_are_drawn_when_there_are_many(ask, nearer, topics, monkeypatch):
    monkeypatch.setattr("nearer.evaluation.tasks.MAX_ITEMS", 30)
    arguments = ("evaluate", "--task", "clustering", *TOPIC, "--split", "test")
    assert ask(topics, *arguments)["counts"]["num_items"] == 30
    assert "30 items of 80" in nearer(*arguments, "--dir", topics).out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--task", "dedup"], "--label"),
        (["--label", "label_topic"], "--task"),
        (["--task", "sorting", *TOPIC], "'sorting'"),
        (["--task", "dedup", "--label", "intent"], "no query of dev has the field 'intent'; fields: label_topic, year"),
        (["--task", "recommendation", "--label", "intent"], "no document has the field 'intent'; fields: topic"),
        (["--task", "clustering", *TOPIC, "--split", "tset"], "split 'tset' has no queries; splits: dev (20)"),
        (["--task", "classification", *TOPIC, "--split", "train"], "train"),
        (["model-0", "--task", "dedup", *TOPIC], "model-0"),
    ],
)
def test_what_cannot_be_asked_is_reported_with_its_remedy(ask, topics, arguments, part):
    error = ask(topics, "evaluate", *arguments, code=2)["error"]
    assert part in error["message"]
    assert error["hint"]
    assert ask(topics, "evaluate", "--task", "clustering", *TOPIC, "--split", "test")["ledger"]["num_test_uses"] == 2


@pytest.fixture
def labelled(new_workspace, tmp_path, words):
    """``labelled({"test": ["a", "a", "b"], ...})``: a workspace whose splits hold queries of these labels."""

    def make(splits, **options):
        rows = {"corpus": [], "queries": [], "judgments": []}
        for split, labels in splits.items():
            for number, value in enumerate(labels):
                name, own = f"{split}{number:02}", words[3 * len(rows["queries"]) : 3 * len(rows["queries"]) + 3]
                metadata = {} if value is None else {"kind": value}
                text = options.get("text", " ".join(own))
                rows["corpus"].append({"_id": f"d-{name}", "text": " ".join(own), "metadata": metadata})
                rows["queries"].append({"_id": name, "text": text, "metadata": metadata})
                rows["judgments"].append({"query_id": name, "doc_id": f"d-{name}", "grade": 1})
        folder = new_workspace()
        workspace = Workspace.open(folder)
        from nearer.flows.add import add

        beir = write_beir(tmp_path / "labelled", rows, split_of=lambda query_id: query_id[:-2])
        add(workspace, "beir", beir)
        workspace.close()
        return folder

    return make


ENOUGH = ["a", "b"] * 6
MANY = [f"l{number}" for number in range(12)]


@pytest.mark.parametrize("task", MEASURES)
@pytest.mark.parametrize(
    ("test", "part"),
    [
        (["a", "b"], "too few to measure; at least 6"),
        (["a"] * 12, "have the label 'a'"),
        ([["a", "b"]] * 12, "holds a list"),
        ([None] * 12, "has the field 'kind'"),
    ],
    ids=["two items", "one label", "lists", "no labels"],
)
def test_too_little_is_never_a_number(ask, labelled, task, test, part):
    folder = labelled({"test": test})
    split = ("--split", "test")
    error = ask(folder, "evaluate", "--task", task, "--label", "kind", *split, code=2)["error"]
    assert part in error["message"], error
    assert error["hint"]


@pytest.mark.parametrize(
    ("task", "part"),
    [
        ("dedup", "pairs of one label in test: 0 are too few"),
        ("clustering", "no two of 12 labelled queries of test share a label"),
        ("recommendation", "whose label another document shares: 0 are too few"),
        ("classification", "no label of split 'test' occurs in train"),
    ],
)
def test_labels_with_one_member_leave_nothing_to_compare(ask, labelled, task, part):
    folder = labelled({"train": ["x", "y"], "dev": ENOUGH, "test": MANY})
    error = ask(folder, "evaluate", "--task", task, "--label", "kind", "--split", "test", code=2)["error"]
    assert part in error["message"], error


def test_a_dev_split_that_cannot_choose_the_threshold_is_named(ask, labelled):
    folder = labelled({"dev": ["a", "b"], "test": ENOUGH})
    error = ask(folder, "evaluate", "--task", "dedup", "--label", "kind", "--split", "test", code=2)["error"]
    assert "labelled queries of dev: 2 are too few" in error["message"]
    assert ask(folder, "evaluate", "--task", "clustering", "--label", "kind", "--split", "test")["results"]


def test_unlabelled_items_and_labels_that_train_lacks_are_counted(ask, labelled):
    folder = labelled({"train": ["a", "b", None], "test": [*ENOUGH, "c", None]})
    found = ask(folder, "evaluate", "--task", "classification", "--label", "kind", "--split", "test")
    counts = found["counts"]
    assert (counts["num_items"], counts["num_unlabelled"], counts["num_unseen"]) == (13, 1, 1)
    assert counts["num_train_items"] == 2
    assert "1 items have a label that train lacks" in found["notes"][0]


def test_items_of_one_text_are_one_item(labelled):
    workspace = Workspace.open(labelled({"test": ENOUGH}, text="The SAME text"))
    items = read_items(workspace, "test", "kind")
    assert (len(items.queries), items.num_same_text) == (1, 11)
    workspace.close()


def test_nothing_of_test_stays_in_train(ask, topics, tmp_path):
    workspace = Workspace.open(topics)
    test = read_items(workspace, "test", "label_topic")
    repeated = test.queries[0].text.upper()
    workspace.close()
    row = {"_id": "twin", "text": repeated, "metadata": {"label_topic": "music"}}
    ask(topics, "add", "queries", write_jsonl(tmp_path / "twin.jsonl", [row]))
    with Workspace.open(topics).database.write() as connection:
        from nearer.store.changing import put_split

        put_split(connection, "train", ["twin"])
    workspace = Workspace.open(topics)
    train = read_items(workspace, "train", "label_topic")
    assert twins(train, test) == {"twin"}
    assert twins(test, test) == {query.query_id for query in test.queries}
    counts = evaluate_task(workspace, task="classification", label="label_topic", split="test")["counts"]
    assert (counts["num_train_items"], counts["num_train_excluded"]) == (140, 1)
    workspace.close()


def test_seeds_are_documents_of_the_split_whose_label_is_shared(topics):
    workspace = Workspace.open(topics)
    documents = workspace.collection.documents()
    seeds = read_seeds(workspace, "dev", "topic", documents)
    assert {each.doc_id for each in seeds.documents} == {each.doc_id for each in workspace.collection.judgments("dev")}
    assert [documents[row].doc_id for row in seeds.rows_Q] == [each.doc_id for each in seeds.documents]
    assert seeds.num_seen == len(seeds.documents)  # each document has a training query, too
    workspace.close()


def test_documents_alike_are_found_by_vectors_that_know(topics, monkeypatch):
    workspace = Workspace.open(topics)
    seeds = read_seeds(workspace, "test", "topic", workspace.collection.documents())
    knowing = np.eye(10, dtype=np.float32)[seeds.labels_N]

    monkeypatch.setattr(embedded, "embed_passages", lambda *_: (knowing, 0))
    found = evaluate_task(workspace, task="recommendation", label="topic", split="test", progress=Silent())
    metrics = found["results"][0]["metrics"]
    assert [each["value"] for each in metrics.values()] == pytest.approx([1, 1])  # 7 others of each topic
    assert found["chance"]["Recall@10"] < 0.3
    workspace.close()


@pytest.mark.parametrize("task", ["dedup", "clustering", "classification"])
def test_vectors_that_know_the_label_are_perfect_and_random_ones_far_from_it(topics, monkeypatch, task):
    names = sorted({str(rows["label_topic"]) for rows in metadata_of(topics)})

    def vectors(_, __, queries, ___):
        return np.eye(10, dtype=np.float32)[[names.index(query.metadata["label_topic"]) for query in queries]]

    monkeypatch.setattr(flow, "embed_queries", vectors)
    workspace = Workspace.open(topics)
    found = evaluate_task(workspace, task=task, label="label_topic", split="test")
    for metric, interval in found["results"][0]["metrics"].items():
        if metric not in ("V-measure", "Purity"):  # k-means from a few seeds may part one label and join two
            assert interval == pytest.approx({"value": 1, "low": 1, "high": 1})
        assert interval["low"] > found["chance"][metric] + 0.1
    workspace.close()


def test_documents_that_go_while_they_are_measured_end_it(topics, ask, monkeypatch):
    arguments = ("--task", "recommendation", "--label", "topic")

    def late(workspace):
        remove(workspace, ["d079"])
        return read_documents(workspace)

    monkeypatch.setattr(embedded, "read_documents", late)
    error = ask(topics, "evaluate", "base", *arguments, code=2)["error"]
    assert (error["code"], error["hint"]) == ("conflict", "repeat the command")
    monkeypatch.undo()
    ask(topics, "evaluate", "base", *arguments)


def metadata_of(folder):
    workspace = Workspace.open(folder)
    found = [query.metadata for query in workspace.collection.queries()]
    workspace.close()
    return found


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_after_the_look_it_is_counted_and_the_command_can_be_repeated(topics):
    arguments = ("evaluate", "--task", "classification", *TOPIC, "--split", "test", "--json", "--dir", topics)
    assert Running(*arguments, die_at="registry.use_test_split").wait().was_killed
    again = Running(*arguments).wait()
    assert again.code == 0
    assert again.json["ledger"]["num_test_uses"] == 3  # the promotion's, the killed one's, and this
    workspace = Workspace.open(topics)
    assert len(workspace.results.evaluations()) == 0
    workspace.close()
