"""Lengths of time as people write them."""

import re

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
