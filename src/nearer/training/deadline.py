"""The time that a training may take, and what of it is left."""

import math
from collections.abc import Callable

from nearer.core.results.training import DevPoint


class Deadline:
    """When a training must end, by a clock; ``kept`` receives the seconds left whenever dev was measured.

    Two dev measurements are kept in reserve: one where training is stopped, one of what it made.
    """

    def __init__(
        self,
        ends_at: float,
        *,
        clock: Callable[[], float],
        kept: Callable[[float], None] = lambda left_s: None,
        whole: "Deadline | None" = None,
    ) -> None:
        self._ends_at = ends_at
        self._clock = clock
        self._kept = kept
        self._whole = whole
        self._dev_s: float = whole._dev_s if whole else 0.0

    @classmethod
    def never(cls, clock: Callable[[], float]) -> "Deadline":
        """The time without an end."""
        return cls(math.inf, clock=clock)

    @property
    def left_s(self) -> float:
        """Seconds until the end; less than none after it."""
        return self._ends_at - self._clock()

    def is_over(self) -> bool:
        """Whether no more than the reserve is left."""
        return not self.has(0.0)

    def has(self, seconds: float) -> bool:
        """Whether more than this is left beside the reserve."""
        return self.left_s > seconds + 2 * self._dev_s

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
            self._took(self._clock() - began)
            return point

        return timed

    def _took(self, dev_s: float) -> None:
        self._dev_s = dev_s
        self._kept(self.left_s)
        if self._whole:
            self._whole._took(dev_s)
