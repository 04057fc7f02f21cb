"""Click logs as most teams have them, a row for every document that was shown, as impressions and events.

Arrays: I rows of the file, L lists (the answer to one query in one session), E clicked rows.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.errors import InputError
from nearer.signals.click_log import MAX_RANKS
from nearer.signals.incoming import Faults, Incoming, constant, ids_of, lists_of, settled, table_of, times_of
from nearer.signals.read_log import CLICK, COLUMNS, is_true, read_table
from nearer.store.events.columns import codes
from nearer.store.events.records import EVENTS, IMPRESSIONS

OPTIONAL = ("time", "user", "ranker", "propensity", "action", "dwell_s", "value")
_FILL = "fill it in, or leave the row out"


def read_click_table(
    path: Path,
    *,
    names: Mapping[str, str],
    first_rank: int | None,
    hashed: Callable[[str], str],
    faults: Faults,
) -> Incoming:
    """The columns ``session, query, doc, position, clicked``, and of ``OPTIONAL`` those that are there.

    ``names`` says what the file calls them; ``hashed`` hides people. Rows with a fault are left out. Raises InputError
    for a file that is no such table, and for positions that start at 0 and at 1 unless ``first_rank`` says which.
    """
    table = read_table(path, names=names, optional=OPTIONAL)
    faults.first_line = 1 if path.suffix.lower() == ".parquet" else 2 if _has_header(path) else 1
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(table.column_names)}",
            hint="name them in the recipe: columns = { doc = 'item' } under [events]",
        )
    columns = _checked(table, faults)
    kept_I = faults.sound(table.num_rows)
    if not kept_I.any():
        return Incoming(impressions=IMPRESSIONS.empty_table(), events=EVENTS.empty_table())
    columns = {name: column.filter(pa.array(kept_I)) for name, column in columns.items()}
    list_I = codes(columns["session"], columns["query"], columns["ranker"])
    base = _first_rank(columns, list_I, path) if first_rank is None else first_rank
    ordinal_I = _floats(columns["position"], -1.0).astype(np.int64) - base + 1
    _refuse_ranks(ordinal_I, columns, list_I, path)
    query_id_L = _query_ids(columns, list_I, hashed)
    people = {name: _hidden(columns[name], hashed) for name in ("user", "session")}
    impressions = _impressions(columns, list_I, ordinal_I, query_id_L, people)
    events = _events(columns, list_I, ordinal_I, query_id_L, people)
    notes = [f"positions count from {base}"]
    if columns["time"].null_count == len(columns["time"]):
        notes.append(
            "no column time: nobody can tell clicks before the impression, nor machines by how fast they click"
        )
    return Incoming(impressions=impressions, events=events, notes=tuple(notes))


def _has_header(path: Path) -> bool:
    return path.suffix.lower() not in (".jsonl", ".ndjson", ".json")


def _checked(table: pa.Table, faults: Faults) -> dict[str, pa.Array]:
    """The columns as they are needed, those that the file lacks empty; what cannot be read is a fault of its row."""
    size = table.num_rows
    found: dict[str, pa.Array] = {}
    for name in ("session", "query", "doc"):
        found[name] = _texts(table, name)
        faults.mark(_is_none(found[name]), f"no {name}", _FILL)
    for name in ("user", "ranker", "action"):
        found[name] = _texts(table, name) if name in table.column_names else constant("", size)
        found[name] = pc.fill_null(found[name], "")
    clicked, is_bad_I = is_true(table["clicked"])
    faults.mark(is_bad_I, "clicked is neither 1 nor 0, true nor false", "write 1 or 0")
    found["clicked"] = pa.array(clicked)
    for name in ("position", "propensity", "dwell_s", "value"):
        found[name] = _number(table, name, faults) if name in table.column_names else pa.nulls(size, pa.float64())
    position_I, propensity_I = _floats(found["position"], 0.0), _floats(found["propensity"], 1.0)
    whole_I = (position_I == np.floor(position_I)) & (position_I >= 0) & (position_I <= MAX_RANKS)
    faults.mark(~whole_I, f"the position is no whole number from 0 to {MAX_RANKS}", "count ranks from the top")
    faults.mark(_is_none(found["position"]) & ~clicked, "no position", _FILL)
    faults.mark(~((propensity_I > 0) & (propensity_I <= 1)), "the propensity is not above 0 and at most 1", _FILL)
    faults.mark(_floats(found["dwell_s"], 0.0) < 0, "dwell_s is below 0", "give seconds")
    if "time" in table.column_names:
        found["time"], is_bad_I = times_of(table["time"])
        faults.mark(is_bad_I, "the time cannot be read", "give ISO 8601, or seconds since 1970")
    else:
        found["time"] = pa.nulls(size, pa.timestamp("us", tz="UTC"))
    return found


def _texts(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks().cast(pa.string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, pa.string()), column)


def _number(table: pa.Table, name: str, faults: Faults) -> pa.Array:
    column = table[name].combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    try:
        found = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        found = pa.array([_float(each) for each in column.to_pylist()], pa.float64())
    odd_I = ~np.isfinite(_floats(found, 0.0))
    faults.mark(odd_I, f"the {name} is no number", "give a number")
    return pc.if_else(pa.array(odd_I), 1.0, found)  # what its row is told of is not told twice


def _float(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")


def _floats(column: pa.Array, otherwise: float) -> Floats64:
    return np.asarray(pc.fill_null(column, otherwise).to_numpy(zero_copy_only=False), np.float64)


def _is_none(column: pa.Array) -> Bools:
    return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), bool)


def _first_rank(columns: Mapping[str, pa.Array], list_I: Ints, path: Path) -> int:
    """What the top is called, by the lists that show it."""
    shown_I = ~_is_none(columns["position"])
    least_L = np.full(int(list_I.max()) + 1, np.inf)
    np.minimum.at(least_L, list_I[shown_I], _floats(columns["position"], 0.0)[shown_I])
    return settled(int((least_L == 0).sum()), int((least_L == 1).sum()), path)


def _refuse_ranks(ordinal_I: Ints, columns: Mapping[str, pa.Array], list_I: Ints, path: Path) -> None:
    """Raises InputError for ranks above the top, and for two documents at one rank of one list."""
    shown_I = np.flatnonzero(~_is_none(columns["position"]))
    if len(shown_I) and int(ordinal_I[shown_I].min()) < 1:
        raise InputError(f"{path}: positions from 0, and first_rank is 1", hint="set first_rank = 0 under [events]")
    place_I, doc_I = list_I[shown_I] * (MAX_RANKS + 2) + ordinal_I[shown_I], codes(columns["doc"])[shown_I]
    order = np.lexsort((doc_I, place_I))
    clash = (np.diff(place_I[order]) == 0) & (np.diff(doc_I[order]) != 0)
    if clash.any():
        row = int(shown_I[order[int(np.flatnonzero(clash)[0])]])
        where = f"session {columns['session'][row].as_py()!r:.80}, query {columns['query'][row].as_py()!r:.80}"
        raise InputError(
            f"{path}: {where}: two documents at one position",
            hint="a list has one document a rank: give each answer a session of its own",
        )


def _hidden(column: pa.Array, hashed: Callable[[str], str]) -> pa.Array:
    """The same people, hashed; each name once."""
    names = column.dictionary_encode()
    return pa.array([hashed(each) for each in names.dictionary.to_pylist()], pa.string()).take(names.indices)


def _query_ids(columns: Mapping[str, pa.Array], list_I: Ints, hashed: Callable[[str], str]) -> pa.Array:
    first_L = np.unique(list_I, return_index=True)[1]
    session, query, ranker = (columns[name].take(pa.array(first_L)) for name in ("session", "query", "ranker"))
    names = [[hashed(each) for each in session.to_pylist()], query.to_pylist(), ranker.to_pylist()]
    return ids_of("log", names)


def _impressions(
    columns: Mapping[str, pa.Array],
    list_I: Ints,
    ordinal_I: Ints,
    query_id_L: pa.Array,
    people: Mapping[str, pa.Array],
) -> pa.Table:
    """One impression a list: its documents by rank, each place once."""
    shown_I = np.flatnonzero(~_is_none(columns["position"]))
    place_I = list_I[shown_I] * (MAX_RANKS + 2) + ordinal_I[shown_I]
    rows_S = shown_I[np.unique(place_I, return_index=True)[1]]
    shown_L = np.unique(list_I[rows_S])
    first_L = np.unique(list_I, return_index=True)[1][shown_L]
    sizes_L = np.bincount(list_I[rows_S], minlength=len(query_id_L))[shown_L]
    ordinals_S = ordinal_I[rows_S].astype(np.int32)
    likely_S = _floats(columns["propensity"], 1.0)[rows_S].astype(np.float32)
    take = pa.array(first_L)
    return table_of(
        IMPRESSIONS,
        {
            "query_id": query_id_L.take(pa.array(shown_L)),
            "at": _times(columns, list_I, len(query_id_L)).take(pa.array(shown_L)),
            "query": columns["query"].take(take),
            "user": people["user"].take(take),
            "session": people["session"].take(take),
            "release_id": constant("", len(first_L)),
            "space_id": constant("", len(first_L)),
            "arm": columns["ranker"].take(take),
            "doc_ids": lists_of(columns["doc"].take(pa.array(rows_S)), sizes_L),
            "ordinals": lists_of(pa.array(ordinals_S), sizes_L),
            "propensities": lists_of(pa.array(likely_S), sizes_L),
            "source": constant("import", len(first_L)),
        },
    )


def _times(columns: Mapping[str, pa.Array], list_I: Ints, num_lists: int) -> pa.Array:
    """When each list was shown: the first time of a row that was not clicked, or else of any."""
    at_I = columns["time"].cast(pa.int64())
    known_I = ~_is_none(at_I)
    value_I = np.asarray(pc.fill_null(at_I, 0).to_numpy(zero_copy_only=False), np.int64)
    clicked_I = np.asarray(columns["clicked"].to_numpy(zero_copy_only=False), bool)
    latest = np.iinfo(np.int64).max
    any_L, skipped_L = np.full(num_lists, latest), np.full(num_lists, latest)
    np.minimum.at(any_L, list_I[known_I], value_I[known_I])
    skipped_I = known_I & ~clicked_I
    np.minimum.at(skipped_L, list_I[skipped_I], value_I[skipped_I])
    at_L = np.where(skipped_L < latest, skipped_L, any_L)
    return pa.array(np.where(at_L < latest, at_L, 0), mask=at_L == latest).cast(IMPRESSIONS.field("at").type)


def _events(
    columns: Mapping[str, pa.Array],
    list_I: Ints,
    ordinal_I: Ints,
    query_id_L: pa.Array,
    people: Mapping[str, pa.Array],
) -> pa.Table:
    """One event a clicked row."""
    rows_E = np.flatnonzero(np.asarray(columns["clicked"].to_numpy(zero_copy_only=False), bool))
    take = pa.array(rows_E)
    query_ids = query_id_L.take(pa.array(list_I[rows_E]))
    action = columns["action"].take(take)
    action = pc.if_else(pc.equal(action, ""), CLICK, action)
    doc_ids, at = columns["doc"].take(take), columns["time"].take(take)
    nth_E = _nth(codes(query_ids, doc_ids, action, at.cast(pa.int64())))
    parts = [query_ids, doc_ids, action, at.cast(pa.int64())]
    return table_of(
        EVENTS,
        {
            "event_id": ids_of("event", [*(each.to_pylist() for each in parts), nth_E.tolist()]),
            "query_id": query_ids,
            "at": at,
            "received_at": at,
            "action": action,
            "doc_id": doc_ids,
            "ordinal": pa.array(ordinal_I[rows_E].astype(np.int32), mask=_is_none(columns["position"].take(take))),
            "user": people["user"].take(take),
            "session": people["session"].take(take),
            "dwell_s": columns["dwell_s"].take(take).cast(pa.float32()),
            "value": columns["value"].take(take),
            "details": constant("", len(rows_E)),
            "apart": constant("", len(rows_E)),
            "source": constant("import", len(rows_E)),
        },
    )


def _nth(key_E: Ints) -> Ints:
    """Which of its equals each row is, from 0."""
    order = np.argsort(key_E, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(key_E[order]) != 0])) if len(order) else order
    nth = np.empty(len(order), np.int64)
    nth[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return nth
