"""What spreadsheets and pandas write: taken where it has one meaning, and told."""

import gzip
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearer.core.records import Document, Judgment, Query
from nearer.store.formats import Source, read_documents, read_judgments, read_queries, read_run
from store.tables import found, records, the_fault

ROWS = {"1": "It falls, often.", "2": 'say "yes"; or no', "3": "first\nsecond"}
CELLS = [["_id", "text"], *([key, text] for key, text in ROWS.items())]


def source(folder: Path, content: str | bytes, name: str = "file.csv") -> Source:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return Source(path)


def quoted(rows: list[list[str]], separator: str, *, always: bool = False, comma: bool = False) -> str:
    """Rows as a spreadsheet writes them; ``comma``: as Excel does, which quotes a field with a comma among tabs too."""

    def cell(text: str) -> str:
        needs = always or any(each in text for each in (separator, '"', "\n")) or (comma and "," in text)
        return '"' + text.replace('"', '""') + '"' if needs else text

    return "".join(separator.join(map(cell, row)) + "\r\n" for row in rows)


def texts(file: Source) -> dict[str, str]:
    return {each.doc_id: each.text for each in records(read_documents(file))}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.TSV"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("before", ["", "\ufeff", "sep=%s\r\n", '\ufeff"sep=%s"\n'])
def test_any_separator_that_the_header_shows(tmp_path, name, separator, always, before):
    content = before.replace("%s", separator) + quoted(CELLS, separator, always=always)
    file = source(tmp_path, content, name)
    assert texts(file) == ROWS
    usual = "," if ".csv" in name else "\t"
    said = " ".join(file.notes.lines())
    assert ("separated by" in said) == (separator != usual)
    assert ("byte order mark" in said) == ("\ufeff" in before)
    assert ("says the separator" in said) == ("sep=" in before)


def test_a_comma_wins_where_two_separators_would_do(tmp_path):
    assert texts(source(tmp_path, "_id,text\n1,a;b\n")) == {"1": "a;b"}
    file = source(tmp_path, "sku;name\n1;a\n")
    assert "found: 'name', 'sku'" in the_fault(read_documents(file)).reason


