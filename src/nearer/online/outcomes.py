"""What became of each search, from the event log: clicked or not, how soon, and what came after.

Arrays: I searches (impressions), E events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.store.events.columns import document_codes, equal, flat_documents, floats, named_codes, rows_of, seconds
from nearer.store.events.records import SERVICE

Unit = Literal["user", "session"]

CLICK = "click"
REFORMULATED_WITHIN_S = 300.0
"""Another query of the same person this soon, with no click before it, says that the first did not serve.

Source: Hassan, Shi, Craswell and Ramsey, Beyond Clicks (CIKM 2013), section 3: queries within a session of minutes.
"""
_MOST_DWELL_S = 1800.0
"""A longer stay is a page left open. Source: the usual end of a session, 30 minutes of nothing."""
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """A value a search. ``unit_I`` numbers users (or sessions), ``arm_I`` the arms of ``arms``, ``day_I`` days from 0.

    ``first_rank_I`` is the best rank that was clicked, 0 for none; ``to_click_s_I`` nan where nothing was clicked, and
    ``took_ms_I`` where nobody measured. ``actions`` has for each other action how often it followed, and the sum of its
    values. ``is_returning_I``: the unit had searched before.
    """

    arms: tuple[str, ...]
    unit_I: Ints
    arm_I: Ints
    day_I: Ints
    num_shown_I: Ints
    num_clicks_I: Ints
    first_rank_I: Ints
    to_click_s_I: Floats64
    dwell_s_I: Floats64
    took_ms_I: Floats64
    is_failed_I: Bools
    is_reformulated_I: Bools
    is_returning_I: Bools
    actions: Mapping[str, tuple[Floats64, Floats64]]
    num_without_unit: int
    num_mixed_units: int

    def of(self, chosen_I: Bools) -> "Outcomes":
        """The same of some searches."""
        arrays = {each.name: getattr(self, each.name)[chosen_I] for each in fields(self) if each.name.endswith("_I")}
        actions = {name: (count[chosen_I], total[chosen_I]) for name, (count, total) in self.actions.items()}
        return replace(self, actions=actions, **arrays)


def summed(code_X: Ints, values_X: Floats64, num: int) -> Floats64:
    """The sum of the values of each of ``num`` codes."""
    return np.bincount(code_X, weights=values_X, minlength=num).astype(np.float64)


def read_outcomes(
    impressions: pa.Table,
    events: pa.Table,
    impression_E: Ints,
    *,
    arms: Sequence[str] | None,
    unit: Unit,
    since: datetime,
    until: datetime,
) -> Outcomes:
    """The outcomes of the searches of these arms, in time from ``since`` to before ``until``.

    ``events`` are those that count, ``impression_E`` their rows in ``impressions``. A search without a user (or
    session) is left out and counted, and so is every unit that was seen in two arms. Without ``arms`` all searches
    count as one arm. A unit has the same number whatever the arms and times.
    """
    at_I = seconds(impressions["at"])
    unit_I = named_codes(impressions[unit])
    arm_I = (
        np.zeros(len(at_I), np.int64)
        if arms is None
        else rows_of(impressions["arm"], pa.array(list(arms), pa.string()))
    )
    is_ours_I = (arm_I >= 0) & (at_I >= since.timestamp()) & (at_I < until.timestamp())
    is_known_I = unit_I >= 0
    mixed = _mixed(unit_I[is_ours_I & is_known_I], arm_I[is_ours_I & is_known_I])
    of_events = _of_events(impressions, events, impression_E, at_I)
    everything = Outcomes(
        arms=("all",) if arms is None else tuple(arms),
        unit_I=unit_I,
        arm_I=arm_I,
        day_I=((at_I - since.timestamp()) // _DAY_S).astype(np.int64),
        num_shown_I=pc.list_value_length(impressions["doc_ids"]).to_numpy(zero_copy_only=False).astype(np.int64),
        num_clicks_I=of_events.num_clicks_I,
        first_rank_I=of_events.first_rank_I,
        to_click_s_I=of_events.to_click_s_I,
        dwell_s_I=of_events.dwell_s_I,
        took_ms_I=floats(impressions["took_ms"]),
        is_failed_I=np.asarray(impressions["failed"].to_numpy(zero_copy_only=False), bool),
        is_reformulated_I=_reformulated(unit_I, at_I, named_codes(impressions["query"]), of_events.num_clicks_I > 0),
        is_returning_I=_returning(unit_I, at_I, since.timestamp()),
        actions=of_events.actions,
        num_without_unit=int((is_ours_I & ~is_known_I).sum()),
        num_mixed_units=len(mixed),
    )
    return everything.of(is_ours_I & is_known_I & ~np.isin(unit_I, mixed))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OfEvents:
    num_clicks_I: Ints
    first_rank_I: Ints
    to_click_s_I: Floats64
    dwell_s_I: Floats64
    actions: Mapping[str, tuple[Floats64, Floats64]]


def _of_events(impressions: pa.Table, events: pa.Table, impression_E: Ints, at_I: Floats64) -> _OfEvents:
    num = impressions.num_rows
    actions = events["action"].combine_chunks().dictionary_encode()
    names = actions.dictionary.to_pylist()
    action_E = actions.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    is_click_E = action_E == names.index(CLICK) if CLICK in names else np.zeros(len(action_E), bool)
    rows_C = impression_E[is_click_E]
    rank_C = _ranks(impressions, events.filter(pa.array(is_click_E)), rows_C)
    first_rank_I = np.full(num, np.iinfo(np.int64).max)
    np.minimum.at(first_rank_I, rows_C, rank_C)
    to_click_s_I = np.full(num, np.inf)
    np.minimum.at(to_click_s_I, rows_C, np.maximum(_when(events)[is_click_E] - at_I[rows_C], 0.0))
    dwell_E = np.nan_to_num(floats(events["dwell_s"]))
    return _OfEvents(
        num_clicks_I=np.bincount(rows_C, minlength=num),
        first_rank_I=np.where(first_rank_I == np.iinfo(np.int64).max, 0, first_rank_I),
        to_click_s_I=np.where(np.isinf(to_click_s_I), np.nan, to_click_s_I),
        dwell_s_I=summed(impression_E, np.minimum(dwell_E, _MOST_DWELL_S), num),
        actions={
            name: _sums(impression_E[action_E == place], floats(events["value"])[action_E == place], num)
            for place, name in enumerate(names)
        },
    )


def _when(events: pa.Table) -> Floats64:
    """When something was done, by our clock where the service took it in: those of users are wrong by minutes."""
    is_ours = equal(events["source"], SERVICE)
    return np.where(is_ours, seconds(events["received_at"]), seconds(events["at"]))


def _sums(rows_E: Ints, values_E: Floats64, num: int) -> tuple[Floats64, Floats64]:
    return summed(rows_E, np.ones(len(rows_E)), num), summed(rows_E, np.nan_to_num(values_E), num)


def _ranks(impressions: pa.Table, clicks: pa.Table, rows_C: Ints) -> Ints:
    """The rank at which each clicked document was shown: by the impression, never by what the client said."""
    shown, parents_S = flat_documents(impressions)
    doc_S, doc_C = document_codes(shown, clicks["doc_id"])
    wide = max(int(doc_S.max(initial=0)), int(doc_C.max(initial=0))) + 1
    key_S, key_C = parents_S * wide + doc_S, rows_C * wide + doc_C
    order = np.argsort(key_S, kind="stable")
    place_C = np.minimum(np.searchsorted(key_S[order], key_C), max(len(order) - 1, 0))
    begins_I = np.searchsorted(parents_S, np.arange(impressions.num_rows))
    if not len(order):
        return np.full(len(rows_C), np.iinfo(np.int64).max)
    shown_S = order[place_C]
    rank_C: Ints = shown_S - begins_I[parents_S[shown_S]] + 1
    return np.where(key_S[shown_S] == key_C, rank_C, np.iinfo(np.int64).max)


def _reformulated(unit_I: Ints, at_I: Floats64, query_I: Ints, is_clicked_I: Bools) -> Bools:
    """Whether the next search of the same unit came soon, asked something else, and nothing was clicked before it."""
    order = np.lexsort((at_I, unit_I))
    following = np.roll(order, -1)
    soon = (at_I[following] - at_I[order] <= REFORMULATED_WITHIN_S) & (at_I[following] >= at_I[order])
    other = (unit_I[following] == unit_I[order]) & (query_I[following] != query_I[order]) & (unit_I[order] >= 0)
    found: Bools = np.zeros(len(unit_I), bool)
    found[order] = soon & other & ~is_clicked_I[order]
    if len(order):
        found[order[-1]] = False
    return found


def _returning(unit_I: Ints, at_I: Floats64, since: float) -> Bools:
    """Whether the unit searched before the experiment began."""
    found: Bools = np.isin(unit_I, np.unique(unit_I[(at_I < since) & (unit_I >= 0)]))
    return found


def _mixed(unit_I: Ints, arm_I: Ints) -> Ints:
    """The units that were seen in more than one arm."""
    pairs = np.unique(np.stack([unit_I, arm_I]), axis=1)
    units, number = np.unique(pairs[0], return_counts=True)
    mixed: Ints = units[number > 1]
    return mixed
