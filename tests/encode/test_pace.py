import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearer.encode.pace import Pace, backoff_s, retry_after_s


class FakeTime:
    """A clock that only sleeping moves; safe for threads."""

    def __init__(self):
        self.now, self.slept, self.lock = 0.1, [], threading.Lock()

    def clock(self):
        return self.now

    def sleep(self, seconds):
        with self.lock:
            assert seconds > 0
            self.slept.append(seconds)
            self.now += seconds


def pace(time, requests=None, tokens=None):
    return Pace(requests_per_minute=requests, tokens_per_minute=tokens, clock=time.clock, sleep=time.sleep)


def test_without_limits_nothing_waits():
    time = FakeTime()
    paced = pace(time)
    for _ in range(1000):
        paced.wait(1_000_000)
    assert time.slept == []


def test_the_request_after_the_last_allowed_waits_for_the_minute_to_end():
    time = FakeTime()
    paced = pace(time, requests=3)
    for _ in range(3):
        paced.wait(1)
    assert time.slept == []
    paced.wait(1)
    assert sum(time.slept) == pytest.approx(60)


def test_a_request_larger_than_the_limit_waits_to_be_alone_and_goes():
    time = FakeTime()
    paced = pace(time, tokens=100)
    paced.wait(30)
    paced.wait(500)
    assert sum(time.slept) == pytest.approx(60)
    paced.wait(1)
    assert sum(time.slept) == pytest.approx(120)


def test_a_pause_holds_everyone():
    time = FakeTime()
    paced = pace(time)
    paced.pause(7)
    paced.pause(3)
    paced.wait(1)
    assert sum(time.slept) == pytest.approx(7)


@given(
    st.lists(st.tuples(st.integers(1, 60), st.floats(0, 40)), min_size=1, max_size=40),
    st.integers(1, 8),
    st.integers(20, 100),
)
def test_no_minute_ever_holds_more_than_the_limits(requests, most_requests, most_tokens):
    time, sent = FakeTime(), []
    paced = pace(time, requests=most_requests, tokens=most_tokens)
    for num_tokens, pause in requests:
        paced.wait(num_tokens)
        sent.append((time.now, num_tokens))
        time.now += pause
    for begin, _ in sent:
        minute = [tokens for at, tokens in sent if begin <= at < begin + 59.999]
        assert len(minute) <= most_requests
        assert sum(minute) <= most_tokens or len(minute) == 1


def test_threads_share_the_limit():
    time, sent = FakeTime(), []
    paced = pace(time, requests=5)

    def ask():
        for _ in range(10):
            paced.wait(1)
            sent.append(time.now)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 40
    assert time.now >= 0.1 + 60 * 7


def test_waits_double_up_to_a_minute_and_are_drawn():
    rng = random.Random(0)
    for attempt in range(1, 12):
        most = min(2 ** (attempt - 1), 60)
        drawn = {backoff_s(attempt, rng) for _ in range(50)}
        assert most / 2 <= min(drawn) < max(drawn) <= most


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),  # long past
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "yesterday"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_service_asks_for(headers, seconds):
    assert retry_after_s(headers) == seconds
