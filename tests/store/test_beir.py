from pathlib import Path

import pytest

from nearer.core.errors import Fault, InputError
from nearer.core.records import Judgment
from nearer.store.formats import read_judgments
from nearer.store.formats.beir import BeirFolder, find_beir
from nearer.store.formats.rows import Row

HEADER = "query-id\tcorpus-id\tscore\n"


def write(folder: Path, content: bytes | str) -> Path:
    path = folder / "test.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def faults(items) -> list[tuple[int, str]]:
    found = [item for item in items if isinstance(item, Fault)]
    assert all(fault.remedy for fault in found)
    return [(fault.line, fault.reason) for fault in found]


@pytest.mark.parametrize("content", [HEADER + "q\td\t1\nq\te\t0\n", "q\td\t1\r\n\r\nq\te\t0", "q\td\t01\nq\te\t0\n"])
def test_a_header_is_optional(tmp_path, content):
    items = list(read_judgments(write(tmp_path, content)))
    assert faults(items) == []
    assert [item.record for item in items] == [
        Judgment(query_id="q", doc_id="d", grade=1),
        Judgment(query_id="q", doc_id="e", grade=0),
    ]


def test_lines_count_the_header(tmp_path):
    assert [item.line for item in read_judgments(write(tmp_path, HEADER + "q\td\t1\n"))] == [2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        (HEADER, "no rows after the header"),
        ("q\td\t1.5\n", "neither the header nor a judgment"),
        ("q\t0\td\t1\n", "4 tab-separated fields"),
        (b"\x1f\x8b\x08\x00", "gzip"),
    ],
)
def test_a_file_that_is_not_qrels_is_one_fault(tmp_path, content, reason):
    [(line, found)] = faults(read_judgments(write(tmp_path, content)))
    assert line == 0
    assert reason in found


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"q\td", "2 tab-separated fields"),
        (b"q d 1", "1 tab-separated fields"),
        (b"q\td\t1\tx", "4 tab-separated fields"),
        (b"q\td\t", "not an integer"),
        (b"q\td\tNaN", "not an integer but 'NaN'"),
        (b"q\td\t1.5", "not an integer"),
        (b"q\td\t1_0", "not an integer"),
        ("q\td\t١".encode(), "not an integer"),
        (b"q\td\t-3", "negative"),
        (b"q\td\t5", "above 4"),
        (b"q\td\t" + b"9" * 3000, "above 4"),
        (b"q\td\t" + b"9" * 9999, "thousands of digits"),
        (b"\td\t1", '"query-id" is empty'),
        (b"q\t \t1", '"corpus-id" is empty'),
        (b"q\t" + b"d" * 513 + b"\t1", '"corpus-id" has 513'),
        (b"q\rx\td\t1", "line break"),
        (b"q\0\td\t1", "NUL"),
        (b"q\xe9\td\t1", "not UTF-8 at byte 2"),
    ],
)
def test_a_bad_row_is_reported_and_the_others_are_read(tmp_path, row, reason):
    content = HEADER.encode() + b"a\tb\t1\n" + row + b"\ny\tz\t1\n"
    items = list(read_judgments(write(tmp_path, content)))
    [(line, found)] = faults(items)
    assert line == 3
    assert reason in found
    assert [item.line for item in items if isinstance(item, Row)] == [2, 4]


def test_the_remedy_for_a_high_grade_names_the_recipe_key(tmp_path):
    path = write(tmp_path, "q\td\t2\n")
    [fault] = read_judgments(path, max_grade=1)
    assert isinstance(fault, Fault)
    assert "grades.max_grade" in fault.remedy
    assert fault.file == str(path)


@pytest.mark.parametrize("tail", ["q", "q\td", "q\td\t"])
def test_a_cut_last_line_is_named_as_such(tmp_path, tail):
    [(line, reason)] = faults(read_judgments(write(tmp_path, HEADER + "a\tb\t1\n" + tail)))
    assert line == 3
    assert "ends in the middle of a row" in reason


def make_beir(folder: Path, *qrels: str) -> Path:
    (folder / "qrels").mkdir()
    for path in [folder / "corpus.jsonl", folder / "queries.jsonl", *(folder / "qrels" / name for name in qrels)]:
        path.touch()
    return folder


def test_the_files_of_a_folder_are_found(tmp_path):
    folder = make_beir(tmp_path, "train.tsv", "validation.tsv", "test_new-a.tsv", "test.tsv", "._test.tsv")
    assert find_beir(folder) == BeirFolder(
        corpus=folder / "corpus.jsonl",
        queries=folder / "queries.jsonl",
        qrels={
            "dev": folder / "qrels" / "validation.tsv",
            "test": folder / "qrels" / "test.tsv",
            "test_new-a": folder / "qrels" / "test_new-a.tsv",
            "train": folder / "qrels" / "train.tsv",
        },
    )
    assert list(find_beir(folder).qrels) == ["dev", "test", "test_new-a", "train"]


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named(tmp_path, missing):
    (make_beir(tmp_path, "test.tsv") / missing).unlink()
    with pytest.raises(InputError, match=f"no {missing}") as caught:
        find_beir(tmp_path)
    assert "BEIR folder holds" in caught.value.hint


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ((), "no .tsv file"),
        (("te st.tsv",), "no split name"),
        (("tést.tsv",), "no split name"),
        (("test.csv",), "not a .tsv file"),
        (("dev.tsv", "val.tsv"), "are both dev"),
        (("dev.tsv", "dev.tsv.gz"), "are both dev"),
    ],
)
def test_qrels_that_cannot_be_splits_are_refused(tmp_path, qrels, message):
    with pytest.raises(InputError, match=message) as caught:
        find_beir(make_beir(tmp_path, *qrels))
    assert caught.value.hint


def test_a_missing_folder_or_qrels_that_is_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_beir(tmp_path / "absent")
    make_beir(tmp_path)
    (tmp_path / "qrels").rmdir()
    (tmp_path / "qrels").touch()
    with pytest.raises(InputError, match="Not a directory"):
        find_beir(tmp_path)
