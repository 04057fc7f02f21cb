"""What only Parquet has: types, row groups, damage."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearer.core.records import Judgment, Pair
from nearer.store.formats import read_documents, read_judgments, read_pairs
from store.tables import found, records, the_fault

IDS = pa.array(["a"])


def write(folder, table, **options):
    pq.write_table(pa.table(table), folder / "file.parquet", **options)
    return folder / "file.parquet"


def metadata_of(folder, array):
    [document] = records(read_documents(write(folder, {"_id": IDS, "text": IDS, "x": array})))
    return document.metadata


UTC = datetime.UTC
BERLIN = datetime.timezone(datetime.timedelta(hours=2))
MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 15)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array([7], pa.int8()), 7),
        (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        (pa.array([0.5], pa.float32()), 0.5),
        (pa.array([True]), True),
        (pa.array(["red"], pa.large_string()), "red"),
        (pa.array(["red"]).dictionary_encode(), "red"),
        (pa.array([decimal.Decimal("12.50")]), 12.5),
        (pa.array([decimal.Decimal(10**30)], pa.decimal128(38, 0)), 10**30),
        (pa.array([MOMENT.date()]), "2024-02-29"),
        (pa.array([MOMENT.time()]), "12:30:15"),
        (pa.array([MOMENT], pa.timestamp("s")), "2024-02-29T12:30:15"),
        (pa.array([MOMENT], pa.timestamp("us")), "2024-02-29T12:30:15"),
        (pa.array([MOMENT.replace(microsecond=250)], pa.timestamp("us")), "2024-02-29T12:30:15.000250"),
        (pa.array([1709209815000000001], pa.timestamp("ns")), "2024-02-29T12:30:15.000000001"),
        (pa.array([MOMENT.replace(tzinfo=UTC)], pa.timestamp("ms", "UTC")), "2024-02-29T12:30:15Z"),
        (pa.array([MOMENT.replace(tzinfo=BERLIN)], pa.timestamp("ms", "Europe/Berlin")), "2024-02-29T10:30:15Z"),
        (pa.array([["a", None]]), ["a", None]),
        (pa.array([{"deep": [1.5]}]), {"deep": [1.5]}),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_metadata_keeps_its_type(tmp_path, array, value):
    found = metadata_of(tmp_path, array)
    assert found == {"x": value}
    assert type(found["x"]) is type(value)


def test_a_null_is_no_value_and_metadata_may_be_a_struct(tmp_path):
    assert metadata_of(tmp_path, pa.array([None], pa.string())) == {}
    path = write(tmp_path, {"_id": IDS, "text": IDS, "metadata": pa.array([{"year": 2024}]), "lang": pa.array(["en"])})
    [document] = records(read_documents(path))
    assert document.metadata == {"year": 2024, "lang": "en"}


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"\x00\x01"]),
        pa.array([datetime.timedelta(1)]),
        pa.array([[b"x"]]),
        pa.array([{"x": MOMENT}]),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
    ],
    ids=lambda array: str(array.type),
)
def test_a_type_that_json_has_not_is_a_fault_of_the_file(tmp_path, array):
    fault = the_fault(read_documents(write(tmp_path, {"_id": IDS, "text": IDS, "x": array})))
    assert fault.line == 0
    assert f"the column 'x' is of type {str(array.type).partition('<')[0]}" in fault.reason
    assert "ignore = ['x'] in [columns.documents]" in fault.remedy


def test_integers_serve_as_ids(tmp_path):
    path = write(
        tmp_path, {"query-id": pa.array([7]), "corpus-id": pa.array([2**40]), "score": pa.array([1], pa.int8())}
    )
    assert records(read_judgments(path)) == [Judgment(query_id="7", doc_id=str(2**40), grade=1)]
    [(_, reason)] = found(read_documents(write(tmp_path, {"_id": pa.array([True]), "text": IDS})))[1]
    assert reason == '"_id" is true or false, not text'


def test_lists_of_negatives_and_scores(tmp_path):
    table = {
        "anchor": pa.array(["a"]),
        "positive": pa.array(["p"]),
        "negatives": pa.array([["n", "m"]]),
        "negative_scores": pa.array([[0.0, 0.5]], pa.list_(pa.float32())),
    }
    expected = Pair(query="a", positive="p", negatives=("n", "m"), negative_scores=(0.0, 0.5))
    assert records(read_pairs(write(tmp_path, table))) == [expected]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array(["x", "a\0b", "y"]), "a NUL character in 'a\\x00b'"),
        (pa.array(["x", None, "y"]), "an empty document"),
        (pa.array(["x", " ", "y"]), "an empty document"),
        (
            pa.StringArray.from_buffers(3, *pa.array([b"x", b"ab\xff", b"y"]).buffers()[1:]),
            "not UTF-8 at byte 3 of 'text'",
        ),
    ],
)
def test_a_bad_row_is_reported_by_its_number(tmp_path, values, reason):
    path = write(tmp_path, {"_id": pa.array(["1", "2", "3"]), "text": values})
    good, [(row, reported)] = found(read_documents(path))
    assert [document.doc_id for document in good] == ["1", "3"]
    assert row == 2
    assert reason in reported


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(tmp_path, value):
    path = write(tmp_path, {"_id": IDS, "text": IDS, "x": pa.array([value])})
    assert "is not a number" in the_fault(read_documents(path)).reason


def test_rows_are_counted_over_batches_and_row_groups(tmp_path):
    ids = [f"d{number}" for number in range(2500)]
    ids[2400] = "d3"
    path = write(tmp_path, {"_id": pa.array(ids), "text": pa.array(ids)}, row_group_size=700)
    good, faults = found(read_documents(path))
    assert len(good) == 2499
    assert faults == [(2401, "'d3' is already on line 4")]


def test_a_table_without_rows_and_a_file_cut_off_are_faults(tmp_path):
    path = write(tmp_path, {"_id": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    assert the_fault(read_documents(path)).reason == "no rows after the header"
    path.write_bytes(path.read_bytes()[:-30])
    fault = the_fault(read_documents(path))
    assert (fault.line, fault.reason.split(":")[0]) == (0, "damaged Parquet")


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_a_short_number_is_the_decimal_that_it_prints_as(tmp_path, kind):
    values = np.array([1.5, 0.1, 9.9], kind.to_pandas_dtype())
    path = write(tmp_path, {"_id": ["a", "b", "c"], "text": ["x"] * 3, "price": pa.array(values, kind)})
    assert [each.metadata["price"] for each in records(read_documents(path))] == [1.5, 0.1, 9.9]
