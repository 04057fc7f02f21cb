"""What the event log holds: impressions and events, as records, as lines and as Arrow tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow as pa

from nearer.core.results.base import JSON

Kind = Literal["impressions", "events"]
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = pa.timestamp("us", tz="UTC")

SERVICE = "service"
"""The source of what the service wrote itself."""
IMPORT = "import-"
"""How folders of what was imported begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impression:
    """What was shown for a query: ``doc_ids`` at ``ordinals``, which count from 1.

    ``propensities`` says how likely each document was to be shown where it was, given the ranking. ``user`` and
    ``session`` are hashed, or empty. ``took_ms`` is how long the answer took, where that was measured.
    ``teams`` has a letter a document where two rankings were interleaved: a for control's, b for the treatment's.
    A search that ``failed`` showed nothing, through no fault of the query.
    """

    query_id: str
    at: datetime
    query: str
    user: str
    session: str
    release_id: str
    space_id: str
    arm: str
    doc_ids: tuple[str, ...]
    ordinals: tuple[int, ...]
    propensities: tuple[float, ...]
    took_ms: float | None = None
    teams: str = ""
    failed: bool = False
    source: str = SERVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a user did, ``at`` by their clock, with the answer of ``query_id``; None and empty texts: not known.

    ``value`` is a rating or a price, ``details`` what else was sent, as JSON. ``apart`` says why it is kept apart when
    it came in, empty where it is not. ``user`` and ``session`` are hashed.
    """

    event_id: str
    query_id: str
    at: datetime
    received_at: datetime
    action: str
    doc_id: str
    ordinal: int | None
    user: str
    session: str
    dwell_s: float | None
    value: float | None
    details: str
    apart: str
    source: str = SERVICE


IMPRESSIONS = pa.schema(
    [
        ("query_id", pa.string()),
        ("at", _TIME),
        ("query", pa.string()),
        ("user", pa.string()),
        ("session", pa.string()),
        ("release_id", pa.string()),
        ("space_id", pa.string()),
        ("arm", pa.string()),
        ("doc_ids", pa.list_(pa.string())),
        ("ordinals", pa.list_(pa.int32())),
        ("propensities", pa.list_(pa.float32())),
        ("took_ms", pa.float32()),
        ("teams", pa.string()),
        ("failed", pa.bool_()),
        ("source", pa.string()),
    ]
)
EVENTS = pa.schema(
    [
        ("event_id", pa.string()),
        ("query_id", pa.string()),
        ("at", _TIME),
        ("received_at", _TIME),
        ("action", pa.string()),
        ("doc_id", pa.string()),
        ("ordinal", pa.int32()),
        ("user", pa.string()),
        ("session", pa.string()),
        ("dwell_s", pa.float32()),
        ("value", pa.float64()),
        ("details", pa.string()),
        ("apart", pa.string()),
        ("source", pa.string()),
    ]
)
SCHEMAS: dict[Kind, pa.Schema] = {"impressions": IMPRESSIONS, "events": EVENTS}


def as_line(record: Impression | Event) -> bytes:
    """A record as JSON in one line, without the line's end. Raises ValueError for what JSON or UTF-8 cannot hold."""
    row = {each.name: _plain(getattr(record, each.name)) for each in fields(record)}
    kind: Kind = "impressions" if isinstance(record, Impression) else "events"
    return json.dumps([kind, row], ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def as_tables(lines: Sequence[bytes]) -> dict[Kind, pa.Table]:
    """The records of lines, a table a kind."""
    rows: dict[Kind, list[JSON]] = {"impressions": [], "events": []}
    for line in lines:
        kind, row = json.loads(line)
        rows[kind].append(row)
    return {kind: pa.Table.from_pylist(rows[kind], schema=schema) for kind, schema in SCHEMAS.items()}


def _plain(value: object) -> object:
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value
