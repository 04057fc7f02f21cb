"""JSON Lines: one object a line; the same key twice is a fault."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

from nearer.core.errors import InputError
from nearer.store.formats.columns import Columns, Plan
from nearer.store.formats.fields import (
    MAX_DEPTH,
    check_storable,
    finite,
    not_a_number,
    refuse_depth,
    too_deep,
    too_many_digits,
    type_name,
)
from nearer.store.formats.rows import Fields, Found, read_each_line, shown
from nearer.store.formats.source import Source, WholeFile, truncated

_UNSTORABLE = re.compile(r"\\u(?:0000|00[89][0-9a-fA-F]|[dD][89a-fA-F])")


def read_jsonl(source: Source, columns: Columns) -> Iterator[Found]:
    """The fields of every line, or what is wrong with it."""
    return read_each_line(source, _Reader(source, columns).fields)


class _Reader:
    """Makes fields of lines, as the recipe maps the keys."""

    def __init__(self, source: Source, columns: Columns) -> None:
        self._source, self._columns = source, columns
        self._plan: Plan | None = None
        self._keys: frozenset[str] = frozenset()

    def fields(self, raw: bytes, is_first: bool) -> Fields:
        """The fields of a line. Raises InputError."""
        text = self._source.decode(raw)
        if is_first:
            _refuse_other_formats(text)
        row = _object(text)
        if "\\u" in text and _UNSTORABLE.search(text):
            check_storable(row, source=self._source)
        if self._columns.is_plain:
            return row
        if is_first:
            self._columns.check_first(list(row))
        if self._plan is None or row.keys() != self._keys:
            self._keys = frozenset(row)
            self._plan = self._columns.plan(list(row), has_header=False)
        return self._plan.fields(row)


def _refuse_other_formats(first: str) -> None:
    """Raises WholeFile when the first line shows another format."""
    start = first.strip()
    if start.startswith("["):
        raise WholeFile("a JSON array, not one object a line", hint="convert it, for example: jq -c '.[]' OLD > NEW")
    if start == "{":
        raise WholeFile("an object spread over several lines", hint="convert it, for example: jq -c . OLD > NEW")
    if not start.startswith("{"):
        hint = "write one JSON object a line, or end the file's name in its format: .csv, .tsv"
        raise WholeFile(f"not JSON Lines but perhaps CSV: begins with {shown(start)}", hint=hint)


def _object(text: str) -> Fields:
    """The object in a line.

    Raises InputError.
    """
    try:
        value = _decode(text)
    except RecursionError:
        raise too_deep() from None
    except json.JSONDecodeError as error:
        raise _invalid(text, error) from None
    except ValueError:
        raise too_many_digits() from None
    if not isinstance(value, dict):
        raise InputError(f"the row is {type_name(value)}, not an object", hint="write one JSON object a line")
    if text.count("{") + text.count("[") > MAX_DEPTH:
        refuse_depth(value)
    return value


def _decode(text: str) -> Any:
    """The value in a line, without looking for white space where there is seldom any."""
    if text.startswith("{"):
        value, end = _DECODER.raw_decode(text)
        if text[end:] in ("", "\n"):
            return value
    return _DECODER.decode(text)


def _invalid(text: str, error: json.JSONDecodeError) -> InputError:
    body = text.rstrip()
    if not text.endswith("\n") and (not body.endswith("}") or error.pos >= len(body)):
        return truncated()
    return InputError(
        f"invalid JSON: {error.msg.removesuffix(' at')} (column {error.pos + 1})", hint="write one JSON object a line"
    )


def _unique_keys(pairs: list[tuple[str, Any]]) -> Fields:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InputError(f"the key {shown(twice)} occurs twice", hint="keep one of the two")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise not_a_number(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=finite)
