"""``nearer label``: planned with a price, judged in the terminal, looked at, out to files and in again."""

import json

import pytest

from folders import small_rows, write_jsonl
from nearer.flows.add import add
from nearer.flows.label_terminal import label
from nearer.store.label_records import RATED
from nearer.store.labels import Labels
from nearer.store.workspace import Workspace


@pytest.fixture
def folder(new_workspace, words, tmp_path, store_recipe):
    """Documents, and queries in a file; over each database."""
    folder = new_workspace(grades={"max_grade": 4}, **store_recipe)
    rows = small_rows(words)
    with Workspace.open(folder) as workspace:
        add(workspace, "corpus", write_jsonl(tmp_path / "corpus.jsonl", rows["corpus"]))
    write_jsonl(tmp_path / "queries.jsonl", rows["queries"])
    return folder


def start(ask, folder, tmp_path, *options):
    return ask(folder, "label", "start", tmp_path / "queries.jsonl", "--system", "base", "--system", "bm25", *options)


def test_a_set_is_planned_with_its_price_then_started(ask, folder, tmp_path, nearer):
    options = ("--depth", 3, "--count", 20, "--overlap", 0.2)
    plan = start(ask, folder, tmp_path, *options, "--dry-run")
    assert (plan["num_pairs"], plan["num_overlapping"], plan["num_ratings"]) == (20, 4, 24)
    assert (plan["cost_low_usd"], plan["cost_high_usd"]) == (12.0, 48.0)
    assert plan["set_id"] is None
    assert ask(folder, "label", "status") == {"sets": []}
    started = start(ask, folder, tmp_path, *options)
    assert {**started, "set_id": None, "is_started": False} == plan
    [status] = ask(folder, "label", "status")["sets"]
    assert (status["num_pairs"], status["num_wanted"], status["num_ratings"]) == (20, 24, 0)
    assert all(each["before"] is None for each in status["narrowing"])
    assert start_again(ask, folder, tmp_path) == "conflict"
    assert "USD" in nearer("label", "status", "--dir", folder).out


def start_again(ask, folder, tmp_path):
    return ask(folder, "label", "start", tmp_path / "queries.jsonl", "--system", "bm25", code=2)["error"]["code"]


@pytest.mark.parametrize("strategy", ["random", "depth", "disagreement"])
def test_strategies_choose_from_the_pool(ask, folder, tmp_path, strategy):
    plan = start(ask, folder, tmp_path, "--count", 12, "--strategy", strategy, "--overlap", 0, "--depth", 4)
    assert (plan["num_pairs"], plan["strategy"]) == (12, strategy)
    with Workspace.open(folder) as workspace:
        labels = Labels(workspace.database)
        label_set = labels.get("labels")
        pairs = labels.pairs(label_set.set_id)
        ranks = [
            [list(found[pair.query_id]).index(pair.doc_id) if pair.doc_id in found[pair.query_id] else None
             for found in label_set.rankings.values()]
            for pair in pairs
        ]  # fmt: skip
    if strategy == "depth":
        assert all(0 in each for each in ranks)
    if strategy == "disagreement":
        assert all(len(set(each)) == 2 for each in ranks), "both ranked it elsewhere"


def typed(*answers):
    left = list(answers)

    def ask(_):
        if not left:
            raise EOFError
        return left.pop(0)

    return ask


def test_judging_in_the_terminal(ask, folder, tmp_path):
    start(ask, folder, tmp_path, "--overlap", 0, "--count", 5)
    said = []
    with Workspace.open(folder) as workspace:
        done = label(
            workspace,
            rater="ann",
            ask=typed("?", "3 it says so", "u", "2", "s", "9", "x", "r", "1", "q"),
            say=said.append,
        )
        labels = Labels(workspace.database)
        kept = [each for each in labels.ratings(labels.get("labels").set_id) if each.state == RATED]
        assert [each.grade for each in kept] == [1]
        assert [j.grade for j in workspace.collection.all_judgments()] == [1]
        [ann] = done.sets[0].raters
        assert (ann.num_rated, ann.num_skipped) == (1, 1)
        reported = "\n".join(said)
        for part in ("Query:", "4 Perfect", "Taken back", "'9' is no answer", "'x' is no answer", "rating is gone"):
            assert part in reported
        assert "base" not in reported
        assert "bm25" not in reported
        label(workspace, rater="ann", ask=typed("0", "0", "0", "0", "0"), say=said.append)
        assert "nothing left to judge" in said[-1]
    assert "nobody" not in reported


