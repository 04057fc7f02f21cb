"""An index of either kind follows the documents, tells its faults, and survives being killed at every durable step."""

import pytest

import nearer as package
from folders import write_jsonl
from nearer.retrieval import lance_writer
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace
from processes import run

KINDS = {
    "exact": 'kind = "exact"',
    "lancedb": 'kind = "lancedb"',
    "lancedb with a vector index": "exact_up_to = 20",
}
LANCEDB = 'kind = "lancedb"'


def configure(folder, *lines):
    """Write the index section of the recipe anew."""
    path = folder / "nearer.toml"
    content = path.read_text().partition("\n[index]")[0]
    path.write_text("\n".join([content, "[index]", *lines, ""]))


@pytest.fixture(params=KINDS)
def live(request, base_live, ask):
    """A workspace with the base live over an index of each kind."""
    configure(base_live, KINDS[request.param])
    ask(base_live, "index")
    return base_live


def put(ask, folder, *rows):
    ask(folder, "add", "corpus", write_jsonl(folder.parent / "rows.jsonl", list(rows)))


def found(ask, folder, text, *options):
    return [each["doc_id"] for each in ask(folder, "search", text, *options)["results"]]


def build(ask, folder):
    [built] = ask(folder, "index")["indexes"]
    return built


def watch_reading(monkeypatch):
    """The ids of the documents that are read in whole from now on."""
    read, documents = [], Collection.documents

    def noted(self, doc_ids=None):
        read.extend(["all"] if doc_ids is None else doc_ids)
        return documents(self, doc_ids)

    monkeypatch.setattr(Collection, "documents", noted)
    return read


def test_the_kinds_agree(base_live, ask, words):
    answers = []
    for line in KINDS.values():
        configure(base_live, line)
        built = build(ask, base_live)
        assert built["num_encoded"] == 0, "vectors come from the cache"
        assert built["index"]["kind"] == ("exact" if "exact" in line and "up_to" not in line else "lancedb")
        assert ask(base_live, "index", "--verify")["verdict"] == "ok"
        answers.append([found(ask, base_live, f"{word} music", "-k", 5) for word in words[:8]])
    assert answers[0] == answers[1] == answers[2]


def test_only_what_changed_is_read_and_encoded(live, ask, words, monkeypatch):
    put(ask, live, {"_id": "d007", "text": " ".join(words[-9:])}, {"_id": "new", "text": " ".join(words[-20:-10])})
    ask(live, "remove", "d011")
    read = watch_reading(monkeypatch)
    built = build(ask, live)
    assert sorted(read) == ["d007", "new"]
    assert (built["num_documents"], built["num_encoded"]) == (80, 2)
    assert found(ask, live, " ".join(words[-20:-10]), "-k", 1) == ["new"]
    assert "d011" not in found(ask, live, "music", "-k", 100)
    assert ask(live, "index", "--verify")["verdict"] == "ok"
    read.clear()
    assert build(ask, live)["num_encoded"] == 0
    assert read == []


@pytest.mark.exhaustive
def test_a_fresh_index_answers_without_reading_the_hashes_of_all_documents(live, ask, monkeypatch):
    monkeypatch.setattr(Collection, "document_hashes", None)
    monkeypatch.setattr(Collection, "document_metadata", None)
    answer = ask(live, "search", "music", "-k", 3)
    assert answer["stale"] == []
    assert len(answer["results"]) == 3


def test_documents_that_were_removed_since_are_left_out_and_others_take_their_place(live, ask):
    first = found(ask, live, "music", "-k", 80)
    ask(live, "remove", *first[:30])
    answer = ask(live, "search", "music", "-k", 10)
    assert [each["doc_id"] for each in answer["results"]] == first[30:40]
    assert answer["stale"] == ["30 documents in the index but removed"]
    assert found(ask, live, "music", "-k", 1000) == first[30:]


def test_an_index_without_documents_answers_nothing(live, ask, words):
    ask(live, "remove", *(f"d{number:03}" for number in range(80)))
    built = build(ask, live)
    assert (built["num_documents"], built["num_passages"]) == (0, 0)
    assert found(ask, live, "music") == []
    assert ask(live, "index", "--verify")["verdict"] == "ok"
    put(ask, live, {"_id": "new", "text": " ".join(words[-20:-10])})
    assert build(ask, live)["num_documents"] == 1
    assert found(ask, live, "music") == ["new"]


# Filters and words


