"""Which events count, and why the others are kept apart."""

from datetime import timedelta

import pytest

from nearer.signals.sift import sift
from nearer.store.events.records import EVENTS, IMPRESSIONS, as_line, as_tables
from store.event_writers import NOON, event, impression


def sifted(impressions, events, **options):
    tables = as_tables([as_line(each) for each in [*impressions, *events]])
    return sift(tables["impressions"], tables["events"], **options)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"doc_id": ""}, None),
        ({"query_id": "query-2"}, "no impression"),
        ({"query_id": "x", "apart": "unknown query"}, "unknown query"),
        ({"query_id": "", "apart": "no query"}, "no query"),
        ({"doc_id": "d"}, "not shown"),
        ({"doc_id": "gone"}, "no such document"),
        ({"at": NOON - timedelta(days=4)}, None),
        ({"at": NOON - timedelta(seconds=2), "source": "import"}, "before the impression"),
        ({"at": NOON - timedelta(seconds=0.5), "source": "import"}, None),
        ({"source": "import"}, None),
    ],
)
def test_reasons(changes, reason):
    found = sifted([impression("query-0", doc_ids=("d",)), impression()], [event(**changes)], doc_ids={*"abcd"})
    assert found.counts() == ({reason: 1} if reason else {})


def test_the_first_of_repeated_events_counts():
    later = NOON + timedelta(seconds=9)
    events = [
        event("e1", at=later),
        event("e2"),
        event("e3", doc_id="b"),
        event("e4", action="save"),
        event("e5", user="v"),
        event("e6", doc_id=""),
        event("e7", doc_id=""),
        event("e8", doc_id="z"),
    ]
    found = sifted([impression()], events)
    assert found.counts() == {"repeated": 1, "not shown": 1}
    assert found.counted_E.tolist() == [False, True, True, True, True, True, True, False]
    assert found.impression_E.tolist() == [0] * 8


def test_nothing_is_sifted_from_nothing():
    found = sift(IMPRESSIONS.empty_table(), EVENTS.empty_table())
    assert found.counts() == {}
    assert sifted([], [event()]).counts() == {"no impression": 1}
