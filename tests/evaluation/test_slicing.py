"""The slices of a split, as `nearer evaluate` measures and shows them."""

import json

import pytest

from folders import synthetic_rows, write_beir

TEST = ("--split", "test", "--set", "evaluate.measures=['nDCG@10']")


@pytest.fixture
def measured(ask, new_workspace, tmp_path):
    """``measured(rows, **evaluate)``: evaluate base on rows that are all in test; the result."""

    def measure(rows, *arguments, code=0, **evaluate):
        folder = new_workspace(evaluate=evaluate)
        ask(folder, "add", "beir", write_beir(tmp_path / "set", rows, split_of=lambda _: "test"))
        result = ask(folder, "evaluate", *TEST, *arguments, code=code)
        return result["error"] if code else result

    return measure


def some_rows(**fields):
    """40 documents and queries; a field of queries is a function of the row, ``document_FIELD`` one of documents."""
    rows = synthetic_rows(num_documents=40, queries_each=1)
    for number, (document, query) in enumerate(zip(rows["corpus"], rows["queries"], strict=True)):
        query["metadata"] = {key: made(number) for key, made in fields.items() if not key.startswith("document_")}
        document["metadata"] = {
            key.removeprefix("document_"): made(number) for key, made in fields.items() if key.startswith("document_")
        }
    return rows


def sizes(result, prefix=""):
    found = result["results"][0]["slices"]
    return {name: each["num_queries"] for name, each in found.items() if name.startswith(prefix)}


def test_a_field_of_the_relevant_documents_slices_too(measured):
    rows = some_rows(lang=lambda n: "en", document_lang=lambda n: ["de", "fr"][n % 2])
    rows["judgments"].append({"query_id": rows["queries"][0]["_id"], "doc_id": rows["corpus"][1]["_id"], "grade": 1})
    result = measured(rows, slice_fields=["lang", "document.lang"])
    assert sizes(result, "lang=") == {"lang=en": 40}
    assert sizes(result, "document.lang=") == {"document.lang=fr": 21, "document.lang=de": 20}


def test_length_and_overlap_are_always_there(measured):
    rows = some_rows()
    for number, (document, query) in enumerate(zip(rows["corpus"], rows["queries"], strict=True)):
        document["text"] = f"{number} canoe paddles"
        query["text"] = ["zebras", f"{number} zebras, a canoe and the paddle", "the " * 20 + "canoe"][number % 3]
    result = measured(rows)
    assert sizes(result, "length=") == {"length=1-4": 14, "length=5-12": 13, "length=13+": 13}
    assert sizes(result, "overlap=") == {"overlap=none": 14, "overlap=some": 13, "overlap=all": 13}


@pytest.mark.parametrize(
    ("text", "slice_name"),
    [
        ("东京的天气怎么样明天会不会下雨需要带伞吗", "length=13+"),
        ("ฉันจะรีเซ็ตรหัสผ่านของบัญชีได้อย่างไร", "length=13+"),
        ("តើខ្ញុំប្តូរលេខសម្ងាត់យ៉ាងដូចម្តេច", "length=13+"),
        ("退款", "length=1-4"),
        ("re-set : the — password ?", "length=1-4"),  # signs are no words
    ],
)
def test_the_length_of_a_query_counts_its_words_in_any_script(measured, text, slice_name):
    rows = some_rows()
    for query in rows["queries"]:
        query["text"] = text
    assert list(sizes(measured(rows), "length=")) == [slice_name]


def test_words_are_shared_as_lexical_search_sees_them(measured):
    rows = some_rows()
    for document, query in zip(rows["corpus"], rows["queries"], strict=True):
        document["text"], query["text"] = f"{query['_id']} connections broken", f"the {query['_id']} connected"
    assert sizes(measured(rows), "overlap=") == {"overlap=all": 40}


def test_time_and_frequency(measured):
    rows = some_rows(
        asked_on=lambda n: [2019, "2020-03-01", "2020-12-31T23:59:00Z", 2021.0][n % 4],
        asked=lambda n: 1000 if n < 12 else 300 if n < 24 else 1,
        document_year=lambda n: 2000 + n,
    )
    result = measured(rows, time_field="asked_on", frequency_field="asked")
    assert sizes(result, "time=") == {"time=2019": 10, "time=2020": 20, "time=2021": 10}
    assert sizes(result, "frequency=") == {"frequency=head": 12, "frequency=tail": 28}


def test_many_years_of_the_documents_are_joined(measured):
    rows = some_rows(document_year=lambda n: 2000 + n)
    assert sizes(measured(rows, time_field="document.year"), "time=") == {
        "time=2000-2009": 10,
        "time=2010-2019": 10,
        "time=2020-2029": 10,
        "time=2030-2039": 10,
    }


def test_a_slice_that_is_too_small_has_a_count_and_no_number(measured, ask, nearer, new_workspace, tmp_path):
    rows = some_rows(lang=lambda n: "de" if n < 2 else "fr" if n < 11 else "nl" if n < 21 else "en")
    result = measured(rows, "base", "base", slice_fields=["lang"])
    for each in result["results"]:
        found = {name: value for name, value in each["slices"].items() if name.startswith("lang=")}
        assert {name: value["num_queries"] for name, value in found.items()} == {
            "lang=en": 19,
            "lang=nl": 10,
            "lang=fr": 9,
            "lang=de": 2,
        }
        assert [name for name, value in found.items() if value["metrics"] is None] == ["lang=fr", "lang=de"]
        assert found["lang=nl"]["metrics"]["nDCG@10"].keys() == {"value", "low", "high"}
    folder = tmp_path / "new"
    shown = nearer("evaluate", "base", "base", *TEST, "--dir", folder).out
    [line] = [line for line in shown.splitlines() if "lang=de" in line]
    assert line.split() == ["lang=de", "(2)", "too", "small", "too", "small"]
    assert nearer("report", "--dir", folder).exit_code == 0
    [page] = (folder / ".nearer" / "reports").glob("*.html")
    row = page.read_text().partition("lang=<wbr>de")[2].partition("</tr>")[0]
    assert row.count("too small") >= 2
    assert "0." not in row.partition("Baseline")[2]


