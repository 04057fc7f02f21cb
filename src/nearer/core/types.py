"""The types of metadata values, the same for every format: what a text is when all values of its field are so.

A text stays the text that it is: its type says how it is compared. What might be an id or a version stays text: leading
zeros, signs, more digits than a spreadsheet keeps, exponents without a sign.
"""

import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import Literal

FieldType = Literal["text", "integer", "number", "boolean", "date", "list"]

Value = str | int | float | bool
TRUTH = {"true": True, "false": False}

MISSING = frozenset({"na", "n/a", "nan", "null", "none", "nil", "#n/a", "\\n", "-", "--", "?", "."})
"""What R, SQL, pandas and people write where a value is missing, in lower case."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-][0-9]+)?")
_GROUPED = re.compile(r"-?[1-9][0-9]{0,2}\.[0-9]{3}")
_MOST_DIGITS = 15
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}.*)?")
_PART_OF_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
_LARGEST = 2**63


def as_number(text: str) -> int | float | None:
    """The number that a text is; None for one that is none, or that could be an id.

    Source of the digits: IEEE 754 keeps 15 of any decimal number, and spreadsheets keep as many.

    >>> as_number("12"), as_number("9.90"), as_number("-1e-05")
    (12, 9.9, -1e-05)
    >>> [as_number(text) for text in ("007", "+49", "1e5", "1,5", "1234567890123456", "")]
    [None, None, None, None, None, None]
    """
    if not _NUMBER.fullmatch(text) or sum(map(str.isdigit, text.partition("e")[0])) > _MOST_DIGITS:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


def may_be_thousands(text: str) -> bool:
    """Whether a number may be meant a thousand times as large: where commas are decimal, points group thousands.

    >>> [may_be_thousands(text) for text in ("1.200", "0.375", "1.25", "1.2000")]
    [True, False, False, False]
    """
    return _GROUPED.fullmatch(text) is not None


def as_date(text: str) -> float | None:
    """The seconds since 1970 of an ISO 8601 date, with or without a time, in UTC where it has no zone; None for others.

    >>> as_date("1970-01-02"), as_date("1970-01-01 01:00:00"), as_date("01.02.1970")
    (86400.0, 3600.0, None)
    """
    if not _DATE.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def as_time(value: object) -> float | None:
    """The seconds since 1970 of a date, a month or a year, each at its beginning; None for others.

    >>> as_time("1970-01-02"), as_time("1970-02"), as_time("1971"), as_time(1971), as_time(5)
    (86400.0, 2678400.0, 31536000.0, 31536000.0, None)
    """
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 1000 <= value < 10_000
        and value == int(value)
    ):
        value = str(int(value))
    if not isinstance(value, str):
        return None
    part = _PART_OF_DATE.fullmatch(value.strip())
    return as_date(f"{part[1]}-{part[2] or '01'}-01" if part else value.strip())


def is_missing(value: object) -> bool:
    """Whether a text stands where a value is missing, in a field of numbers, dates or true and false.

    >>> is_missing("NA"), is_missing(" - "), is_missing("no"), is_missing(None)
    (True, True, False, False)
    """
    return isinstance(value, str) and value.strip().lower() in MISSING


def type_of(value: object) -> FieldType | None:
    """The narrowest type of a value; None for one that nothing can compare.

    >>> [type_of(each) for each in ("9.90", "2024-05-31", "TRUE", "007", 3, ["a", "b"], {})]
    ['number', 'date', 'boolean', 'text', 'integer', 'list', None]
    """
    match value:
        case bool():
            return "boolean"
        case int() if -_LARGEST <= value < _LARGEST:
            return "integer"
        case float() if math.isfinite(value):
            return "number"
        case str():
            return _type_of_text(value)
        case list() if all(isinstance(each, str | int | float) for each in value):
            return "list"
    return None


def read_as(value: object, field_type: FieldType) -> Value | None:
    """A value as it is compared in a field of a type, lists apart; None where it is none of that type.

    Dates are seconds since 1970.

    >>> read_as("9.90", "number"), read_as("1970-01-02", "date"), read_as("True", "boolean"), read_as(7, "text")
    (9.9, 86400.0, True, None)
    """
    if isinstance(value, str):
        return _text_as(value, field_type)
    if isinstance(value, bool):
        return value if field_type == "boolean" else None
    if isinstance(value, int | float) and field_type in ("integer", "number"):
        return float(value) + 0.0 if field_type == "number" else value  # -0.0 and 0.0 are one number
    return None


def one_form(text: str) -> str:
    """A text as it is compared: composed, for letters and their marks may be written apart.

    Source: Unicode Standard Annex 15, Normalization Form C.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def item_text(value: object) -> str:
    """An item of a list as it is compared.

    >>> item_text("a"), item_text(1.0), item_text(True)
    ('a', '1', 'true')
    """
    if isinstance(value, str):
        return one_form(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def group_of(value: object) -> str:
    """The name of a group: 1, 1.0 and "1" are one, and so are two Unicode forms of a name.

    >>> group_of(2.0), group_of(" 2 ")
    ('2', '2')
    """
    return item_text(value).strip()


def items_of(value: object) -> tuple[str, ...]:
    """The items of a list, or of one value as a list of its own."""
    return tuple(map(item_text, value)) if isinstance(value, list | tuple) else (item_text(value),)


def _text_as(text: str, field_type: FieldType) -> Value | None:
    match field_type:
        case "boolean":
            return TRUTH.get(text.lower())
        case "date":
            return as_date(text)
        case "integer" | "number":
            number = as_number(text)
            return number if number is None or field_type == "integer" else float(number)
    return one_form(text)


def _type_of_text(text: str) -> FieldType:
    number = as_number(text)
    if number is not None:
        return "integer" if isinstance(number, int) else "number"
    if text.lower() in TRUTH:
        return "boolean"
    return "text" if as_date(text) is None else "date"
