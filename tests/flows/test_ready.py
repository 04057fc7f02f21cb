"""What cannot work is refused before a model is opened; documents alone, and a few judgments, lead somewhere."""

import csv
import io
import json
from pathlib import Path

import pytest

from folders import synthetic_rows, write_jsonl
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder
from nearer.evaluation.splits import FEW_QUERIES
from nearer.store.formats.judge_sheet import SheetRow, is_sheet, query_id_of, read_sheet, sheet_text
from nearer.store.formats.source import Source
from nearer.store.workspace import Workspace


@pytest.fixture
def holding(tmp_path, tiny_recipe, ask):
    """``holding("corpus", "queries", num_documents=12)``: a new workspace with these kinds of rows."""

    def make(*kinds, num_documents=12, queries_each=2, recipe=None):
        folder = tmp_path / "shop"
        kept = {section: values for section, values in tiny_recipe.items() if section != "split"}
        Workspace.init(folder, recipe={**kept, **(recipe or {})}).close()
        rows = synthetic_rows(num_documents=num_documents, queries_each=queries_each)
        for kind in kinds:
            ask(folder, "add", kind, write_jsonl(tmp_path / f"{kind}.jsonl", rows[kind]))
        return folder

    return make


@pytest.fixture
def no_model(monkeypatch):
    """Opening a model fails the test."""

    def opened(*_, **__):
        pytest.fail("a model was opened")

    monkeypatch.setattr(Encoder, "load", opened)
    monkeypatch.setattr(CrossEncoder, "load", opened)


MEASURING = [
    ("evaluate",),
    ("evaluate", "base", "base+hybrid"),
    ("advise",),
    ("diagnose", "base"),
    ("export", "run", "out.run"),
    ("compress", "base"),
    ("train",),
    ("train", "--budget", "5m"),
    ("train", "--reranker"),
    ("train", "--adapter", "query"),
    ("promote", "base+bm25"),
]


@pytest.mark.parametrize("kinds", [(), ("corpus",), ("corpus", "queries")], ids="+".join)
@pytest.mark.parametrize("verb", MEASURING, ids="-".join)
def test_without_judgments_nothing_is_opened(ask, holding, no_model, kinds, verb):
    error = ask(holding(*kinds), *verb, code=2)["error"]
    assert error["message"].startswith("no ")
    assert ("judge-sheet" if "corpus" in kinds else "nearer add corpus FILE") in error["hint"]


@pytest.mark.parametrize("verb", [("evaluate", "--split", "test"), ("diagnose", "base", "--split", "test")], ids=str)
def test_a_split_without_judgments_is_refused_too(ask, holding, no_model, verb):
    error = ask(holding("corpus", "queries", "judgments"), *verb, code=2)["error"]
    assert "split 'test' has no query" in error["message"]


@pytest.mark.parametrize(
    ("values", "told"),
    [([1, "x"], "has integer"), ([{"a": 1}, 2], "plain values"), ([None, None], "no document has")],
)
def test_a_field_that_cannot_filter_is_refused_before_a_model_is_opened(tmp_path, ask, holding, no_model, values, told):
    folder = holding(recipe={"index": {"filter_fields": ["size"]}})
    rows = [{"_id": f"d{at}", "text": "a", "metadata": {"size": value}} for at, value in enumerate(values)]
    ask(folder, "add", "corpus", write_jsonl(tmp_path / "sizes.jsonl", rows))
    error = ask(folder, "promote", "base", code=2)["error"]
    assert told in error["message"] + error["hint"]


@pytest.mark.parametrize(
    ("systems", "told"),
    [
        (("base", "bse"), "perhaps base"),
        (("base", "Bm25"), "perhaps bm25"),
        (("base", "model-0"), "there are: base, live, filter, bm25, rrf"),
        (("base", "base+hybird"), "'hybird' is no stage"),
        (("base", "base+base"), "'base' is no stage"),
        (("base", "live+rerunk"), "'rerunk' is no stage"),
        (("base", "run:away.run"), "no such file"),
    ],
    ids=str,
)
def test_a_misspelt_system_is_refused_before_any_is_opened(ask, holding, no_model, systems, told):
    error = ask(holding("corpus", "queries", "judgments"), "evaluate", *systems, code=2)["error"]
    assert told in json.dumps(error)


def test_documents_alone_go_live_unmeasured_and_all_messages_agree(ask, nearer, holding):
    folder = holding("corpus")
    missing = ask(folder, "search", "music", code=2)["error"]
    assert "nearer promote base" in missing["hint"]
    assert any("judge-sheet" in fault for fault in ask(folder, "check", code=3)["faults"])
    promoted = ask(folder, "promote", "base")
    assert (promoted["verdict"], promoted["evaluation"]) == ("promoted", None)
    assert "unmeasured" in promoted["reasons"][0]
    assert ask(folder, "status")["live"]["is_unmeasured"] is True
    assert ask(folder, "search", "music")["is_unmeasured"] is True
    assert "unmeasured" in nearer("status", "--dir", folder).out
    assert "what is live is unmeasured" in nearer("search", "music", "--dir", folder).out
    assert "the first release, unmeasured" in nearer("history", "--dir", folder).out
    page = Path(ask(folder, "report")["report"]).read_text(encoding="utf-8")
    assert "the first release, unmeasured" in page
    again = ask(folder, "promote", "base", code=2)["error"]
    assert again["message"] == "no judgments, so base cannot be measured"
    assert "judge-sheet" in again["hint"]


