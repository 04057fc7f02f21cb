"""Numbers that a caller gives in Python, checked."""

import math
from numbers import Real

from nearer.core.errors import InputError


def whole_number(value: object, name: str, *, least: int) -> int:
    """A whole number from ``least``. Raises InputError, which calls it ``name``."""
    number = number_up_to(value, name, most=math.inf)
    if number != int(number) or number < least:
        raise InputError(f"{name} is {value!r}", hint=f"give a whole number from {least}")
    return int(number)


def number_up_to(value: object, name: str, *, most: float) -> float:
    """A number from 0 to ``most``, which may be infinite; the number is finite. Raises InputError."""
    hint = f"give a number from 0 to {most:g}" if math.isfinite(most) else "give a finite number from 0"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name} is {value!r}, not a number", hint=hint)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and 0 <= number <= most):
        raise InputError(f"{name} is {value!r}", hint=hint)
    return number
