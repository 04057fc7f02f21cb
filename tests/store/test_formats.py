"""What holds for every format: the same records, and the same faults under the same name."""

import gzip
import sqlite3
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearer.core.errors import Fault, WorkspaceError
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.store.formats import read_documents, read_judgments, read_pairs, read_queries, read_run, source
from store.tables import FORMATS, TEXT_FORMATS, found, records, the_fault, write_table

every_format = pytest.mark.parametrize("ending", FORMATS)
every_text_format = pytest.mark.parametrize("ending", [*TEXT_FORMATS, *(f"{name}.gz" for name in TEXT_FORMATS)])
READERS = (read_documents, read_queries, read_judgments, read_pairs, read_run)

# The same records


@every_format
def test_documents(tmp_path, ending):
    rows = [
        {"_id": "7", "title": "Rain", "text": 'It "falls", often.'},
        {"_id": "ü 'x", "title": None, "text": "snow"},
    ]
    assert records(read_documents(write_table(tmp_path, ending, rows))) == [
        Document(doc_id="7", title="Rain", text='It "falls", often.'),
        Document(doc_id="ü 'x", text="snow"),
    ]


@pytest.mark.parametrize("ending", [each for each in FORMATS if "jsonl" not in each])
def test_other_columns_of_documents_and_queries_are_metadata(tmp_path, ending):
    rows = [{"doc_id": "a", "text": "x", "brand": "Acme", "lang": None}]
    path = write_table(tmp_path, ending, rows)
    assert records(read_documents(path)) == [Document(doc_id="a", text="x", metadata={"brand": "Acme"})]
    rows = [{"query_id": "a", "text": "x", "title": "no field of a query", "year": "2024"}]
    metadata = {"title": "no field of a query", "year": "2024"}
    assert records(read_queries(write_table(tmp_path, ending, rows))) == [
        Query(query_id="a", text="x", metadata=metadata)
    ]


@every_format
@pytest.mark.parametrize("names", [("query_id", "doc_id", "grade"), ("query-id", "corpus-id", "score")])
def test_judgments(tmp_path, ending, names):
    rows = [dict(zip(names, values, strict=True)) for values in (("q", "d", 4), ("q", "e", 0))]
    path = write_table(tmp_path, ending, rows)
    assert records(read_judgments(path)) == [
        Judgment(query_id="q", doc_id="d", grade=4),
        Judgment(query_id="q", doc_id="e", grade=0),
    ]
    assert found(read_judgments(path, max_grade=3))[1][0][1] == "the grade 4 is above 3"


@every_format
def test_triplets_with_soft_scores(tmp_path, ending):
    rows = [
        {"anchor": "a", "positive": "p", "negative": "n", "score": 0.9, "negative_score": 0.1},
        {"anchor": "b", "positive": "q", "negative": None, "score": None, "negative_score": None},
    ]
    assert records(read_pairs(write_table(tmp_path, ending, rows))) == [
        Pair(query="a", positive="p", negatives=("n",), score=0.9, negative_scores=(0.1,)),
        Pair(query="b", positive="q"),
    ]


@every_format
def test_where_a_pair_came_from(tmp_path, ending):
    rows = [
        {"query": q, "positive": "p", "source": source} for q, source in zip("abc", ("clicks", None, " "), strict=True)
    ]
    assert records(read_pairs(write_table(tmp_path, ending, rows))) == [
        Pair(query="a", positive="p", source="clicks"),
        Pair(query="b", positive="p"),
        Pair(query="c", positive="p"),
    ]


@every_format
def test_several_negatives_are_as_many_columns(tmp_path, ending):
    several = {"negative_10": "n10", "negative_2": "n2", "negative_score_2": 0.25, "negative_score_10": 1}
    rows = [
        {"query": "a", "positive": "p", **several},
        {"query": "b", "positive": "q", "negative_10": "n10", "negative_score_10": 0.5},
    ]
    assert records(read_pairs(write_table(tmp_path, ending, rows))) == [
        Pair(query="a", positive="p", negatives=("n2", "n10"), negative_scores=(0.25, 1.0)),
        Pair(query="b", positive="q", negatives=("n10",), negative_scores=(0.5,)),
    ]


# The same faults: reason and remedy are those of JSON Lines, which test_jsonl.py spells out