def test_another_candidate_is_not_made_live_unmeasured(ask, holding, no_model):
    error = ask(holding("corpus"), "promote", "base+bm25", code=2)["error"]
    assert "base may go live unmeasured: nearer promote base" in error["hint"]


def filled_in(path, *, grade_of, delimiter=",", encoding="utf-8-sig"):
    """A sheet as a spreadsheet saves it, with grades."""
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    for row in rows:
        row["grade"] = grade_of(row)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))
    return rows


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_a_sheet_is_written_filled_in_and_read_back_and_live_is_measured(ask, holding, tmp_path, suffix):
    folder = holding("corpus")
    ask(folder, "promote", "base")
    asked = synthetic_rows(num_documents=12, queries_each=2)["queries"]
    file = tmp_path / f"asked.{suffix}"
    if suffix == "txt":
        file.write_text("\n".join([*(each["text"] for each in asked), "", asked[0]["text"].upper()]) + "\n")
    elif suffix == "csv":
        file.write_text("query_id;text\n".replace(";", ",") + "".join(f"{e['_id']},{e['text']}\n" for e in asked))
    else:
        file.write_text("".join(json.dumps({"query": each["text"]}) + "\n" for each in asked))
    sheet = tmp_path / "sheet.csv"
    written = ask(folder, "judge-sheet", file, "--output", sheet)
    assert (written["num_queries"], written["num_judged"], written["systems"]) == (24, 0, ["live", "bm25"])
    assert "is there already" in ask(folder, "judge-sheet", file, "--output", sheet, code=2)["error"]["message"]
    assert "no grade is filled in" in json.dumps(ask(folder, "add", "judgments", sheet, code=2)["error"])

    def grade_of(row):
        shared = set(row["query"].split()) & set(row["text"].strip(".").split())
        return "1,0" if len(shared) > 2 else "0" if len(shared) == 2 else ""

    rows = filled_in(sheet, grade_of=grade_of, delimiter=";")
    result = ask(folder, "add", "judgments", sheet)
    assert result["changes"]["queries"]["num_added"] <= 24
    assert result["changes"]["judgments"]["num_added"] == sum(row["grade"] != "" for row in rows)
    again = ask(folder, "judge-sheet", file, "--output", tmp_path / "again.csv")
    assert again["num_judged"] == result["counts"]["judgments"]
    measured = ask(folder, "promote", "base")
    assert measured["verdict"] == "promoted"
    assert measured["evaluation"]["split"] == "dev"
    assert ask(folder, "status")["live"]["is_unmeasured"] is False


def test_a_candidate_is_compared_with_a_live_base_that_was_never_measured(ask, holding, tmp_path):
    folder = holding("corpus")
    ask(folder, "promote", "base")
    unmeasured = ask(folder, "status")["live"]
    rows = synthetic_rows(num_documents=12, queries_each=2)
    for kind in ("queries", "judgments"):
        ask(folder, "add", kind, write_jsonl(tmp_path / f"{kind}.jsonl", rows[kind]))
    judged = ask(folder, "promote", "base+bm25", code=None)
    measured = judged["evaluation"]
    assert [each["system"] for each in measured["results"]] == ["live", "base+bm25"]
    assert measured["results"][0]["model_id"] == unmeasured["model_id"]
    assert measured["comparisons"][0]["baseline"] == "live"
    live = ask(folder, "status")["live"]
    if judged["verdict"] == "refused":
        assert live == unmeasured
        forced = ask(folder, "promote", "base+bm25", "--force", "--reason", "to see")
        assert forced["verdict"] == "promoted"
        live = ask(folder, "status")["live"]
    assert (live["is_unmeasured"], live["stages"]) == (False, ["bm25"])
    ask(folder, "rollback")
    back = ask(folder, "status")["live"]
    assert (back["release_id"], back["is_unmeasured"]) == (unmeasured["release_id"], True)


