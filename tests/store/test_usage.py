from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from forked import die_at
from nearer.core.errors import WorkspaceBusy
from nearer.store.database import open_database
from nearer.store.overview import overview_of
from nearer.store.usage import Meter, Usage


@pytest.fixture
def database(store_address):
    opened = open_database(store_address)
    yield opened
    opened.close()


def meter(database, *, endpoint="https://a/v1", model="m", price=2.0):
    return Meter(database, endpoint=endpoint, model=model, price_per_million_tokens=price)


def test_nothing_was_spent(database):
    meter(database)
    assert overview_of(database).api == ()


def test_every_request_is_written_down_when_it_is_answered(database):
    first = meter(database)
    first.add(250_000)
    assert [each.to_dict() for each in overview_of(database).api] == [
        {"endpoint": "https://a/v1", "model": "m", "num_requests": 1, "num_tokens": 250_000, "cost_usd": 0.5}
    ]
    first.add(0)
    second = meter(database)
    second.add(500_000)
    first.add(0)
    assert first.total == Usage(num_requests=3, num_tokens=250_000, cost_usd=0.5)
    assert second.total == Usage(num_requests=1, num_tokens=500_000, cost_usd=1.0)
    [row] = overview_of(database).api
    assert (row["num_requests"], row["num_tokens"], row["cost_usd"]) == (4, 750_000, 1.5)


def test_an_unknown_price_stays_unknown_and_with_its_model(database):
    meter(database, price=None).add(5)
    meter(database).add(5)
    meter(database, model="n").add(1_000_000)
    meter(database, endpoint="https://b/v1", price=0.0).add(7)
    assert [(row["endpoint"], row["model"], row["cost_usd"]) for row in overview_of(database).api] == [
        ("https://a/v1", "m", None),
        ("https://a/v1", "n", 2.0),
        ("https://b/v1", "m", 0.0),
    ]
    assert (Usage(cost_usd=None) + Usage(cost_usd=1.0)).cost_usd is None


def test_threads_count_together(database):
    shared = meter(database)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(shared.add, [3] * 100))
    assert shared.total.num_tokens == 300
    [row] = overview_of(database).api
    assert (row["num_requests"], row["num_tokens"]) == (100, 300)


def test_what_cannot_be_written_does_not_fail_and_is_written_with_the_next(database, monkeypatch):
    spent = meter(database, price=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", busy)
        spent.add(1_000_000)
        assert (spent.is_recorded, spent.total.cost_usd) == (False, 1.0)
    assert overview_of(database).api == ()
    spent.add(1_000_000)
    assert spent.is_recorded
    [row] = overview_of(database).api
    assert (row["num_requests"], row["cost_usd"]) == (2, 2.0)


@contextmanager
def busy(*, wait_s):
    raise WorkspaceBusy("busy")
    yield


def spend(path):
    spent = meter(open_database(path), price=1.0)
    for _ in range(5):
        spent.add(1_000_000)


def test_what_was_spent_before_a_process_was_killed_is_known(store_address):
    die_at("usage.commit:3", spend, store_address)
    database = open_database(store_address)
    [row] = overview_of(database).api
    assert (row["num_requests"], row["cost_usd"]) == (3, 3.0)
    database.close()