@pytest.mark.parametrize(
    "content",
    [
        "_id,text,,\n1,a,,\n2,b,,\n",
        "_id,text\n1,a,,\n2,b,\n",
        "_id,text\n\n1,a\n,\n,,,\n2,b\n,,\n , \n",
        ",_id,text\n0,1,a\n1,2,b\n",
        "Unnamed: 0,_id,text\n7,1,a\n3,2,b\n",
        ",_id,text,\n0.0,1,a,\n1.0,2,b,\n,,,\n",
        " _id , text \n1,a\n2,b\n",
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_is_empty_and_row_numbers_are_left_out(tmp_path, content, separator):
    file = source(tmp_path, content.replace(",", separator), "a.tsv" if separator == "\t" else "a.csv")
    assert records(read_documents(file)) == [Document(doc_id="1", text="a"), Document(doc_id="2", text="b")]


def test_what_was_left_out_is_reported(tmp_path):
    file = source(tmp_path, ",_id,text,,\n0,1,a,,\n1,2,b,,\n,,,,\n,,,,\n")
    assert len(records(read_documents(file))) == 2
    assert file.notes.lines() == (
        "file.csv: the first column has no name and holds row numbers: excluded",
        "file.csv: columns without a name and without values, excluded (2)",
        "file.csv: empty rows, excluded: 2",
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("_id,text,\n1,a,lost\n2,b,\n", "column 3 has no name, and holds a value: 'lost'"),
        (",_id,text\nx,1,a\n0,2,b\n", "column 1 has no name, and holds no row number: 'x'"),
        ("_id,,text\n1,lost,a\n2,,b\n", "column 2 has no name, and holds a value: 'lost'"),
        ("_id,text\n1,a,lost\n2,b\n", "3 comma-separated fields, not 2"),
    ],
)
def test_a_value_without_a_name_is_not_dropped(tmp_path, content, reason):
    good, faults = found(read_documents(source(tmp_path, content)))
    assert [each.doc_id for each in good] == ["2"]
    assert faults == [(2, reason)]


@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_tsv_with_quotes_as_writers_set_them(tmp_path, comma, name):
    rows = [["_id", "text"], ["1", "a, b"], ["2", 'the "best" one'], ["3", "plain"]]
    file = source(tmp_path, quoted(rows, "\t", comma=comma), name)
    assert texts(file) == {"1": "a, b", "2": 'the "best" one', "3": "plain"}
    assert "quotes around a field are not part of it" in file.notes.lines()[0]


@pytest.mark.parametrize(
    "rows",
    [
        ['"a" b', "c"],
        ['"to be or not to be"', "c"],
        ['"a, b"', "c, d"],
        ['5" disk', 'say "yes"'],
        ['"open', "c"],
    ],
)
def test_tsv_with_quotes_that_are_text(tmp_path, rows):
    content = "".join(f"{number}\t{text}\n" for number, text in enumerate(rows))
    for name, head in (("a.tsv", ""), ("b.tsv", "query_id\ttext\n"), ("c.topics", "")):
        file = source(tmp_path, head + content, name)
        assert [each.text for each in records(read_queries(file))] == rows


def test_one_bad_row_does_not_turn_quotes_into_text(tmp_path):
    content = quoted([["_id", "text"], ["1", "a\nb"], ["2", "c\td"], ["3", 'e "f"']], "\t") + "4\tx\ty\n5\tz\n"
    good, faults = found(read_documents(source(tmp_path, content, "a.tsv")))
    assert [each.text for each in good] == ["a\nb", "c\td", 'e "f"', "z"]
    assert [reason for _, reason in faults] == ["3 tab-separated fields, not 2"]


GRADES = [("1", 1), ("1.0", 1), ("2.000", 2), (" 3 ", 3), ("0.0", 0)]


@pytest.mark.parametrize(("written", "grade"), GRADES)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.qrels", "a.jsonl"])
def test_a_whole_grade_may_be_written_as_a_fraction(tmp_path, written, grade, name):
    content = {
        "a.csv": f"query_id,doc_id,grade\nq,d,{written}\n",
        "a.tsv": f"q\td\t{written.strip()}\n",
        "a.qrels": f"q 0 d {written}\n",
        "a.jsonl": f'{{"query_id": "q", "doc_id": "d", "grade": {written}}}\n',
    }[name]
    assert records(read_judgments(source(tmp_path, content, name))) == [Judgment(query_id="q", doc_id="d", grade=grade)]


@pytest.mark.parametrize(("written", "grade"), [("1,0", 1), ("2,00", 2), ("0,0", 0), ("1.0", 1)])
def test_a_whole_grade_may_have_a_decimal_comma(tmp_path, written, grade):
    content = f"query_id;doc_id;grade\nq;d;{written}\n"
    assert records(read_judgments(source(tmp_path, content, "a.csv"))) == [
        Judgment(query_id="q", doc_id="d", grade=grade)
    ]


@pytest.mark.parametrize("written", ["0,5", "1,000", "1,", ",0", "1,0,0"])
def test_other_commas_in_grades_are_refused(tmp_path, written):
    [fault] = read_judgments(source(tmp_path, f"query_id;doc_id;grade\nq;d;{written}\n", "a.csv"))
    assert fault.reason == f"the grade is not an integer but {written!r}"


@pytest.mark.parametrize("grade", ["0.5", "1.5", "0.9999", "2.0000001"])
@pytest.mark.parametrize("name", ["a.csv", "a.qrels", "a.jsonl", "a.parquet"])
def test_a_fraction_is_never_rounded(tmp_path, grade, name):
    if name == "a.parquet":
        table = {"query_id": ["q"], "doc_id": ["d"], "grade": [float(grade)]}
        pq.write_table(pa.table(table), tmp_path / name)
        file = Source(tmp_path / name)
    else:
        content = {
            "a.csv": f"query_id,doc_id,grade\nq,d,{grade}\n",
            "a.qrels": f"q 0 d {grade}\n",
            "a.jsonl": f'{{"query_id": "q", "doc_id": "d", "grade": {grade}}}\n',
        }[name]
        file = source(tmp_path, content, name)
    fault = the_fault(read_judgments(file))
    assert fault.reason == f"the grade is not an integer but {grade}"
    assert "never rounded: multiply" in fault.remedy


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.qrels", "a.jsonl"])
def test_grades_below_zero_that_trec_uses_are_unjudged(tmp_path, name):
    rows = [("q", "a", 1), ("q", "b", -1), ("q", "c", -2), ("r", "a", -1)]
    line = {
        "a.csv": "{},{},{}\n",
        "a.tsv": "{}\t{}\t{}\n",
        "a.qrels": "{} 0 {} {}\n",
        "a.jsonl": '{{"query_id": "{}", "doc_id": "{}", "grade": {}}}\n',
    }[name]
    head = "query_id,doc_id,grade\n" if name == "a.csv" else ""
    file = source(tmp_path, head + "".join(line.format(*row) for row in rows), name)
    assert records(read_judgments(file)) == [Judgment(query_id="q", doc_id="a", grade=1)]
    assert file.notes.lines() == (f"{name}: grades of -1 and -2 mean unjudged, as in TREC: rows excluded: 3",)


def test_pandas_parquet(tmp_path):
    table = {
        "__index_level_0__": pa.array([5, 2]),
        "query_id": pa.array([7.0, 8.0]),
        "doc_id": pa.array([1, 2]),
        "grade": pa.array([1.0, 0.0]),
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    file = Source(tmp_path / "a.parquet")
    assert records(read_judgments(file)) == [
        Judgment(query_id="7", doc_id="1", grade=1),
        Judgment(query_id="8", doc_id="2", grade=0),
    ]
    assert "row numbers of pandas" in file.notes.lines()[0]


def test_ids_that_are_numbers(tmp_path):
    file = source(tmp_path, '{"_id": 7, "text": "x"}\n{"_id": 8.0, "text": "y"}\n', "a.jsonl")
    assert texts(file) == {"7": "x", "8": "y"}
    fault = the_fault(read_documents(source(tmp_path, '{"_id": true, "text": "x"}\n', "a.jsonl")))
    assert fault.reason == '"_id" is true or false, not text'
    kept = "doc_id,text\n007,x\n1.10,y\n1e5,z\n+49 30,t\n"
    assert list(texts(source(tmp_path, kept))) == ["007", "1.10", "1e5", "+49 30"]


def test_no_text_beside_a_title(tmp_path):
    file = source(tmp_path, '{"_id": "a", "title": "Rain", "text": null}\n', "a.jsonl")
    assert records(read_documents(file)) == [Document(doc_id="a", title="Rain", text="")]
    for row in ('{"_id": "a", "title": null, "text": null}', '{"_id": "a", "text": null}'):
        assert "an empty document" in the_fault(read_documents(source(tmp_path, row + "\n", "a.jsonl"))).reason


def test_runs_of_five_fields_and_of_many(tmp_path):
    content = "q Q0 a 1 3.5\nq Q0 b 2 2.5 my own tag (v2)\nq Q0 c 3 1.5 t\n"
    file = source(tmp_path, content, "x.run")
    assert [(each.doc_id, each.score) for each in records(read_run(file))] == [("a", 3.5), ("b", 2.5), ("c", 1.5)]
    assert file.notes.lines() == (
        "x.run: lines without a tag: 1",
        "x.run: lines with text after the sixth field, which was excluded: 1",
    )


FAQ = "question,answer\nHow?,So.\nWhy?,Because.\nHow?,So.\n"


def test_rows_without_ids_get_them_by_content(tmp_path):
    mapped = FAQ.replace("question,answer", "title,text")
    fault = the_fault(read_documents(source(tmp_path, mapped)))
    assert "--make-ids" in fault.remedy
    file = source(tmp_path, mapped)
    first = [row.record for row in read_documents(file, make_ids=True)]
    assert [(each.title, each.text) for each in first] == [("How?", "So."), ("Why?", "Because.")]
    assert file.notes.lines() == ("file.csv: rows that repeat another, excluded: 1",)
    other = source(tmp_path, "," + mapped.replace("\n", "\n0,", 3).rstrip("0,") + "\n", "b.csv")
    again = [row.record for row in read_documents(other, make_ids=True)]
    assert [each.doc_id for each in again] == [each.doc_id for each in first]
    assert all(each.doc_id.startswith("doc-") for each in first)


def test_made_ids_stand_beside_given_ones_and_follow_the_content(tmp_path):
    file = source(tmp_path, "query_id,text,lang\n7,how,en\n,how,en\n,how,de\n", "a.csv")
    queries = [row.record for row in read_queries(file, make_ids=True)]
    assert queries[0] == Query(query_id="7", text="how", metadata={"lang": "en"})
    assert len({each.query_id for each in queries}) == 3
    same = source(tmp_path, '{"text": "how", "metadata": {"lang": "en"}}\n', "a.jsonl")
    [again] = [row.record for row in read_queries(same, make_ids=True)]
    assert again.query_id == queries[1].query_id


@pytest.mark.parametrize(
    ("read", "place"),
    [(read_documents, "documents.doc_id"), (read_queries, "queries.query_id")],
    ids=["corpus", "queries"],
)
def test_a_column_called_id_beside_made_ids_is_reported(tmp_path, read, place):
    file = source(tmp_path, "id,text\n7,how\n8,why\n")
    made = [row.record for row in read(file, make_ids=True)]
    assert [each.metadata for each in made] == [{"id": "7"}, {"id": "8"}]
    assert f"'id' is metadata (if it is the id, say so: --set columns.{place}=id)" in file.notes.lines()[0]


@pytest.mark.parametrize(
    "names", ["Doc_ID,Text,Title", "DOC ID,TEXT,TITLE", "doc-id, text ,title", "\u200bdoc_id,Text,title"]
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.json"])
def test_names_of_columns_in_another_spelling(tmp_path, names, name):
    if name == "a.csv":
        file = source(tmp_path, f"{names}\n1,a,b\n", name)
    else:
        row = dict(zip((each.strip("\u200b") for each in names.split(",")), ("1", "a", "b"), strict=True))
        if name == "a.parquet":
            pq.write_table(pa.Table.from_pylist([row]), tmp_path / name)
            file = Source(tmp_path / name)
        else:
            file = source(tmp_path, json.dumps(row) + "\n", name)
    assert records(read_documents(file)) == [Document(doc_id="1", text="a", title="b")]
    assert any("is taken as" in note for note in file.notes.lines())


def test_another_spelling_is_not_taken_where_it_could_be_two(tmp_path):
    both = source(tmp_path, "doc_id,text,Title,TITLE\n1,a,b,c\n")
    assert records(read_documents(both))[0].metadata == {"Title": "b", "TITLE": "c"}
    beside = source(tmp_path, "doc_id,text,title,Title\n1,a,b,c\n")
    assert records(read_documents(beside)) == [Document(doc_id="1", text="a", title="b", metadata={"Title": "c"})]
    judged = source(tmp_path, "Query-ID;Corpus ID;Score\nq;d;1\n")
    assert records(read_judgments(judged)) == [Judgment(query_id="q", doc_id="d", grade=1)]


def test_all_columns_that_are_missing_are_named_at_once(tmp_path):
    fault = the_fault(read_judgments(source(tmp_path, "id,qid,docid,relevance\n1,q,d,1\n")))
    assert fault.remedy.endswith(
        "--set columns.judgments.query_id=qid --set columns.judgments.doc_id=docid "
        "--set columns.judgments.grade=relevance"
    )
    fault = the_fault(read_queries(source(tmp_path, "Question ID,Question,Answer\n1,how,so\n")))
    assert "--set 'columns.queries.query_id=Question ID' --set columns.queries.text=Question" in fault.remedy


@pytest.mark.parametrize("cells", ['"q1", "d1", "1"', "q1, d1, 1", '"q1",  "d1", 1.0'])
def test_a_space_after_each_comma_is_writing(tmp_path, cells):
    file = source(tmp_path, f"query_id, doc_id, grade\n{cells}\n")
    assert records(read_judgments(file)) == [Judgment(query_id="q1", doc_id="d1", grade=1)]
    assert "a space after each comma" in file.notes.lines()[0]
    kept = source(tmp_path, "doc_id,text\n1, b\n")
    assert texts(kept) == {"1": " b"}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_white_space_around_ids_is_excluded_and_counted(tmp_path, name):
    rows = [(" q1", "d1\u00a0", 1), ("q2 ", "d2", 0)]
    content = {
        "a.csv": "query_id,doc_id,grade\n" + "".join(f"{q},{d},{g}\n" for q, d, g in rows),
        "a.tsv": "".join(f"{q}\t{d}\t{g}\n" for q, d, g in rows),
        "a.jsonl": "".join(
            json.dumps(dict(zip(("query_id", "doc_id", "grade"), row, strict=True))) + "\n" for row in rows
        ),
    }[name]
    file = source(tmp_path, content, name)
    assert [(each.query_id, each.doc_id) for each in records(read_judgments(file))] == [("q1", "d1"), ("q2", "d2")]
    assert file.notes.lines() == (f"{name}: ids with white space or byte order marks around them: excluded: 3",)
    twice = source(tmp_path, "doc_id,text\n1,a\n 1,b\n")
    assert found(read_documents(twice))[1] == [(3, "'1' is already on line 2")]


def test_ids_that_a_spreadsheet_rounded_are_said(tmp_path):
    file = source(tmp_path, "doc_id,text\n1.23457E+11,a\n4006381333931,b\n1E5,c\n")
    assert len(records(read_documents(file))) == 3
    [note] = file.notes.lines()
    assert "ids like 1.23E+11" in note
    assert note.endswith(": 1")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.qrels"])
def test_files_that_were_joined_with_their_marks(tmp_path, name):
    part = {
        "a.csv": "doc_id,text\n1,a\n\ufeff2,b\n",
        "a.tsv": "doc_id\ttext\n1\ta\n\ufeff2\tb\n",
        "a.jsonl": '{"doc_id": "1", "text": "a"}\n\ufeff{"doc_id": "2", "text": "b"}\n',
        "a.qrels": "q 0 1 1\n\ufeffq 0 2 1\n",
    }[name]
    file = source(tmp_path, "\ufeff" + part, name)
    if name == "a.qrels":
        assert [(each.query_id, each.doc_id) for each in records(read_judgments(file))] == [("q", "1"), ("q", "2")]
    else:
        assert texts(file) == {"1": "a", "2": "b"}
    assert any("joined" in note for note in file.notes.lines())


def test_text_that_is_quoted_in_every_line_is_quoted_without_a_header_too(tmp_path):
    file = source(tmp_path, '"q1"\t"d1"\t1\n"q2"\t"d1"\t0\n"q3"\t"d2"\t1\n', "a.tsv")
    assert [each.query_id for each in records(read_judgments(file))] == ["q1", "q2", "q3"]
    said = source(tmp_path, '1\t"new york"\n2\tparis\n3\t"los angeles"\n', "b.tsv")
    assert [each.text for each in records(read_queries(said))] == ['"new york"', "paris", '"los angeles"']


@pytest.mark.parametrize(
    ("name", "head"), [("a.xlsx", b"PK\x03\x04"), ("a.csv", b"PK\x03\x04"), ("a.xls", b"\xd0\xcf\x11\xe0")]
)
def test_a_workbook_is_to_be_saved_as_csv(tmp_path, name, head):
    assert "CSV UTF-8" in the_fault(read_documents(source(tmp_path, head + b"xx", name))).remedy


ARRAYS = [
    '[{"_id": "1", "text": "a"}, {"_id": "2", "text": "b"}]',
    '[\n  {\n    "_id": "1",\n    "text": "a"\n  },\n  {"_id": "2", "text": "b"}\n]\n\n',
    '\ufeff\n[{"_id": "1", "text": "a"}\n,{"_id": "2",\n"text": "b"}\n]',
    '[{"_id": "1", "text": "a"}, {"_id": "2", "text": "b"},]',
]


@pytest.mark.parametrize("content", ARRAYS)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz", "a.ndjson"])
def test_a_json_array_is_a_row_an_object(tmp_path, content, name):
    file = source(tmp_path, content, name)
    assert texts(file) == {"1": "a", "2": "b"}
    assert file.notes.lines()[-1] == f"{name}: a JSON array: each of its objects is a row"


def test_what_is_wrong_in_an_array(tmp_path):
    rows = (
        '[{"_id": "1", "text": "a"},\n{"_id": 2.5, "text": "b"},\n7,\n{"_id": "4", "text": "a [b], {c}", "text": ""},\n'
    )
    good, faults = found(read_documents(source(tmp_path, rows + '{"_id": "5", "text": "\\"]}"}]', "a.json")))
    assert [each.doc_id for each in good] == ["1", "5"]
    assert faults == [
        (2, '"_id" is a number, not text'),
        (3, "the row is a number, not an object"),
        (4, "the key 'text' occurs twice"),
    ]
    for broken, reason in [
        ('[{"_id": "1", "text": "a"}', "the file ends in the middle of a row"),
        ('[{"_id": "1", "text": "a"} {}]', "line 1: invalid JSON: '{' where , or ] should be"),
        ('[{"_id": "1", "text": "a"}]\n[]', "line 2: text after the array: '['"),
        ('[{"_id": "1", "text" "a"}]', "line 1: invalid JSON: Expecting ':' delimiter"),
        ("[]", "the file is empty"),
    ]:
        assert found(read_documents(source(tmp_path, broken, "a.json")))[1][-1] == (0, reason)


def test_an_array_is_read_in_time_that_grows_with_it(tmp_path):
    rows = [{"_id": str(row), "text": "a {b} [c]", "metadata": {"tags": ["a", "b"]}} for row in range(3000)]
    file = source(tmp_path, json.dumps(rows, indent=2), "a.json")
    began = time.process_time()
    assert len(texts(file)) == 3000
    assert time.process_time() - began < 3
