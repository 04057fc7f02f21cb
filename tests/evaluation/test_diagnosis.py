"""Each cause, planted for one query and found; with an encoder whose every vector can be foretold."""

import json
import shutil
from itertools import count

import pytest

import nearer
from bag_of_words import bag_of_words, word
from folders import write_beir, write_jsonl
from nearer.core.errors import InputError, NotFound, RecipeError
from nearer.core.recipe import Recipe
from nearer.evaluation.diagnosis import NUM_EXAMPLES
from nearer.flows.add import add
from nearer.flows.diagnose import diagnose
from nearer.measure.diagnosis import BY_RANK, CAUSES
from nearer.store.workspace import Workspace

LIMITS = {"depth": 20, "rerank": {"depth": 5}}
PLANTED = {
    "absent": "absent",
    "copy": "doubtful_label",
    "paraphrase": "doubtful_label",
    "unread end": "truncated",
    "newest": "structure",
    "current": "structure",
    "version": "structure",
    "number": "exact_identifier",
    "buried": "chunking",
    "second": "order",
    "copy of another number": "order",
    "judged copy": "order",
    "deep": "depth",
    "lost": "recall",
}


class Plot:
    """Rows to import, planted failure by failure; each has words of its own."""

    def __init__(self):
        self.rows = {"corpus": [], "queries": [], "judgments": []}
        self._numbers, self._ids = count(), count()

    def words(self, number):
        return [word(next(self._numbers)) for _ in range(number)]

    def document(self, text, doc_id=None, **metadata):
        doc_id = doc_id or f"d{next(self._ids):04}"
        self.rows["corpus"].append({"_id": doc_id, "text": text, "metadata": {"status": "current", **metadata}})
        return doc_id

    def query(self, query_id, text, grades, **metadata):
        self.rows["queries"].append({"_id": query_id, "text": text, "metadata": metadata})
        self.rows["judgments"] += [
            {"query_id": query_id, "doc_id": doc_id, "grade": grade} for doc_id, grade in grades.items()
        ]

    def write(self, folder):
        return write_beir(folder, self.rows, split_of=lambda query_id: query_id.partition(" ")[0])


def plant_training(plot):
    """Training says: what is relevant is current, and of the year that the query asks for."""
    for number in range(30):
        text, year = " ".join(plot.words(3)), 2000 + number % 20
        plot.query(f"train {number}", text, {plot.document(f"{text} more", year=year): 1}, year=year)
    for _ in range(90):
        plot.document(" ".join(plot.words(3)), status="old")


def plant_data_faults(plot):
    one, two, three = plot.words(3)
    plot.query("dev absent", one, {plot.document(f"{two} {three}"): 0})

    one, two, three = plot.words(3)
    plot.query("dev own text", f"{one} {two}", {plot.document(f"{one} {two}"): 1})  # found: no failure
    plot.document(f"{one} {two} {three}")

    one, two, three, four = plot.words(4)
    text = f"{one} {two} {three} {four}"
    plot.query("dev copy", f"{one} {two}", {plot.document(text, "copy a"): 1})
    plot.document(text, "copy b")

    one, two, three, four = plot.words(4)
    plot.query("dev paraphrase", f"{one} {two}", {plot.document(f"x{one} x{two} x{three}", "para a"): 1})
    plot.document(f"{one} {two} {three}", "para b")

    # The same pair of copies, one judged: then the label is not doubtful, but the order is wrong
    one, two, three, four = plot.words(4)
    text = f"{one} {two} {three} {four}"
    plot.query("dev judged copy", f"{one} {two}", {plot.document(text, "said a"): 1, plot.document(text, "said b"): 0})

    # Copies but for a number that the query names
    body = " ".join(plot.words(12))
    plot.query("dev copy of another number", f"{body} of e5001", {plot.document(f"{body} e5001", "num a"): 1})
    plot.document(f"{body} e5002", "num b")


