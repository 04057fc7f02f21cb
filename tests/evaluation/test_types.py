"""The types of metadata from a file to every filter: search, evaluation, held-out splits; whatever the format."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from folders import write_beir
from nearer.core.errors import InputError
from nearer.core.filters import matches, parse_filter, parse_where
from nearer.evaluation.held_out import find_held_out
from nearer.retrieval.boost import values_of
from nearer.retrieval.fields import FieldTypes
from nearer.store.workspace import Workspace

PRICES = ["5", "9", "10.00", "25", "100", "250"]
DATES = ["2024-01-31", "2024-02-29 10:00", "2023-12-31", "2024-05-01", "2022-01-01", "2024-03-01T00:00:00Z"]
CODES = ["007", "1.10", "1e5", "+49 30", "12", "00501"]
SOLD = ["true", "FALSE", "True", "false", "true", "true"]
FIELDS = ["price", "published", "code", "sold"]
ROWS = [
    {"doc_id": f"d{row}", "text": f"kettle number {row}", "price": price, "published": day, "code": code, "sold": sold}
    for row, (price, day, code, sold) in enumerate(zip(PRICES, DATES, CODES, SOLD, strict=True))
]


def write(folder, ending):
    path = folder / f"shop.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif ending == "jsonl":
        rows = [{"_id": r["doc_id"], "text": r["text"], "metadata": {name: r[name] for name in FIELDS}} for r in ROWS]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        separator = "," if ending == "csv" else "\t"
        lines = [separator.join(ROWS[0]), *(separator.join(row.values()) for row in ROWS)]
        path.write_text("\n".join(lines) + "\n")
    return path


def make_live(ask, folder, tmp_path):
    """The base, by one judged query beside what is there."""
    rows = {
        "corpus": [{"_id": "other", "text": "something else"}],
        "queries": [{"_id": "q", "text": "kettle"}],
        "judgments": [{"query_id": "q", "doc_id": "other", "grade": 1}],
    }
    ask(folder, "add", "beir", write_beir(tmp_path / "beir", rows, split_of=lambda _: "test"))
    ask(folder, "promote", "base")


CASES = [
    ("price>=10", {2, 3, 4, 5}),
    ("price<10", {0, 1}),
    ("price=10", {2}),
    ("published>=2024-02-29", {1, 3, 5}),
    ("published=2024-03-01", {5}),
    ("published<2023-01-01", {4}),
    ("sold=true", {0, 2, 4, 5}),
    ("code=007", {0}),
    ("code=1.10", {1}),
    ("code!=12", {0, 1, 2, 3, 5}),
]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_filters_compare_what_values_are(ask, new_workspace, tmp_path, ending, kind):
    folder = new_workspace(index={"filter_fields": FIELDS, "kind": kind})
    notes = ask(folder, "add", "corpus", write(tmp_path, ending))["notes"]
    assert notes == ["documents: types of metadata: price number, published date, code text, sold true or false"]
    make_live(ask, folder, tmp_path)
    for condition, rows in CASES:
        for lexical in ((), ("--lexical",)):
            found = ask(folder, "search", "kettle", "-k", 10, "--where", condition, *lexical)["results"]
            assert {each["doc_id"] for each in found} == {f"d{row}" for row in rows}, (condition, lexical)
    error = ask(folder, "search", "kettle", "--where", "code>=10", code=2)["error"]
    assert "letter by letter" in error["message"]
    with Workspace.open(folder) as workspace:
        kept = workspace.collection.documents([f"d{row}" for row in range(6)])
    assert [each.metadata["code"] for each in kept] == CODES
    assert [each.metadata["price"] for each in kept] == PRICES


@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_lists_filter_by_membership(ask, new_workspace, tmp_path, kind):
    folder = new_workspace(index={"filter_fields": ["tags", "sizes"], "kind": kind})
    rows = [(["a", "b"], [1, 2]), ("a", [2.0]), (["it's"], [3]), ([], []), (None, None)]
    path = tmp_path / "tags.jsonl"
    lines = [
        {"_id": f"d{row}", "text": f"kettle {row}", "metadata": {"tags": tags, "sizes": sizes}}
        for row, (tags, sizes) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ask(folder, "add", "corpus", path)
    make_live(ask, folder, tmp_path)
    for condition, wanted in [("tags=a", {0, 1}), ("tags!=a", {2, 3}), ("tags=it's", {2}), ("sizes=2", {0, 1})]:
        found = ask(folder, "search", "kettle", "--where", condition)["results"]
        assert {each["doc_id"] for each in found} == {f"d{row}" for row in wanted}, condition
        found = ask(folder, "search", "kettle", "--where", condition, "--lexical")["results"]
        assert {each["doc_id"] for each in found} == {f"d{row}" for row in wanted}, condition
    with Workspace.open(folder) as workspace:
        from nearer.flows.search import search

        among = search(workspace, "kettle", where={"type": "in", "key": "tags", "value": ["b", "it's"]})
        none = search(workspace, "kettle", where={"type": "nin", "key": "tags", "value": ["b", "it's"]})
    assert {each["doc_id"] for each in among["results"]} == {"d0", "d2"}
    assert {each["doc_id"] for each in none["results"]} == {"d1", "d3"}
    assert "lists" in ask(folder, "search", "kettle", "--where", "tags>=a", code=2)["error"]["message"]


def test_a_text_is_never_ordered_by_a_number():
    values = ("10", "1.5", "1,5", "007", "1e5", "-3", "$5.00", "€ 5", "5%", "10 kg", "１０", "١٠", "१०")
    for value in (*values, "2024-05-31", "31.12.2023", "12/31/2023", "2024/01/31", "2024-05", "20:15"):
        with pytest.raises(InputError, match="letter by letter"):
            parse_where([f"code>={value}"], {"code": "text"})
        with pytest.raises(InputError, match="letter by letter"):
            parse_filter({"type": "lt", "key": "code", "value": value}, {"code": "text"})
    assert parse_where(["name>=m"], {"name": "text"}) is not None
    assert parse_where(["day>=2024-05-31"], {"day": "date"}) is not None


def test_points_that_may_group_thousands_make_text_until_somebody_says_which(ask, new_workspace, tmp_path):
    folder = new_workspace(index={"filter_fields": ["price"]}, split={"held_out": {"dear": "price>=1000"}})
    path, asked = tmp_path / "shop.csv", tmp_path / "asked.csv"
    path.write_text("doc_id;text;price\nd1;kettle;1.200\nd2;pot;900\nd3;pan;12.000\n")
    asked.write_text("query_id;text;price\nq1;a kettle;1.200\nq2;a pot;900\n")
    [_, note] = ask(folder, "add", "corpus", path)["notes"]
    assert note.startswith("documents: types of metadata: price text (the point in 1.200 may be decimal, or group")
    ask(folder, "add", "queries", asked)
    with Workspace.open(folder) as workspace, pytest.raises(InputError, match="letter by letter"):
        find_held_out(workspace)
    with pytest.raises(InputError, match="its points may be decimal, or group thousands"):
        values_of("price", doc_ids=["d1", "d2"], documents=[{"price": "1.200"}, {"price": "900"}])
    weights = FieldTypes(["weight"])
    for number, text in enumerate(("1.200", "0.5", "12.000")):
        weights.see(str(number), {"weight": text})
    assert (weights.found(), weights.doubtful()) == ({"weight": "number"}, {})  # 0.5 tells that points are decimal
    written = FieldTypes(["weight"])
    written.see("d1", {"weight": 1.2})
    written.see("d2", {"weight": 12.0})
    assert written.found() == {"weight": "number"}


def test_prices_that_the_recipe_calls_numbers_are_read_as_decimals(ask, new_workspace, tmp_path):
    folder = new_workspace(index={"filter_fields": ["price"]}, columns={"documents": {"metadata": {"price": "number"}}})
    path = tmp_path / "shop.csv"
    path.write_text("doc_id,text,price\nd1,kettle,1.200\nd2,pot,900\n")
    assert ask(folder, "add", "corpus", path)["notes"] == ["documents: types of metadata: price number"]


MISSING = ["5", "NA", "10", "n/a", "250", "-", "NULL"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_what_stands_for_a_missing_value_is_none(ask, new_workspace, tmp_path, ending, kind):
    """R writes NA, SQL NULL: a price is a number all the same, and who has none passes no comparison."""
    folder = new_workspace(
        index={"filter_fields": ["price", "day", "sold"], "kind": kind},
        split={"held_out": {"dear": "price>=10"}},
    )
    rows = [
        {"doc_id": f"d{row}", "text": f"kettle {row}", "price": price, "day": "2024-05-31", "sold": "yes"}
        for row, price in enumerate(MISSING)
    ]
    rows[1]["day"], rows[2]["sold"] = "None", "NA"
    path = tmp_path / f"shop.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "jsonl":
        lines = [{"_id": row.pop("doc_id"), "text": row.pop("text"), "metadata": row} for row in rows]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        path.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n")
    assert ask(folder, "add", "corpus", path)["notes"] == [
        "documents: types of metadata: price integer ('NA' is no value), day date ('None' is no value), sold text"
    ]
    asked = tmp_path / "asked.csv"
    asked.write_text("query_id,text,price\nq1,kettle 4,250\nq2,kettle 1,NA\nq3,kettle 0,5\n")
    ask(folder, "add", "queries", asked)
    with Workspace.open(folder) as workspace:
        assert set(find_held_out(workspace)) == {"q1"}
        metadata = [each.metadata for each in workspace.collection.documents()]
    values = values_of("price", doc_ids=[f"d{row}" for row in range(7)], documents=metadata)
    assert values.tolist()[::2][:3] == [5.0, 10.0, 250.0]
    judged = tmp_path / "judged.csv"
    judged.write_text("query_id,doc_id,grade\nq1,d4,1\n")
    ask(folder, "add", "judgments", judged)
    ask(folder, "promote", "base", code=None)
    for condition, found in [
        ("price>=10", {2, 4}),
        ("price!=10", {0, 4}),
        ("day<2025-01-01", {0, 2, 3, 4, 5, 6}),
        ("sold=NA", {2}),
    ]:
        for lexical in ((), ("--lexical",)):
            results = ask(folder, "search", "kettle", "-k", 10, "--where", condition, *lexical)["results"]
            assert {each["doc_id"] for each in results} == {f"d{row}" for row in found}, (condition, lexical)
            condition_read = parse_where([condition], {"price": "integer", "day": "date", "sold": "text"})
            assert {row for row, each in enumerate(metadata) if matches(condition_read, each)} == found


@pytest.mark.parametrize("kind", ["exact", "lancedb"])
def test_text_is_equal_in_every_unicode_form(ask, new_workspace, tmp_path, kind):
    folder = new_workspace(index={"filter_fields": ["city", "tags"], "kind": kind})
    path = tmp_path / "a.jsonl"
    rows = [("Zu\u0308rich", ["cafe\u0301"]), ("Zürich", ["café", "bar"]), ("Bern", ["bar"])]
    lines = [
        {"_id": f"d{row}", "text": f"kettle {row}", "metadata": {"city": city, "tags": tags}}
        for row, (city, tags) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ask(folder, "add", "corpus", path)
    make_live(ask, folder, tmp_path)
    for condition in ("city=Zürich", "city=Zu\u0308rich", "tags=café", "tags=cafe\u0301"):
        found = ask(folder, "search", "kettle", "--where", condition)["results"]
        assert {each["doc_id"] for each in found} == {"d0", "d1"}, condition


def test_held_out_compares_numbers_of_csv(ask, new_workspace, tmp_path):
    folder = new_workspace(split={"held_out": {"dear": "price>=10"}})
    path = tmp_path / "queries.csv"
    path.write_text("query_id,text,price\n" + "".join(f"q{n},how {n},{price}\n" for n, price in enumerate(PRICES)))
    ask(folder, "add", "queries", path)
    with Workspace.open(folder) as workspace:
        assert set(find_held_out(workspace)) == {"q2", "q3", "q4", "q5"}


def test_the_recipe_says_what_is_text(ask, new_workspace, tmp_path):
    folder = new_workspace(
        index={"filter_fields": ["version"]}, columns={"documents": {"metadata": {"version": "text"}}}
    )
    path = tmp_path / "a.csv"
    path.write_text("doc_id,text,version\nd1,kettle,1.1\nd2,kettle,1.10\n")
    assert ask(folder, "add", "corpus", path)["notes"] == ["documents: types of metadata: version text"]
    make_live(ask, folder, tmp_path)
    found = ask(folder, "search", "kettle", "--where", "version=1.1")["results"]
    assert [each["doc_id"] for each in found] == ["d1"]


def test_a_later_import_keeps_the_type_of_a_field_that_filters(ask, new_workspace, tmp_path):
    folder = new_workspace(index={"filter_fields": ["price"]})
    first, later = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("doc_id,text,price,code\nd1,kettle,5,12\nd2,kettle,10.50,13\n")
    later.write_text("doc_id,text,price,code\nd3,kettle,7,A7\nd4,kettle,on request,14\n")
    ask(folder, "add", "corpus", first)
    [fault] = ask(folder, "add", "corpus", later, code=2)["error"]["faults"]
    assert (fault["line"], "on request" in fault["reason"]) == (3, True)
    assert "is a number in the documents there are" in fault["reason"]
    notes = ask(folder, "add", "corpus", later, "--skip-bad")["notes"]
    assert notes == ["documents: types of metadata: price integer, code text"]
    with Workspace.open(folder) as workspace:
        assert [each.metadata["code"] for each in workspace.collection.documents()] == ["12", "13", "A7"]
    found = ask(folder, "add", "corpus", first, "--set", "index.filter_fields=[]")
    assert found["changes"]["documents"]["num_unchanged"] == 2
