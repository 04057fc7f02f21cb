"""User Behavior Insights as JSON lines: queries with what they found, and events; as they are exported, or bare.

Source: the schemas of queries and events, version 1.3.0, of User Behavior Insights.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from nearer.core.errors import InputError
from nearer.core.ids import content_id
from nearer.signals.incoming import Faults, Incoming, settled, table_of, times_of
from nearer.store.events.records import EVENTS, IMPRESSIONS

IMPRESSION = "impression"
_MARKS = frozenset({"action_name", "user_query", "query_response_hit_ids"})


def is_ubi(path: Path) -> bool:
    """Whether the first line of a file is a query or an event of UBI."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            found = _bare(json.loads(next((line for line in file if line.strip()), "0")))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(_MARKS & found.keys())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """A query as the file has it, and the line that it stands on; ``hits`` are the documents that it found."""

    row: int
    query_id: str
    at: str
    query: str
    user: str
    session: str
    hits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """An event as the file has it, and the line that it stands on."""

    row: int
    event_id: str
    query_id: str
    at: str
    action: str
    doc_id: str
    ordinal: int | None
    user: str
    session: str
    dwell_s: float | None
    value: float | None
    apart: str


@dataclass(slots=True, kw_only=True)
class _Ubi:
    """What was read so far."""

    faults: Faults
    hashed: Callable[[str], str]
    queries: dict[str, _Query] = field(default_factory=dict)
    events: list[_Event] = field(default_factory=list)
    shown: dict[str, dict[str, int | None]] = field(default_factory=dict)
    zeros: int = 0
    ones: int = 0

    def take(self, row: int, line: str) -> None:
        """One line of the file."""
        try:
            found = _bare(json.loads(line))
        except (ValueError, RecursionError):
            self.faults.add(row, "this line is not JSON", "give a JSON object a line")
            return
        if not isinstance(found, dict) or not _MARKS & found.keys():
            self.faults.add(row, "neither a query nor an event", "a query has user_query, an event action_name")
            return
        try:
            self._event(row, found) if "action_name" in found else self._query(row, found)
        except InputError as error:
            self.faults.add(row, error.message, error.hint)

    def _query(self, row: int, found: Mapping[str, Any]) -> None:
        query_id, text = _text(found, "query_id"), _text(found, "user_query")
        hits = found.get("query_response_hit_ids") or []
        if not query_id or not text.strip():
            raise InputError("a query without query_id or user_query", hint="both are needed to use it")
        if not isinstance(hits, list) or not all(isinstance(each, str | int) for each in hits):
            raise InputError("query_response_hit_ids is no list of ids", hint="give the ids in their order")
        self.queries.setdefault(
            query_id,
            _Query(
                row=row,
                query_id=query_id,
                at=_text(found, "timestamp"),
                query=text,
                user=self._person(found),
                session=self.hashed(_text(found, "session_id")),
                hits=tuple(str(each) for each in hits),
            ),
        )

    def _event(self, row: int, found: Mapping[str, Any]) -> None:
        attributes = _object(found, "event_attributes")
        thing, position = _object(attributes, "object"), _object(attributes, "position")
        doc_id = _text(found, "object_id") or _text(thing, "object_id")
        ordinal, query_id = _whole(position, "ordinal"), _text(found, "query_id")
        action = _text(found, "action_name")
        if not action:
            raise InputError("an event without action_name", hint="for example: click")
        if action == IMPRESSION and doc_id:
            self.shown.setdefault(query_id, {}).setdefault(doc_id, ordinal)
            return
        dwell_s = _number(attributes, "dwell_s", least=0)
        if dwell_s is None:
            dwell_s = _number(attributes, "dwell_time", least=0)
        self.events.append(
            _Event(
                row=row,
                event_id=_text(found, "event_id"),
                query_id=query_id,
                at=_text(found, "timestamp"),
                action=action,
                doc_id=doc_id,
                ordinal=ordinal,
                user=self._person(found),
                session=self.hashed(_text(found, "session_id")),
                dwell_s=dwell_s,
                value=_number(attributes, "value"),
                apart="" if query_id else "no query",
            )
        )

    def _person(self, found: Mapping[str, Any]) -> str:
        return self.hashed(_text(found, "user_id") or _text(found, "client_id"))

    def count_ranks(self) -> None:
        """Count by which number the file calls the first rank, wherever it can be told."""
        for each in self.events:
            query = self.queries.get(each.query_id)
            if query and each.ordinal is not None and each.doc_id in query.hits:
                self._count(each.ordinal - query.hits.index(each.doc_id))
        for places in self.shown.values():
            if known := [place for place in places.values() if place is not None]:
                self._count(min(known))

    def _count(self, first: int) -> None:
        self.zeros += first == 0
        self.ones += first == 1

    def places(self, query: _Query, base: int) -> list[tuple[int, str]]:
        """What a query showed, and where: what it says it found, or else what was seen."""
        seen = {doc: place for doc, place in self.shown.get(query.query_id, {}).items() if place is not None}
        places = {doc: number for number, doc in enumerate(dict.fromkeys(query.hits), start=1)}
        places = places or {doc: place - base + 1 for doc, place in seen.items()}
        return sorted((place, doc) for doc, place in places.items() if place >= 1)


def read_ubi(path: Path, *, first_rank: int | None, hashed: Callable[[str], str], faults: Faults) -> Incoming:
    """Queries and events; lines with a fault are left out.

    ``hashed`` hides people. Raises InputError for a file that is not UTF-8, and where ranks start at 0 and at 1 unless
    ``first_rank`` says which.
    """
    found = _Ubi(faults=faults, hashed=lambda name: hashed(name) if name else "")
    try:
        with path.open(encoding="utf-8-sig") as file:
            for row, line in enumerate(file):
                if line.strip():
                    found.take(row, line)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})", hint="save the file as UTF-8") from error
    found.count_ranks()
    base = settled(found.zeros, found.ones, path, what="answers") if first_rank is None else first_rank
    impressions = _impressions(found, base)
    events = _events(found, base)
    return Incoming(impressions=impressions, events=events, notes=(f"positions count from {base}",))


def _impressions(found: _Ubi, base: int) -> pa.Table:
    queries = list(found.queries.values())
    places = [found.places(query, base) for query in queries]
    at = _read_times([query.at for query in queries], [query.row for query in queries], found.faults)
    made = [
        {
            "query_id": query.query_id,
            "query": query.query,
            "user": query.user,
            "session": query.session,
            "doc_ids": [doc_id for _, doc_id in shown],
            "ordinals": [place for place, _ in shown],
            "release_id": "",
            "space_id": "",
            "arm": "",
            "propensities": [1.0] * len(shown),
            "source": "import",
        }
        for query, shown in zip(queries, places, strict=True)
    ]
    return _with_times(made, {"at": at}, [query.row for query in queries], found.faults, IMPRESSIONS)


def _events(found: _Ubi, base: int) -> pa.Table:
    events = found.events
    at = _read_times([event.at for event in events], [event.row for event in events], found.faults)
    made = []
    for event in events:
        ordinal = None if event.ordinal is None else event.ordinal - base + 1
        kept = {name: value for name, value in asdict(event).items() if name not in ("row", "at")}
        named = event.event_id or content_id("event", {**kept, "at": event.at}, num_hex=32)
        made.append({**kept, "event_id": named, "ordinal": ordinal, "details": "", "source": "import"})
    return _with_times(made, {"at": at, "received_at": at}, [event.row for event in events], found.faults, EVENTS)


def _read_times(texts: list[str], rows: list[int], faults: Faults) -> pa.Array:
    at, is_bad = times_of(pa.chunked_array([pa.array(texts, pa.string())]))
    for row, bad in zip(rows, is_bad.tolist(), strict=True):
        if bad:
            faults.add(row, "the timestamp cannot be read", "give ISO 8601")
    return at


def _with_times(
    made: Sequence[Mapping[str, object]],
    times: Mapping[str, pa.Array],
    rows: list[int],
    faults: Faults,
    schema: pa.Schema,
) -> pa.Table:
    """The rows without a fault, with their times."""
    names = [name for name in schema.names if name not in times]
    columns = {name: pa.array([row.get(name) for row in made], schema.field(name).type) for name in names}
    return table_of(schema, columns | dict(times)).filter(
        pa.array([row not in faults.rows for row in rows], pa.bool_())
    )


def _bare(found: Any) -> Any:
    """What an export of a search engine wraps."""
    return found["_source"] if isinstance(found, dict) and isinstance(found.get("_source"), dict) else found


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{name} is no text", hint="give a text")
    try:
        str(value).encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} holds half a surrogate pair", hint="give a text") from None
    return str(value)


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{name} is no object", hint="see the schema of UBI")
    return value or {}


def _whole(found: Mapping[str, Any], name: str) -> int | None:
    value = _number(found, name, least=0)
    if value is not None and (value != int(value) or value > 2**31 - 2):
        raise InputError(f"{name} is no whole number", hint="count ranks from the top")
    return None if value is None else int(value)


def _number(found: Mapping[str, Any], name: str, *, least: float | None = None) -> float | None:
    value = found.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    if not is_number or (least is not None and value < least):
        raise InputError(f"{name} is no number" + (f" from {least:g}" if least is not None else ""), hint="mend it")
    return float(value)