def plant_remedies(plot):
    one, two, three = plot.words(3)
    plot.query("dev unread end", f"{one} {two}", {plot.document(f"{' '.join(plot.words(16))} {one} {two}"): 1})
    plot.document(f"{one} {three}")

    one, two, three, four = plot.words(4)
    plot.query("dev newest", f"{one} {two}", {plot.document(f"{one} {two} {three} {four}", year=2010): 1}, year=2010)
    for year in (2008, 2009, 2011):
        plot.document(f"{one} {two} {three}", year=year)

    one, two, three, four = plot.words(4)
    plot.query("dev current", f"{one} {two}", {plot.document(f"{one} {two} {three} {four}"): 1})
    plot.document(f"{one} {two} {three}", status="old")

    one, two, three, four = plot.words(4)
    text = f"{one} {two} {three} {four}"
    plot.query("dev version", f"{one} {two}", {plot.document(text, "version a", year=2010): 1}, year=2010)
    plot.document(text, "version b", year=2011)

    one, two, three, four = plot.words(4)
    plot.query("dev number", f"{one} {two} e4042", {plot.document(f"{one} {three} {four} e4042"): 1})
    for _ in range(12):
        plot.document(f"{one} {two}")

    one, two, three, four = plot.words(4)
    long = ". ".join([" ".join(plot.words(10)), f"{one} {two} {three}"])
    plot.query("dev buried", f"{one} {two} {three}", {plot.document(long): 1})
    plot.document(f"{one} {two} {four}")


def plant_ranks(plot):
    for name, num_above in (("second", 1), ("deep", 14), ("lost", 30)):
        one, two, three, four = plot.words(4)
        plot.query(f"dev {name}", f"{one} {two}", {plot.document(f"{one} {three} {four}"): 1})
        for _ in range(num_above):
            plot.document(f"{one} {two} {plot.words(1)[0]}")
    one, two = plot.words(2)
    plot.query("dev found", f"{one} {two}", {plot.document(f"{one} {two} more"): 1})


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    plot = Plot()
    for plant in (plant_training, plant_data_faults, plant_remedies, plant_ranks):
        plant(plot)
    folder = tmp_path_factory.mktemp("planted")
    recipe = {"search": {**LIMITS, "query_time_fields": ["year"]}, "chunk": {"enabled": False}}
    with_all = Workspace.init(folder / "workspace", recipe=recipe)
    add(with_all, "beir", plot.write(folder / "beir"))
    with_all.close()
    return folder / "workspace"


@pytest.fixture
def system(monkeypatch):
    made = bag_of_words(enabled=False)
    monkeypatch.setattr("nearer.flows.diagnose.open_system", lambda workspace, name: made)
    return made


@pytest.fixture
def found(planted, tmp_path, system):
    """``found("search.depth=9")``: the diagnosis of dev in a copy, with settings."""
    opened = []

    def call(*overrides, added=(), **options):
        folder = tmp_path / f"copy-{len(opened)}"
        shutil.copytree(planted, folder)
        opened.append(Workspace.open(folder, overrides=overrides))
        if added:
            add(opened[-1], "corpus", write_jsonl(tmp_path / "added.jsonl", added))
        return diagnose(opened[-1], "base", **options)

    yield call
    for workspace in opened:
        workspace.close()


