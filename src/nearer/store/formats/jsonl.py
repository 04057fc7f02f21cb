"""JSON Lines: one object a line, or an array of them; the same key twice is a fault."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

from nearer.core.errors import Fault, InputError
from nearer.store.formats.columns import Columns, Plan, tell_taken
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
from nearer.store.formats.json_array import is_array, read_elements
from nearer.store.formats.rows import Fields, Found, read_each_line, shown
from nearer.store.formats.source import Source, WholeFile, no_rows, truncated

_UNSTORABLE = re.compile(r"\\u(?:0000|00[89][0-9a-fA-F]|[dD][89a-fA-F])")


def read_jsonl(source: Source, columns: Columns) -> Iterator[Found]:
    """The fields of every line, or of every object of an array, or what is wrong with it."""
    reader = _Reader(source, columns)
    return _read_array(source, reader) if is_array(source) else read_each_line(source, reader.fields)


def _read_array(source: Source, reader: "_Reader") -> Iterator[Found]:
    num_rows = 0
    for item in read_elements(source):
        num_rows += 1
        try:
            yield item if isinstance(item, Fault) else (item[0], reader.fields_of(item[1]))
        except InputError as error:
            yield source.fault(0 if isinstance(item, Fault) else item[0], error)
    source.notes.say(source.path, "a JSON array: each of its objects is a row")
    if num_rows == 0:
        yield no_rows(str(source.path))


class _Reader:
    """Makes fields of lines, as the recipe maps the keys."""

    def __init__(self, source: Source, columns: Columns) -> None:
        self._source, self._columns = source, columns
        self._plan: Plan | None = None
        self._keys: frozenset[str] = frozenset()
        self._taken: dict[str, str] = {}
        self._is_first = True

    def fields(self, raw: bytes, is_first: bool) -> Fields:
        """The fields of a line. Raises InputError."""
        text = self._source.decode(raw)
        if is_first:
            _refuse_other_formats(text)
        return self.fields_of(text)

    def fields_of(self, text: str) -> Fields:
        """The fields of an object. Raises InputError."""
        row = _object(text)
        if "\\u" in text and _UNSTORABLE.search(text):
            check_storable(row, source=self._source)
        columns = self._columns
        is_new = row.keys() != self._keys
        if is_new:
            self._keys = frozenset(row)
            self._taken = columns.taken_as(list(row))
            tell_taken(self._taken, self._source)
        if self._taken:
            row = {self._taken.get(name, name): value for name, value in row.items()}
        if columns.is_plain:
            return row
        if self._is_first:
            columns.check_first(list(row))
            self._is_first = False
        if self._plan is None or is_new:
            self._plan = columns.plan(list(row), has_header=False)
        return self._plan.fields(row)


def _refuse_other_formats(first: str) -> None:
    """Raises WholeFile when the first line shows another format."""
    start = first.strip()
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
    hint = "write one JSON object a line"
    if error.msg == "Extra data" and body[error.pos :] == ",":
        hint += ", without a comma after it"
    return InputError(f"invalid JSON: {error.msg.removesuffix(' at')} (column {error.pos + 1})", hint=hint)


def _unique_keys(pairs: list[tuple[str, Any]]) -> Fields:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InputError(f"the key {shown(twice)} occurs twice", hint="keep one of the two")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise not_a_number(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=finite)