def test_a_slice_in_too_few_groups_for_an_interval_is_too_small_too(measured):
    rows = some_rows(
        team=lambda n: "abcd"[n % 4] if n < 20 else f"t{n}",
        lang=lambda n: "en" if n < 20 else "de",
    )
    result = measured(rows, slice_fields=["lang"], group_field="team")
    slices = result["results"][0]["slices"]
    assert (slices["lang=en"]["num_groups"], slices["lang=en"]["metrics"]) == (4, None)
    assert slices["lang=de"]["num_groups"] == 20
    assert slices["lang=de"]["metrics"]
    assert slices["team=a"]["num_groups"] is None, "a slice of one group has its queries to draw from"


def test_queries_of_a_split_without_groups_are_groups_of_their_own(ask, new_workspace, tmp_path):
    rows = some_rows(team=lambda n: f"t{n}")
    for number, query in enumerate(rows["queries"]):
        query["metadata"] = query["metadata"] if number % 2 else {}
    folder = new_workspace(evaluate={"group_field": "team"})
    ids = [query["_id"] for query in rows["queries"]]
    write_beir(tmp_path / "set", rows, split_of=lambda query_id: ["dev", "test"][ids.index(query_id) % 2])
    ask(folder, "add", "beir", tmp_path / "set")
    assert not sizes(ask(folder, "evaluate", "--split", "dev"), "team=")
    assert sizes(ask(folder, "evaluate", "--split", "test"), "team=")
    nobody = ask(folder, "evaluate", "--split", "dev", "--set", "evaluate.group_field=tem", code=2)
    assert "no query has the field 'tem'" in nobody["error"]["message"]


@pytest.mark.parametrize("values", [[1, "1", True, 2.5], [["a", "b"], "a", None, "b"], [{"x": 1}, 1, "2", 3]])
def test_mixed_types_make_a_slice_or_an_error_and_never_a_crash(measured, values):
    rows = some_rows(kind=lambda n: values[n % 4])
    has_no_slice = any(isinstance(value, dict) for value in values)
    result = measured(rows, slice_fields=["kind"], code=2 if has_no_slice else 0)
    if has_no_slice:
        assert "'kind' holds a dict" in result["message"]
    else:
        assert sum(sizes(result, "kind=").values()) == 40


@pytest.mark.parametrize(
    ("fields", "evaluate", "message"),
    [
        ({}, {"slice_fields": ["lang"]}, "no query has the field 'lang'"),
        ({}, {"slice_fields": ["document.lang"]}, "no query has the field 'document.lang'"),
        ({"length": lambda n: n}, {"slice_fields": ["length"]}, "slices called 'length' are made of every query"),
        ({}, {"time_field": "year"}, "evaluate.time_field: no query has the field 'year'"),
        ({}, {"time_field": "document.year"}, "no relevant document has the field 'document.year'"),
        ({"year": lambda n: "soon"}, {"time_field": "year"}, "query 'q000-0' has 'soon' in 'year'"),
        ({"year": lambda n: True}, {"time_field": "year"}, "has 'True' in 'year', which is neither a year"),
        ({"year": lambda n: 1700000000}, {"time_field": "year"}, "neither a year nor an ISO date"),
        ({"document_at": lambda n: "1/2/2020"}, {"time_field": "document.at"}, "document 'd000' has '1/2/2020'"),
        ({}, {"frequency_field": "asked"}, "evaluate.frequency_field: no query has the field 'asked'"),
        ({"asked": lambda n: "often"}, {"frequency_field": "asked"}, "query 'q000-0' has 'often' in 'asked'"),
        ({"asked": lambda n: -1}, {"frequency_field": "asked"}, "has '-1' in 'asked'"),
        ({"asked": lambda n: [3]}, {"frequency_field": "asked"}, "has '[3]' in 'asked'"),
    ],
)
def test_what_cannot_be_sliced_is_reported_with_a_way_out(measured, fields, evaluate, message):
    error = measured(some_rows(**fields), code=2, **evaluate)
    assert message in error["message"]
    assert error["hint"]


def test_queries_that_are_all_the_same_are_measured(measured):
    rows = some_rows()
    for query in rows["queries"]:
        query["text"] = "music"
    result = measured(rows, "base", "base")
    assert result["num_queries"] == 40
    assert sizes(result, "length=") == {"length=1-4": 40}
    assert json.dumps(result)


def test_without_judgments_the_way_to_import_them_is_reported(ask, new_workspace, tmp_path):
    rows = some_rows()
    rows["judgments"] = []
    folder = new_workspace()
    for kind in ("corpus", "queries"):
        path = tmp_path / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows[kind]))
        ask(folder, "add", kind, path)
    error = ask(folder, "evaluate", code=2)["error"]
    assert "no judgments, so nothing can be measured" in error["message"]
    assert "nearer add judgments" in error["hint"]
