"""Progress on stderr: bars on a terminal, lines in a log."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import TYPE_CHECKING, TypeVar

from nearer.core.escape import escape_controls
from nearer.core.progress import one

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

T = TypeVar("T")

_shown: set[Callable[[], None]] = set()
"""What takes away each bar, and ends each teller of lines, that is there now."""

_FIRST_S = 5.0
"""After so many seconds a phase is shown in a log."""
_LATER_S = (10.0, 30.0)
"""Between its next lines; the last of these again and again."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Phase:
    """A phase: what of it is done."""

    label: str
    total: int
    began: float
    done: int = 0

    def line(self, now: float) -> str:
        """It as a line: ``encode passages: 512 of 2,048 (25%), 0:12 left``."""
        took = now - self.began
        if not self.total:
            return f"{self.label}: {f'{self.done:,}, ' if self.done else ''}{as_clock(took)} so far"
        text = f"{self.label}: {self.done:,} of {self.total:,} ({self.done / self.total:.0%})"
        if not self.done:
            return f"{text}, {as_clock(took)} so far"
        return f"{text}, {as_clock(took / self.done * max(0, self.total - self.done))} left"

    def end(self, now: float) -> str:
        """The line at its end."""
        return f"{self.label}: {f'{self.done:,} ' if self.total else ''}done in {as_clock(now - self.began)}"


class ConsoleProgress:
    """Progress on stderr: bars while something lasts on a terminal, else a line now and then."""

    def __init__(
        self,
        console: "Console | None" = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        first_s: float = _FIRST_S,
    ) -> None:
        self._given, self._clock, self._first_s = console, clock, first_s
        self._bars: Bars | None = None

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return self._given or Console(stderr=True, highlight=False)

    def track(self, items: Iterable[T], *, label: str, total: int, size: Callable[[T], int] = one) -> Generator[T]:
        """Yield ``items`` while what is done of ``total`` is shown; no bar stays when they end, however they do."""
        phase = _Phase(label=label, total=total, began=self._clock())
        shown = self._bar if self._console.is_terminal else self._lines
        with shown(phase) as moved:
            for item in items:
                yield item
                phase.done += size(item)
                moved()
        if self._clock() - phase.began >= self._first_s:
            self.say(phase.end(self._clock()))

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(escape_controls(text), markup=False, soft_wrap=True)

    @contextmanager
    def _bar(self, phase: _Phase) -> Iterator[Callable[[], None]]:
        """A bar, among those of the phases around it."""
        if self._bars is None:
            self._bars = _new_bars(self._console)
            self._bars.start()
        bars, label = self._bars, escape_controls(phase.label)
        task = bars.add_task(label, total=phase.total or None)

        def moved() -> None:
            with suppress(KeyError):  # it was taken away
                bars.update(task, completed=phase.done)

        def end() -> None:
            with suppress(KeyError):
                bars.remove_task(task)
            if not bars.tasks:
                bars.stop()
                self._bars = None

        with _until(end):
            yield moved

    @contextmanager
    def _lines(self, phase: _Phase) -> Iterator[Callable[[], None]]:
        """Lines, also while a single item takes long."""
        ended = threading.Event()

        def tell() -> None:
            for wait_s in chain((self._first_s,), _LATER_S, repeat(_LATER_S[-1])):
                if ended.wait(wait_s):
                    return
                self.say(phase.line(self._clock()))

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()

        def end() -> None:
            ended.set()
            teller.join()

        with _until(end):
            yield lambda: None


def end_all() -> None:
    """Take away every bar: after a failure, whose traceback may keep a phase alive, none stays."""
    for end in list(_shown):
        end()


@contextmanager
def _until(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` at the end, or before by ``end_all``."""
    _shown.add(end)
    try:
        yield
    finally:
        _shown.discard(end)
        end()


class WarningLines(logging.Handler):
    """Shows what the library warns of, such as for whom it waits, as lines among the progress."""

    def __init__(self, progress: ConsoleProgress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        self._progress.say(self.format(record))


def as_clock(seconds: float) -> str:
    """Seconds as a clock shows them.

    >>> as_clock(75.4), as_clock(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _new_bars(console: "Console") -> "Bars":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description:24}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        transient=True,
    )
