"""The writing side of the event log: what many threads add is written and synced together."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from nearer.core.errors import DeadlineExceeded, NearerError, Overloaded, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.store.events.records import Event, Impression, as_line
from nearer.store.events.segments import OpenFile, framed, seal, seal_ended
from nearer.store.files import process_token
from nearer.store.leases import enter, is_present, leave

_log = logging.getLogger(__name__)

GROUP_WAIT_S = 0.05
"""How long a record may wait for others when nobody waits for it."""
GROUP_RECORDS = 100
"""So many are written at once, however short they waited."""
_MOST_WAITING = 50_000
_MOST_BYTES = 32 * 2**20
"""A file ends where it is as large, so that sealing it takes little memory."""
_IDLE_S = 30.0

Record = Impression | Event


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EventLog:
    """Appends to the event log of a workspace; ``close`` it.

    ``lost`` is given how many records could not be written, ``sealed`` called every hour, once what was left is sealed.
    Everything is written in the order in which it was added, so an event that was acknowledged has its impression on
    the disk before it, where this process wrote both.
    """

    def __init__(
        self,
        folder: Path,
        *,
        locks: Path,
        now: Callable[[], datetime] = _utc_now,
        lost: Callable[[int], None] = lambda number: None,
        sealed: Callable[[], object] = lambda: None,
    ) -> None:
        self._folder, self._locks, self._now, self._lost = folder, locks, now, lost
        self._sealed = sealed
        self._changed = threading.Condition()
        self._waiting: list[tuple[Sequence[Record], Future[None] | None]] = []
        self._num_waiting, self._since, self._is_closed = 0, 0.0, False
        self._file: OpenFile | None = None
        self._hour = ""
        self._sealer = ThreadPoolExecutor(1, thread_name_prefix="nearer-seal")
        self._thread = threading.Thread(target=self._run, name="nearer-events", daemon=True)
        self._thread.start()

    def add(self, records: Sequence[Record]) -> None:
        """Have records written within 50 ms, and wait for nothing; what cannot be written is counted as lost."""
        with self._changed:
            if self._is_closed or self._num_waiting >= _MOST_WAITING:
                self._lost(len(records))
                return
            self._enter(records, None)

    def commit(self, records: Sequence[Record], *, deadline: float | None = None) -> None:
        """Write records and return once they are on the disk; ``deadline`` is a time of ``time.monotonic``.

        Raises WorkspaceError when the disk refuses, Overloaded when too much waits, DeadlineExceeded when it takes too
        long; a record may be on the disk then all the same, and is not there twice if it is sent again.
        """
        done: Future[None] = Future()
        with self._changed:
            if self._is_closed or self._num_waiting >= _MOST_WAITING:
                raise Overloaded("too many events wait to be written", hint="send them again later")
            self._enter(records, done)
        try:
            done.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except FutureTimeout as error:
            raise DeadlineExceeded("the events were not written in time", hint="send them again") from error

    def close(self) -> None:
        """Write what waits, and seal the file."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()
        self._sealer.shutdown(wait=True)

    def _enter(self, records: Sequence[Record], done: Future[None] | None) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((records, done))
        self._num_waiting += len(records)
        self._changed.notify()

    def _run(self) -> None:
        self._roll()
        while True:
            group, is_last = self._next_group()
            self._roll()
            if group:
                self._write(group)
            if is_last:
                self._end_file()
                return

    def _next_group(self) -> tuple[list[tuple[Sequence[Record], Future[None] | None]], bool]:
        """What is to be written now, nothing where only time has passed; and whether it is the last."""
        with self._changed:
            if not self._waiting and not self._is_closed:
                self._changed.wait(_IDLE_S)
            while self._may_wait():
                self._changed.wait(max(0.0, self._since + GROUP_WAIT_S - time.monotonic()))
            group, self._waiting, self._num_waiting = self._waiting, [], 0
            return group, self._is_closed

    def _may_wait(self) -> bool:
        if not self._waiting or self._is_closed or self._num_waiting >= GROUP_RECORDS:
            return False
        is_awaited = any(done is not None for _, done in self._waiting)
        return not is_awaited and time.monotonic() < self._since + GROUP_WAIT_S

    def _write(self, group: Sequence[tuple[Sequence[Record], Future[None] | None]]) -> None:
        try:
            data = framed([as_line(record) for records, _ in group for record in records])
            self._file = self._file or self._begin_file()
            self._file.append(data)
            failpoint("events.written")
        except (OSError, ValueError) as error:
            self._fail(group, error)
            return
        for _, done in group:
            if done is not None and done.set_running_or_notify_cancel():
                done.set_result(None)

    def _fail(self, group: Sequence[tuple[Sequence[Record], Future[None] | None]], error: Exception) -> None:
        _log.error("events could not be written: %s", error)
        self._end_file()  # what is at its end nobody knows: another is begun
        failure: NearerError = WorkspaceError(f"events cannot be written: {error}", hint="see that the disk has room")
        for records, done in group:
            if done is None:
                self._lost(len(records))
            elif done.set_running_or_notify_cancel():
                done.set_exception(failure)

    def _roll(self) -> None:
        """End a file that is large, or of an hour that is over; then seal also what others left."""
        hour = self._now().strftime("%Y-%m-%dT%H")
        if self._file is not None and self._file.num_bytes >= _MOST_BYTES:
            self._end_file()
        if hour != self._hour:
            self._end_file()
            self._hour = hour
            self._sealer.submit(self._seal_ended)

    def _begin_file(self) -> OpenFile:
        """A new file of this process, which is seen to live before: nobody seals what is written to. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        enter(self._locks)
        try:
            return OpenFile(self._folder / f"{self._hour}-{process_token()}-{secrets.token_hex(4)}.log")
        except OSError:
            leave(self._locks)
            raise

    def _end_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # all of it that was acknowledged is on the disk
                self._file.close()
            leave(self._locks)
            self._sealer.submit(self._seal, self._file.path)
            self._file = None

    def _seal(self, path: Path) -> None:
        try:
            seal(path)
        except OSError as error:  # it stays as it is, readable, and is tried again once this process has ended
            _log.error("%s: cannot be made Parquet: %s", path.name, error)

    def _is_live(self, token: str) -> bool:
        return token == process_token() or is_present(self._locks, token)

    def _seal_ended(self) -> None:
        try:
            seal_ended(self._folder, is_live=self._is_live)
            self._sealed()
        except (OSError, NearerError) as error:
            _log.error("what was left cannot be sealed, or what is old not be removed: %s", error)
