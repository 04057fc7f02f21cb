"""Event logs with a known truth: users of very unequal traffic who click more, or less, in the treatment."""

from datetime import UTC, datetime, timedelta

import numpy as np

from nearer.store.events.records import as_line, as_tables
from store import event_writers

START = datetime(2026, 11, 1, tzinfo=UTC)


def impression(query_id, *, at=START, doc_ids=("a", "b", "c"), **changes):
    shown = {"doc_ids": doc_ids, "ordinals": tuple(range(1, len(doc_ids) + 1)), "propensities": (1.0,) * len(doc_ids)}
    return event_writers.impression(query_id, **{"at": at, "session": "", "took_ms": 10.0, **shown, **changes})


def event(query_id, *, doc_id="a", action="click", at=START, **changes):
    event_id = f"{query_id}-{doc_id}-{action}-{at.timestamp()}"
    made = {"query_id": query_id, "doc_id": doc_id, "action": action, "at": at, "received_at": at}
    return event_writers.event(event_id, **{**made, **changes})


def tables(records):
    """The tables of impressions and events, and the row of each event's impression."""
    found = as_tables([as_line(each) for each in records])
    row_of = {query_id: row for row, query_id in enumerate(found["impressions"]["query_id"].to_pylist())}
    rows_E = np.array([row_of[each] for each in found["events"]["query_id"].to_pylist()], np.int64)
    return found["impressions"], found["events"], rows_E


def simulated(rng, *, num_users=300, days=7, before_days=7, lift=0.0, slower=0.0, share=0.5):
    """Users whose click rate is their own; ``lift`` is added to it in the treatment, before and after alike else."""
    records = []
    for user in range(num_users):
        arm = "treatment" if rng.random() < share else "control"
        rate, a_day = rng.beta(4, 6), rng.lognormal(0, 0.7)
        for day in range(-before_days, days):
            for number in range(rng.poisson(a_day)):
                is_in = day >= 0
                at = START + timedelta(days=day, seconds=int(rng.integers(80_000)))
                query_id = f"{user}-{day}-{number}"
                took_ms = rng.exponential(20) * (1 + slower * (is_in and arm == "treatment"))
                shown = arm if is_in else "live"
                records.append(impression(query_id, user=f"u{user}", arm=shown, at=at, took_ms=took_ms))
                if rng.random() < rate + lift * (is_in and arm == "treatment"):
                    doc_id = "abc"[int(rng.integers(3))]
                    records.append(event(query_id, doc_id=doc_id, at=at + timedelta(seconds=5)))
    return records
