"""Filters on documents' metadata: what they are, how they are written, and what they mean.

As JSON they follow the filters of OpenAI's vector stores; on the command line they are ``field>=value``.
Source: OpenAI API reference, vector stores, search: ComparisonFilter and CompoundFilter.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nearer.core.errors import InputError
from nearer.core.types import TRUTH, FieldType, Value, is_missing, item_text, items_of, one_form, read_as

Values = Mapping[str, object]
Fields = Mapping[str, FieldType]
Comparator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
Combiner = Literal["and", "or"]

DERIVED = "label_"
"""How the name of a field begins that was derived from the right answer, and so may never filter."""

MOST_NESTED = 16
"""Filters inside filters: deeper ones are refused."""

_COMPARATORS, _COMBINERS = get_args(Comparator), get_args(Combiner)
_ORDERED = ("gt", "gte", "lt", "lte")
_INTEGERS = range(-(2**63), 2**63)
_WHERE = re.compile(r"\s*(?P<key>[^<>=!]+?)\s*(?P<sign>>=|<=|!=|=|>|<)\s*(?P<value>.*?)\s*", flags=re.DOTALL)
_SIGNS: dict[str, Comparator] = {"=": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_AMOUNT = re.compile(r"[^\w]*\d", flags=re.DOTALL)
"""How a number, a price or a date begins in any script: no order of letters is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One field compared with a value, or with several for ``in`` and ``nin``."""

    type: Comparator
    key: str
    value: Value | tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """Filters that must all hold, or of which one must."""

    type: Combiner
    filters: "tuple[Filter, ...]"


Filter = Comparison | Compound


def parse_filter(content: object, fields: Fields, *, depth: int = 0) -> Filter:
    """A filter from plain JSON, checked against the fields that may filter.

    Raises InputError for what is no filter, an unknown field, and a value that the field never holds.

    >>> parse_filter({"type": "in", "key": "lang", "value": ["en", "de"]}, {"lang": "text"})
    Comparison(type='in', key='lang', value=('en', 'de'))
    """
    if not isinstance(content, Mapping):
        raise InputError(f"a filter is an object, got {_shown(content)}", hint=_EXAMPLE)
    kind: Any = content.get("type")
    if kind in _COMBINERS:
        (inner,) = _only(content, "filters")
        if not isinstance(inner, list | tuple) or not inner:
            raise InputError(f'"filters" of "{kind}" must be a list of filters', hint=_EXAMPLE)
        if depth == MOST_NESTED:
            raise InputError(f"filters are nested more than {MOST_NESTED} deep", hint="join them in one list")
        return Compound(type=kind, filters=tuple(parse_filter(each, fields, depth=depth + 1) for each in inner))
    if kind not in _COMPARATORS:
        known = ", ".join((*_COMPARATORS, *_COMBINERS))
        raise InputError(f"unknown filter type {_shown(kind)}; there are: {known}", hint=_EXAMPLE)
    key, value = _only(content, "key", "value")
    return _comparison(kind, key, value, fields=fields)


def parse_where(conditions: Iterable[str], fields: Fields) -> Filter | None:
    """What ``--where`` says, given once or several times: all conditions must hold. None without a condition.

    Raises InputError.

    >>> parse_where(["year>=2020"], {"year": "integer"})
    Comparison(type='gte', key='year', value=2020)
    """
    return all_of(typed_comparison(*_parts(condition), fields=fields) for condition in conditions)


def fields_in(conditions: Iterable[str]) -> list[str]:
    """The fields that such conditions compare, each once. Raises InputError.

    >>> fields_in(["year>=2020", "lang=en", "year<2024"])
    ['year', 'lang']
    """
    return list(dict.fromkeys(_parts(condition)[1] for condition in conditions))


def all_of(filters: Iterable[Filter | None]) -> Filter | None:
    """One filter that passes what all of them pass; None where there is none."""
    found = tuple(each for each in filters if each is not None)
    return Compound(type="and", filters=found) if len(found) > 1 else next(iter(found), None)


def parts_of(condition: str) -> tuple[Comparator, str, str] | None:
    """The comparator, the field and the value's text of a written condition; None when it is none.

    >>> parts_of("year >= 2020")
    ('gte', 'year', '2020')
    """
    found = _WHERE.fullmatch(condition)
    return (_SIGNS[found["sign"]], found["key"], found["value"]) if found else None


def written(kind: Comparator, key: str, value: str) -> str:
    """A condition as ``parts_of`` reads it.

    >>> written("gte", "year", "2020")
    'year>=2020'
    """
    return f"{key}{next(sign for sign, each in _SIGNS.items() if each == kind)}{value}"


def typed_comparison(kind: Comparator, key: str, value: object, *, fields: Fields) -> Comparison:
    """A field compared with a value, a text being read as the field's type. Raises InputError as ``parse_filter``."""
    field_type = compared_type(kind, key, fields=fields)
    typed = _typed(value, field_type) if isinstance(value, str) else value
    return Comparison(type=kind, key=key, value=_ordered(kind, _fitting(typed, field_type, key), key))


def compared_type(kind: Comparator, key: object, *, fields: Fields) -> FieldType:
    """The type of a field that is compared so.

    Raises InputError for a field that may not filter, and for an order of lists, and of true and false.
    """
    field_type = _type_of(key, fields)
    if kind in _ORDERED and field_type in ("boolean", "list"):
        what = "is true or false" if field_type == "boolean" else "holds lists"
        raise InputError(f"{key!r} {what}, which {kind!r} cannot compare", hint='use "eq" or "ne"')
    return field_type


