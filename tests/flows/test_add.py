"""Imports through the command line: all or nothing, every fault told, and the same again changes nothing."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from folders import small_rows, write_beir, write_jsonl
from nearer.evaluation.grades import scale_of
from nearer.store.workspace import Workspace

EMPTY = {"documents": 0, "queries": 0, "judgments": 0, "pairs": 0}


@pytest.fixture
def folder(new_workspace) -> Path:
    return new_workspace()


@pytest.fixture
def small(tmp_path, words) -> Path:
    """A BEIR folder of one's own: 12 documents and queries, all in test."""
    return write_beir(tmp_path / "set", small_rows(words), split_of=lambda _: "test")


def counts(folder):
    workspace = Workspace.open(folder)
    try:
        return workspace.collection.counts()
    finally:
        workspace.close()


def append(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
    return len(path.read_text(encoding="utf-8").splitlines())


# All or nothing


def test_a_fault_in_the_last_file_leaves_nothing_of_the_first(ask, folder, small):
    number = append(small / "qrels" / "test.tsv", "q001\td002\tmany\n")
    error = ask(folder, "add", "beir", small, code=2)["error"]
    assert error["code"] == "import_faults"
    assert f"{small / 'qrels' / 'test.tsv'}:{number}:" in error["message"]
    assert "--skip-bad" in error["hint"]
    assert counts(folder) == EMPTY


def test_every_fault_is_listed(ask, folder, small):
    append(small / "corpus.jsonl", '{"_id": "d900"}\n{"_id": "d901", "text": ""}\n')
    append(small / "queries.jsonl", "nonsense\n")
    append(small / "qrels" / "test.tsv", "q001\td777\t1\nq777\td001\t1\n")
    message = ask(folder, "add", "beir", small, code=2)["error"]["message"]
    assert message.startswith("5 faults found, nothing was imported")
    for part in ("corpus.jsonl:13", "corpus.jsonl:14", "queries.jsonl:13", "unknown document 'd777'", "unknown query"):
        assert part in message
    assert counts(folder) == EMPTY


def test_unknown_ids_are_reported_with_file_and_line(ask, folder, small):
    number = append(small / "qrels" / "test.tsv", "q001\td777\t1\n")
    message = ask(folder, "add", "beir", small, code=2)["error"]["message"]
    assert f"{small / 'qrels' / 'test.tsv'}:{number}: unknown document 'd777'" in message


def test_skip_bad_sets_bad_rows_aside_and_counts_them(ask, nearer, folder, small):
    append(small / "corpus.jsonl", '{"_id": "d900"}\n')
    append(small / "qrels" / "test.tsv", "q001\td777\t1\nq777\td778\t1\n")
    added = ask(folder, "add", "beir", small, "--skip-bad")
    assert added["changes"]["documents"]["num_added"] == 12
    assert [fault["line"] for fault in added["faults"][:1]] == [13]
    rows = {(fault["file"], fault["line"]) for fault in added["faults"]}
    assert len(rows) == 3
    assert added["num_skipped"] == 3
    assert added["counts"]["judgments"] == added["changes"]["judgments"]["num_added"]
    assert "set aside" in nearer("add", "beir", small, "--skip-bad", "--dir", folder).out


def test_skip_bad_does_not_skip_a_whole_file(ask, folder, small):
    (small / "queries.jsonl").write_text("")
    assert ask(folder, "add", "beir", small, "--skip-bad", code=2)["error"]["code"] == "import_faults"
    assert counts(folder) == EMPTY


def test_of_very_many_faults_the_first_are_listed_and_all_are_counted(ask, folder, tmp_path):
    rows = [{"_id": "same", "text": "x"}] * 1501 + [{"_id": f"d{n}", "text": ""} for n in range(700)]
    path = write_jsonl(tmp_path / "many.jsonl", rows)
    error = ask(folder, "add", "corpus", path, code=2)["error"]
    assert error["message"].startswith("2200 faults found, nothing was imported")
    assert "... and 2180 more" in error["message"]
    assert (error["num_faults"], len(error["faults"])) == (2200, 1000)
    blank = "an empty document: title and text are blank"
    assert error["more"] == {"... is already on line ...": 500, blank: 700}
    added = ask(folder, "add", "corpus", path, "--skip-bad")
    assert (added["num_skipped"], added["num_faults"], added["counts"]["documents"]) == (2200, 2200, 1)


def test_the_columns_of_the_recipe_hold_for_imports(ask, nearer, folder, tmp_path):
    (tmp_path / "shop.csv").write_text("sku,name,price\ns1,Kettle,12.5\n")
    hint = ask(folder, "add", "corpus", tmp_path / "shop.csv", code=2)["error"]["faults"][0]["remedy"]
    assert "[columns.documents]" in hint
    mapping = ("--set", "columns.documents.doc_id=sku", "--set", "columns.documents.text=name")
    types = ("--set", 'columns.documents.metadata={price = "number"}')
    reported = nearer("add", "corpus", tmp_path / "shop.csv", *mapping, *types, "--dir", folder)
    assert reported.exit_code == 0, reported.err
    assert "1 rows in" in reported.out
    workspace = Workspace.open(folder)
    [document] = workspace.collection.documents()
    workspace.close()
    assert (document.doc_id, document.text, document.metadata) == ("s1", "Kettle", {"price": 12.5})


def test_a_gzipped_beir_folder_is_the_same_set(ask, folder, small):
    for path in [small / "corpus.jsonl", small / "queries.jsonl", small / "qrels" / "test.tsv"]:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    result = ask(folder, "add", "beir", small)
    assert (result["counts"]["documents"], result["counts"]["queries"], result["splits"]) == (12, 12, {"test": 12})
    (small / "corpus.jsonl").touch()
    assert "both corpus.jsonl and corpus.jsonl.gz" in ask(folder, "add", "beir", small, code=2)["error"]["message"]


# Again, and changed


def test_the_same_import_again_changes_nothing(ask, folder, small):
    first = ask(folder, "add", "beir", small)
    again = ask(folder, "add", "beir", small)
    assert (again["counts"], again["splits"]) == (first["counts"], first["splits"])
    for kind, changes in first["changes"].items():
        assert again["changes"][kind] == {"num_added": 0, "num_updated": 0, "num_unchanged": changes["num_added"]}


def test_changed_rows_replace_the_old_ones(ask, folder, small, tmp_path):
    append(folder / "nearer.toml", "\n[grades]\nmax_grade = 4\n")
    ask(folder, "add", "beir", small)
    rows = [{"doc_id": "d001", "text": "new"}, {"doc_id": "d002", "text": "newer", "title": "A title"}]
    changed = ask(folder, "add", "corpus", write_jsonl(tmp_path / "c.jsonl", rows))
    assert changed["changes"] == {"documents": {"num_added": 0, "num_updated": 2, "num_unchanged": 0}}
    graded = ask(folder, "add", "judgments", write_jsonl(tmp_path / "j.jsonl", [judgment("q001", "d001", 0)]))
    assert graded["changes"] == {"judgments": {"num_added": 0, "num_updated": 1, "num_unchanged": 0}}
    assert graded["splits"] == {"test": 12}


def judgment(query_id, doc_id, grade):
    return {"query_id": query_id, "doc_id": doc_id, "grade": grade}


@pytest.mark.parametrize(
    ("largest", "scale"), [(1, (1, 1, 1)), (2, (2, 1, 2)), (3, (3, 2, 3)), (4, (4, 2, 3))], ids=lambda v: str(v)
)
def test_the_grade_scale_follows_the_largest_grade(ask, folder, small, tmp_path, largest, scale):
    ask(folder, "add", "corpus", small / "corpus.jsonl")
    ask(folder, "add", "queries", small / "queries.jsonl")
    rows = [judgment("q001", "d001", largest), judgment("q001", "d002", 0)]
    ask(folder, "add", "judgments", write_jsonl(tmp_path / "j.jsonl", rows))
    workspace = Workspace.open(folder)
    found = scale_of(workspace)
    workspace.close()
    assert (found.max_grade, found.relevant_from, found.positive_from) == scale


def test_larger_grades_do_not_silently_change_what_the_earlier_ones_mean(ask, folder, small, tmp_path):
    ask(folder, "add", "beir", small)
    graded = write_jsonl(tmp_path / "j.jsonl", [judgment("q001", "d001", 4)])
    error = ask(folder, "add", "judgments", graded, code=2)["error"]
    assert "[grades]" in error["hint"]
    said = ("--set", "grades.max_grade=4", "--set", "grades.relevant_from=1", "--set", "grades.positive_from=1")
    assert ask(folder, "add", "judgments", graded, *said)["changes"]["judgments"]["num_updated"] == 1


def test_a_recipe_fixes_the_scale(ask, folder, small):
    settings = ("--set", "grades.max_grade=3", "--set", "grades.relevant_from=3")
    error = ask(folder, "add", "beir", small, *settings, "--set", "grades.positive_from=2", code=2)["error"]
    assert "[grades]" in error["message"]
    assert counts(folder) == EMPTY
    append(small / "qrels" / "test.tsv", "q001\td001\t4\n")
    message = ask(folder, "add", "beir", small, *settings, code=2)["error"]["message"]
    assert "4" in message


# What has one meaning


def test_of_a_pair_judged_twice_the_higher_grade_counts_and_both_are_reported(ask, nearer, folder, small, tmp_path):
    rows = [("q000", "d001", 1), ("q000", "d001", 3), ("q000", "d002", 2), ("q000", "d001", 2), ("q000", "d002", 2)]
    path = tmp_path / "twice.qrels"
    path.write_text("".join(f"{query} 0 {document} {grade}\n" for query, document, grade in rows))
    append(folder / "nearer.toml", "\n[grades]\nmax_grade = 4\n")
    ask(folder, "add", "beir", small)
    found = ask(folder, "add", "judgments", path)
    with Workspace.open(folder) as workspace:
        grades = {each.doc_id: each.grade for each in workspace.collection.judgments() if each.query_id == "q000"}
    assert (grades["d001"], grades["d002"]) == (3, 2)
    assert found["notes"] == [
        "twice.qrels: pairs judged twice, of which the higher grade counts: 2",
        "twice.qrels: line 2: 'q000' + 'd001' is judged 3 here and 1 before: 3 counts",
        "twice.qrels: line 4: 'q000' + 'd001' is judged 2 here and 3 before: 3 counts",
        "twice.qrels: pairs judged twice with one grade, taken once: 1",
    ]
    assert "note: twice.qrels: line 4" in nearer("add", "judgments", path, "--dir", folder).out
    lower = tmp_path / "lower.qrels"
    lower.write_text("q000 0 d001 1\n")
    assert ask(folder, "add", "judgments", lower)["changes"]["judgments"]["num_updated"] == 1


def test_a_pair_judged_twice_far_apart(ask, folder, small, tmp_path):
    append(folder / "nearer.toml", "\n[grades]\nmax_grade = 4\n")
    ask(folder, "add", "beir", small)
    rows = [(f"q{query:03}", f"d{document:03}") for query in range(10) for document in range(4)]
    lines = [f"{query} 0 {document} 2\n" for query, document in rows] * 20  # more than a batch
    path = tmp_path / "many.qrels"
    path.write_text("".join(lines) + "q000 0 d000 1\nq001 0 d000 3\n")
    found = ask(folder, "add", "judgments", path)
    with Workspace.open(folder) as workspace:
        grades = {(each.query_id, each.doc_id): each.grade for each in workspace.collection.judgments()}
    assert (grades["q000", "d000"], grades["q001", "d000"]) == (2, 3)
    assert "pairs judged twice, of which the higher grade counts: 2" in found["notes"][1]


def test_an_encoding_and_made_ids_on_the_command_line(ask, folder, tmp_path):
    path = tmp_path / "faq.csv"
    path.write_bytes("title;text\nRückerstattung?;fünf Tage\n".encode("cp1252"))
    error = ask(folder, "add", "corpus", path, "--make-ids", code=2)["error"]
    assert "--encoding cp1252" in error["faults"][0]["remedy"]
    found = ask(folder, "add", "corpus", path, "--make-ids", "--encoding", "Windows-1252")
    assert [note.partition(": ")[2] for note in found["notes"]] == [
        "separated by semicolons, not commas",
        "read as cp1252, as --encoding says",
    ]
    again = ask(folder, "add", "corpus", path, "--make-ids", "--encoding", "cp1252")
    assert again["changes"]["documents"] == {"num_added": 0, "num_updated": 0, "num_unchanged": 1}
    assert "--encoding" in ask(folder, "add", "corpus", path, "--encoding", "klingon", code=2)["error"]["hint"]
    assert "no ids" in ask(folder, "add", "judgments", path, "--make-ids", code=2)["error"]["message"]


# Hostile files


HOSTILE = {
    "a gzip file": b"\x1f\x8b\x08\x00\x00\x00",
    "a cut UTF-16": '{"_id": "a", "text": "b"}\n'.encode("utf-16")[:-1],
    "not UTF-8": b'{"_id": "a", "text": "\xff\xfe"}\n',
    "a JSON array that is cut off": b'[{"_id": "a", "text": "b"}\n',
    "CSV": b"id,text\na,b\n",
    "nothing": b"",
    "blank lines": b"\n\n\n",
    "a lone surrogate": b'{"_id": "a", "text": "\\ud800"}\n',
    "a NUL": b'{"_id": "a", "text": "\\u0000b"}\n',
    "deep nesting": b'{"_id": "a", "text": "b", "metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}\n",
    "NaN": b'{"_id": "a", "text": "b", "metadata": {"x": NaN}}\n',
    "a fraction as id": b'{"_id": 1.5, "text": "b"}\n',
    "the same id twice": b'{"_id": "a", "text": "b"}\n{"_id": "a", "text": "c"}\n',
    "a huge integer": b'{"_id": "a", "text": "b", "metadata": {"n": ' + b"9" * 6000 + b"}}\n",
    "a cut line": b'{"_id": "a", "text": "b"}\n{"_id": "c", "te',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("kind", ["corpus", "queries", "judgments", "pairs"])
def test_a_hostile_file_is_refused_in_one_json_object(ask, folder, tmp_path, kind, content):
    path = tmp_path / "hostile.jsonl"
    path.write_bytes(content)
    error = ask(folder, "add", kind, path, code=2)["error"]
    assert error.keys() == {"code", "message", "hint", "faults", "num_faults", "more"}
    assert "hostile.jsonl" in error["message"]
    assert all(fault["file"] == str(path) and fault["reason"] and fault["remedy"] for fault in error["faults"])
    assert counts(folder) == EMPTY


def test_integers_beyond_64_bits_and_odd_ids_survive(ask, folder, tmp_path):
    row = {"_id": " ü 'x\" ", "text": "a\u2028b", "metadata": {"n": 10**30}}
    path = write_jsonl(tmp_path / "odd.jsonl", [row])
    assert ask(folder, "add", "corpus", path)["counts"]["documents"] == 1
    assert ask(folder, "add", "corpus", path)["changes"]["documents"]["num_unchanged"] == 1


def test_paths_that_are_no_file_are_refused(ask, folder, tmp_path):
    for kind in ("corpus", "queries", "judgments", "pairs", "beir"):
        for path in (tmp_path / "absent", tmp_path):
            assert str(path) in ask(folder, "add", kind, path, code=2)["error"]["message"]


def test_a_wrong_kind_lists_the_kinds(ask, folder, tmp_path):
    error = ask(folder, "add", "documents", tmp_path, code=2)["error"]
    assert error["code"] == "bad_input"
    assert all(kind in error["hint"] for kind in ("beir", "corpus", "queries", "judgments", "pairs"))


def test_removing_documents_removes_their_judgments(ask, folder, small):
    before = ask(folder, "add", "beir", small)["counts"]
    after = ask(folder, "remove", "d001", "d001", "d002")
    assert after["num_removed"] == 2
    assert after["counts"]["documents"] == 10
    assert after["counts"]["judgments"] < before["judgments"]


# Splits


def test_a_set_without_dev_can_be_trained_on(ask, folder, beir, tmp_path):
    """BEIR sets often come with train and test only."""
    copy = Path(shutil.copytree(beir, tmp_path / "copy"))
    lines = (copy / "qrels" / "dev.tsv").read_text().splitlines(keepends=True)[1:]
    (copy / "qrels" / "dev.tsv").unlink()
    append(copy / "qrels" / "train.tsv", "".join(lines))
    ask(folder, "add", "beir", copy)
    result = ask(folder, "check")
    assert result["verdict"] == "ok", json.dumps(result["faults"])
    assert result["splits"]["dev"] > 0
    assert result["splits"]["dev"] + result["splits"]["train"] == 160
    assert result["splits"]["test"] == 80
    assert ask(folder, "evaluate")["split"] == "dev"


def test_leaks_are_faults_until_they_are_dropped(ask, folder, small, tmp_path, words):
    append(folder / "nearer.toml", "\n[grades]\nmax_grade = 4\n")
    ask(folder, "add", "beir", small)
    rows = [{"_id": "leak", "text": f"{words[0]}  {words[1].upper()}"}, {"_id": "fine", "text": words[500]}]
    ask(folder, "add", "queries", write_jsonl(tmp_path / "q.jsonl", rows))
    qrels = tmp_path / "more" / "qrels"
    shutil.copytree(small, tmp_path / "more")
    (qrels / "test.tsv").unlink()
    (qrels / "train.tsv").write_text("leak\td001\t1\nfine\td002\t1\n")
    append(tmp_path / "more" / "queries.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    ask(folder, "add", "beir", tmp_path / "more")
    found = ask(folder, "check", code=3)
    assert found["verdict"] == "faults"
    assert found["leaks"] == [{"kind": "near-duplicate query", "query_id": "leak", "leaks_into": "q000"}]
    assert "nearer check --drop-leaks" in found["faults"][0]
    dropped = ask(folder, "check", "--drop-leaks", code=3)
    assert (dropped["num_dropped"], dropped["num_leaks"]) == (1, 0)
    assert dropped["splits"]["leaked"] == 1


@pytest.mark.parametrize(
    ("there", "judged"),
    [("D-1", "d-1"), ("caf\u00e9", "cafe\u0301"), ("7", "7.0"), ("a\u200bb", "ab"), ("x y", "x\u00a0y")],
)
def test_an_unknown_id_that_nearly_is_there_is_named(ask, folder, tmp_path, there, judged):
    ask(folder, "add", "corpus", write_jsonl(tmp_path / "c.jsonl", [{"_id": there, "text": "rain"}]))
    ask(folder, "add", "queries", write_jsonl(tmp_path / "q.jsonl", [{"_id": "Q", "text": "rain"}]))
    rows = [
        {"query_id": "q", "doc_id": judged, "grade": 1},
        {"query_id": "Q", "doc_id": "other", "grade": 1},
    ]
    error = ask(folder, "add", "judgments", write_jsonl(tmp_path / "j.jsonl", rows), code=2)["error"]
    query, document, other = (fault["remedy"] for fault in error["faults"])
    assert query == "there is 'Q': write both alike, to the letter"
    assert document == f"there is {there!r}: write both alike, to the letter"
    assert other == "add the document first, or remove this row"
