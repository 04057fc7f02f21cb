"""Which events of a log can be believed, and why the others are kept apart.

Arrays: E events, I impressions, S documents that were shown, one after the other over all impressions.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nearer.core.arrays import Bools, Ints
from nearer.store.events.columns import (
    NO_TIME,
    SECOND,
    codes,
    document_codes,
    equal,
    flat_documents,
    floats,
    microseconds,
    named_codes,
    persons,
    rows_of,
)
from nearer.store.events.records import SERVICE

Reason = Literal[
    "unknown query",
    "no query",
    "no impression",
    "no such document",
    "not shown",
    "before the impression",
    "machine",
    "repeated",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""Why an event is kept apart; of several the first."""


RATES = ((30, 60.0), (5, 1.0))
"""Nobody clicks so often within so many seconds. Our rule."""
LEAST_READ_S, MANY_CLICKS, MOST_READ = 1.0, 20, 0.1
"""Of so many clicks a person reads more than a tenth for a second. Our rule."""
SLACK_S = 1.0
"""A log may write down a click before the impression by so much."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sifted:
    """``reason_E``: the place of the reason in ``REASONS``, -1 for an event that counts; ``impression_E``: its row."""

    reason_E: Ints
    impression_E: Ints

    @property
    def counted_E(self) -> Bools:
        """Which events count."""
        return self.reason_E < 0

    def counts(self, among_E: Bools | None = None) -> dict[str, int]:
        """How many events, or of those ``among_E``, are kept apart, by reason."""
        apart_E = ~self.counted_E if among_E is None else ~self.counted_E & among_E
        number = np.bincount(self.reason_E[apart_E], minlength=len(REASONS)).tolist()
        return {reason: count for reason, count in zip(REASONS, number, strict=True) if count}


def sift(impressions: pa.Table, events: pa.Table, *, doc_ids: Collection[str] | None = None) -> Sifted:
    """Say of each event whether it counts; with ``doc_ids`` only those on these documents do."""
    impression_E = rows_of(events["query_id"], impressions["query_id"])
    has_doc_E, found_E = ~equal(events["doc_id"], ""), impression_E >= 0
    faults: dict[Reason, Bools] = {
        "unknown query": equal(events["apart"], "unknown query"),
        "no query": equal(events["apart"], "no query"),
        "no impression": ~found_E,
        "no such document": has_doc_E & ~_among(events["doc_id"], doc_ids),
        "not shown": has_doc_E & ~_shown(impressions, events, impression_E),
        "before the impression": found_E & _too_early(impressions, events, impression_E),
        "machine": _by_machines(impressions, events, impression_E),
    }
    reason_E = np.full(events.num_rows, -1)
    for reason, is_so_E in faults.items():
        reason_E[(reason_E < 0) & is_so_E] = REASONS.index(reason)
    reason_E[(reason_E < 0) & has_doc_E & _repeated(events, reason_E < 0)] = REASONS.index("repeated")
    return Sifted(reason_E=reason_E, impression_E=impression_E)


def _among(doc_ids: pa.ChunkedArray, known: Collection[str] | None) -> Bools:
    if known is None:
        return np.ones(len(doc_ids), bool)
    found = pc.is_in(doc_ids, value_set=pa.array(sorted(known), pa.string()))
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def _shown(impressions: pa.Table, events: pa.Table, impression_E: Ints) -> Bools:
    """Whether the impression of an event holds its document."""
    shown, row_S = flat_documents(impressions)
    doc_S, doc_E = document_codes(shown, events["doc_id"])
    size = max(int(doc_S.max(initial=0)), int(doc_E.max(initial=0))) + 1
    key_S, key_E = row_S * size + doc_S, impression_E * size + doc_E
    found: Bools = np.isin(key_E, key_S) & (impression_E >= 0)
    return found


def _too_early(impressions: pa.Table, events: pa.Table, impression_E: Ints) -> Bools:
    """Whether an imported event is older than its impression; what the service took in came after it by its clock."""
    if not impressions.num_rows:
        return np.zeros(events.num_rows, bool)
    at_E, shown_E = microseconds(events["at"]), microseconds(impressions["at"])[impression_E]
    early_E: Bools = (at_E != NO_TIME) & (at_E < shown_E - int(SLACK_S * SECOND))
    return early_E & ~equal(events["source"], SERVICE)


def _by_machines(impressions: pa.Table, events: pa.Table, impression_E: Ints) -> Bools:
    """Whether an event is of somebody who clicks as no person does: too often, or without reading anything.

    The clock is that of the service where it took the event in. A click that has the time of its impression tells
    nothing of when it was made.
    """
    person_E, asked_E = people(events), impression_E >= 0
    at_E = np.where(equal(events["source"], SERVICE), microseconds(events["received_at"]), microseconds(events["at"]))
    if impressions.num_rows:
        asked_E &= at_E == microseconds(impressions["at"])[impression_E]
    rows = np.flatnonzero((at_E != NO_TIME) & ~asked_E & (person_E > 0))
    rows = rows[np.lexsort((at_E[rows], person_E[rows]))]
    is_new = np.append(True, (np.diff(person_E[rows]) != 0) | (np.diff(at_E[rows]) != 0))[: len(rows)]
    rows = rows[is_new]  # several that came at once were sent together
    strange: set[int] = set()
    for number, seconds in RATES:
        first, last = rows[:-number], rows[number:]
        is_fast = (person_E[first] == person_E[last]) & (at_E[last] - at_E[first] < seconds * SECOND)
        strange |= set(person_E[first[is_fast]].tolist())
    dwell_E = floats(events["dwell_s"])
    known_E = ~np.isnan(dwell_E) & (person_E > 0)
    size = int(person_E.max(initial=0)) + 1
    num_U = np.bincount(person_E[known_E], minlength=size)
    read_U = np.bincount(person_E[known_E & (dwell_E >= LEAST_READ_S)], minlength=size)
    strange |= set(np.flatnonzero((num_U >= MANY_CLICKS) & (read_U <= MOST_READ * num_U)).tolist())
    return np.isin(person_E, sorted(strange))


def people(rows: pa.Table) -> Ints:
    """A number for each user, or session where no user is known; 0 where neither is."""
    return named_codes(persons(rows)) + 1


def _repeated(events: pa.Table, counted_E: Bools) -> Bools:
    """Whether an event that counts is there before: the same action on the same document of the same answer."""
    key_E = codes(events["query_id"], events["doc_id"], events["action"], events["user"], events["session"])
    order = np.lexsort((microseconds(events["at"]), ~counted_E))
    first = order[np.unique(key_E[order], return_index=True)[1]]
    is_first_E: NDArray[np.bool_] = np.zeros(events.num_rows, bool)
    is_first_E[first] = True
    return ~is_first_E
