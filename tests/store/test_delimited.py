"""What only CSV and TSV have: quotes, separators, headers, ragged rows."""

from pathlib import Path

import pytest

from nearer.core.records import Judgment, Query
from nearer.store.formats import read_documents, read_judgments, read_queries, source
from nearer.store.formats.rows import Row
from store.tables import found, records, the_fault

HEADER = "_id,text\n"


def write(folder: Path, content: bytes | str, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(items) -> dict[str, str]:
    return {record.doc_id: record.text for record in records(items)}


def test_quoted_fields_hold_anything_and_a_row_counts_from_its_first_line(tmp_path):
    content = HEADER + '1,"a, ""b""\n\nc\r\nd"\r\n\n2,e "f" g\r\n"3",h'
    items = list(read_documents(write(tmp_path, content)))
    assert [(item.line, item.record.text) for item in items if isinstance(item, Row)] == [
        (2, 'a, "b"\n\nc\r\nd'),
        (7, 'e "f" g'),
        (8, "h"),
    ]
    assert len(items) == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('2,"x" y\n', "goes on after its closing quote"),
        ("2,x\ry\n", "carriage return"),
        ("2\n", "1 comma-separated fields, not 2"),
        ("2,x,y\n", "3 comma-separated fields, not 2"),
        (",x\n", '"_id" is empty'),
    ],
)
def test_a_bad_row_is_one_fault_and_reading_goes_on(tmp_path, row, reason):
    items = read_documents(write(tmp_path, HEADER + "1,a\n" + row + "3,b\n"))
    good, [(line, reported)] = found(items)
    assert [document.doc_id for document in good] == ["1", "3"]
    assert line == 3
    assert reason in reported


def test_a_fault_inside_a_quoted_field_is_that_of_its_row_alone(tmp_path):
    content = HEADER.encode() + b'1,"a\n\xff\nb\x00\n"\n2,c\n'
    good, faults = found(read_documents(write(tmp_path, content)))
    assert [document.doc_id for document in good] == ["2"]
    assert faults == [(2, "not UTF-8 at byte 1 of the line")]


def test_a_quote_that_is_never_closed_ends_with_the_file_or_the_longest_row(tmp_path, monkeypatch):
    content = HEADER + '1,a\n2,"b\n3,c\n4,d\n5,e\n'
    good, faults = found(read_documents(write(tmp_path, content)))
    assert ([document.doc_id for document in good], faults) == (["1"], [(3, "the file ends in the middle of a row")])
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 9)
    good, faults = found(read_documents(write(tmp_path, content)))
    assert [document.doc_id for document in good] == ["1", "5"]
    assert faults == [(3, "longer than 0 MiB")]


def test_fields_may_be_longer_than_the_csv_module_allows_at_first(tmp_path):
    assert texts(read_documents(write(tmp_path, HEADER + "1," + "x" * 200_000 + "\n"))) == {"1": "x" * 200_000}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("_id,text,_id\na,x,b\n", "the key '_id' occurs twice"),
        ("a,x,x\nb,y,z\n", 'no "_id" or "doc_id"; no "text" (found: '),
        ('_id,"te\nxt"\na,x\n', "no \"text\" (found: '_id', 'te\\nxt')"),
        ('_id,"text" x\na,x\n', "goes on after its closing quote"),
        ("_id,text", "no rows after the header"),
        ('_id,"text\na,x\n', "the file ends in the middle of a row"),
        (b"_id,text\xff\na,x\n", "not UTF-8"),
    ],
)
def test_a_header_that_cannot_be_used_is_a_fault_of_the_file(tmp_path, content, reason):
    fault = the_fault(read_documents(write(tmp_path, content)))
    assert fault.line == 0
    assert reason in fault.reason


@pytest.mark.parametrize("content", ["q1,1,1\nq2,2,1\n", "q1,d1,1\n"])
def test_a_csv_without_a_header_is_told_to_write_one(tmp_path, content):
    fault = the_fault(read_judgments(write(tmp_path, content), max_grade=4))
    assert 'no "query_id"' in fault.reason
    assert "write a header above it" in fault.remedy


def test_tsv_has_no_quotes(tmp_path):
    content = '_id\ttitle\ttext\n1\t"\t"a" \\n b\r\n2\t\tc'
    assert texts(read_documents(write(tmp_path, content, "file.tsv"))) == {"1": '"a" \\n b', "2": "c"}


@pytest.mark.parametrize("content", ["1\twhat is rain\n2\ttext\tmining\n", "1\twhat is rain"])
def test_queries_in_two_columns_need_no_header(tmp_path, content):
    good, faults = found(read_queries(write(tmp_path, content, "queries.dev.tsv")))
    assert good == [Query(query_id="1", text="what is rain")]
    assert [reason for _, reason in faults] == ["3 tab-separated fields, not 2"] * (len(content) > 15)


@pytest.mark.parametrize("header", ["id\ttext", "qid\tquestion", "query\tquery_text", "1\twhat\tis"])
def test_a_header_in_other_words_is_no_query(tmp_path, header):
    fault = the_fault(read_queries(write(tmp_path, f"{header}\n7\twhat is rain\n", "file.tsv")))
    assert (fault.line, "not 2" in fault.reason or 'no "_id" or "query_id"' in fault.reason) == (0, True)


def test_columns_of_judgments_come_in_any_order(tmp_path):
    content = "score\tcorpus-id\tquery-id\n2\td\tq\n"
    path = write(tmp_path, content, "file.tsv")
    assert records(read_judgments(path)) == [Judgment(query_id="q", doc_id="d", grade=2)]
