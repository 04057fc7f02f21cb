"""The time that a training may take, what of it is left, and the looks at the clock inside everything that is long."""

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable
from statistics import median
from typing import TypeVar

from nearer.core.progress import OutOfTime, Progress, one
from nearer.core.results.training import DevPoint

T = TypeVar("T")

_GRACE = 1 / 20
"""Of the time that a last measurement may take beyond it."""
_CARE = 1.5
"""Times what a measurement took last that are kept for the next: a machine may be busier then."""
_LAST_STEPS = 3


class Deadline:
    """When a training must end, by a clock; ``kept`` receives the seconds left whenever dev was measured.

    A dev measurement is kept in reserve, as long as the last one was, or as ``expects`` has it before there was any,
    longer where steps take longer than expected.
    """

    def __init__(
        self,
        ends_at: float,
        *,
        clock: Callable[[], float],
        kept: Callable[[float], None] = lambda left_s: None,
        whole: "Deadline | None" = None,
    ) -> None:
        self._ends_at, self._clock, self._kept, self._whole = ends_at, clock, kept, whole
        self._grace_s = _GRACE * (ends_at - clock()) if math.isfinite(ends_at) else 0.0
        self._dev_s: float = whole._dev_s if whole else 0.0
        self._planned_step_s = 0.0
        self._has_measured = False
        self._slowdown: float = whole._slowdown if whole else 1.0
        self._steps: deque[float] = deque(maxlen=_LAST_STEPS)
        self._looked_at: float | None = None

    @classmethod
    def never(cls, clock: Callable[[], float]) -> "Deadline":
        """The time without an end."""
        return cls(math.inf, clock=clock)

    @property
    def is_ever(self) -> bool:
        """Whether there is an end."""
        return math.isfinite(self._ends_at)

    @property
    def left_s(self) -> float:
        """Seconds until the end; less than none after it."""
        return self._ends_at - self._clock()

    @property
    def step_s(self) -> float:
        """What a step takes: as the last ones did, else as expected."""
        return median(self._steps) if self._steps else self._planned_step_s

    @property
    def slowdown(self) -> float:
        """Times as long as expected that steps take, 1 at least; before there are any, that of the pass before."""
        if not (self._steps and self._planned_step_s):
            return self._slowdown
        return max(1.0, self.step_s / self._planned_step_s)

    def expects(self, *, dev_s: float) -> None:
        """What a measurement is expected to take."""
        self._dev_s = dev_s

    def begins(self, *, step_s: float) -> None:
        """Steps begin now, each expected to take so long; 0 where nothing is known."""
        self._slowdown = self.slowdown
        self._steps.clear()
        self._planned_step_s, self._looked_at = step_s, self._clock()

    def steps_within(self, step_s: float) -> int:
        """How many steps, each planned to take so long, fit into what is left beside the reserve."""
        left_s = self.left_s - _CARE * self._dev_s
        return max(0, int(left_s / max(1e-9, step_s * self.slowdown)))

    def step_ended(self) -> bool:
        """Whether no more than the reserve and a step is left; a step has ended."""
        now = self._clock()
        if self._looked_at is not None:
            self._steps.append(now - self._looked_at)
        self._looked_at = now
        return not self.has(self.step_s)

    def is_over(self) -> bool:
        """Whether no more than the reserve is left."""
        return not self.has(0.0)

    def has(self, seconds: float) -> bool:
        """Whether more than this is left beside the reserve."""
        reserve_s = self._dev_s if self._has_measured else self._dev_s * self.slowdown
        return self.left_s > seconds + _CARE * reserve_s

    def share(self, number: int) -> "Deadline":
        """The deadline of the next of ``number`` trainings that have the time that is left between them."""
        now = self._clock()
        ends_at = now + max(0.0, self._ends_at - now) / number
        return Deadline(ends_at, clock=self._clock, whole=self)

    def timed(self, measure: Callable[[int], DevPoint]) -> Callable[[int], DevPoint]:
        """``measure``, with the time that it takes taken into the reserve."""

        def timed(step: int) -> DevPoint:
            began = self._clock()
            point = measure(step)
            self._looked_at = self._clock()
            self._took(self._looked_at - began)
            return point

        return timed

    def watching(self, progress: Progress, *, to_the_end: bool = False) -> Progress:
        """A progress that raises OutOfTime between items when the reserve is all that is left.

        ``to_the_end`` it does so a twentieth of the time after the end.
        """
        if not self.is_ever:
            return progress
        return _Watched(progress, self._is_past if to_the_end else self.is_over)

    def _is_past(self) -> bool:
        return self.left_s < -self._grace_s

    def _took(self, dev_s: float) -> None:
        self._dev_s, self._has_measured = dev_s, True
        self._kept(self.left_s)
        if self._whole:
            self._whole._took(dev_s)


class _Watched:
    """A progress that looks at the clock between items."""

    def __init__(self, progress: Progress, is_over: Callable[[], bool]) -> None:
        self._progress, self._is_over = progress, is_over

    def track(self, items: Iterable[T], *, label: str, total: int, size: Callable[[T], int] = one) -> Generator[T]:
        """Yield ``items``. Raises OutOfTime when the time is over before the last of a known number."""
        done = 0
        for item in self._progress.track(items, label=label, total=total, size=size):
            yield item
            done += size(item)
            if done < total and self._is_over():
                raise OutOfTime(label)

    def say(self, text: str) -> None:
        """Show one line."""
        self._progress.say(text)