@pytest.fixture(scope="module")
def result(planted):
    """The diagnosis of dev, for tests that only look at it."""
    workspace = Workspace.open(shutil.copytree(planted, planted.parent / "read"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nearer.evaluation.diagnosis.NUM_EXAMPLES", 9)
        patch.setattr("nearer.flows.diagnose.open_system", lambda workspace, name: bag_of_words(enabled=False))
        found = diagnose(workspace, "base")
    workspace.close()
    return found


def test_every_planted_cause_is_found_for_its_query_and_no_other(result):
    assert result["by_query"] == {f"dev {name}": cause for name, cause in PLANTED.items()}
    assert (result["num_queries"], result["num_failed"]) == (16, 14)


def test_causes_add_up_and_each_has_its_examples(result):
    causes = result["causes"]
    assert [each["cause"] for each in causes] == [cause for cause in CAUSES if cause in set(PLANTED.values())]
    assert sum(each["num_queries"] for each in causes) == result["num_failed"]
    assert sum(each["share"] for each in causes) == pytest.approx(1)
    for each in causes:
        assert each["is_proven"] == (each["cause"] not in BY_RANK)
        assert len(each["examples"]) == each["num_queries"]
        for example in each["examples"]:
            assert result["by_query"][example["query_id"]] == each["cause"]
            assert example["evidence"]
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


def evidence_of(result, query_id):
    [example] = [e for each in result["causes"] for e in each["examples"] if e["query_id"] == query_id]
    return example["evidence"]


def test_the_evidence_says_what_was_seen(result):
    assert evidence_of(result, "dev absent") == "1 documents of the corpus were judged for it, and none is relevant"
    assert "copy b, which nobody judged, has 100% of its text in common with copy a" in evidence_of(result, "dev copy")
    assert "(cosine 1.00) as para a" in evidence_of(result, "dev paraphrase")
    assert "reads the first 16 tokens" in evidence_of(result, "dev unread end")
    newest = evidence_of(result, "dev newest")
    assert "year=query.year (100% of what is relevant in training), and the 3 above it do not" in newest
    assert "status=current" in evidence_of(result, "dev current")
    number = evidence_of(result, "dev number")
    assert "holds e4042; by words it is at rank 1, here at rank 13" in number
    assert "cut into" in evidence_of(result, "dev buried")
    assert evidence_of(result, "dev second").endswith("is at rank 2")
    assert evidence_of(result, "dev deep").endswith("is at rank 15")
    [deep] = [each for each in result["causes"] if each["cause"] == "depth"]
    assert deep["examples"][0]["relevant"]["rank"] == 15
    assert deep["examples"][0]["first"]["doc_id"] != deep["examples"][0]["relevant"]["doc_id"]


def test_where_documents_are_cut_nothing_is_truncated(found, system, monkeypatch):
    cut = bag_of_words(enabled=True, repeat_title=False)
    monkeypatch.setattr("nearer.flows.diagnose.open_system", lambda workspace, name: cut)
    causes = found()["by_query"]
    assert "dev unread end" not in causes
    assert {name: cause for name, cause in causes.items() if cause != "chunking"} == {
        f"dev {name}": cause for name, cause in PLANTED.items() if name not in ("unread end", "buried")
    }


def test_a_field_that_is_not_named_as_known_when_asked_makes_no_rule(found):
    causes = found("search.query_time_fields=[]")["by_query"]
    assert causes["dev newest"] == "order"
    assert causes["dev version"] == "doubtful_label"  # nothing tells the copies apart any more
    assert causes["dev current"] == "structure"


def test_a_field_without_a_rule_is_reported(found):
    result = found('search.query_time_fields=["colour"]')
    assert [note for note in result["notes"] if "no rule of colour" in note]


def test_a_field_whose_values_cannot_be_compared_makes_no_rule_and_is_reported(found, tmp_path):
    late = {"_id": "late", "text": "late", "metadata": {"year": "unknown"}}
    causes = found(added=[late])
    assert causes["by_query"]["dev newest"] == "order"
    assert [note for note in causes["notes"] if "no rule of year: field 'year' cannot filter: document" in note]


def test_rules_come_from_training_alone(found, planted, tmp_path):
    folder = tmp_path / "untrained"
    shutil.copytree(planted, folder)
    with Workspace.open(folder).database.write() as connection:
        connection.exec_driver_sql("UPDATE split_members SET split = 'held out' WHERE split = 'train'")
    workspace = Workspace.open(folder)
    result = diagnose(workspace, "base")
    workspace.close()
    assert "structure" not in result["by_query"].values()
    assert [note for note in result["notes"] if "only 0 training queries" in note]


def test_limits_move_queries_from_one_rank_cause_to_the_next(found):
    result = found("search.rerank.depth=20", "search.depth=40")
    causes = result["by_query"]
    assert (causes["dev deep"], causes["dev lost"]) == ("order", "depth")
    assert max(len(each["examples"]) for each in result["causes"]) == NUM_EXAMPLES


def test_a_stricter_cosine_makes_no_paraphrase_doubtful(found, monkeypatch):
    monkeypatch.setattr("nearer.evaluation.diagnosis.rechunk.Scores.chance", 1.1)
    causes = found()["by_query"]
    assert causes["dev paraphrase"] == "order"
    assert causes["dev copy"] == "doubtful_label"


def test_a_few_texts_are_encoded_for_the_first_time_and_none_for_the_second(planted, tmp_path, system):
    shutil.copytree(planted, tmp_path / "copy")
    workspace = Workspace.open(tmp_path / "copy")
    first = diagnose(workspace, "base")
    num_encoded = system.encoder.num_encoded
    num_texts = len(set(workspace.collection.document_hashes().values()))
    assert num_texts < num_encoded < num_texts + 2 * first["num_failed"]
    assert diagnose(workspace, "base") == first
    assert system.encoder.num_encoded == num_encoded
    workspace.close()


def test_queries_that_nobody_judged_are_left_out_and_counted(planted, tmp_path, system):
    shutil.copytree(planted, tmp_path / "copy")
    workspace = Workspace.open(tmp_path / "copy")
    [recall] = [each for each in diagnose(workspace, "base")["causes"] if each["cause"] == "recall"]
    [example] = recall["examples"]
    nearer.remove(workspace, [example["relevant"]["doc_id"]])
    result = diagnose(workspace, "base")
    workspace.close()
    assert example["query_id"] not in result["by_query"]
    assert [note for note in result["notes"] if note.startswith("1 queries have no judgment")]


# The recipe


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"search": {"query_time_fields": ["label_year"]}}, "derived from the right answer"),
        ({"search": {"rerank": {"depth": "high"}}}, "valid integer"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, section, said):
    with pytest.raises(RecipeError, match=said):
        Workspace.init(tmp_path / "new", recipe=section)
    assert Recipe().search.query_time_fields == ()


