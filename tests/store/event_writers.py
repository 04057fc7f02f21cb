"""Impressions and events for tests, and what processes of their own write until they are killed."""

import os
from datetime import UTC, datetime

from nearer.store.events.log import EventLog
from nearer.store.events.records import Event, Impression
from nearer.store.events.salt import Salt

NOON = datetime(2026, 11, 30, 12, 0, 30, tzinfo=UTC)


def impression(query_id="query-1", **changes):
    made = {
        "query_id": query_id,
        "at": NOON,
        "query": "rain",
        "user": "u",
        "session": "s",
        "release_id": "release-1",
        "space_id": "space-1",
        "arm": "live",
        "doc_ids": ("a", "b", "c"),
        "ordinals": (1, 2, 3),
        "propensities": (1.0, 1.0, 1.0),
    }
    return Impression(**{**made, **changes})


def event(event_id="event-1", **changes):
    made = {
        "event_id": event_id,
        "query_id": "query-1",
        "at": NOON,
        "received_at": NOON,
        "action": "click",
        "doc_id": "a",
        "ordinal": 1,
        "user": "u",
        "session": "s",
        "dwell_s": None,
        "value": None,
        "details": "",
        "apart": "",
    }
    return Event(**{**made, **changes})


def write_some(folder):
    """Write an impression and three events, durably, and end as a service ends."""
    log = EventLog(folder / "events", locks=folder / "locks", now=lambda: NOON)
    log.add([impression()])
    log.commit([event(f"event-{number}", doc_id="abc"[number]) for number in range(3)])
    log.close()


def write_for_ever(folder, acknowledged):
    """Write events, and into the file ``acknowledged`` the id of each that is on the disk."""
    log, number = EventLog(folder / "events", locks=folder / "locks"), 0
    noted = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        ids = [f"{os.getpid()}-{number + each}" for each in range(1 + number % 3)]
        number += len(ids)
        log.add([impression(f"query-{ids[0]}")])
        log.commit([event(each) for each in ids])
        os.write(noted, "".join(f"{each}\n" for each in ids).encode())


def make_salt(folder, made):
    """Make or read the salt, and tell what it hashes to."""
    made.put(Salt.open(folder / "events").hashed("somebody"))


def forget_one(folder, user):
    """Forget a user of the workspace in a folder."""
    from nearer.flows.forget import forget_user
    from nearer.store.workspace import Workspace

    with Workspace.open(folder) as workspace:
        forget_user(workspace, user)