def test_labels_narrow_the_interval_and_gold_checks_raters(ask, folder, tmp_path, words):
    start(ask, folder, tmp_path, "--depth", 3, "--overlap", 0)
    truth = {(j["query_id"], j["doc_id"]): 4 * j["grade"] for j in small_rows(words)["judgments"]}
    with Workspace.open(folder) as workspace:
        labels = Labels(workspace.database)
        set_id = labels.get("labels").set_id
        while pair := labels.next(set_id, "ann"):
            labels.rate(set_id, pair.pair_id, "ann", grade=truth.get((pair.query_id, pair.doc_id), 0))
    [status] = ask(folder, "label", "status")["sets"]
    by_words = next(each for each in status["narrowing"] if each["system"] == "bm25")
    assert by_words["before"] is None
    assert by_words["num_queries"] == 12
    assert by_words["now"]["low"] <= by_words["now"]["value"] <= by_words["now"]["high"]
    second = start(ask, folder, tmp_path, "--depth", 12, "--count", 10, "--gold", 4, "--name", "second")
    assert (second["num_gold"], second["num_pairs"]) == (4, 10)
    with Workspace.open(folder) as workspace:
        labels = Labels(workspace.database)
        set_id = labels.get("second").set_id
        before = len(workspace.collection.all_judgments())
        while pair := labels.next(set_id, "bob"):
            labels.rate(set_id, pair.pair_id, "bob", grade=min(4, (pair.gold_grade or 0) + 1))
        assert len(workspace.collection.all_judgments()) == before + 10
    reported = next(e for e in ask(folder, "label", "status", "--name", "second")["sets"])
    [bob] = reported["raters"]
    assert (bob["num_rated"], bob["num_gold"]) == (10, 4)
    assert 0 <= bob["gold_bias"] <= 1
    assert reported["narrowing"][0]["before"] is not None


@pytest.mark.parametrize("kind", ["jsonl", "csv", "label-studio", "argilla"])
def test_out_and_in_again_is_exact(ask, folder, tmp_path, kind):
    rated_set(ask, folder, tmp_path)
    file = tmp_path / f"out.{'json' if '-' in kind or kind == 'argilla' else kind}"
    reported = ask(folder, "label", "export", file, "--format", kind)
    assert (reported["num_pairs"], reported["num_rated"], reported["num_ratings"], reported["num_unrated"]) == (
        8,
        3,
        4,
        5,
    )
    before = human(folder)
    again = ask(folder, "label", "import", file, "--name", "again")
    assert {k: again[k] for k in ("num_pairs", "num_ratings", "num_unrated")} == {
        k: reported[k] for k in ("num_pairs", "num_ratings", "num_unrated")
    }
    assert human(folder) == before
    other = tmp_path / f"again.{file.suffix[1:]}"
    ask(folder, "label", "export", other, "--format", kind, "--name", "again")
    without_times = [drop_times(each.read_text(encoding="utf-8-sig")) for each in (file, other)]
    assert without_times[0] == without_times[1]


def drop_times(text):
    import re

    return re.sub(r"2\d{3}-\d\d-\d\dT[^\",]*", "TIME", text)


def human(folder):
    with Workspace.open(folder) as workspace:
        return {(j.query_id, j.doc_id, j.rater): j.grade for j in workspace.collection.all_judgments()}


def rated_set(ask, folder, tmp_path):
    start(ask, folder, tmp_path, "--count", 8, "--overlap", 0, "--cap", 2)
    with Workspace.open(folder) as workspace:
        labels = Labels(workspace.database)
        set_id = labels.get("labels").set_id
        pairs = labels.pairs(set_id)
        labels.rate(set_id, pairs[0].pair_id, "ann", grade=3, reason='=1+1, "so"\nit is')
        labels.rate(set_id, pairs[0].pair_id, "böb", grade=4)
        labels.rate(set_id, pairs[1].pair_id, "ann", grade=0)
        labels.rate(set_id, pairs[2].pair_id, "ann", grade=1)
        labels.skip(set_id, pairs[3].pair_id, "ann")


