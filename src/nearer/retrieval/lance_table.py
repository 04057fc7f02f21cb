"""A LanceDB table of passages: its columns, its rows, its conditions, and how it is opened.

key      "<ordinal>:<doc_id>", unique; declared as the key, for concurrent upserts duplicate rows without it
doc_id   the document
ordinal  the passage's number in it, from 0
hash     what the document was made of
vector   float32
check    CRC-32 of the vector's bytes: the store keeps no checksums
field_i  the i-th field that may filter
"""

import json
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import NearerError
from nearer.core.filters import Comparison, Fields, Filter
from nearer.core.types import FieldType
from nearer.retrieval.entries import Entries
from nearer.retrieval.manifest import Manifest, Spec, Version, damaged
from nearer.store.files import inside
from nearer.store.objects import refused, storage_options

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.db import DBConnection
    from lancedb.expr import Expr
    from lancedb.table import Table

KEY, DOC_ID, ORDINAL, HASH, VECTOR, CHECK = "key", "doc_id", "ordinal", "hash", "vector", "check"
_MARK = "\x1f"
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}


def column_of(fields: Fields, name: str) -> str:
    """The column of a field: a number, for a field's name may be anything."""
    return f"field_{list(fields).index(name)}"


def schema_of(spec: Spec, *, dimension: int) -> "pa.Schema":
    """The columns of a table."""
    import pyarrow as pa

    types: dict[FieldType, pa.DataType] = {
        "text": pa.utf8(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.float64(),
        "list": pa.utf8(),
    }
    columns = [
        pa.field(KEY, pa.utf8(), nullable=False, metadata=_PRIMARY_KEY),
        pa.field(DOC_ID, pa.utf8(), nullable=False),
        pa.field(ORDINAL, pa.int32(), nullable=False),
        pa.field(HASH, pa.utf8(), nullable=False),
        pa.field(VECTOR, pa.list_(pa.float32(), dimension), nullable=False),
        pa.field(CHECK, pa.int64(), nullable=False),
    ]
    columns += [pa.field(column_of(spec.fields, name), types[kind]) for name, kind in spec.fields.items()]
    return pa.schema(columns)


def rows_of(entries: Entries, schema: "pa.Schema", spec: Spec) -> "pa.Table":
    """One row a passage."""
    import pyarrow as pa

    documents = np.repeat(np.arange(len(entries.doc_ids)), entries.sizes_N)
    ordinals = np.arange(len(documents)) - entries.starts_N[documents]
    vectors_PD = np.ascontiguousarray(entries.vectors_PD, dtype=np.float32)
    columns: dict[str, object] = {
        KEY: [f"{ordinal}:{entries.doc_ids[row]}" for row, ordinal in zip(documents, ordinals, strict=True)],
        DOC_ID: [entries.doc_ids[row] for row in documents],
        ORDINAL: ordinals,
        HASH: [entries.hashes[row] for row in documents],
        VECTOR: pa.FixedSizeListArray.from_arrays(pa.array(vectors_PD.reshape(-1)), vectors_PD.shape[1]),
        CHECK: checks(vectors_PD),
    }
    for name, values in entries.values.items():
        kept = [marked(each) if isinstance(each, tuple) else each for each in values]
        columns[column_of(spec.fields, name)] = [kept[row] for row in documents]
    return pa.table(columns, schema=schema)


def marked(items: Iterable[str]) -> str:
    """The items of a list as one text that holds each between marks, which no item holds: JSON escapes them."""
    return _MARK + "".join(json.dumps(each) + _MARK for each in items)


def checks(vectors_PD: Floats32) -> list[int]:
    """The CRC-32 of every vector."""
    return [zlib.crc32(vector_D) for vector_D in vectors_PD]


def vectors_in(batch: "pa.RecordBatch") -> Floats32:
    """The vectors of a batch of rows, shape (rows, D)."""
    column = batch[VECTOR]
    vectors: Floats32 = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
    return vectors


def compiled(condition: Filter, fields: Fields) -> "Expr":
    """The condition as the store's typed expression; text never becomes part of a query's text."""
    from functools import reduce
    from operator import and_, or_

    from lancedb.expr import col, lit

    if not isinstance(condition, Comparison):
        parts = [compiled(each, fields) for each in condition.filters]
        return reduce(and_ if condition.type == "and" else or_, parts)
    column, value = col(column_of(fields, condition.key)), condition.value
    values = value if isinstance(value, tuple) else (value,)
    if fields[condition.key] == "list":
        has = reduce(or_, [column.contains(marked([str(each)])) for each in values])
        return has if condition.type in ("eq", "in") else ~has
    if fields[condition.key] == "integer" and any(isinstance(each, float) for each in values):
        column = column.cast("double")  # counting takes SQL, which does not turn a fraction into an integer
    if isinstance(value, tuple):
        among = column.isin(value)
        return among if condition.type == "in" else ~among
    comparison: Expr = getattr(column, condition.type)(lit(value))
    return comparison


def table_names(folder: Path) -> list[str]:
    """The tables in a folder, current or not."""
    return [path.stem for path in folder.glob("*.lance")]


def create_table(folder: Path, address: str | None, schema: "pa.Schema") -> "Table":
    """A new empty table, named so that nobody can have it open: in the folder, or at an address of object storage."""
    if address is not None:
        return _connected(folder, address).create_table(f"passages-{secrets.token_hex(8)}", schema=schema)
    number = 1 + max((int(name.rpartition("-")[2]) for name in table_names(folder)), default=0)
    return _connected(folder, None).create_table(f"passages-{number}", schema=schema)


def open_table(folder: Path, version: Version) -> "Table":
    """The newest version of a table. Raises WorkspaceError when it is missing or damaged, ServiceError elsewhere."""
    with explained(place_of(folder, version)):
        inside(folder, f"{version.table}.lance")
        return _connected(folder, version.server).open_table(version.table)


def forget_tables(folder: Path, before: Manifest, kept: Manifest | None) -> None:
    """Remove the tables in object storage that only ``before`` names. Raises ServiceError."""
    held = {(each.server, each.table) for each in (kept.versions if kept else ())}
    for version in before.versions:
        if version.place == "objects" and (version.server, version.table) not in held:
            assert version.server is not None
            with explained(version.server):
                _connected(folder, version.server).drop_table(version.table, ignore_missing=True)


def place_of(folder: Path, version: Version) -> "Path | str":
    """Where a table is, for errors."""
    name = f"{version.table}.lance"
    return f"{version.server}/{name}" if version.server else folder / name


def _connected(folder: Path, address: str | None) -> "DBConnection":
    import lancedb

    if address is None:
        return lancedb.connect(folder)
    with explained(address):
        return lancedb.connect(address, storage_options=storage_options())


@contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """Turn what the store raises into an error with its remedy; a text is an address of object storage."""
    try:
        yield
    except NearerError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(path, str) and not _is_damage(error):
            raise refused(path, error) from None
        reason = str(error).partition(", /")[0].splitlines()[0]
        raise damaged(path, f"cannot be read: {reason}") from error


def _is_damage(error: Exception) -> bool:
    """Whether a table in object storage was reached, and is not what was written."""
    text = str(error)
    return "HttpError" not in text and "status: " not in text and "RetryError" not in text