def test_a_sheet_keeps_its_texts_and_tells_what_is_wrong(tmp_path):
    texts = ["=1+1", "+2", "-x", "@y", "'=z", 'a "b", c', "two\nlines", "é中文", "plain"]
    rows = [SheetRow(query_id=f"q{n}", query=text, doc_id="d", title="", text=text) for n, text in enumerate(texts)]
    path = tmp_path / "sheet.csv"
    path.write_bytes(sheet_text(rows).encode("utf-8-sig"))
    assert is_sheet(Source(path))
    assert [row.record[0].text for row in read_sheet(Source(path), max_grade=4)] == texts
    assert "=1+1" not in {cell for cells in csv.reader(io.StringIO(sheet_text(rows))) for cell in cells}
    for grade, reason in (("0.5", "the grade is '0.5'"), ("yes", "'yes'"), ("9", "above 4"), ("-1", "'-1'")):
        path.write_text(sheet_text([SheetRow(query_id="q", query="a", doc_id="d", title="", text="t", grade=grade)]))
        [fault] = read_sheet(Source(path), max_grade=4)
        assert reason in fault.reason
    twice = SheetRow(query_id="q", query="a", doc_id="d", title="", text="t", grade="1")
    path.write_text(sheet_text([twice, twice]))
    assert "is judged for 'q' in line 2 too" in list(read_sheet(Source(path), max_grade=4))[1].reason


@pytest.mark.parametrize(
    ("encoding", "delimiter", "named"), [("cp1252", ";", True), ("utf-16", "\t", False), ("utf-8-sig", ";", False)]
)
def test_a_sheet_may_be_saved_as_spreadsheets_save_it(tmp_path, encoding, delimiter, named):
    query = "Où est né “Molière” ?"
    row = SheetRow(query_id=query_id_of(query), query=query, doc_id="d", title="", text="à Paris", grade="1")
    path = tmp_path / "sheet.csv"
    path.write_bytes(sheet_text([row]).replace(",", delimiter).encode(encoding))
    source = Source(path, encoding=encoding if named else None)
    assert is_sheet(source)
    [read] = read_sheet(source, max_grade=4)
    assert (read.record[0].text, read.record[1].grade) == (query, 1)
    if named:
        [fault] = read_sheet(Source(path), max_grade=4)
        assert "--encoding cp1252" in fault.remedy


def test_a_sheet_may_have_a_separator_line_other_columns_and_another_order(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_bytes(
        b"\xef\xbb\xbfsep=;\r\ngrade;query_id;query;doc_id;title;text;remark;;\r\n"
        b"2,0;q;rain;d;;a, b;sure;;\r\n;q;rain;e;;t;;;\r\n"
    )
    source = Source(path)
    assert is_sheet(source)
    judged, left_out = read_sheet(source, max_grade=4)
    assert (judged.line, judged.record[1].doc_id, judged.record[1].grade) == (3, "d", 2)
    assert left_out.record[1] is None
    assert "sheet.csv: further columns of the sheet, excluded: 'remark'" in source.notes.lines()


def test_a_sheet_whose_signs_were_replaced_is_refused(tmp_path):
    row = SheetRow(query_id=query_id_of("退款需要多久"), query="??????", doc_id="d", title="", text="t", grade="1")
    path = tmp_path / "sheet.csv"
    path.write_text(sheet_text([row]))
    [fault] = read_sheet(Source(path), max_grade=4)
    assert "the query is not the one that" in fault.reason
    assert "CSV UTF-8" in fault.remedy


def test_a_few_judged_queries_all_measure_and_training_waits(ask, nearer, holding, tmp_path):
    folder = holding("corpus", "queries", "judgments", num_documents=15)
    out = nearer("evaluate", "--dir", folder).out
    assert out.startswith("dev: 30 queries\n")
    assert f"only 30 judged queries: all of them measure, and training waits for 70 more ({FEW_QUERIES} in all)" in out
    assert "an interval of nDCG@10 of ±0.1: " in out
    error = ask(folder, "train", code=2)["error"]
    assert "training waits for 70 more" in error["message"]
    advice = ask(folder, "advise")
    [tuned] = [each for each in advice["not_measured"] if each["name"] == "fine_tune"]
    assert "training waits for 70 more" in tuned["reason"]
    assert advice["num_queries"] == 30
    assert advice["confirmed"] is None
    assert ask(folder, "promote", "base")["evaluation"]["num_queries"] == 30
    assert "few_queries" not in nearer("history", "--dir", folder).out


def test_once_there_are_enough_they_are_divided(ask, holding, tmp_path):
    folder = holding("corpus", "queries", "judgments", num_documents=15)
    ask(folder, "check", code=None)
    rows = synthetic_rows(num_documents=60, queries_each=2)
    for kind in ("corpus", "queries", "judgments"):
        result = ask(folder, "add", kind, write_jsonl(tmp_path / f"more-{kind}.jsonl", rows[kind]))
    assert result["splits"] == {"dev": 30}
    divided = ask(folder, "check", code=None)["splits"]
    assert {"train", "dev", "test"} <= divided.keys()
    assert sum(divided.values()) == 120
    assert divided["dev"] < 30
    assert ask(folder, "check", code=None)["splits"] == divided


@pytest.mark.parametrize("recipe", [{"split": {"test_fraction": 0.4}}, {"split": {"dev_fraction": 0.3}}])
def test_a_recipe_that_divides_is_obeyed(ask, holding, recipe):
    folder = holding("corpus", "queries", "judgments", num_documents=15, recipe=recipe)
    ask(folder, "check", code=None)
    assert "train" in ask(folder, "check", code=None)["splits"]