def test_qrels_keep_ids_and_unrated_pairs(ask, folder, tmp_path):
    rated_set(ask, folder, tmp_path)
    reported = ask(folder, "label", "export", tmp_path / "out.qrels")
    assert reported["format"] == "qrels"
    lines = (tmp_path / "out.qrels").read_text().splitlines()
    assert len(lines) == 8
    grades = [int(line.split()[3]) for line in lines]
    assert sorted(grades) == [-1] * 5 + [0, 1, 4], "half a grade counts as a whole one; -1 is unrated"
    ask(folder, "label", "import", tmp_path / "out.qrels", "--name", "again")
    ask(folder, "label", "export", tmp_path / "again.qrels", "--name", "again")
    assert (tmp_path / "again.qrels").read_text() == (tmp_path / "out.qrels").read_text()
    assert ask(folder, "label", "export", tmp_path / "out.qrels", code=2)["error"]["message"].endswith("there already")


def test_what_other_tools_write_is_read(ask, folder, tmp_path):
    start(ask, folder, tmp_path, "--count", 4)
    data = {"query_id": "q000", "doc_id": "d003", "query": "x", "text": "y"}
    tasks = [
        {
            "id": 7,
            "data": data,
            "annotations": [
                {"completed_by": {"email": "ann@x.org"}, "result": [
                    {"from_name": "r", "to_name": "t", "type": "rating", "value": {"rating": 3}}]},
                {"completed_by": 12, "result": [
                    {"from_name": "g", "to_name": "t", "type": "choices", "value": {"choices": ["1 Related"]}}]},
                {"completed_by": 13, "was_cancelled": True, "result": []},
            ],
        },
        {"id": 8, "data": {**data, "doc_id": "d004"}},
    ]  # fmt: skip
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    reported = ask(folder, "label", "import", tmp_path / "tasks.json", "--name", "tool")
    assert (reported["format"], reported["num_pairs"], reported["num_ratings"], reported["num_unrated"]) == (
        "label-studio",
        2,
        2,
        1,
    )
    assert human(folder) == {("q000", "d003", "ann@x.org"): 3, ("q000", "d003", "user 12"): 1}
    old = [
        {
            "fields": {"query": "x", "text": "y"},
            "metadata": {"query_id": "q001", "doc_id": "d005"},
            "responses": [
                {"user_id": "u1", "values": {"grade": {"value": 2}}, "status": "submitted"},
                {"user_id": "u2", "values": {"grade": {"value": 4}}, "status": "draft"},
            ],
        }
    ]
    (tmp_path / "records.json").write_text(json.dumps(old))
    assert ask(folder, "label", "import", tmp_path / "records.json", "--name", "tool")["num_ratings"] == 1


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('{"query_id": "q000", "doc_id": "d000", "grade": 9}\n', "not from 0 to 4"),
        ('{"query_id": "q000", "doc_id": "d000", "grade": 1.5}\n', "no whole number"),
        ('{"query_id": "q000", "doc_id": "d000", "grade": 1, "stars": 2}\n', "unknown field 'stars'"),
        ('{"query_id": "none", "doc_id": "d000", "grade": 1}\n', "unknown query 'none'"),
        ('{"query_id": "", "doc_id": "d000", "grade": 1}\n', "empty"),
        ("no json\n", "not a file of labels"),
        ("", "holds no pair"),
    ],
)
def test_files_with_faults_change_nothing(ask, folder, tmp_path, content, part):
    start(ask, folder, tmp_path, "--count", 4)
    (tmp_path / "in.jsonl").write_text(content)
    assert part in ask(folder, "label", "import", tmp_path / "in.jsonl", code=2)["error"]["message"]
    assert human(folder) == {}


def test_what_cannot_be_started(ask, folder, tmp_path, new_workspace):
    for options, part in (
        (("--strategy", "best"), "not known"),
        (("--count", 0), "below 1"),
        (("--gold", 3), "0 pairs of the pool are judged"),
        (("--overlap", 2), "overlap a share"),
        (("--guideline", tmp_path / "none.md"), "cannot be read"),
    ):
        error = ask(folder, "label", "start", tmp_path / "queries.jsonl", "--system", "bm25", *options, code=2)["error"]
        assert part in error["message"]
        assert error["hint"]
    assert "has no query" in ask(folder, "label", "start", code=2)["error"]["message"]
