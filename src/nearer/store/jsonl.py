"""Documents, queries, pairs and judgments from JSON Lines: one object a line, UTF-8 without byte order mark.

Each reader yields a ``Row`` or a ``Fault`` for each line, in order, and raises nothing for what a file holds.
Optional keys may be null; a key that is not known is a fault, as is the same key twice.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from nearer.core.errors import Fault, InputError
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.store.lines import (
    DEFAULT_MAX_GRADE,
    Row,
    check_grade,
    check_id,
    read_rows,
    shown,
    truncated,
    type_name,
)

T = TypeVar("T")
Fields = dict[str, Any]

MAX_DEPTH = 32

_DOCUMENT_KEYS = frozenset({"_id", "doc_id", "text", "title", "metadata"})
_QUERY_KEYS = frozenset({"_id", "query_id", "text", "metadata"})
_PAIR_KEYS = frozenset({"query", "positive", "negatives", "score", "negative_scores"})
_JUDGMENT_KEYS = frozenset({"query_id", "doc_id", "grade"})
_NUL_OR_SURROGATE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def read_documents(path: Path) -> Iterator[Row[Document] | Fault]:
    """Documents: ``_id`` or ``doc_id``, ``text``, optional ``title`` and ``metadata``; never blank as a whole."""
    return _read(path, make=_document, key=lambda document: document.doc_id)


def read_queries(path: Path) -> Iterator[Row[Query] | Fault]:
    """Queries: ``_id`` or ``query_id``, ``text``, optional ``metadata``."""
    return _read(path, make=_query, key=lambda query: query.query_id)


def read_pairs(path: Path) -> Iterator[Row[Pair] | Fault]:
    """Training pairs: ``query``, ``positive``, optional ``negatives``, ``score`` and ``negative_scores`` in [0, 1]."""
    return _read(path, make=_pair, key=None)


def read_judgments_jsonl(path: Path, *, max_grade: int = DEFAULT_MAX_GRADE) -> Iterator[Row[Judgment] | Fault]:
    """Judgments: ``query_id``, ``doc_id`` and an integer ``grade`` from 0 to ``max_grade``; each pair once."""

    def judgment(fields: Fields) -> Judgment:
        return _judgment(fields, max_grade=max_grade)

    return _read(path, make=judgment, key=lambda each: f"{each.query_id}\t{each.doc_id}")


def _read(path: Path, *, make: Callable[[Fields], T], key: Callable[[T], str] | None) -> Iterator[Row[T] | Fault]:
    return read_rows(path, parse=lambda text: make(_object(text)), is_header=_refuse_other_formats, key=key)


def _document(fields: Fields) -> Document:
    doc_id = _id(fields, "doc_id")
    text = _text(fields, "text")
    title = "" if fields.get("title") is None else _text(fields, "title")
    metadata = _metadata(fields)
    _refuse_unknown(fields, _DOCUMENT_KEYS, hint='move it under "metadata"')
    if _is_blank(text) and _is_blank(title):
        raise InputError("an empty document: title and text are blank", hint="give it a text, or remove the row")
    return Document(doc_id=doc_id, text=text, title=title, metadata=metadata)


def _query(fields: Fields) -> Query:
    query_id = _id(fields, "query_id")
    text = _filled(fields, "text")
    metadata = _metadata(fields)
    _refuse_unknown(fields, _QUERY_KEYS, hint='move it under "metadata"')
    return Query(query_id=query_id, text=text, metadata=metadata)


def _pair(fields: Fields) -> Pair:
    query, positive = _filled(fields, "query"), _filled(fields, "positive")
    negatives = _list(fields, "negatives")
    if any(not isinstance(each, str) or _is_blank(each) for each in negatives):
        raise InputError('"negatives" holds something that is not text, or blank', hint="list texts only")
    scores = tuple(_score(each, "negative_scores") for each in _list(fields, "negative_scores"))
    if scores and len(scores) != len(negatives):
        raise InputError(
            f"{len(scores)} negative_scores for {len(negatives)} negatives", hint="give one score a negative"
        )
    score = None if fields.get("score") is None else _score(fields["score"], "score")
    _refuse_unknown(fields, _PAIR_KEYS, hint="remove the key")
    return Pair(query=query, positive=positive, negatives=tuple(negatives), score=score, negative_scores=scores)


def _judgment(fields: Fields, *, max_grade: int) -> Judgment:
    query_id = check_id(_required(fields, "query_id"), key='"query_id"')
    doc_id = check_id(_required(fields, "doc_id"), key='"doc_id"')
    grade = _required(fields, "grade")
    if isinstance(grade, bool) or not isinstance(grade, int):
        value = grade if isinstance(grade, float) else type_name(grade)
        raise InputError(f"the grade is not an integer but {value}", hint="write a whole number without quotes")
    _refuse_unknown(fields, _JUDGMENT_KEYS, hint="remove the key")
    return Judgment(query_id=query_id, doc_id=doc_id, grade=check_grade(grade, max_grade=max_grade))


def _id(fields: Fields, name: str) -> str:
    if "_id" not in fields:
        return check_id(_required(fields, name, also="_id"), key=f'"{name}"')
    if name in fields:
        raise InputError(f'both "_id" and "{name}"', hint="keep one of the two")
    return check_id(fields["_id"], key='"_id"')


def _required(fields: Fields, key: str, *, also: str = "") -> Any:
    try:
        return fields[key]
    except KeyError:
        name = f'"{also}" or "{key}"' if also else f'"{key}"'
        raise InputError(f"no {name} (found: {_names(fields) or 'nothing'})", hint="add or rename the key") from None


def _text(fields: Fields, key: str) -> str:
    value = _required(fields, key)
    if not isinstance(value, str):
        raise InputError(f'"{key}" is {type_name(value)}, not text', hint="write it as text in quotes")
    return value


def _filled(fields: Fields, key: str) -> str:
    text = _text(fields, key)
    if _is_blank(text):
        raise InputError(f'"{key}" is empty', hint="give it a text, or remove the row")
    return text


def _metadata(fields: Fields) -> Fields:
    value = fields.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f'"metadata" is {type_name(value)}, not an object', hint='write {"name": value}')
    return value


def _list(fields: Fields, key: str) -> list[Any]:
    value = fields.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f'"{key}" is {type_name(value)}, not a list', hint="write it as a list in [ ]")
    return value


def _score(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f'"{key}" holds {type_name(value)}, not a number', hint="write a number from 0 to 1")
    if not 0 <= value <= 1:
        raise InputError(f'"{key}" holds a number outside 0 to 1', hint="scale the scores to 0 to 1")
    return float(value)


def _refuse_unknown(fields: Fields, known: frozenset[str], *, hint: str) -> None:
    if not fields.keys() <= known:
        raise InputError(f"unknown key {_names(fields.keys() - known)}", hint=hint)


def _names(keys: Iterable[str]) -> str:
    names = sorted(keys)
    return ", ".join(shown(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _refuse_other_formats(first: str) -> bool:
    """False, for JSON Lines have no header, unless the first line shows another format.

    Raises InputError.
    """
    start = first.strip()
    if start.startswith("["):
        raise InputError("a JSON array, not one object a line", hint="convert it, for example: jq -c '.[]' OLD > NEW")
    if start == "{":
        raise InputError("an object spread over several lines", hint="convert it, for example: jq -c . OLD > NEW")
    if not start.startswith("{"):
        raise InputError(
            f"not JSON Lines but perhaps CSV: begins with {shown(start)}", hint="write one JSON object a line"
        )
    return False


def _object(text: str) -> Fields:
    """The object in a line.

    Raises InputError.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise _invalid(text, error) from None
    except ValueError:
        raise InputError("a number with thousands of digits", hint="write it as text in quotes") from None
    if not isinstance(value, dict):
        raise InputError(f"the row is {type_name(value)}, not an object", hint="write one JSON object a line")
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _refuse_depth(value)
    if "\\u" in text and _NUL_OR_SURROGATE.search(text):
        _refuse_unstorable(value)
    return value


