import itertools

import pytest

from nearer.core.results.measuring import Ledger
from nearer.store.database import open_database
from nearer.store.results import Results


@pytest.fixture
def kept(store_address):
    database, ticks = open_database(store_address), itertools.count()
    yield Results(database, now=lambda: f"2026-01-01T00:00:{next(ticks):02}+00:00")
    database.close()


def ledger(number):
    return Ledger(split="test", num_test_uses=number)


def test_the_last_answer_of_a_verb_comes_back_as_its_record(kept):
    assert kept.last("suite", Ledger) is None
    for number in range(3):
        kept.keep("suite", ledger(number))
    kept.keep("merge", ledger(7))
    assert (kept.last("suite", Ledger).at, kept.last("suite", Ledger).result) == (
        "2026-01-01T00:00:02+00:00",
        ledger(2),
    )


def test_evaluations_are_listed_in_order_without_being_read(kept):
    kept.keep("evaluate", ledger(0), split="dev", model_ids=["model-a"])
    kept.keep("evaluate", ledger(1), split="test", model_ids=["model-a", None])
    with kept._database.write() as connection:
        connection.exec_driver_sql("UPDATE results SET content = '{' WHERE split = 'dev'")
    first, second = kept.evaluations()
    assert (first.is_comparison, first.is_of_test, first.model_ids) == (False, False, ("model-a",))
    assert (second.is_comparison, second.is_of_test, second.model_ids) == (True, True, ("model-a", None))
    assert kept.read(second.result_id, Ledger) == ledger(1)
