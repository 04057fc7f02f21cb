"""How numbers, ids and texts look in the report."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from nearer.core.results.advice import RemedyValues
from nearer.core.results.measuring import Comparison, Interval, direction

MAX_CHARACTERS = 8000
"""Of a text in the report; what is longer is cut, and the report says so."""

_MINUS = "\N{MINUS SIGN}"
_SIGNS = {"gain": "▲", "loss": "▼", "undecided": "◇"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """The beginning of a text, the rest of it, and how many characters the report leaves out."""

    head: str
    rest: str
    num_excluded: int


def excerpt(text: str, *, max_lines: int, max_characters: int) -> Excerpt:
    r"""Cut a text after whole lines where it can be, after a word where it must.

    >>> excerpt("a\nb\nc", max_lines=2, max_characters=100)
    Excerpt(head='a\nb', rest='c', num_excluded=0)
    """
    text = text.strip("\n").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    head = "\n".join(lines[:max_lines])[:max_characters]
    if len(head) == max_characters < len(text) and not text[max_characters].isspace():
        head = _whole_words(head)
    rest = text[len(head) :].removeprefix("\n")
    kept = rest[: max(0, MAX_CHARACTERS - len(head))]
    return Excerpt(head=head, rest=kept, num_excluded=len(rest) - len(kept))


def number(value: Any, digits: int = 3) -> str:
    """A value of a measure.

    >>> number(0.5), number(None), number(float("nan"))
    ('0.500', 'none', 'none')
    """
    return f"{value:.{digits}f}".replace("-", _MINUS) if _is_finite(value) else "none"


def signed(value: Any, digits: int = 3) -> str:
    """A difference, with its sign.

    >>> signed(0.0714), signed(0)
    ('+0.071', '0.000')
    """
    if not _is_finite(value):
        return "none"
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", _MINUS)


def count(value: Any) -> str:
    """A whole number.

    >>> count(12345)
    '12,345'
    """
    return f"{value:,}" if _is_finite(value) else "none"


def probability(value: Any) -> str:
    """A p-value with its sign of equality.

    >>> probability(0.00004), probability(0.0312)
    ('p < 0.0001', 'p = 0.0312')
    """
    if not _is_finite(value):
        return "p unknown"
    return f"p = {value:.4f}" if value >= 0.0001 else "p < 0.0001"


def span(interval: Interval | Comparison | RemedyValues, *, with_sign: bool = False) -> str:
    """The ends of an interval.

    >>> span(Interval(value=0.15, low=0.1, high=0.2))
    '[0.100, 0.200]'
    """
    write = signed if with_sign else number
    return f"[{write(interval.low)}, {write(interval.high)}]"


def word(interval: Interval | Comparison | RemedyValues) -> str:
    """Whether a difference is a gain or a loss, or undecided, with its sign, so that colour is not all that says so.

    >>> word(Interval(value=-0.15, low=-0.2, high=-0.1))
    '▼ loss'
    """
    p_value = interval.p_value if isinstance(interval, Comparison | RemedyValues) else None
    found = direction(interval.low, interval.high, p_value)
    return f"{_SIGNS[found]} {found}"


def moment(value: Any) -> str:
    """A time in UTC, to the minute.

    >>> moment("2026-01-31T09:05:59+00:00")
    '2026-01-31 09:05'
    """
    text = str(value or "")
    return text[:16].replace("T", " ") if len(text) >= 16 else text or "unknown"


def plural(number_of: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> plural(1, "query", "queries"), plural(1200, "step")
    ('1 query', '1,200 steps')
    """
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def _whole_words(text: str) -> str:
    """Without the word at the end that may be half, unless that is much of the text."""
    end = max(text.rfind(" "), text.rfind("\n"))
    return text[:end] if end > 0.8 * len(text) else text


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