def _invalid(text: str, error: json.JSONDecodeError) -> InputError:
    body = text.rstrip()
    if not text.endswith("\n") and (not body.endswith("}") or error.pos >= len(body)):
        return truncated()
    return InputError(
        f"invalid JSON: {error.msg.removesuffix(' at')} (column {error.pos + 1})", hint="write one JSON object a line"
    )


def _too_deep() -> InputError:
    return InputError(f"nested deeper than {MAX_DEPTH} levels", hint="flatten the metadata")


def _refuse_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
    if any(isinstance(each, dict | list) for each in level):
        raise _too_deep()


def _refuse_unstorable(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise InputError(f"a NUL character in {shown(value)}", hint="remove it")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            reason = f"half a surrogate pair in {shown(value)}"
            raise InputError(reason, hint="export the text as UTF-8 again") from None
    for name in value if isinstance(value, dict) else ():
        _refuse_unstorable(name)
    for child in _children(value):
        _refuse_unstorable(child)


def _children(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
    return ()


def _unique_keys(pairs: list[tuple[str, Any]]) -> Fields:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InputError(f"the key {shown(twice)} occurs twice", hint="keep one of the two")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not JSON", hint="write null or a number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InputError(f"the number {shown(digits)} is too large", hint="write a smaller number, or text in quotes")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite)
