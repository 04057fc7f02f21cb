import threading

import pytest

from nearer.encode.parallel import in_threads


@pytest.mark.parametrize("workers", [1, 2, 5, 40])
@pytest.mark.parametrize("number", [0, 1, 7, 30])
def test_every_item_is_worked_on_once(workers, number):
    assert sorted(in_threads(lambda n: n * n, range(number), workers=workers)) == [(n, n * n) for n in range(number)]


def test_workers_work_at_once():
    together = threading.Barrier(4)
    assert len(list(in_threads(lambda n: together.wait(10), range(8), workers=4))) == 8


def test_after_a_failure_nothing_is_begun():
    begun = []

    def work(number):
        begun.append(number)
        raise KeyError(number)

    with pytest.raises(KeyError):
        list(in_threads(work, range(100), workers=3))
    assert len(begun) <= 3


def test_what_was_under_way_at_a_failure_is_not_lost():
    begun, failing, got = threading.Barrier(3), threading.Event(), []

    def work(number):
        begun.wait(10)
        if number == 0:
            failing.set()
            raise KeyError(number)
        failing.wait(10)
        return number

    with pytest.raises(KeyError):
        got.extend(item for item, _ in in_threads(work, range(3), workers=3))
    assert sorted(got) == [1, 2]


def test_a_reader_who_leaves_stops_the_work():
    left, begun_by = threading.Event(), []

    def work(number):
        begun_by.append(threading.current_thread())
        return number if number == 0 else left.wait(60)

    for _ in in_threads(work, range(1000), workers=2):
        break
    left.set()
    for thread in set(begun_by):
        thread.join(60)
    assert len(begun_by) <= 3