# Through the command line, with the tiny model


def test_a_real_system_end_to_end(ask, nearer, base_live):
    result = ask(base_live, "diagnose")
    assert (result["system"], result["split"], result["num_queries"]) == ("live", "dev", 20)
    assert sum(each["num_queries"] for each in result["causes"]) == result["num_failed"] == len(result["by_query"])
    measured = ask(base_live, "evaluate", "live")["results"][0]["metrics"]["Recall@1"]["value"]
    assert result["num_failed"] == 20 - round(20 * measured)  # one document is relevant to each
    assert result["ledger"]["num_test_uses"] is None

    said = nearer("diagnose", "--dir", base_live)
    assert f"live, dev: {result['num_failed']} of 20 queries failed" in said.out
    for each in result["causes"]:
        assert f"{each['cause']}: {each['num_queries']} (" in said.out


def test_a_test_split_is_a_look(ask, base_live):
    before = ask(base_live, "evaluate", "--split", "test")["ledger"]["num_test_uses"]
    assert ask(base_live, "diagnose", "base", "--split", "test")["ledger"]["num_test_uses"] == before + 1


def test_live_fails_where_its_index_is_behind(ask, base_live, beir, monkeypatch):
    before = ask(base_live, "diagnose")["by_query"]
    judged = [line.split("\t") for line in (beir / "qrels/dev.tsv").read_text().splitlines()[1:]]
    rows = {row["_id"]: row for row in map(json.loads, (beir / "corpus.jsonl").read_text().splitlines())}
    queries = {row["_id"]: row for row in map(json.loads, (beir / "queries.jsonl").read_text().splitlines())}
    fine = next((query_id, doc_id) for query_id, doc_id, _ in judged if query_id not in before)
    failed = next((query_id, doc_id) for query_id, doc_id, _ in judged if query_id in before)
    new = [{**rows[doc_id], "text": f"{rows[doc_id]['text']} more"} for _, doc_id in (fine, failed)]
    late = next(query_id for query_id, doc_id, _ in judged if query_id not in before and doc_id != fine[1])
    new.append({"_id": "late", "text": f"{queries[late]['text']}, answered"})
    ask(base_live, "add", "corpus", write_jsonl(base_live.parent / "edits.jsonl", new))
    ask(
        base_live,
        "add",
        "judgments",
        write_jsonl(base_live.parent / "late.jsonl", [{"query_id": late, "doc_id": "late", "grade": 1}]),
    )

    monkeypatch.setattr("nearer.evaluation.diagnosis.NUM_EXAMPLES", 20)
    result = ask(base_live, "diagnose")
    assert {result["by_query"][query_id] for query_id, _ in (fine, failed)} == {"stale_index"}
    assert result["by_query"][late] == "stale_index"
    said = {each["query_id"]: each["evidence"] for each in result["causes"][0]["examples"]}
    assert f"holds {fine[1]} as it was before an edit, which as it is now would be at rank 1" in said[fine[0]]
    assert "does not hold late" in said[late]
    assert "stale_index" not in ask(base_live, "diagnose", "base")["by_query"].values()

    ask(base_live, "index")
    assert "stale_index" not in ask(base_live, "diagnose")["by_query"].values()