def matches(condition: Filter, values: Values) -> bool:
    """Whether a document with these field values passes; one that lacks a field passes no comparison of it, as in SQL.

    In a field that is no text, what stands for a missing value (NA, null) is none.

    >>> matches(Comparison(type="ne", key="lang", value="en"), {"lang": None})
    False
    """
    if isinstance(condition, Compound):
        return _COMBINED[condition.type](matches(each, values) for each in condition.filters)
    value = values.get(condition.key)
    if value is None:
        return False
    wanted = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if is_missing(value) and not isinstance(wanted[0], str):
        return False
    if isinstance(value, list | tuple):
        if condition.type in _ORDERED:
            raise TypeError("a list has no order")
        held = not {item_text(each) for each in wanted}.isdisjoint(items_of(value))
        return held == (condition.type in ("eq", "in"))
    return bool(_COMPARED[condition.type](_like(value, wanted[0]), condition.value))


def _like(value: object, wanted: Value) -> object:
    """A document's value as it is compared with a condition's: a text as what it says, where no text is wanted."""
    if isinstance(wanted, str):
        return item_text(value)
    if not isinstance(value, str):
        return value
    kinds: tuple[FieldType, ...] = ("boolean",) if isinstance(wanted, bool) else ("integer", "number", "date")
    return next((found for kind in kinds if (found := read_as(value, kind)) is not None), value)


_COMBINED: dict[str, Callable[[Iterable[bool]], bool]] = {"and": all, "or": any}
_COMPARED: dict[str, Callable[..., object]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, among: value in among,
    "nin": lambda value, among: value not in among,
}
_EXAMPLE = 'for example: {"type": "gte", "key": "year", "value": 2020}'


def _parts(condition: str) -> tuple[Comparator, str, str]:
    if parts := parts_of(condition):
        return parts
    raise InputError(f"{condition!r} is no condition", hint='for example: "year>=2020"')


def _only(content: Mapping[str, object], *keys: str) -> list[object]:
    """The values of the keys that a filter must have beside its type, and no other."""
    if content.keys() != {"type", *keys}:
        wanted = " and ".join(f'"{key}"' for key in keys)
        raise InputError(f"a filter of type {_shown(content['type'])} has {wanted} beside its type", hint=_EXAMPLE)
    return [content[key] for key in keys]


def _comparison(kind: Comparator, key: object, value: object, *, fields: Fields) -> Comparison:
    field_type = compared_type(kind, key, fields=fields)
    if kind in ("in", "nin"):
        if not isinstance(value, list | tuple) or not value:
            raise InputError(f'"{kind}" needs a list of values, got {_shown(value)}', hint=_EXAMPLE)
        return Comparison(type=kind, key=str(key), value=tuple(_fitting(each, field_type, key) for each in value))
    return Comparison(type=kind, key=str(key), value=_ordered(kind, _fitting(value, field_type, key), key))


def _ordered(kind: Comparator, value: Value, key: object) -> Value:
    """The value itself. Raises InputError where text would be ordered by a number, a price or a date."""
    if kind in _ORDERED and isinstance(value, str) and _AMOUNT.match(value):
        raise InputError(
            f"{key!r} holds text, which {kind!r} would compare with {value} letter by letter",
            hint="compare it with = or !=; or make all its values numbers, or dates such as 2024-05-31, import them "
            "again, and: nearer index",
        )
    return value


def _type_of(key: object, fields: Fields) -> FieldType:
    if not isinstance(key, str) or key not in fields:
        known = ", ".join(fields) or "none"
        hint = "name it in index.filter_fields of the recipe, then: nearer index"
        raise InputError(f"documents cannot be filtered by {_shown(key)}; fields that may filter: {known}", hint=hint)
    return fields[key]


def _fitting(value: object, field_type: FieldType, key: object) -> Value:
    """The value as its field holds it. Raises InputError."""
    if isinstance(value, str) and field_type not in ("text", "list"):
        value = read_as(value, field_type) if read_as(value, field_type) is not None else value
        if field_type == "date" and isinstance(value, float):
            return value
    if field_type == "list" and isinstance(value, str | int | float):
        value, field_type = item_text(value), "text"
    match value:
        case bool():
            fits = field_type == "boolean"
        case int():
            fits = field_type in ("integer", "number") and value in _INTEGERS
        case float():
            fits = field_type in ("integer", "number") and math.isfinite(value)
        case str():
            fits = field_type == "text" and not any("\ud800" <= character <= "\udfff" for character in value)
        case _:
            fits = False
    if not fits:
        raise InputError(f"{key!r} holds {field_type} values, not {_shown(value)}", hint="compare it with one of those")
    assert isinstance(value, Value)
    if isinstance(value, str):
        return one_form(value)
    return value + 0.0 if isinstance(value, float) else value  # -0.0 and 0.0 are one number


def _typed(text: str, field_type: FieldType) -> object:
    """What was typed, as the field's type if it can be read so."""
    if field_type == "boolean":
        return TRUTH.get(text.lower(), text)
    if field_type in ("text", "list", "date"):
        return text
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
