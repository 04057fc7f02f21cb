"""The regression suite: TOML, since it is written by hand; a table ``[[case]]`` for each case."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, time
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, get_args

from nearer.core.errors import Fault, InputError
from nearer.core.records import CASE_GROUPS, DEFAULT_K, Case, Severity
from nearer.store.formats.fields import check_id, check_storable, plain_id, too_many_digits, type_name
from nearer.store.formats.naming import listed, missing
from nearer.store.formats.rows import Fields, Row, shown
from nearer.store.formats.source import Source, WholeFile, fault_of, no_rows

MOST_BYTES = 2**20
MOST_K = 1000

_MOST_DOTS = 100  # of a line: the time that a parser of TOML takes for a dotted key grows with the square of its parts
_INTEGERS = range(-(2**63), 2**63)
_HEADER = re.compile(r"[ \t]*\[\[[ \t]*case[ \t]*\]\]")
_PLACE = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")
_BEGIN = "begin each case with [[case]], as in docs/reference/formats.md"


def read_suite(path: Path) -> Iterator[Row[Case] | Fault]:
    """The cases of a suite in order, or all that is wrong with them; never raises for what the file holds.

    The line is that of a case's ``[[case]]``, or 0 where the cases are written in another of TOML's ways.
    """
    file = str(path)
    lines = [*_read_text(path)] or [no_rows(file)]
    texts = [text for text in lines if isinstance(text, str)]
    if len(texts) < len(lines):
        yield from (fault for fault in lines if isinstance(fault, Fault))
        return
    try:
        tables = _tables("".join(texts))
    except tomllib.TOMLDecodeError as error:
        yield _syntax(file, error)
        return
    except InputError as error:
        yield fault_of(file, 0, error)
        return
    headers = [number for number, text in enumerate(texts, start=1) if _HEADER.match(text)]
    places = headers if len(headers) == len(tables) else repeat(0)
    seen: dict[str, int] = {}
    for number, (line, table) in enumerate(zip(places, tables, strict=False), start=1):
        yield from _read_case(file, line, table, number=number, seen=seen)


def _read_text(path: Path) -> Iterator[str | Fault]:
    """The lines of the file with their ends, or what is wrong with them."""
    num_bytes, source = 0, Source(path, is_import=False)
    for item in source.lines():
        if isinstance(item, Fault):
            yield item
            continue
        number, raw = item
        num_bytes += len(raw)
        try:
            if num_bytes > MOST_BYTES:
                raise WholeFile(f"larger than {MOST_BYTES // 2**20} MiB", hint="keep the cases that matter")
            if raw.count(b".") > _MOST_DOTS:
                raise InputError(f"more than {_MOST_DOTS} dots on a line", hint="break the line: one id a line")
            yield source.decode(raw)
        except InputError as error:
            yield fault_of(str(path), number, error)
            if isinstance(error, WholeFile):
                return


def _tables(text: str) -> list[Any]:
    """What stands under ``[[case]]``. Raises InputError, or TOMLDecodeError where the text is not TOML."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise WholeFile("nested too deeply", hint="flatten the lists and tables") from None
    except ValueError:
        raise too_many_digits() from None
    if others := content.keys() - {"case"}:
        raise WholeFile(f"{listed(others)} stands outside of the cases", hint=_BEGIN)
    tables = content.get("case", [])
    if not isinstance(tables, list):
        raise WholeFile(f'"case" is {type_name(tables)}, not a list', hint="write [[case]], in two pairs of brackets")
    if not tables:
        raise WholeFile("the file holds no case", hint=_BEGIN)
    return tables


def _syntax(file: str, error: tomllib.TOMLDecodeError) -> Fault:
    place = _PLACE.search(str(error))
    line = int(place[1]) if place else 0
    return Fault(file=file, line=line, reason=f"not valid TOML: {error!s:.200}", remedy=f"mend the line; {_BEGIN}")


