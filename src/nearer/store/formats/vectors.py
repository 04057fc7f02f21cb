"""Vectors for others: Parquet, SQL for pgvector, and requests for Qdrant and OpenSearch; each stamped with its space.

A file of requests has one JSON object a line: method, path, content_type and body, to be sent in their order.
Arrays: P passages x D dimensions, float32, of unit length.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from nearer.core.arrays import Floats32
from nearer.core.records import Passage
from nearer.store.files import appearing

VectorStore = Literal["parquet", "pgvector", "qdrant", "opensearch"]
_POINTS = 100  # a request
_MOST_HNSW, _MOST_HNSW_HALF = 2000, 4000  # dimensions. Source: pgvector's README, sections HNSW and half vectors
_NAMESPACE = uuid.UUID("6c6b4f3e-6f6d-5a3e-9d0c-0d5f6a1b2c3d")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_JSON, _LINES = "application/json", "application/x-ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Which space vectors are of: the encoder that made them, and the one whose queries may meet them."""

    space_id: str
    query_encoder_id: str
    model_id: str
    dimension: int
    chunking: str

    @property
    def name(self) -> str:
        """What a collection of this space alone is called."""
        return f"nearer-{self.space_id}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorBatch:
    """Some passages and their vectors, shape (P, D)."""

    passages: Sequence[Passage]
    emb_PD: Floats32


def write_vectors(path: Path, store: VectorStore, stamp: Stamp, batches: Iterator[VectorBatch]) -> int:
    """Write passages' vectors as a store takes them; how many they are. The file gets its name when it is whole.

    Raises OSError.
    """
    num_vectors = 0

    def counted() -> Iterator[VectorBatch]:
        nonlocal num_vectors
        for batch in batches:
            num_vectors += len(batch.passages)
            yield batch

    with appearing(path) as unfinished:
        if store == "parquet":
            _write_parquet(unfinished, stamp, counted())
        else:
            with unfinished.open("x", encoding="utf-8", newline="\n") as file:
                file.writelines(_TEXTS[store](stamp, counted()))
    return num_vectors


