"""The same rows as a file of every format."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearer.core.errors import Fault

Rows = list[dict[str, Any]]

TEXT_FORMATS = ("jsonl", "csv", "tsv")
FORMATS = (*TEXT_FORMATS, *(f"{name}.gz" for name in TEXT_FORMATS), "parquet")


def write_table(folder: Path, ending: str, rows: Rows) -> Path:
    """A file that ends in ``ending``; a value that is None is left out, or an empty cell."""
    path = folder / f"file.{ending}"
    header = list(dict.fromkeys(name for row in rows for name in row))
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in header} for row in rows]), path)
        return path
    text = _TEXT[ending.removesuffix(".gz")](header, rows)
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    return path


def found(items: Any) -> tuple[list[Any], list[tuple[int, str]]]:
    """The records, and the faults as line and reason; each fault has a remedy."""
    items = list(items)
    faults = [item for item in items if isinstance(item, Fault)]
    assert all(fault.remedy and fault.file for fault in faults)
    records = [item.record for item in items if not isinstance(item, Fault)]
    return records, [(fault.line, fault.reason) for fault in faults]


def records(items: Any) -> list[Any]:
    """The records of a file without faults."""
    good, faults = found(items)
    assert faults == []
    return good


def the_fault(items: Any) -> Fault:
    """The only thing that a file holds: one fault."""
    [only] = list(items)
    assert isinstance(only, Fault)
    assert only.remedy
    return only


def _jsonl(header: list[str], rows: Rows) -> str:
    kept = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return "".join(json.dumps(row) + "\n" for row in kept)


def _csv(header: list[str], rows: Rows) -> str:
    text = io.StringIO(newline="")
    lines = [header, *([_cell(row.get(name)) for name in header] for row in rows)]
    must_quote = any("\r" in cell for line in lines for cell in line)  # which the writer overlooks before Python 3.13
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if must_quote else csv.QUOTE_MINIMAL)
    writer.writerows(lines)
    return text.getvalue()


def _tsv(header: list[str], rows: Rows) -> str:
    lines = [header, *([_cell(row.get(name)) for name in header] for row in rows)]
    return "".join("\t".join(cells) + "\n" for cells in lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


_TEXT = {"jsonl": _jsonl, "csv": _csv, "tsv": _tsv}