BAD_ROWS = {
    "no id": (read_documents, [{"doc_id": "", "text": "x"}]),
    "blank id": (read_documents, [{"doc_id": " ", "text": "x"}]),
    "long id": (read_documents, [{"doc_id": "d" * 513, "text": "x"}]),
    "empty document": (read_documents, [{"doc_id": "a", "title": "", "text": " "}]),
    "doubled id": (read_documents, [{"doc_id": "a", "text": "x"}, {"doc_id": "a", "text": "y"}]),
    "empty query": (read_queries, [{"query_id": "a", "text": ""}]),
    "two names": (read_queries, [{"query_id": "a", "_id": "a", "text": "x"}]),
    "negative grade": (read_judgments, [{"query_id": "q", "doc_id": "d", "grade": -3}]),
    "high grade": (read_judgments, [{"query_id": "q", "doc_id": "d", "grade": 5}]),
    "fraction as grade": (read_judgments, [{"query_id": "q", "doc_id": "d", "grade": 1.5}]),
    "word as grade": (read_judgments, [{"query_id": "q", "doc_id": "d", "grade": "many"}]),
    "empty positive": (read_pairs, [{"query": "q", "positive": " "}]),
    "score above 1": (read_pairs, [{"query": "q", "positive": "p", "score": 1.5}]),
    "score below 0": (read_pairs, [{"query": "q", "positive": "p", "score": -0.5}]),
    "word as score": (read_pairs, [{"query": "q", "positive": "p", "score": "high"}]),
    "blank negative": (read_pairs, [{"query": "q", "positive": "p", "negative": " "}]),
    "too few scores": (
        read_pairs,
        [{"query": "q", "positive": "p", "negative_1": "n", "negative_2": "m", "negative_score_1": 0.1}],
    ),
    "scores of another": (
        read_pairs,
        [{"query": "q", "positive": "p", "negative_1": "n", "negative_score_2": 0.1}],
    ),
}


