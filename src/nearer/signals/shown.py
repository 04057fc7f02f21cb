"""The event log as a click log: what stood where, for whom, and what it gained.

Arrays: E events, S documents that were shown, L lists (the answers that showed any), R ranks, U people.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.arrays import Floats64, Ints
from nearer.core.text import normalise
from nearer.signals.click_log import ClickLog
from nearer.signals.sift import Sifted
from nearer.store.events.columns import document_codes, equal, flat_documents, floats, persons

DEEPEST = 50
"""Ranks below are left out: hardly anybody looks there."""
READ_S = 30.0
"""A document read so long satisfied its reader. Source: Fox et al., Evaluating Implicit Measures (TOIS 2005)."""
LEAST_READ = 0.01
"""What is left of a click that was not read at all: it was a click."""
BEST_RATING = 5.0
_ON_ANSWERS = ("reformulation", "abandonment")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """A click log with the gain at each place, from 0 to 1, and the person of each list.

    ``queries`` are the texts as they were asked, by what equal ones share; ``num_nobody`` lists name nobody.
    """

    log: ClickLog
    gain_LR: Floats64
    person_L: Ints
    queries: Mapping[str, str]
    num_nobody: int


def shown_lists(impressions: pa.Table, events: pa.Table, sifted: Sifted, *, gains: Mapping[str, float]) -> Shown:
    """The lists of the log, of the events that count; equal texts of queries are one query."""
    documents, row_S = flat_documents(impressions)
    ordinals = pc.list_flatten(impressions["ordinals"].combine_chunks())
    rank_S = ordinals.to_numpy(zero_copy_only=False).astype(np.int64) - 1
    gain_S = _gains(impressions, events, sifted, documents, row_S, gains)
    kept_S = (rank_S >= 0) & (rank_S < DEEPEST)
    documents, row_S, rank_S, gain_S = documents.filter(pa.array(kept_S)), row_S[kept_S], rank_S[kept_S], gain_S[kept_S]
    lists, list_S = np.unique(row_S, return_inverse=True)
    names = [normalise(each) for each in impressions["query"].take(pa.array(lists)).to_pylist()]
    queries, query_L = np.unique(np.asarray(names, object), return_inverse=True)
    named = documents.cast(pa.string()).dictionary_encode()
    doc_S, ids = named.indices.to_numpy(zero_copy_only=False).astype(np.int64), named.dictionary.to_pylist()
    keys, pair_S = np.unique(query_L[list_S] * max(1, len(ids)) + doc_S, return_inverse=True)
    shape = (len(lists), int(rank_S.max(initial=0)) + 1)
    pair_LR, gain_LR = np.full(shape, -1, np.int64), np.zeros(shape)
    pair_LR[list_S, rank_S] = pair_S
    np.maximum.at(gain_LR, (list_S, rank_S), gain_S)
    person_L, num_nobody = _people(impressions, events, sifted.impression_E, lists)
    log = ClickLog(
        pair_LR=pair_LR,
        clicked_LR=gain_LR > 0,
        pairs=tuple((str(queries[key // len(ids)]), ids[key % len(ids)]) for key in keys.tolist()),
        users=[str(each) for each in person_L.tolist()],
        num_sessions=len(lists),
    )
    texts = impressions["query"].take(pa.array(lists[np.unique(query_L, return_index=True)[1]])).to_pylist()
    asked = dict(zip(queries.tolist(), texts, strict=True))
    return Shown(log=log, gain_LR=gain_LR, person_L=person_L, queries=asked, num_nobody=num_nobody)


def _people(impressions: pa.Table, events: pa.Table, impression_E: Ints, lists: Ints) -> tuple[Ints, int]:
    """Who saw each list, by what its events say where it does not say so itself; nobody twice where neither does."""
    name_I, name_E = (np.asarray(persons(rows).to_pylist(), object) for rows in (impressions, events))
    tells_E = (impression_E >= 0) & np.asarray(name_E != "", bool)
    tells_E[tells_E] = name_I[impression_E[tells_E]] == ""
    name_I[impression_E[tells_E]] = name_E[tells_E]
    person_L = np.unique(name_I[lists], return_inverse=True)[1].astype(np.int64)
    nobody_L = np.asarray(name_I[lists] == "", bool)
    person_L[nobody_L] = int(person_L.max(initial=0)) + 1 + np.arange(int(nobody_L.sum()))
    return person_L, int(nobody_L.sum())


def _gains(
    impressions: pa.Table,
    events: pa.Table,
    sifted: Sifted,
    documents: pa.Array,
    row_S: Ints,
    gains: Mapping[str, float],
) -> Floats64:
    """What each document that was shown gained: the most that an event says; less where the answer did not do."""
    doc_S, doc_E = document_codes(documents, events["doc_id"])
    size = max(int(doc_S.max(initial=0)), int(doc_E.max(initial=0))) + 1
    key_S, key_E = row_S * size + doc_S, sifted.impression_E * size + doc_E
    order = np.argsort(key_S, kind="stable")
    place = np.minimum(np.searchsorted(key_S[order], key_E), max(0, len(order) - 1))
    found_S: Floats64 = np.zeros(len(row_S))
    if not len(order):
        return found_S
    at_E = order[place]
    counts_E = sifted.counted_E & (key_S[at_E] == key_E)
    np.maximum.at(found_S, at_E[counts_E], _gain_of(events, gains)[counts_E])
    left_I: Floats64 = np.ones(impressions.num_rows)
    for action in _ON_ANSWERS:
        is_so_E = equal(events["action"], action)
        np.minimum.at(left_I, sifted.impression_E[is_so_E & sifted.counted_E], 1 - gains.get(action, 0.0))
    return found_S * left_I[row_S]


def _gain_of(events: pa.Table, gains: Mapping[str, float]) -> Floats64:
    """What each event says of its document, from 0 to 1."""
    names = events["action"].combine_chunks().dictionary_encode()
    worth = {name: 0.0 if name in _ON_ANSWERS else gains.get(name, 0.0) for name in names.dictionary.to_pylist()}
    code_E = names.indices.to_numpy(zero_copy_only=False)
    gain_E: Floats64 = np.asarray([*worth.values(), 0.0])[code_E]
    dwell_E = floats(events["dwell_s"])
    read_E = 2 * np.minimum(1.0, np.log1p(np.maximum(dwell_E, 0)) / np.log1p(READ_S))
    is_click_E = equal(events["action"], "click") & ~np.isnan(dwell_E)
    value_E = np.clip(floats(events["value"]) / BEST_RATING, 0, 1)
    is_rating_E = equal(events["action"], "rating")
    factor_E = np.where(is_click_E, np.maximum(read_E, LEAST_READ), np.where(is_rating_E, np.nan_to_num(value_E), 1.0))
    return np.minimum(gain_E * factor_E, 1.0)