def _read_case(
    file: str, line: int, table: object, *, number: int, seen: dict[str, int]
) -> Iterator[Row[Case] | Fault]:
    """A case, or each thing that is wrong with it; ``seen`` holds the names so far and the numbers of their cases."""
    name = table.get("name") if isinstance(table, dict) else None
    values: Fields = {}
    errors = [*_read_fields(table, values, seen)]
    name = values.get("name", name)
    if isinstance(name, str):
        seen.setdefault(name, number)
    called = shown(name) if isinstance(name, str) else str(number)
    for error in errors:
        yield Fault(file=file, line=line, reason=f"case {called}: {error.message}", remedy=error.hint)
    if not errors:
        yield Row(line=line, record=Case(**values))


def _read_fields(table: object, values: Fields, seen: dict[str, int]) -> Iterator[InputError]:
    """Fill ``values`` with the fields that can be read; yield what is wrong."""
    try:
        fields = _plain_table(table)
    except InputError as error:
        yield error
        return
    for key in ("name", "query"):
        if key not in fields:
            yield InputError(missing([(key,)], fields), hint="add or rename the key")
    for key, read in _FIELDS.items():
        try:
            if key in fields:
                values[key] = read(fields[key])
        except InputError as error:
            yield error
    if unknown := fields.keys() - _FIELDS.keys():
        yield InputError(f"unknown key {listed(unknown)}", hint=f"the keys are: {', '.join(_FIELDS)}")
    if (name := values.get("name")) in seen:
        yield InputError(f"case {seen[name]} has the same name", hint="give each case a name of its own")
    if not {"must", "must_not", "k"} & fields.keys() - values.keys():
        yield from _inconsistent(**{key: values[key] for key in ("must", "must_not", "k") if key in values})


def _plain_table(table: object) -> Fields:
    """The fields of a case as JSON has them: dates and times are ISO 8601 text. Raises InputError."""
    if not isinstance(table, dict):
        raise InputError(f"it is {type_name(table)}, not a table", hint=_BEGIN)
    check_storable(table, source=Source(Path(), encoding="utf-8"))
    return {key: _plain(value) for key, value in table.items()}


def _plain(value: object) -> object:
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case date() | time():
            return value.isoformat()
        case int() if value not in _INTEGERS:
            raise InputError("a whole number beyond 64 bits", hint="write it as text in quotes")
    return value


def _inconsistent(
    must: tuple[str, ...] = (), must_not: tuple[str, ...] = (), k: int = DEFAULT_K
) -> Iterator[InputError]:
    if not must and not must_not:
        yield InputError("it asks for nothing", hint="list document ids under must, must_not or both")
    if both := set(must) & set(must_not):
        yield InputError(f"{listed(both)} in both must and must_not", hint="keep each id in one of the two")
    if len(must) > k:
        yield InputError(f"{len(must)} documents cannot be among the first {k}", hint="raise k")


def _name(value: object) -> str:
    return check_id(value, key="name")


def _query(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f'"query" is {type_name(value)}, not text', hint="write it as text in quotes")
    if not value or value.isspace():
        raise InputError('"query" is empty', hint="give it a text, or remove the case")
    return value


def _ids(value: object, *, key: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError(f'"{key}" is {type_name(value)}, not a list', hint=f'write {key} = ["DOC_ID", ...]')
    times = Counter(plain_id(check_id(each, key=key)) for each in value)
    if twice := [each for each, count in times.items() if count > 1]:
        raise InputError(f"{listed(twice)} twice in {key}", hint="keep one of the two")
    return tuple(times)


def _k(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_K:
        raise InputError(f'"k" is not a whole number from 1 to {MOST_K}', hint=f"for example: k = {DEFAULT_K}")
    return value


def _one_of(value: object, *, key: str, allowed: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in allowed:
        what = shown(value) if isinstance(value, str) else type_name(value)
        raise InputError(f'"{key}" is {what}', hint=f"write one of: {', '.join(allowed)}")
    return value


def _metadata(value: object) -> Fields:
    if not isinstance(value, dict):
        raise InputError(f'"metadata" is {type_name(value)}, not a table', hint="write metadata = { year = 2024 }")
    return value


_FIELDS: dict[str, Callable[[object], object]] = {
    "name": _name,
    "query": _query,
    "must": partial(_ids, key="must"),
    "must_not": partial(_ids, key="must_not"),
    "k": _k,
    "severity": partial(_one_of, key="severity", allowed=get_args(Severity)),
    "group": partial(_one_of, key="group", allowed=tuple(CASE_GROUPS)),
    "metadata": _metadata,
}