@pytest.mark.parametrize("ending", [each for each in FORMATS if each != "jsonl"])
@pytest.mark.parametrize(("read", "rows"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_has_the_same_fault_in_every_format(tmp_path, ending, read, rows):
    [expected] = [item for item in read(write_table(tmp_path, "jsonl", rows)) if isinstance(item, Fault)]
    path = write_table(tmp_path, ending, rows)
    [fault] = [item for item in read(path) if isinstance(item, Fault)]
    assert (fault.reason.replace(" line 2", " line 1"), fault.remedy) == (expected.reason, expected.remedy)
    has_header = ending.startswith(("csv", "tsv"))
    assert (fault.file, fault.line) == (str(path), expected.line + has_header)


@pytest.mark.parametrize("ending", [each for each in FORMATS if "jsonl" not in each])
@pytest.mark.parametrize(
    ("read", "row"),
    [
        (read_documents, {"sku": "a", "text": "x"}),
        (read_queries, {"query_id": "a", "question": "x"}),
        (read_judgments, {"query_id": "q", "doc_id": "d", "rel": 1}),
        (read_judgments, {"query_id": "q", "doc_id": "d", "grade": 1, "assessor": "Ada"}),
        (read_pairs, {"query": "q", "negative": "n"}),
        (read_pairs, {"query": "q", "positive": "p", "label": 1}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_column_has_the_reason_of_a_wrong_key_once_for_the_file(tmp_path, ending, read, row):
    expected = the_fault(read(write_table(tmp_path, "jsonl", [row])))
    fault = the_fault(read(write_table(tmp_path, ending, [row, row, row])))
    assert fault.reason == expected.reason
    assert fault.line == 0
    assert "[columns." in fault.remedy


BAD_BYTES = {
    "not UTF-8": (b"caf\xe9 au lait", "not UTF-8 at byte "),
    "a surrogate": (b"\xed\xa0\x80", "not UTF-8 at byte "),
    "a NUL": (b"a\x00b", "a NUL character at byte "),
    "too long": (b"x" * 300, "longer than "),
}
ROWS = {
    "jsonl": (b"", b'{"doc_id": "%d", "text": "%s"}\n'),
    "csv": (b"doc_id,text\n", b'%d,"%s"\n'),
    "tsv": (b"doc_id\ttext\n", b"%d\t%s\n"),
}


@every_text_format
@pytest.mark.parametrize(("bad", "reason"), BAD_BYTES.values(), ids=BAD_BYTES.keys())
def test_bytes_that_are_no_text_are_reported_and_the_other_rows_are_read(tmp_path, monkeypatch, ending, bad, reason):
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 256)
    header, row = ROWS[ending.removesuffix(".gz")]
    content = header + row % (1, b"x") + row % (2, bad) + row % (3, b"y")
    path = tmp_path / f"file.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    good, [(line, reported)] = found(read_documents(path))
    assert [document.doc_id for document in good] == ["1", "3"]
    assert reported.startswith(reason)
    assert line == 2 + bool(header)


@every_text_format
def test_a_last_row_that_is_cut_off_is_reported(tmp_path, ending):
    header, row = ROWS[ending.removesuffix(".gz")]
    for tail in (b'{"doc_id": "2", "te', b"") if not header else (b"2", b'2,"sno' if b"," in header else b"2\t"):
        content = header + row % (1, b"x") + tail
        path = tmp_path / f"file.{ending}"
        path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
        good, faults = found(read_documents(path))
        assert len(good) == 1
        assert [reason for _, reason in faults] == ["the file ends in the middle of a row"] * bool(tail)


# The name tells the format, the content must agree

WRONG_NAMES = [
    ("jsonl", "_id,text\na,x\n", "not JSON Lines but perhaps CSV"),
    ("csv", '{"_id": "a", "text": "x"}\n', "perhaps JSON Lines"),
    ("tsv", '{"_id": "a", "text": "x"}\n', "perhaps JSON Lines"),
    ("csv", "_id;words\na;x\n", "no \"text\" (found: '_id', 'words')"),
    ("tsv", "_id,words\na,x\n", "no \"text\" (found: '_id', 'words')"),
    ("parquet", "_id,text\na,x\n", "not Parquet"),
    ("jsonl.gz", '{"_id": "a", "text": "x"}\n', "not a whole gzip file"),
    ("xlsx", "PK\x03\x04", "compressed or binary (zip)"),
    ("csv", "PAR1", "compressed or binary (parquet)"),
    ("dat", "_id,text\na,x\n", "name does not tell its format"),
    ("parquet.gz", "", "name does not tell its format"),
]


@pytest.mark.parametrize(("ending", "content", "reason"), WRONG_NAMES)
def test_a_wrong_name_is_one_fault_with_what_to_do(tmp_path, ending, content, reason):
    path = tmp_path / f"file.{ending}"
    path.write_text(content)
    fault = the_fault(read_documents(path))
    assert fault.line == 0
    assert reason in fault.reason


@every_text_format
def test_an_empty_file_and_one_without_rows_are_faults(tmp_path, ending):
    header, _ = ROWS[ending.removesuffix(".gz")]
    for content in (b"", b"\n \n", header):
        path = tmp_path / f"file.{ending}"
        path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
        expected = "no rows after the header" if content.strip() else "the file is empty"
        assert the_fault(read_documents(path)).reason == expected


def test_endings_in_capitals_and_what_is_missing(tmp_path):
    path = write_table(tmp_path, "csv.gz", [{"_id": "a", "text": "x"}])
    assert records(read_documents(path.rename(tmp_path / "FILE.CSV.GZ"))) == [Document(doc_id="a", text="x")]
    for ending in (*FORMATS, "dat"):
        assert the_fault(read_documents(tmp_path / f"absent.{ending}")).reason == "no such file"
        (tmp_path / f"folder.{ending}").mkdir()
        assert the_fault(read_documents(tmp_path / f"folder.{ending}")).reason == "is a folder, not a file"


# gzip


@pytest.mark.parametrize("cut", [3, 11, 40, 200, -1])
def test_a_gzip_file_that_is_cut_off_is_refused_as_a_whole(tmp_path, cut):
    rows = [{"_id": f"d{n}", "text": f"{n**7}"} for n in range(200)]
    path = write_table(tmp_path, "jsonl.gz", rows)
    path.write_bytes(path.read_bytes()[:cut])
    _, faults = found(read_documents(path))
    assert faults[-1] == (0, "the gzip file is cut off or damaged")


def test_a_damaged_gzip_file_is_refused_as_a_whole(tmp_path):
    path = write_table(tmp_path, "csv.gz", [{"_id": f"d{n}", "text": f"{n**7}"} for n in range(500)])
    content = bytearray(path.read_bytes())
    for place in (20, len(content) // 2, len(content) - 6):
        damaged = content.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        assert found(read_documents(path))[1][-1][0] == 0


def test_a_gzip_bomb_takes_no_memory(tmp_path):
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write(b"x" * 2**20)
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    fault = the_fault(read_documents(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (fault.line, fault.reason) == (0, "unpacks to more than 100 times its size")
    assert peak < 5 * source.MAX_LINE_BYTES


# Memory


@pytest.mark.parametrize("ending", ["jsonl", "csv.gz", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, ending):
    peaks = []
    for num_rows in (2000, 10_000):
        rows = [{"_id": f"document-{n:08}", "text": "some text that is rather short"} for n in range(num_rows)]
        path = write_table(tmp_path, ending, rows)
        del rows
        tracemalloc.start()
        num_read = sum(not isinstance(item, Fault) for item in read_documents(path))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert num_read == num_rows
    assert peaks[1] < peaks[0] + 500_000


def test_a_full_disk_is_reported_where_the_ids_are_kept(tmp_path, monkeypatch):
    connect = sqlite3.connect

    def connect_to_a_small_disk(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 3")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_to_a_small_disk)
    path = write_table(tmp_path, "jsonl", [{"_id": f"document-{n:0100}", "text": "x"} for n in range(500)])
    with pytest.raises(WorkspaceError, match="disk is full") as caught:
        list(read_documents(path))
    assert "TMPDIR" in caught.value.hint


# Any text, any bytes

CONTROLS = "".join(map(chr, range(0x80, 0xA0)))
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0" + CONTROLS))
any_line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\r\n" + CONTROLS))
any_id = any_line.filter(lambda text: text.strip().strip("\ufeff").strip() == text != "")
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("ending", ["jsonl", "csv", "csv.gz", "parquet"])
@quick
@given(doc_id=any_id, title=any_text, text=any_text, brand=any_text.filter(bool))
def test_any_text_survives(tmp_path, ending, doc_id, title, text, brand):
    where = {"metadata": {"brand": brand}} if ending == "jsonl" else {"brand": brand}
    row = {"_id": doc_id, "title": title, "text": text + ".", **where}
    document = Document(doc_id=doc_id, title=title, text=text + ".", metadata={"brand": brand})
    assert records(read_documents(write_table(tmp_path, ending, [row]))) == [document]


@quick
@given(doc_id=any_id.filter(lambda text: not text.startswith(("{", "["))), title=any_line, text=any_line)
def test_any_line_survives_in_tsv(tmp_path, doc_id, title, text):
    row = {"_id": doc_id, "title": title, "text": text + "."}
    document = Document(doc_id=doc_id, title=title, text=text + ".")
    assert records(read_documents(write_table(tmp_path, "tsv", [row]))) == [document]


HEADS = {
    "jsonl": b'{"_id": "a", "text": "x"}\n{',
    "csv": b"_id,text,query_id,query,positive,doc_id,grade\n",
    "tsv": b"query_id\tdoc_id\tgrade\n",
    "topics": b"<top>\n<num> 1\n",
    "qrels": b"q 0 d 1\n",
    "txt": b"1\tx\n",
    "parquet": b"PAR1",
    "jsonl.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
}


@pytest.mark.parametrize("ending", HEADS)
@quick
@given(tail=st.binary(), has_head=st.booleans())
def test_no_bytes_make_a_reader_raise(tmp_path, ending, tail, has_head):
    path = tmp_path / f"file.{ending}"
    path.write_bytes(HEADS[ending] + tail if has_head else tail)
    for read in READERS:
        assert list(read(path))


@quick
@given(places=st.lists(st.integers(0, 5000), min_size=1, max_size=8), byte=st.integers(0, 255))
def test_damaged_parquet_never_raises(tmp_path, places, byte):
    path = write_table(tmp_path, "parquet", [{"_id": f"d{n}", "text": f"text {n}"} for n in range(50)])
    content = bytearray(path.read_bytes())
    for place in places:
        content[place % len(content)] = byte
    path.write_bytes(content)
    for read in (read_documents, read_queries, read_judgments, read_pairs):
        assert list(read(Path(path)))
