"""What language models answer, read: JSON where it was asked for, also inside prose, else a list; or no answer."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nearer.encode.chat import Unusable
from nearer.signals.query_styles import STYLES, Style, style_of

_REFUSES = re.compile(
    r"^\W*(?:i(?:'|’)?m sorry|sorry,|i am sorry|i cannot|i can(?:'|’)t|i am unable|i(?:'|’)m unable|as an ai\b|"
    r"unfortunately, i|es tut mir leid|je suis désolé|lo siento)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+(.+)$")
_THOUGHT = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)
"""What a model says to itself before it answers."""
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and halves of surrogate pairs."""
_MOST_JSON = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenQuery:
    """A query that was written for a document, of the style that the writer says, or that it has."""

    text: str
    style: Style


def read_queries(text: str) -> list[WrittenQuery]:
    """The queries of an answer. Raises Unusable for a refusal, and for prose without any list."""
    text = _answer_of(text)
    found = [each for value in _json_in(text) for each in _queries_of(value)]
    if not found:
        _refuse_refusal(text)
        found = [_query(match[1]) for line in text.splitlines() if (match := _ITEM.match(line))]
    found = [each for each in found if each.text]
    if not found:
        raise Unusable("prose where JSON was asked for")
    return found


def read_grade(text: str, *, max_grade: int) -> tuple[int, str]:
    """The grade of an answer and its reason.

    Raises Unusable for a refusal, prose, a grade that is none, and several that differ.
    """
    text = _answer_of(text)
    _refuse_refusal(text)
    found = [_graded(each, max_grade) for value in _json_in(text) for each in _with_grade(value)]
    if len({grade for grade, _ in found}) > 1:
        raise Unusable("several grades")
    if found:
        return found[0]
    if match := re.fullmatch(r"\s*(\d{1,2})\s*\.?\s*", text):
        return _within(int(match[1]), max_grade), ""
    raise Unusable("prose where JSON was asked for")


def _with_grade(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects that have a grade, the outermost ones, with names in small letters."""
    if isinstance(value, dict):
        named = {str(name).lower(): each for name, each in value.items()}
        if "grade" in named:
            yield named
            return
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _with_grade(each)


def _graded(found: Mapping[str, Any], max_grade: int) -> tuple[int, str]:
    grade = found["grade"]
    if isinstance(grade, str) and re.fullmatch(r"\s*\d{1,2}\s*", grade):
        grade = int(grade)
    if isinstance(grade, float) and grade.is_integer():
        grade = int(grade)
    if isinstance(grade, bool) or not isinstance(grade, int) or not 0 <= grade <= max_grade:
        raise Unusable("the grade is none of the scale")
    return grade, _clean(str(found.get("reason") or ""))[:500]


def _answer_of(text: str) -> str:
    return _THOUGHT.sub("", text)


def _clean(text: str) -> str:
    return " ".join(_NO_TEXT.sub(" ", text).split())


def _within(grade: int, max_grade: int) -> int:
    if grade > max_grade:
        raise Unusable("the grade is none of the scale")
    return grade


def _refuse_refusal(text: str) -> None:
    if _REFUSES.match(text.strip()):
        raise Unusable("the model refused")


def _json_in(text: str) -> Iterator[Any]:
    """The JSON objects and arrays in a text, wherever they begin; at most a few beginnings are tried."""
    decoder, start, tried = json.JSONDecoder(), 0, 0
    while tried < _MOST_JSON and (match := re.compile(r"[{\[]").search(text, start)):
        tried += 1
        try:
            value, start = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            start = match.start() + 1
            continue
        yield value


def _queries_of(value: Any) -> Iterator[WrittenQuery]:
    if isinstance(value, dict):
        if isinstance(value.get("query"), str):
            yield _query(value["query"], str(value.get("style", "")))
            return
        for each in value.values():
            if isinstance(each, list):
                yield from _queries_of(each)
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, str):
                yield _query(each)
            elif isinstance(each, dict):
                yield from _queries_of(each)


def _query(text: str, style: str = "") -> WrittenQuery:
    cleaned = _clean(text).strip().strip('"“”').strip()
    known = next((each for each in STYLES if each == style), None)
    return WrittenQuery(text=cleaned, style=known or style_of(cleaned))
