"""A PostgreSQL table of passages: its columns, its rows and its conditions.

doc_key   16 bytes of the SHA-256 of the document's id, for an id may be longer than an index takes
doc_id    the document's id, as the bytes of its UTF-8: PostgreSQL's texts hold no NUL
ordinal   the passage's number in the document, from 0
hash      what the document was made of, as bytes too
embedding float32; the vector index over it has half precision, and finds what is then compared in full
crc       CRC-32 of the vector's bytes
since     the version of the index that first had this row
until     the version that no longer has it; NULL while it is current
field_i   the i-th field that may filter; text as bytes, which are ordered as its characters are
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.filters import Comparison, Fields, Filter
from nearer.core.types import FieldType
from nearer.retrieval.entries import Entries
from nearer.retrieval.lance_table import checks, column_of, marked
from nearer.retrieval.manifest import Spec

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable, Identifier

PREFIX = "nearer_"
MOST_HNSW = 4000
"""The most dimensions that a vector index of half precision has. Source: pgvector's README."""

_TYPES: dict[FieldType, str] = {
    "text": "bytea",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "date": "double precision",
    "list": "bytea",
}
_ORDERED_BY = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
Condition = tuple["Composable", list[Any]]
"""SQL, and the values of its placeholders: text never becomes part of a statement."""


def own_prefix(folder: Path) -> str:
    """What the names of the tables of an index folder begin with; a copy of the folder has another."""
    return f"{PREFIX}{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:20]}_"


def table_names(connection: "Connection", prefix: str) -> list[str]:
    """The tables whose names begin so."""
    statement = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND starts_with(tablename, %s)"
    return [name for (name,) in connection.execute(statement, (prefix,)).fetchall()]


def create_table(connection: "Connection", folder: Path, spec: Spec, *, dimension: int) -> str:
    """A new empty table; its name."""
    from psycopg.sql import SQL, Identifier, Literal

    prefix = own_prefix(folder)
    numbers = [int(name.rpartition("_")[2]) for name in table_names(connection, prefix)]
    name = f"{prefix}{1 + max(numbers, default=0)}"
    fields = [SQL(f", {column_of(spec.fields, each)} {_TYPES[kind]}") for each, kind in spec.fields.items()]
    connection.execute(
        SQL(
            "CREATE TABLE {} (doc_key bytea NOT NULL, doc_id bytea NOT NULL, ordinal integer NOT NULL, "
            "hash bytea NOT NULL, embedding vector({}) NOT NULL, crc bigint NOT NULL, since bigint NOT NULL, "
            "until bigint{}, PRIMARY KEY (doc_key, ordinal, since))"
        ).format(Identifier(name), SQL(str(dimension)), SQL("").join(fields))
    )
    connection.execute(
        SQL("COMMENT ON TABLE {} IS {}").format(Identifier(name), Literal(f"nearer: space {spec.space_id}"))
    )
    return name


def create_indexes(connection: "Connection", name: str, spec: Spec, *, dimension: int, vectors: bool) -> None:
    """The indexes that are missing: of the fields that may filter, and of vectors where these are many."""
    from psycopg.sql import SQL

    table = table_of(name)
    for number, kind in enumerate(spec.fields.values()):
        if kind != "list":  # whose items are looked through
            method = "hash" if kind == "text" else "btree"  # a text may be longer than an ordered index takes
            statement = f"CREATE INDEX IF NOT EXISTS {name}_f{number} ON {{}} USING {method} (field_{number})"
            connection.execute(SQL(statement).format(table))
    if vectors and dimension <= MOST_HNSW:
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        statement = f"CREATE INDEX IF NOT EXISTS {name}_hnsw ON {{}} USING hnsw ({half(dimension)} halfvec_ip_ops)"
        connection.execute(SQL(statement).format(table))


def half(dimension: int) -> str:
    """The vectors in half precision, as the vector index has them."""
    return f"(embedding::halfvec({dimension}))"


def table_of(name: str) -> "Identifier":
    """A table's name in SQL."""
    from psycopg.sql import Identifier

    return Identifier(name)


def key_of(doc_id: str) -> bytes:
    """What finds a document."""
    return hashlib.sha256(doc_id.encode()).digest()[:16]


def copy_rows(connection: "Connection", name: str, entries: Entries, spec: Spec, *, since: int) -> None:
    """Write one row a passage."""
    from psycopg.sql import SQL

    names = ["doc_key", "doc_id", "ordinal", "hash", "embedding", "crc", "since"]
    kinds = ["bytea", "bytea", "int4", "bytea", "vector", "int8", "int8"]
    written = [(number, each) for number, each in enumerate(spec.fields) if each in entries.values]
    names += [f"field_{number}" for number, _ in written]
    kinds += [_COPIED[spec.fields[each]] for _, each in written]
    columns = SQL(", ").join(map(table_of, names))
    statement = SQL("COPY {} ({}) FROM STDIN WITH (FORMAT BINARY)").format(table_of(name), columns)
    with connection.cursor().copy(statement) as copy:
        copy.set_types(kinds)
        for row in _rows(entries, [each for _, each in written], since=since):
            copy.write_row(row)


_COPIED: dict[FieldType, str] = {**_TYPES, "integer": "int8", "number": "float8", "boolean": "bool", "date": "float8"}


def _rows(entries: Entries, fields: list[str], *, since: int) -> Iterator[list[Any]]:
    vectors_PD = np.ascontiguousarray(entries.vectors_PD, dtype=np.float32)
    crcs = checks(vectors_PD)
    for row, (doc_id, start, size) in enumerate(
        zip(entries.doc_ids, entries.starts_N.tolist(), entries.sizes_N.tolist(), strict=True)
    ):
        values = [_as_kept(entries.values[each][row]) for each in fields]
        key, name, hash_ = key_of(doc_id), doc_id.encode(), entries.hashes[row].encode()
        for ordinal in range(size):
            place = start + ordinal
            yield [key, name, ordinal, hash_, vectors_PD[place], crcs[place], since, *values]


def _as_kept(value: Any) -> Any:
    if isinstance(value, tuple):
        return marked(value).encode()
    return value.encode() if isinstance(value, str) else value


def compiled(condition: Filter, fields: Fields) -> Condition:
    """The condition as SQL with placeholders."""
    from psycopg.sql import SQL

    if not isinstance(condition, Comparison):
        parts = [compiled(each, fields) for each in condition.filters]
        joined = SQL(" AND " if condition.type == "and" else " OR ").join([part for part, _ in parts])
        return SQL("({})").format(joined), [value for _, values in parts for value in values]
    column, value = column_of(fields, condition.key), condition.value
    values = list(value) if isinstance(value, tuple) else [value]
    if fields[condition.key] == "list":
        has = SQL(" OR ").join([SQL(f"position(%s IN {column}) > 0")] * len(values))
        whole = SQL("({})" if condition.type in ("eq", "in") else "NOT ({})").format(has)
        return whole, [marked([str(each)]).encode() for each in values]
    if any(isinstance(each, float) for each in values):
        column, values = f"{column}::double precision", [float(each) for each in values]
    kept = [_as_kept(each) for each in values]
    if condition.type in ("in", "nin"):
        among = f"{column} = ANY(%s)" if condition.type == "in" else f"{column} <> ALL(%s)"
        return SQL(among), [kept]
    return SQL(f"{column} {_ORDERED_BY[condition.type]} %s"), kept
