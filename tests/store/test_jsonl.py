import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearer.core.errors import Fault
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.store.formats import read_documents, read_judgments, read_pairs, read_queries, source
from nearer.store.formats.rows import Row

GOOD = b'{"_id": "a", "text": "rain"}\n'


def write(folder: Path, content: bytes | str) -> Path:
    path = folder / "file.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def faults(items) -> list[tuple[int, str]]:
    found = [item for item in items if isinstance(item, Fault)]
    assert all(fault.remedy and fault.file for fault in found)
    return [(fault.line, fault.reason) for fault in found]


def the_fault(items) -> tuple[int, str]:
    [only] = faults(items)
    return only


def records(items) -> list[object]:
    rows = list(items)
    assert faults(rows) == []
    return [row.record for row in rows]


WHOLE_FILE = [
    (b"", "empty"),
    (b"\n \r\n", "empty"),
    (b"\x1f\x8b\x08\x00\x00", "gzip"),
    (b"PK\x03\x04\x14\x00", "zip"),
    (b"PAR1\x15\x04\x15", "parquet"),
    (b"_id,text\na,rain\nb,snow\n", "CSV"),
    (b'{\n  "_id": "a",\n  "text": "rain"\n}\n', "several lines"),
]


@pytest.mark.parametrize(("content", "reason"), WHOLE_FILE)
def test_a_file_that_is_not_json_lines_is_one_fault(tmp_path, content, reason):
    line, found = the_fault(read_documents(write(tmp_path, content)))
    assert line == 0
    assert reason in found