def test_without_a_release_the_base_is_diagnosed(ask, new_workspace, beir):
    folder = new_workspace()
    assert ask(folder, "diagnose", code=2)["error"]["code"] == "bad_input"
    ask(folder, "add", "beir", beir)
    assert ask(folder, "diagnose")["system"] == "base"


def test_one_query_is_enough(ask, new_workspace, words, tmp_path):
    rows = {
        "corpus": [{"_id": f"d{n}", "text": words[n]} for n in range(5)],
        "queries": [{"_id": "q", "text": words[9]}],
        "judgments": [{"query_id": "q", "doc_id": "d0", "grade": 1}],
    }
    folder = new_workspace()
    ask(folder, "add", "beir", write_beir(tmp_path / "one", rows, split_of=lambda _: "dev"))
    result = ask(folder, "diagnose")
    assert result["num_queries"] == 1
    assert result["num_failed"] == sum(each["num_queries"] for each in result["causes"]) <= 1


def test_what_cannot_be_diagnosed_is_reported(ask, base_live, tmp_path):
    unknown_split = ask(base_live, "diagnose", "--split", "holdout", code=2)["error"]
    assert "split 'holdout' has no query" in unknown_split["message"]
    assert "dev (20)" in unknown_split["message"]
    assert ask(base_live, "diagnose", "model-none", code=2)["error"]["code"] == "not_found"
    assert "is a ranking, not a model" in ask(base_live, "diagnose", "run:x", code=2)["error"]["message"]


def test_a_live_index_that_is_gone_is_reported(ask, base_live):
    shutil.rmtree(base_live / ".nearer/indexes")
    error = ask(base_live, "diagnose", code=2)["error"]
    assert "nearer index" in error["hint"]


def test_from_python(base_live):
    workspace = nearer.Workspace.open(base_live)
    with pytest.raises(NotFound):
        nearer.diagnose(workspace, "model-none")
    with pytest.raises(InputError):
        nearer.diagnose(workspace, split="none")
    assert nearer.diagnose(workspace)["system"] == "live"
    assert workspace.results.evaluations() == []
    workspace.close()
