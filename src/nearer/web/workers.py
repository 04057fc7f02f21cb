"""Several processes that serve as one: they share a socket, and each tells the numbers of all at ``/metrics``."""

import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.context import SpawnProcess
from pathlib import Path

from nearer.store.workspace import Workspace
from nearer.web.limits import Limits

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_LOOK_S = 0.5
_AGAIN_S = 5.0
"""A process that ended before this is begun anew no sooner: what cannot start does not try all the time."""


class Workers:
    """Keeps so many processes at work until it is told to end; one that ends by itself is begun anew."""

    def __init__(
        self, folder: Path, listening: socket.socket, *, number: int, origins: Sequence[str], limits: Limits | None
    ) -> None:
        self._arguments = (folder, listening, number, tuple(origins), limits)
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[tuple[SpawnProcess, float]] = []
        self._number = number
        self._is_ending = threading.Event()

    def run(self) -> None:
        """Begin them, and return once all have ended after SIGTERM or Ctrl-C."""
        with tempfile.TemporaryDirectory(prefix="nearer-metrics-") as numbers:
            os.environ.setdefault(METRICS_FOLDER, numbers)
            before = {each: signal.signal(each, self._end) for each in (signal.SIGINT, signal.SIGTERM)}
            try:
                self._processes = [self._begun() for _ in range(self._number)]
                while not self._is_ending.wait(_LOOK_S):
                    self._processes = [self._kept(*each) for each in self._processes]
            finally:
                for each, handler in before.items():
                    signal.signal(each, handler)
                self._stop()
                if os.environ.get(METRICS_FOLDER) == numbers:
                    del os.environ[METRICS_FOLDER]

    def _end(self, *_: object) -> None:
        self._is_ending.set()

    def _begun(self) -> tuple[SpawnProcess, float]:
        process = self._context.Process(target=_work, args=self._arguments, name="nearer-worker")
        process.start()
        return process, time.monotonic()

    def _kept(self, process: SpawnProcess, since: float) -> tuple[SpawnProcess, float]:
        """A process that is at work, begun anew if it was not."""
        if process.is_alive() or time.monotonic() - since < _AGAIN_S:
            return process, since
        _forget_numbers(process.pid)
        return self._begun()

    def _stop(self) -> None:
        """Have all end the requests at hand."""
        for process, _ in self._processes:
            if process.is_alive():
                process.terminate()
        for process, _ in self._processes:
            process.join()


def _forget_numbers(pid: int | None) -> None:
    """Take what a process that was killed said of now out of what others tell; its counts stay."""
    from prometheus_client.multiprocess import mark_process_dead

    if pid is not None:
        with suppress(OSError):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _work(folder: Path, listening: socket.socket, number: int, origins: Sequence[str], limits: Limits | None) -> None:
    """One of the processes."""
    from nearer.web.run import serve_at

    with Workspace.open(folder) as workspace:
        serve_at(workspace, listening, origins=origins, limits=limits, num_processes=number)


def announce(say: Callable[[str], None], address: str, number: int) -> None:
    """Say where it serves."""
    many = f" by {number} processes" if number > 1 else ""
    say(f"serving at http://{address}{many} (its pages: /docs, /dashboard); end it with Ctrl-C")