def _write_parquet(path: Path, stamp: Stamp, batches: Iterator[VectorBatch]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("doc_id", pa.string()),
            ("ordinal", pa.int32()),
            ("start", pa.int64()),
            ("end", pa.int64()),
            ("vector", pa.list_(pa.float32(), stamp.dimension)),
            ("space_id", pa.dictionary(pa.int32(), pa.string())),
        ],
        metadata={f"nearer.{name}": str(value) for name, value in asdict(stamp).items()},
    )
    with pq.ParquetWriter(path, schema) as writer:
        for batch in batches:
            passages = batch.passages
            columns = [
                pa.array([each.doc_id for each in passages], pa.string()),
                pa.array([each.ordinal for each in passages], pa.int32()),
                pa.array([each.start for each in passages], pa.int64()),
                pa.array([each.end for each in passages], pa.int64()),
                pa.FixedSizeListArray.from_arrays(pa.array(batch.emb_PD.reshape(-1)), stamp.dimension),
                pa.array([stamp.space_id] * len(passages)).dictionary_encode(),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _sql(stamp: Stamp, batches: Iterator[VectorBatch]) -> Iterator[str]:
    """A transaction that makes the table hold these vectors and no others; readers go on meanwhile."""
    table = stamp.name.replace("-", "_")
    said = json.dumps(asdict(stamp)).replace("'", "''")
    yield f"""-- Vectors for pgvector: psql --set ON_ERROR_STOP=1 --file THIS_FILE
-- Before a search that also filters: SET hnsw.iterative_scan = strict_order;
BEGIN;
SET LOCAL client_encoding = 'UTF8';
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS {table} (
    doc_id text NOT NULL,
    ordinal integer NOT NULL,
    span int8range NOT NULL,
    embedding vector({stamp.dimension}) NOT NULL,
    space_id text NOT NULL DEFAULT '{stamp.space_id}' CHECK (space_id = '{stamp.space_id}'),
    PRIMARY KEY (doc_id, ordinal)
);
COMMENT ON TABLE {table} IS '{said}';
CREATE TEMPORARY TABLE incoming (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DROP;
COPY incoming (doc_id, ordinal, span, embedding) FROM stdin;
"""
    numbers = ",".join(["%.9g"] * stamp.dimension)  # nine digits bring every float32 back
    for batch in batches:
        for passage, vector_D in zip(batch.passages, batch.emb_PD.tolist(), strict=True):
            doc_id = passage.doc_id.translate(_ESCAPES)
            span = f"[{passage.start},{passage.end})"
            yield f"{doc_id}\t{passage.ordinal}\t{span}\t[{numbers % tuple(vector_D)}]\n"
    yield rf"""\.
INSERT INTO {table} SELECT * FROM incoming
    ON CONFLICT (doc_id, ordinal) DO UPDATE SET span = EXCLUDED.span, embedding = EXCLUDED.embedding
    WHERE {table}.embedding <> EXCLUDED.embedding OR {table}.span <> EXCLUDED.span;
DELETE FROM {table} AS kept WHERE NOT EXISTS
    (SELECT FROM incoming WHERE incoming.doc_id = kept.doc_id AND incoming.ordinal = kept.ordinal);
{_sql_index(table, stamp.dimension)}
COMMIT;
ANALYZE {table};
"""


def _sql_index(table: str, dimension: int) -> str:
    index = f"CREATE INDEX IF NOT EXISTS {table}_hnsw ON {table} USING hnsw"
    if dimension <= _MOST_HNSW:
        return f"{index} (embedding vector_ip_ops);"
    if dimension <= _MOST_HNSW_HALF:
        return f"{index} ((embedding::halfvec({dimension})) halfvec_ip_ops);"
    return f"-- no index: pgvector's have at most {_MOST_HNSW_HALF} dimensions; nearer compress makes fewer"


def _qdrant(stamp: Stamp, batches: Iterator[VectorBatch]) -> Iterator[str]:
    """Source: Qdrant's HTTP API, create collection, create payload index, upsert points."""
    path = f"/collections/{stamp.name}"
    yield _request("PUT", path, {"vectors": {"size": stamp.dimension, "distance": "Dot"}})
    yield _request("PUT", f"{path}/index", {"field_name": "doc_id", "field_schema": "keyword"})
    for part in _parts(batches):
        points: list[dict[str, object]] = [
            {"id": _point_id(passage), "vector": vector, "payload": _fields(passage) | _stamped(stamp)}
            for passage, vector in part
        ]
        yield _request("PUT", f"{path}/points?wait=true", {"points": points})


def _opensearch(stamp: Stamp, batches: Iterator[VectorBatch]) -> Iterator[str]:
    """Source: OpenSearch's documentation, k-NN vector field type and bulk API."""
    method = {"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"}
    properties = {
        **{name: {"type": "keyword"} for name in ("doc_id", *_stamped(stamp))},
        **{name: {"type": "integer"} for name in ("ordinal", "start", "end")},
        "embedding": {"type": "knn_vector", "dimension": stamp.dimension, "method": method},
    }
    mappings = {"_meta": asdict(stamp), "dynamic": "strict", "properties": properties}
    yield _request("PUT", f"/{stamp.name}", {"settings": {"index": {"knn": True}}, "mappings": mappings})
    for part in _parts(batches):
        lines: list[Mapping[str, object]] = []
        for passage, vector in part:
            lines.append({"index": {"_index": stamp.name, "_id": _point_id(passage)}})
            lines.append({**_fields(passage), **_stamped(stamp), "embedding": vector})
        yield _request("POST", "/_bulk", *lines, content_type=_LINES)


_TEXTS: Mapping[str, Callable[[Stamp, Iterator[VectorBatch]], Iterator[str]]] = {
    "pgvector": _sql,
    "qdrant": _qdrant,
    "opensearch": _opensearch,
}


def _parts(batches: Iterator[VectorBatch]) -> Iterator[list[tuple[Passage, list[float]]]]:
    """Passages with their vectors, as many as a request has."""
    for batch in batches:
        rows = list(zip(batch.passages, batch.emb_PD.tolist(), strict=True))
        for start in range(0, len(rows), _POINTS):
            yield rows[start : start + _POINTS]


def _request(method: str, path: str, *bodies: Mapping[str, object], content_type: str = _JSON) -> str:
    body = "".join(f"{json.dumps(each)}\n" for each in bodies)
    return json.dumps({"method": method, "path": path, "content_type": content_type, "body": body}) + "\n"


def _point_id(passage: Passage) -> str:
    """The same passage of a document has the same id each time; stores allow no others than UUIDs, or short ones."""
    return str(uuid.uuid5(_NAMESPACE, f"{passage.ordinal}:{passage.doc_id}"))


def _fields(passage: Passage) -> dict[str, object]:
    return {"doc_id": passage.doc_id, "ordinal": passage.ordinal, "start": passage.start, "end": passage.end}


def _stamped(stamp: Stamp) -> dict[str, object]:
    return {"space_id": stamp.space_id, "model_id": stamp.model_id}
