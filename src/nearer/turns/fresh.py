"""A fresh slice: queries that the log has had since the last turn, which this turn measures by and does not learn."""

from datetime import datetime

import numpy as np

from nearer.core.near_duplicates import resembling
from nearer.core.text import normalise
from nearer.online.assign import bucket_of
from nearer.signals.log import read_log
from nearer.store.changing import move_to_split
from nearer.store.collection import CLICKED, TRAIN
from nearer.store.events.columns import seconds
from nearer.store.workspace import Workspace

FRESH = "fresh"
"""The split of the slice; it stands for one turn, then its queries are learned from."""
SHARE = 0.2
"""Of the new queries. Our rule, as large as the usual test split."""
_BUCKETS = 10_000


def release_fresh(workspace: Workspace) -> int:
    """Give the slice of the turn before to training; how many queries."""
    ids = [each.query_id for each in workspace.collection.queries(FRESH)]
    if ids:
        with workspace.write("cycle") as connection:
            move_to_split(connection, TRAIN, ids)
    return len(ids)


def hold_fresh(workspace: Workspace, *, since: str | None) -> int:
    """Take a share of the queries that were first asked after ``since`` out of training; how many.

    They are drawn by their ids, so the same ones again. One that nearly repeats a training query stays there.
    """
    collection = workspace.collection
    training = collection.queries(TRAIN)
    first_asked = _first_asked(workspace)
    after = datetime.fromisoformat(since).timestamp() if since else -np.inf
    drawn = [
        each
        for each in training
        if each.query_id.startswith(f"{CLICKED}-")
        and first_asked.get(normalise(each.text), -np.inf) > after
        and bucket_of(each.query_id, salt=FRESH) < SHARE * _BUCKETS
    ]
    ids = {each.query_id for each in drawn}
    others = [each.text for each in training if each.query_id not in ids]
    near = resembling([each.text for each in drawn], others) if drawn and others else [False] * len(drawn)
    chosen = [each.query_id for each, is_near in zip(drawn, near, strict=True) if not is_near]
    if chosen:
        with workspace.write("cycle") as connection:
            move_to_split(connection, FRESH, chosen)
    return len(chosen)


def _first_asked(workspace: Workspace) -> dict[str, float]:
    """When each text was first asked, in seconds since 1970."""
    impressions = read_log(workspace.events).impressions
    found: dict[str, float] = {}
    for text, at in zip(impressions["query"].to_pylist(), seconds(impressions["at"]).tolist(), strict=True):
        name = normalise(text)
        found[name] = min(found.get(name, np.inf), at)
    return found