@pytest.fixture
def dated(base_live, ask, words):
    rows = [
        {"_id": f"y{n:02}", "text": " ".join(words[3 * n : 3 * n + 3]), "metadata": {"year": 2000 + n, "lang": "en"}}
        for n in range(20)
    ]
    rows[3]["metadata"]["lang"] = "x' OR 1=1 --"
    put(ask, base_live, *rows)
    configure(base_live, 'filter_fields = ["year", "lang"]')
    return base_live


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["exact", "lancedb with a vector index"])
def test_filters_are_used_once_the_recipe_names_their_fields(dated, ask, kind):
    configure(dated, KINDS[kind])
    build(ask, dated)
    configure(dated, KINDS[kind], 'filter_fields = ["year", "lang"]')
    error = ask(dated, "search", "music", "--where", "year>=2015", code=2)["error"]
    assert "index.filter_fields" in error["hint"]
    faults = ask(dated, "index", "--verify", code=3)["faults"]["live"]
    assert any(fault.startswith("filter fields {}, now {'year': 'integer'") for fault in faults)
    build(ask, dated)
    late = {f"y{n}" for n in range(15, 20)}
    assert set(found(ask, dated, "music", "--where", "year>=2015")) == late
    both = found(ask, dated, "music", "--where", "year>=2015", "--where", "lang!=en")
    assert both == []
    assert found(ask, dated, "music", "--where", "lang=x' OR 1=1 --") == ["y03"]
    assert found(ask, dated, "music", "--where", "lang=nothing' OR 1=1 --") == []
    workspace = Workspace.open(dated)
    where = {"type": "or", "filters": [{"type": "in", "key": "year", "value": [2001, 2002]}]}
    answer = package.search(workspace, "music", where=where)
    assert {each["doc_id"] for each in answer["results"]} == {"y01", "y02"}
    assert len(package.search(workspace, "music", where="year<2002")["results"]) == 2
    workspace.close()
    assert ask(dated, "index", "--verify")["verdict"] == "ok"


def test_an_edited_field_reaches_the_index_without_encoding(dated, ask, words):
    build(ask, dated)
    put(ask, dated, {"_id": "y01", "text": " ".join(words[3:6]), "metadata": {"year": 2030, "lang": "en"}})
    assert ask(dated, "search", "music")["stale"] == ["1 documents indexed as they were before an edit"]
    built = build(ask, dated)
    assert built["num_encoded"] == 0
    assert found(ask, dated, "music", "--where", "year>2020") == ["y01"]
    put(ask, dated, {"_id": "y01", "text": " ".join(words[3:6]), "metadata": {"year": 2030.5, "lang": "en"}})
    build(ask, dated)  # the field is no longer an integer: built anew
    assert found(ask, dated, "music", "--where", "year>2030.2") == ["y01"]
    assert ask(dated, "index", "--verify")["verdict"] == "ok"


@pytest.mark.parametrize("year", ["late", [1, 2]])
def test_a_value_that_does_not_fit_its_filter_field_is_a_fault_of_the_import(dated, ask, year):
    build(ask, dated)
    path = write_jsonl(dated.parent / "rows.jsonl", [{"_id": "bad", "text": "text", "metadata": {"year": year}}])
    error = ask(dated, "add", "corpus", path, code=2)["error"]
    assert "year" in error["faults"][0]["reason"]
    assert ask(dated, "index", "--verify")["verdict"] == "ok"
    assert len(found(ask, dated, "music", "--where", "year>=2015")) == 5, "search goes on with what there is"


def test_a_field_that_no_document_has_is_reported(base_live, ask):
    configure(base_live, 'filter_fields = ["yaer"]')
    assert "no document has the field 'yaer'" in ask(base_live, "index", code=2)["error"]["message"]


@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_words_are_searched_whatever_the_index_is(base_live, ask, nearer, words, kind):
    put(ask, base_live, {"_id": "w", "text": "The zebras were running"})
    configure(base_live, f'kind = "{kind}"')
    build(ask, base_live)
    assert found(ask, base_live, "zebra", "--lexical") == ["w"]
    assert "w" in found(ask, base_live, "did they run?", "--lexical")
    assert found(ask, base_live, 'zebra" OR (', "--lexical") == ["w"]
    assert "w" in nearer("search", "zebra", "--lexical", "--dir", base_live).out


# Faults


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_release_is_refused_while_recall_is_below_the_floor(trained, ask, monkeypatch):
    before = ask(trained, "status")["live"]
    monkeypatch.setattr(lance_writer, "mean_recall", lambda *_: 0.5)
    configure(trained, "exact_up_to = 20")
    refused = ask(trained, "promote", "--set", "gate.min_gain=-1", code=3)
    [reason] = [each for each in refused["reasons"] if "recall@10" in each]
    assert "0.500" in reason
    assert "index.min_recall = 0.98" in reason
    assert ask(trained, "status")["live"] == before
    forced = ask(trained, "promote", "--force", "--reason", "to see")
    assert forced["verdict"] == "promoted"
    error = ask(trained, "rollback", code=2)["error"]
    assert "recall@10" in error["message"]
    assert "nearer index" in error["hint"]
    assert ask(trained, "status")["live"]["release_id"] == forced["release_id"], "the pointer did not move"
    assert "recall@10" in " ".join(ask(trained, "index", "--verify", code=3)["faults"]["live"])
    monkeypatch.undo()
    ask(trained, "index")
    assert ask(trained, "index", "--verify")["verdict"] == "ok"
    assert ask(trained, "rollback")["release_id"] == before["release_id"]


