"""How fast a service may be asked: its limits of a minute, and how long to wait after a failure."""

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

WINDOW_S = 60.0
LONGEST_BACKOFF_S = 60.0


class Pace:
    """Never more than so many requests and tokens in any minute, over all threads; none means no limit.

    A bucket that is full at the start would let twice the limit through in its first minute, so what was sent in the
    last minute is remembered instead.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._most_requests = requests_per_minute
        self._most_tokens = tokens_per_minute
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._sent: deque[tuple[float, int]] = deque()
        self._not_before = clock()

    def wait(self, num_tokens: int) -> None:
        """Return when a request of so many tokens may be sent; one larger than the limit waits to be alone."""
        while True:
            with self._lock:
                now = self._clock()
                may_go_at = max(self._not_before, self._free_at(now, num_tokens))
                if may_go_at <= now:
                    self._sent.append((now, num_tokens))
                    return
            self._sleep(may_go_at - now)

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long, whoever asks."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

    def _free_at(self, now: float, num_tokens: int) -> float:
        """When the limits allow the request, counting what was sent in the minute before."""
        while self._sent and self._sent[0][0] + WINDOW_S <= now:
            self._sent.popleft()
        free_at, requests, tokens = now, len(self._sent), sum(tokens for _, tokens in self._sent)
        for sent_at, sent_tokens in self._sent:
            if self._has_room(requests, tokens, num_tokens):
                break
            free_at, requests, tokens = sent_at + WINDOW_S, requests - 1, tokens - sent_tokens
        return free_at

    def _has_room(self, requests: int, tokens: int, num_tokens: int) -> bool:
        """Whether a minute in which so much was sent allows one request more."""
        if self._most_requests is not None and requests >= self._most_requests:
            return False
        return self._most_tokens is None or tokens == 0 or tokens + num_tokens <= self._most_tokens


def backoff_s(attempt: int, rng: random.Random) -> float:
    """How long to wait after the ``attempt``-th failure (from 1): up to 1, 2, 4 ... 60 seconds, at least half of it.

    Source: "equal jitter" in Exponential Backoff And Jitter, AWS Architecture Blog (2015).
    """
    most = min(2.0 ** (attempt - 1), LONGEST_BACKOFF_S)
    return most * rng.uniform(0.5, 1.0)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait that a response asks for, in seconds; none when it asks for none that makes sense.

    A date is compared with the response's own, so that our clock need not be right. Source: RFC 9110, 10.2.3.

    >>> retry_after_s({"retry-after": "1.5"})
    1.5
    >>> retry_after_s({"date": "Fri, 31 Dec 1999 23:59:50 GMT", "retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"})
    9.0
    """
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
            since = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
            seconds = (until - since).total_seconds()
        except (ValueError, TypeError):  # no date, or one without a time zone beside one that has it
            return None
    return seconds if 0 < seconds < float("inf") else None
