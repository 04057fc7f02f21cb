"""``/metrics`` for Prometheus: what was asked, how long each part took, what waits, and how far the index is behind.

Several processes of one service count together where PROMETHEUS_MULTIPROC_DIR names a folder of theirs, before the
library is first imported.
"""

import os
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64)
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        own = self._own = CollectorRegistry()
        self._requests = Counter("nearer_requests", "Requests answered", ("route", "method", "status"), registry=own)
        self._seconds = Histogram("nearer_request_seconds", "Of answers", ("route",), registry=own, buckets=_SECONDS)
        self._parts = Histogram("nearer_search_seconds", "Of a part", ("part",), registry=own, buckets=_SECONDS)
        self._batch = Histogram("nearer_encode_batch_texts", "Encoded together", registry=own, buckets=_TEXTS)
        self._waited = Histogram("nearer_encode_wait_seconds", "A batch's first text", registry=own, buckets=_SECONDS)
        self._events = Counter("nearer_events", "Events taken in, or kept apart", ("kept",), registry=own)
        self._lost = Counter("nearer_impressions_lost", "Impressions that could not be written", registry=own)
        self._swaps = Counter("nearer_swaps", "Releases that were opened", registry=own)
        self._live = Gauge(
            "nearer_live_release", "1 for what answers", ("release_id",), registry=own, multiprocess_mode="livemax"
        )
        self._pending = Gauge(
            "nearer_requests_pending", "At work or waiting", registry=own, multiprocess_mode="livesum"
        )
        self._texts = Gauge("nearer_encode_waiting_texts", "Waiting", registry=own, multiprocess_mode="livesum")
        self._lag = Gauge(
            "nearer_index_lag_revisions",
            "Changes of documents not found yet",
            registry=own,
            multiprocess_mode="livemax",
        )
        self._release_id = ""

    def request(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def search(self, took_s: Mapping[str, float]) -> None:
        """Count the parts of a search."""
        for part, seconds in took_s.items():
            self._parts.labels(part).observe(seconds)

    def batch(self, num_texts: int, waited_s: float) -> None:
        """Count a batch of texts."""
        self._batch.observe(num_texts)
        self._waited.observe(waited_s)

    def events(self, *, num_counted: int, num_apart: int) -> None:
        """Count events that came in."""
        self._events.labels("counted").inc(num_counted)
        self._events.labels("apart").inc(num_apart)

    def lost(self, num_impressions: int) -> None:
        """Count impressions that could not be written."""
        self._lost.inc(num_impressions)

    def swapped(self, release_id: str) -> None:
        """Count a release that was opened."""
        self._swaps.inc()
        if self._release_id:
            self._live.labels(self._release_id).set(0)
        self._live.labels(release_id).set(1)
        self._release_id = release_id

    def now(self, *, pending: int, texts: int, lag: int) -> None:
        """Note what waits, and how many changes of the documents the index lacks."""
        self._pending.set(pending)
        self._texts.set(texts)
        self._lag.set(lag)

    def text(self) -> bytes:
        """All numbers as Prometheus reads them, those of other processes too."""
        if _FOLDER not in os.environ:
            return generate_latest(self._own)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    def close(self) -> None:
        """Take what this process says of now out of what others tell."""
        if _FOLDER in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
