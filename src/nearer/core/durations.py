"""Lengths of time as people write them."""

import re
from dataclasses import dataclass

from nearer.core.errors import InputError

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_LENGTH = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smh])")


def seconds_of(text: str, *, option: str) -> float:
    """The seconds of a length of time. Raises InputError for what is none, or nothing.

    >>> [seconds_of(text, option="--budget") for text in ("90s", "20m", "1.5h")]
    [90.0, 1200.0, 5400.0]
    """
    found = _LENGTH.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise InputError(f"{option} {text}: no length of time", hint=f"for example: {option} 90s, {option} 20m, 2h")
    return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimit:
    """A time that a command may take, in seconds from ``began`` by its clock, or from its call."""

    seconds: float
    began: float | None = None

    @classmethod
    def of(cls, budget: "str | float | TimeLimit | None", *, option: str = "--budget") -> "TimeLimit | None":
        """The same of a length of time or seconds. Raises InputError for what is none, or nothing."""
        if budget is None or isinstance(budget, TimeLimit):
            return budget
        seconds = seconds_of(budget, option=option) if isinstance(budget, str) else budget
        if not seconds > 0:
            raise InputError(f"{option} {budget}: a time is above 0", hint=f"for example: {option} 90s, {option} 20m")
        return cls(seconds=seconds)
