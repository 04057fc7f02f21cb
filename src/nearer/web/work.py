"""The threads in which requests are answered: so many, a bounded number that waits, and a deadline for each."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from nearer.core.errors import DeadlineExceeded, Overloaded
from nearer.web.limits import Limits

T = TypeVar("T")


class Work:
    """Answers requests in threads of its own."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="nearer-answer")
        self.num_pending = 0

    async def do(self, work: Callable[[float], T]) -> T:
        """What ``work`` returns, which is given its deadline as a time of ``time.monotonic``.

        Raises Overloaded when too many wait, DeadlineExceeded when it took too long; it may end later then.
        """
        if self.num_pending >= self._limits.threads + self._limits.waiting:
            raise Overloaded(f"{self.num_pending} requests wait already", hint="repeat the request later")
        deadline = time.monotonic() + self._limits.deadline_s
        self.num_pending += 1
        future = self._pool.submit(copy_context().run, work, deadline)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._limits.deadline_s)
        except TimeoutError as error:
            message = f"there was no answer within {self._limits.deadline_s:g} seconds"
            raise DeadlineExceeded(message, hint="ask for less, or repeat the request later") from error

    def close(self) -> None:
        """Let go of the threads; what they are at, they end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ended(self) -> None:
        self.num_pending -= 1