@pytest.mark.exhaustive
def test_a_release_says_which_index_it_was_measured_with(trained, ask):
    configure(trained, "exact_up_to = 20")
    assert ask(trained, "promote", "--set", "gate.min_gain=-1")["verdict"] == "promoted"
    workspace = Workspace.open(trained)

    index = workspace.registry.live().system["index"]
    workspace.close()
    assert index["kind"] == "lancedb"
    assert index["recall"]["value"] >= 0.98
    assert index["recall"]["measured_on"] == "queries"


@pytest.mark.exhaustive
def test_damage_is_reported_and_mended_by_building_anew(base_live, ask):
    configure(base_live, LANCEDB)
    build(ask, base_live)
    before = found(ask, base_live, "music", "-k", 80)
    [data] = base_live.glob(".nearer/indexes/*/*.lance/data/*")
    content = bytearray(data.read_bytes())
    for place in range(200, len(content) - 3000, 1500):
        content[place] ^= 64
    data.write_bytes(content)
    assert ask(base_live, "index", "--verify", code=3)["verdict"] == "faults"
    assert build(ask, base_live)["num_encoded"] == 0
    assert ask(base_live, "index", "--verify")["verdict"] == "ok"
    assert found(ask, base_live, "music", "-k", 80) == before


@pytest.mark.exhaustive
def test_a_recipe_that_chooses_another_kind_is_followed_at_the_next_build(base_live, ask):
    configure(base_live, LANCEDB)
    assert ask(base_live, "index", "--verify", code=3)["faults"]["live"] == ["kind 'exact', now 'lancedb'"]
    assert build(ask, base_live)["index"]["kind"] == "lancedb"
    configure(base_live, "exact_up_to = 81")
    assert build(ask, base_live)["index"]["kind"] == "lancedb", "it is left when it is half as large as the limit"
    configure(base_live, "exact_up_to = 160")
    assert build(ask, base_live)["index"]["kind"] == "exact"


@pytest.mark.exhaustive
def test_an_index_that_outgrows_its_kind_becomes_the_other(base_live, ask, words):
    configure(base_live, "exact_up_to = 80")
    assert build(ask, base_live)["index"]["kind"] == "exact"
    put(ask, base_live, {"_id": "new", "text": " ".join(words[-20:-10])})
    built = build(ask, base_live)
    assert (built["index"]["kind"], built["num_encoded"]) == ("lancedb", 1)
    assert found(ask, base_live, " ".join(words[-20:-10]), "-k", 1) == ["new"]


# Killed


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "step"), [("exact", "passages"), ("lancedb", "table"), ("lancedb", "manifest")])
def test_a_killed_update_leaves_the_old_index_or_the_new_one(base_live, ask, words, kind, step):
    """All steps are in tests/retrieval/test_kill.py."""
    configure(base_live, KINDS[kind])
    build(ask, base_live)
    before = found(ask, base_live, "music", "-k", 90)
    put(ask, base_live, {"_id": "d007", "text": " ".join(words[-9:])}, {"_id": "new", "text": " ".join(words[-20:-10])})
    ask(base_live, "remove", "d011")
    assert run("index", "--dir", base_live, die_at=f"index.{step}").was_killed
    after = found(ask, base_live, "music", "-k", 90)
    if step == "manifest":
        assert "new" in after
        assert ask(base_live, "index", "--verify")["verdict"] == "ok"
    else:
        assert after == [doc_id for doc_id in before if doc_id != "d011"]
        assert len(ask(base_live, "index", "--verify", code=3)["faults"]["live"]) == 3
    assert build(ask, base_live)["num_encoded"] == 0, "what was encoded before the end is kept"
    assert ask(base_live, "index", "--verify")["verdict"] == "ok"
    assert found(ask, base_live, " ".join(words[-20:-10]), "-k", 1) == ["new"]


def test_what_the_gate_refuses_leaves_no_index(trained, ask):
    def folders():
        with Workspace.open(trained) as workspace:
            return {path.name for path in workspace.indexes.iterdir() if path.is_dir()}

    before = folders()
    assert ask(trained, "promote", "--set", "gate.min_gain=0.999", code=3)["verdict"] == "refused"
    assert folders() == before
    ask(trained, "promote", "--set", "gate.min_gain=0.999", "--force", "--reason", "to see")
    assert len(folders()) == len(before) + 1
