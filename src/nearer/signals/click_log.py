"""A click log as arrays: which document stood where in each list, and whether it was clicked.

Arrays: L lists (the answer to one query in one session), R ranks from the top, C cells (a pair of a query and a
document at one rank). A pair of -1 means that nothing stood there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nearer.core.arrays import Bools, Floats64, Ints
from nearer.core.errors import InputError

Texts = Sequence[str] | NDArray[np.object_]

MAX_RANKS = 1000
"""Ranks below this are not a list that anybody looked through."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """How often each pair was shown and clicked at each rank."""

    pair_C: Ints
    rank_C: Ints
    num_C: Floats64
    clicks_C: Floats64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClickLog:
    """Lists with their clicks. ``pairs`` are (query, document) by the number that ``pair_LR`` holds.

    ``users`` names the user of each list, where the log does; ``propensity_LR`` the logged chance that a document was
    shown where it stood, nan where none was logged.
    """

    pair_LR: Ints
    clicked_LR: Bools
    pairs: tuple[tuple[str, str], ...]
    users: Sequence[str] | None = None
    propensity_LR: Floats64 | None = None
    num_repeated: int = 0
    num_sessions: int = 0
    num_elsewhere: int = 0
    """Clicks on what no list showed."""

    @property
    def num_lists(self) -> int:
        """How many lists."""
        return len(self.pair_LR)

    @property
    def shown_LR(self) -> Bools:
        """Where a document stood."""
        return self.pair_LR >= 0

    def cells(self, weight_L: Floats64 | None = None) -> Cells:
        """The log in short: lists of the same documents at the same ranks tell the same."""
        num_ranks = self.pair_LR.shape[1]
        lists, ranks = np.nonzero(self.shown_LR)
        keys, place_I = np.unique(self.pair_LR[lists, ranks] * num_ranks + ranks, return_inverse=True)
        weight_I: Floats64 = np.ones(len(lists)) if weight_L is None else weight_L[lists]
        clicks_I: Floats64 = weight_I * self.clicked_LR[lists, ranks]
        return Cells(
            pair_C=keys // num_ranks,
            rank_C=keys % num_ranks,
            num_C=np.bincount(place_I, weights=weight_I, minlength=len(keys)).astype(np.float64),
            clicks_C=np.bincount(place_I, weights=clicks_I, minlength=len(keys)).astype(np.float64),
        )

    def numbered_as(self, other: "ClickLog") -> Ints:
        """The pairs of this log by the numbers of another, ``len(other.pairs)`` for those that it lacks; (L, R)."""
        number_of = {pair: number for number, pair in enumerate(other.pairs)}
        known = np.asarray([number_of.get(pair, len(other.pairs)) for pair in self.pairs] or [0], np.int64)
        return np.where(self.shown_LR, known[np.maximum(self.pair_LR, 0)], -1)


def build_log(
    sessions: Texts,
    queries: Texts,
    documents: Texts,
    ranks: Ints,
    clicked: Bools,
    *,
    users: Texts | None = None,
    propensities: Floats64 | None = None,
    num_elsewhere: int = 0,
) -> ClickLog:
    """A log from columns with a row an impression; a list is a session's answer to a query. Ranks start at 0.

    A document that is there twice at one rank of a list (a row a click, mostly) is one impression. Raises InputError
    for a log without rows, ranks out of range, and two documents at one rank of one list.
    """
    if not len(ranks):
        raise InputError("the log has no rows", hint="give a row for every document that was shown, clicked or not")
    if ranks.min() < 0 or ranks.max() >= MAX_RANKS:
        raise InputError(
            f"ranks from {ranks.min()} to {ranks.max()}", hint=f"ranks are below {MAX_RANKS}; see --first-rank"
        )
    (_, session_I), (query_names, query_I), (document_names, document_I) = (
        np.unique(np.asarray(each, dtype=object), return_inverse=True) for each in (sessions, queries, documents)
    )
    pair_keys, pair_I = np.unique(query_I * len(document_names) + document_I, return_inverse=True)
    list_keys, list_I = np.unique(session_I * len(query_names) + query_I, return_inverse=True)
    shape = (len(list_keys), int(ranks.max()) + 1)
    pair_LR = np.full(shape, -1, np.int64)
    pair_LR[list_I, ranks] = pair_I
    if len(clash := np.flatnonzero(pair_LR[list_I, ranks] != pair_I)):
        row = int(clash[0])
        raise InputError(
            f"session {sessions[row]!r}, query {queries[row]!r}: two documents at rank {int(ranks[row])}",
            hint="a list has one document a rank: give each answer a session of its own",
        )
    clicked_LR = np.zeros(shape, bool)
    clicked_LR[list_I[clicked], ranks[clicked]] = True
    user_L = None
    if users is not None:
        first_L = np.unique(list_I, return_index=True)[1]
        user_L = [users[row] for row in first_L]
    propensity_LR = None
    if propensities is not None:
        propensity_LR = np.full(shape, np.nan)
        propensity_LR[list_I, ranks] = propensities
    names = query_names[pair_keys // len(document_names)], document_names[pair_keys % len(document_names)]
    return ClickLog(
        pair_LR=pair_LR,
        clicked_LR=clicked_LR,
        pairs=tuple(zip(*(each.tolist() for each in names), strict=True)),
        users=user_L,
        propensity_LR=propensity_LR,
        num_repeated=len(ranks) - int((pair_LR >= 0).sum()),
        num_sessions=int(session_I.max()) + 1,
        num_elsewhere=num_elsewhere,
    )
