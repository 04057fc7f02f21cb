"""What waits is encoded together, in the order of its lanes, and one that fails fails alone."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from nearer.core.errors import Conflict, DeadlineExceeded, Overloaded
from nearer.serving.encode_queue import EncodeQueue


class Slow:
    """Encodes a text as its length and its side, when it may."""

    dimension = 2

    def __init__(self):
        self.may, self.began, self.batches = Event(), Event(), []
        self.may.set()

    def encode_queries(self, texts):
        return self._encode(texts, 1)

    def encode_documents(self, texts):
        return self._encode(texts, 2)

    def _encode(self, texts, side):
        self.began.set()
        assert self.may.wait(10)
        self.batches.append(list(texts))
        if "bad" in texts:
            raise ValueError("a bad text")
        return np.array([[len(text), side] for text in texts], np.float32)


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def make_queue():
    queues = []

    def make(**settings):
        queues.append(EncodeQueue(**settings))
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


def held(queue, slow, pool):
    """Keep the thread busy with one text, so that what comes after it waits."""
    slow.may.clear()
    first = pool.submit(queue.encode, slow, ["first"], side="query")
    assert slow.began.wait(10)
    return first


def waiting(queue, number):
    until = time.monotonic() + 10
    while queue.num_waiting < number:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_what_waits_is_encoded_together_and_urgent_first(make_queue, slow):
    queue = make_queue(max_batch=4)
    with ThreadPoolExecutor(8) as pool:
        held(queue, slow, pool)
        bulk = pool.submit(queue.encode, slow, ["b1", "b22"], side="document")
        waiting(queue, 2)
        asked = [pool.submit(queue.encode, slow, ["q" * n], side="query", urgent=True) for n in range(1, 6)]
        waiting(queue, 7)
        slow.may.set()
        assert [each.result().tolist() for each in asked] == [[[n, 1]] for n in range(1, 6)]
        assert bulk.result().tolist() == [[2, 2], [3, 2]]
    assert [len(each) for each in slow.batches] == [1, 4, 1, 2]
    assert slow.batches[-1] == ["b1", "b22"]


def test_a_lone_text_does_not_wait(make_queue, slow):
    queue = make_queue(max_wait_s=5.0)
    start = time.monotonic()
    for _ in range(3):
        queue.encode(slow, ["alone"], side="query")
    assert time.monotonic() - start < 4


def test_one_that_fails_fails_alone(make_queue, slow):
    queue = make_queue()
    with ThreadPoolExecutor(8) as pool:
        held(queue, slow, pool)
        good = [pool.submit(queue.encode, slow, [text], side="query") for text in ("a", "bb")]
        bad = pool.submit(queue.encode, slow, ["bad"], side="query")
        waiting(queue, 3)
        slow.may.set()
        assert [each.result().tolist() for each in good] == [[[1, 1]], [[2, 1]]]
        with pytest.raises(ValueError, match="a bad text"):
            bad.result()


def test_long_requests_are_encoded_in_parts(make_queue, slow):
    queue = make_queue()
    found = queue.encode(slow, ["x" * n for n in range(100)], side="document")
    assert found[:, 0].tolist() == list(range(100))
    assert max(map(len, slow.batches)) <= 64
    slow.batches.clear()
    queue.encode(slow, ["x" * 150_000] * 3, side="document", deadline=time.monotonic() + 60)
    assert sum(map(len, slow.batches)) == 3


def test_it_is_bounded_in_number_and_time(make_queue, slow):
    queue = make_queue(max_waiting=3)
    with ThreadPoolExecutor(8) as pool:
        held(queue, slow, pool)
        with pytest.raises(DeadlineExceeded):
            queue.encode(slow, ["late"], side="query", deadline=time.monotonic() + 0.05)
        waits = pool.submit(queue.encode, slow, ["a", "b"], side="query")
        waiting(queue, 3)
        with pytest.raises(Overloaded):
            queue.encode(slow, ["c"], side="query")
        slow.may.set()
        waits.result()
    assert "late" not in [text for batch in slow.batches for text in batch], "nobody waited for it any more"
    assert queue.encode(slow, ["d"], side="query").tolist() == [[1, 1]]


def test_nothing_waits_for_one_that_is_closed(slow):
    queue = EncodeQueue()
    with ThreadPoolExecutor(3) as pool:
        first = held(queue, slow, pool)
        second = pool.submit(queue.encode, slow, ["second"], side="query")
        waiting(queue, 1)
        closing = pool.submit(queue.close)
        while not queue._is_closed:
            time.sleep(0.001)
        slow.may.set()
        closing.result()
        first.result()
        with pytest.raises(Conflict):
            second.result()
    with pytest.raises(Conflict):
        queue.encode(slow, ["third"], side="query")


def test_queries_of_many_clients_are_encoded_together(live, monkeypatch):
    encoder = type(live.service.follower.served.system.encoder)
    sizes, encode = [], encoder.encode_queries

    def slow(self, texts):
        sizes.append(len(texts))
        time.sleep(0.1)
        return encode(self, texts)

    monkeypatch.setattr(encoder, "encode_queries", slow)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: live.post("/v1/search", query=f"harbour {n}", mode="dense"), range(16)))
    assert max(sizes) > 1, "each query waited for the one before"
