"""Parquet files that no import may take: damaged, or with columns that hold no text."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hostile.case import Case

Row = tuple[str, Callable[[], bytes], int, str, str]


def _parquet(arrays: dict[str, Any] | None = None, **options: Any) -> bytes:
    """A document d1 whose text is rain, or other columns."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"doc_id": ["d1"], "text": ["rain"], **(arrays or {})}), buffer, **options)
    return buffer.getvalue()


def _of(**arrays: Any) -> Callable[[], bytes]:
    return lambda: _parquet(arrays)


def _only(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays), buffer)
    return buffer.getvalue()


def _twice_named() -> bytes:
    buffer = io.BytesIO()
    table = pa.Table.from_arrays([pa.array(["d1"]), pa.array(["a"]), pa.array(["b"])], names=["doc_id", "text", "text"])
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _not_utf8() -> bytes:
    raw = pa.array([b"\xff\xfe"], pa.binary())
    return _parquet({"text": pa.Array.from_buffers(pa.string(), 1, raw.buffers())})


def _patched(at: int, content: bytes) -> bytes:
    """A whole file with other bytes at a place from its end."""
    raw = _parquet()
    place = len(raw) - at
    return raw[:place] + content + raw[place + len(content) :]


DAMAGED = "damaged Parquet"
AGAIN = "copy or export the file again"

PARQUETS: list[Row] = [
    ("empty.parquet", bytes, 0, "not Parquet", "in its own format"),
    ("magic.parquet", lambda: b"PAR1", 0, DAMAGED, AGAIN),
    ("encrypted.parquet", lambda: b"PARE" + _parquet()[4:-4] + b"PARE", 0, "not Parquet", "in its own format"),
    ("encrypted-footer.parquet", lambda: _patched(4, b"PARE"), 0, DAMAGED, AGAIN),
    ("cut.parquet", lambda: _parquet()[:-50], 0, DAMAGED, AGAIN),
    ("footer-length.parquet", lambda: _patched(8, b"\xff\xff\xff\x7f"), 0, DAMAGED, AGAIN),
    ("footer-garbage.parquet", lambda: _patched(200, b"\xff" * 100), 0, DAMAGED, AGAIN),
    ("pages-garbage.parquet", lambda: b"PAR1" + b"\xff" * 60 + _parquet()[64:], 0, DAMAGED, AGAIN),
    ("no-rows.parquet", _of(doc_id=pa.array([], pa.string()), text=pa.array([], pa.string())), 0, "no rows", "one row"),
    ("other-columns.parquet", lambda: _only(sku=["1"], body=["rain"]), 0, 'no "_id" or "doc_id"', "rename the column"),
    ("null-id.parquet", _of(doc_id=pa.array([None], pa.string())), 1, '"doc_id" is null', "quote"),
    ("float-id.parquet", _of(doc_id=[1.5]), 1, '"doc_id" is a number, not text', "quote"),
    ("binary-text.parquet", _of(text=[b"rain"]), 0, "'text' is of type binary", "convert it"),
    ("struct-text.parquet", _of(text=[{"a": "rain"}]), 1, '"text" is an object, not text', "in quotes"),
    ("duration.parquet", _of(age=pa.array([1], pa.duration("s"))), 0, "'age' is of type duration[s]", "ignore = ["),
    ("binary-inside.parquet", _of(tags=[{"deep": [b"\xff"]}]), 0, "is of type struct<deep: list<", "ignore"),
    ("nan.parquet", _of(year=[float("nan")]), 1, "NaN is not a number", "write null"),
    ("not-utf-8.parquet", _not_utf8, 1, "not UTF-8 at byte 1 of 'text'", "export the text as UTF-8"),
    ("long-cell.parquet", _of(text=["x" * (17 * 2**20)]), 1, "longer than 16 MiB", "split the text"),
]


def _written(make: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(make()) and None


CASES = [
    Case(
        name=f"corpus-{name}",
        content=_written(make),
        verb="add corpus {path}",
        code="import_faults",
        line=line,
        reason=reason,
        remedy=remedy,
    )
    for name, make, line, reason, remedy in PARQUETS
]