BAD_ROW = [
    (b'{"_id": "b", "text": "caf\xe9 au lait"}', "not UTF-8 at byte 26"),
    (b'{"_id": "b", "text": "\xed\xa0\x80"}', "not UTF-8"),
    (b'{"_id": "b", "text": "a\x00b"}', "NUL character at byte 24"),
    (b'{"_id": "b", "text": "a\\u0000b"}', "NUL"),
    (b'{"_id": "b", "text": "x", "metadata": {"a\\u0000b": 1}}', "NUL"),
    (b'{"_id": "b", "text": "a\\ud83d b"}', "surrogate"),
    (b'{"_id": "b", "text": "x", "metadata": {"a": ["\\uDE00"]}}', "surrogate"),
    (b'{"_id": "b", "text": }', "invalid JSON"),
    (b'{"_id": "b", "text": "tab\there"}', "invalid JSON"),
    (b"{'_id': 'b', 'text': 'x'}", "invalid JSON"),
    (b'{"_id": "b", "text": "x"} {"_id": "c"}', "invalid JSON"),
    (b'{"_id": "b", "text": "x", "metadata": ' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper"),
    (b'{"_id": "b", "text": "x", "metadata": {"a": ' + b"[" * 99999 + b"]" * 99999 + b"}}", "nested deeper"),
    (b'["b", "x"]', "the row is a list"),
    (b"null", "the row is null"),
    (b'{"text": "x", "id": "b"}', "no \"_id\" or \"doc_id\" (found: 'id', 'text')"),
    (b'{"_id": "b", "doc_id": "b", "text": "x"}', 'both "_id" and "doc_id"'),
    (b'{"_id": "", "text": "x"}', '"_id" is empty'),
    (b'{"_id": " ", "text": "x"}', '"_id" is empty'),
    (b'{"_id": 7.5, "text": "x"}', '"_id" is a number'),
    (b'{"_id": null, "text": "x"}', '"_id" is null'),
    (b'{"_id": "b\\tc", "text": "x"}', "a tab or a line break"),
    (b'{"_id": "' + b"b" * 513 + b'", "text": "x"}', "513 characters"),
    (b'{"_id": "b"}', 'no "text"'),
    (b'{"_id": "b", "text": "", "title": " "}', "empty document"),
    (b'{"_id": "b", "text": "\\n\\t"}', "empty document"),
    (b'{"_id": "b", "text": ["x"]}', '"text" is a list'),
    (b'{"_id": "b", "text": "x", "title": 3}', '"title" is a number'),
    (b'{"_id": "b", "text": "x", "metadata": "red"}', '"metadata" is text'),
    (b'{"_id": "b", "text": "x", "color": "red", "brand": 1}', "unknown key 'brand', 'color'"),
    (b'{"_id": "b", "text": "x", "metadata": {"a": NaN}}', "NaN"),
    (b'{"_id": "b", "text": "x", "metadata": {"a": -Infinity}}', "-Infinity"),
    (b'{"_id": "b", "text": "x", "metadata": {"a": 1e999}}', "too large"),
    (b'{"_id": "b", "text": "x", "metadata": {"a": ' + b"9" * 9999 + b"}}", "thousands of digits"),
    (b'{"_id": "b", "text": "x", "text": "y"}', "'text' occurs twice"),
    (b'{"_id": "b", "text": "x", "metadata": {"a": 1, "a": 1}}', "'a' occurs twice"),
    (b'{"_id": "a", "text": "x"}', "'a' is already on line 1"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROW)
def test_a_bad_row_is_reported_and_the_others_are_read(tmp_path, row, reason):
    content = GOOD + b"\n" + row + b'\n{"doc_id": "z", "text": "snow"}\n'
    items = list(read_documents(write(tmp_path, content)))
    line, found = the_fault(items)
    assert line == 3
    assert reason in found
    assert [(item.line, item.record.doc_id) for item in items if isinstance(item, Row)] == [(1, "a"), (4, "z")]


@pytest.mark.parametrize(
    "tail",
    [b'{"_id": "b", "te', b'{"_id": "b", "text": "caf\xc3', b"{", b'{"_id": "b", "text": "x", "metadata": {"a": 1}'],
)
def test_a_cut_last_line_is_named_as_such(tmp_path, tail):
    line, reason = the_fault(read_documents(write(tmp_path, GOOD + tail)))
    assert line == 2
    assert "ends in the middle of a row" in reason


def test_a_whole_last_line_needs_no_line_end(tmp_path):
    assert len(records(read_documents(write(tmp_path, GOOD + b'{"_id": "b", "text": "x"}')))) == 2
    _, reason = the_fault(read_documents(write(tmp_path, GOOD + b'{"_id": "b" "text": "x"}')))
    assert "invalid JSON" in reason


def test_a_line_that_is_too_long_is_skipped_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 64)
    exact = GOOD[:-2] + b" " * (64 - len(GOOD)) + b"}\n"
    items = list(read_documents(write(tmp_path, exact + b'{"_id": "' + b"x" * 1000 + b'\n{"_id": "b", "text": "x"}\n')))
    line, reason = the_fault(items)
    assert line == 2
    assert "longer than" in reason
    assert [item.line for item in items if isinstance(item, Row)] == [1, 3]


def test_what_is_not_a_readable_file_is_a_fault(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo.jsonl")
    for path, expected in [
        (tmp_path / "absent", "no such file"),
        (tmp_path, "folder"),
        (tmp_path / "fifo.jsonl", "regular"),
        (Path("/dev/null"), "regular"),
    ]:
        line, reason = the_fault(read_documents(path))
        assert line == 0
        assert expected in reason

    def forbid(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    assert "permission" in the_fault(read_documents(write_without_open(tmp_path)))[1]


def write_without_open(folder: Path) -> Path:
    descriptor = os.open(folder / "locked.jsonl", os.O_CREAT | os.O_WRONLY)
    os.close(descriptor)
    return folder / "locked.jsonl"


def test_documents_keep_all_that_they_hold(tmp_path):
    metadata = {"year": 10**40, "tags": ["a", None, 1.5], "deep": {"x": True}}
    content = (
        json.dumps({"_id": "a", "title": "", "text": "x", "metadata": metadata})
        + "\r\n"
        + json.dumps({"doc_id": "b", "title": "T", "text": "", "metadata": None})
        + '\n{"_id": "c", "title": null, "text": "\\\\u0000 \\ud83d\\ude00"}'
    )
    assert records(read_documents(write(tmp_path, content))) == [
        Document(doc_id="a", text="x", metadata=metadata),
        Document(doc_id="b", text="", title="T"),
        Document(doc_id="c", text="\\u0000 😀"),
    ]


def test_brackets_in_a_text_are_not_nesting(tmp_path):
    content = json.dumps({"_id": "a", "text": "[{" * 500, "metadata": {"flat": [[0]] * 500}})
    assert len(records(read_documents(write(tmp_path, content)))) == 1


def test_queries(tmp_path):
    content = '{"_id": "a", "text": "x"}\n{"query_id": "b", "text": "y", "metadata": {"label_z": 1}}\n'
    assert records(read_queries(write(tmp_path, content))) == [
        Query(query_id="a", text="x"),
        Query(query_id="b", text="y", metadata={"label_z": 1}),
    ]
    bad = '{"_id": "a", "text": " "}\n{"_id": "b", "text": "x", "title": "t"}\n{"doc_id": "c", "text": "x"}\n'
    found = faults(read_queries(write(tmp_path, bad)))
    assert [line for line, _ in found] == [1, 2, 3]
    for (_, reason), part in zip(
        found, ['"text" is empty', "unknown key 'title'", 'no "_id" or "query_id"'], strict=True
    ):
        assert part in reason


def test_pairs(tmp_path):
    full = {"query": "q", "positive": "p", "negatives": ["n", "m"], "score": 1, "negative_scores": [0, 0.5]}
    content = json.dumps({"query": "q", "positive": "p"}) + "\n" + json.dumps(full) + "\n"
    assert records(read_pairs(write(tmp_path, content))) == [
        Pair(query="q", positive="p"),
        Pair(query="q", positive="p", negatives=("n", "m"), score=1.0, negative_scores=(0.0, 0.5)),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query": None}, '"query" is null'),
        ({"positive": " "}, '"positive" is empty'),
        ({"negatives": "n"}, '"negatives" is text'),
        ({"negatives": ["n", ""]}, "not text, or blank"),
        ({"negatives": ["n", 1]}, "not text, or blank"),
        ({"score": 1.01}, "outside 0 to 1"),
        ({"score": -(10**400)}, "outside 0 to 1"),
        ({"score": True}, "true or false"),
        ({"score": "0.5"}, '"score" holds text'),
        ({"negatives": ["n"], "negative_scores": [0.1, 0.2]}, "2 negative_scores for 1"),
        ({"negative_scores": [0.1]}, "1 negative_scores for 0"),
        ({"source": 3}, '"source" is a number, not text'),
        ({"metadata": {}}, "unknown key 'metadata'"),
    ],
)
def test_bad_pairs(tmp_path, change, reason):
    content = json.dumps({"query": "q", "positive": "p"} | change) + "\n"
    line, found = the_fault(read_pairs(write(tmp_path, content)))
    assert line == 1
    assert reason in found


def test_judgments(tmp_path):
    content = '{"query_id": "q", "doc_id": "d", "grade": 4}\n{"query_id": "q", "doc_id": "e", "grade": 0}\n'
    assert records(read_judgments(write(tmp_path, content))) == [
        Judgment(query_id="q", doc_id="d", grade=4),
        Judgment(query_id="q", doc_id="e", grade=0),
    ]
    assert faults(read_judgments(write(tmp_path, content), max_grade=1)) == [(1, "the grade 4 is above 1")]


@pytest.mark.parametrize(
    ("grade", "reason"),
    [
        ("-3", "negative"),
        ("5", "above 4"),
        ("9" * 400, "above 4"),
        ("0.5", "not an integer but 0.5"),
        ("true", "true or"),
        ('"one"', "but 'one'"),
    ],
)
def test_bad_grades(tmp_path, grade, reason):
    content = f'{{"query_id": "q", "doc_id": "d", "grade": {grade}}}\n'
    assert reason in the_fault(read_judgments(write(tmp_path, content)))[1]


any_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0" + "".join(map(chr, range(0x80, 0xA0))))
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=any_text, text=any_text, metadata=st.dictionaries(any_text, any_text, max_size=3), ascii_only=st.booleans()
)
def test_any_text_survives(tmp_path, title, text, metadata, ascii_only):
    document = Document(doc_id="a", title=title, text=text + ".", metadata=metadata)
    fields = {"_id": "a", "title": title, "text": text + ".", "metadata": metadata}
    path = write(tmp_path, json.dumps(fields, ensure_ascii=ascii_only) + "\n")
    assert records(read_documents(path)) == [document]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary() | st.binary().map(lambda tail: GOOD + b"{" + tail))
def test_no_bytes_make_a_reader_raise(tmp_path, content):
    path = write(tmp_path, content)
    assert list(read_documents(path))
    assert faults(read_pairs(path))
