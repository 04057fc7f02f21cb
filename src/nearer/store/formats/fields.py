"""Records from named fields: one place for all formats, so that a fault has the same name in each.

Optional fields may be null; a field that is not known is a fault. All functions raise InputError.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from nearer.core.errors import InputError
from nearer.core.ids import content_id
from nearer.core.records import EXCLUDED_IDS, Document, Judgment, Pair, Query
from nearer.store.formats import source as limits
from nearer.store.formats.naming import likely, listed, missing, rename
from nearer.store.formats.rows import Fields, LeftOut, shown
from nearer.store.formats.source import Source

MAX_ID_CHARACTERS = 512
MAX_DEPTH = 32
DEFAULT_MAX_GRADE = 4

DOC_ID = ("_id", "doc_id")
QUERY_ID = ("_id", "query_id")
JUDGED_QUERY = ("query_id", "query-id")
JUDGED_DOCUMENT = ("doc_id", "corpus-id")
GRADE = ("grade", "score")
ANCHOR = ("query", "anchor")
"""Fields by their names: Nearer's own and those of BEIR's folders and sentence-transformers' columns."""

_SECTIONS = {
    DOC_ID: "documents",
    QUERY_ID: "queries",
    JUDGED_QUERY: "judgments",
    JUDGED_DOCUMENT: "judgments",
    GRADE: "judgments",
    ANCHOR: "pairs",
}
NEGATIVE_COLUMN = re.compile(r"negative(_score)?(?:_([0-9]{1,9}))?")
_INTEGER = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE_WITH_COMMA = re.compile(r"(-?[0-9]+),0{1,2}")  # 1,0 is 1; three zeros could be a thousand
_LARGEST_EXACT = 2**53
_UNJUDGED = (-1, -2)
_MOST_DIGITS = 4000  # Python reads no much longer integers
_DOCUMENT_NAMES = frozenset({*DOC_ID, "text", "title", "metadata"})
_QUERY_NAMES = frozenset({*QUERY_ID, "text", "metadata", EXCLUDED_IDS})
_JUDGMENT_NAMES = frozenset({*JUDGED_QUERY, *JUDGED_DOCUMENT, *GRADE})
_PAIR_NAMES = frozenset({*ANCHOR, "positive", "negatives", "score", "negative_scores", "source"})


def document(fields: Fields) -> Document:
    """A document: an id, ``text``, optional ``title`` and ``metadata``; never blank as a whole."""
    doc_id = _id(fields, DOC_ID)
    text = "" if fields.get("text", "") is None else _text(fields, "text", section="documents")
    title = "" if fields.get("title") is None else _text(fields, "title")
    metadata = _metadata(fields)
    _refuse_unknown(fields, _DOCUMENT_NAMES, hint='move it under "metadata"')
    if _is_blank(text) and _is_blank(title):
        raise InputError("an empty document: title and text are blank", hint="give it a text, or remove the row")
    return Document(doc_id=doc_id, text=text, title=title, metadata=metadata)


def query(fields: Fields) -> Query:
    """A query: an id, ``text``, optional ``metadata`` and ``excluded_ids``."""
    query_id = _id(fields, QUERY_ID)
    text = _filled(fields, "text", section="queries")
    metadata = _metadata(fields)
    if fields.get(EXCLUDED_IDS) is not None:
        metadata = {**metadata, EXCLUDED_IDS: _excluded(fields[EXCLUDED_IDS])}
    _refuse_unknown(fields, _QUERY_NAMES, hint='move it under "metadata"')
    return Query(query_id=query_id, text=text, metadata=metadata)


def pair(fields: Fields) -> Pair:
    """A training pair: query, positive, optional source, negatives and scores in [0, 1], as lists or one a field."""
    query, positive = _filled(fields, name_of(fields, ANCHOR)), _filled(fields, "positive", section="pairs")
    negatives = _series(fields, "negatives", "negative")
    if any(not isinstance(each, str) or _is_blank(each) for _, each in negatives):
        raise InputError('"negatives" holds something that is not text, or blank', hint="list texts only")
    scores = [
        (place, _score(each, "negative_scores")) for place, each in _series(fields, "negative_scores", "negative_score")
    ]
    if scores and [place for place, _ in scores] != [place for place, _ in negatives]:
        raise InputError(
            f"{len(scores)} negative_scores for {len(negatives)} negatives", hint="give one score a negative"
        )
    score = None if fields.get("score") is None else _score(fields["score"], "score")
    said = "" if fields.get("source") is None else _text(fields, "source")
    others = {name: value for name, value in fields.items() if not NEGATIVE_COLUMN.fullmatch(name)}
    _refuse_unknown(others, _PAIR_NAMES, hint="remove the key")
    return Pair(
        query=query,
        positive=positive,
        negatives=tuple(each for _, each in negatives),
        score=score,
        negative_scores=tuple(each for _, each in scores),
        source="" if _is_blank(said) else said,
    )


def judgment(fields: Fields, *, max_grade: int) -> Judgment:
    """A judgment: the ids of a query and a document, and a whole grade from 0 to ``max_grade``.

    Raises LeftOut for the grades -1 and -2: trec_eval takes both for unjudged.
    Source: trec_eval 9.0, RELVALUE_NONPOOL and RELVALUE_UNJUDGED in form_res_rels.c.
    """
    query_id, doc_id = _id(fields, JUDGED_QUERY), _id(fields, JUDGED_DOCUMENT)
    grade = _grade(fields[name_of(fields, GRADE)], max_grade=max_grade)
    _refuse_unknown(fields, _JUDGMENT_NAMES, hint="remove the key")
    return Judgment(query_id=query_id, doc_id=doc_id, grade=grade)


def plain_id(text: str) -> str:
    """An id without the white space and byte order marks around it, which are no part of it in any format."""
    return text.strip().strip("\ufeff").strip()


def check_id(value: object, *, key: str) -> str:
    """``value`` when it can serve as an id in every format."""
    if not isinstance(value, str):
        raise InputError(f'"{key}" is {type_name(value)}, not text', hint="quote the id")
    if not value or value.isspace():
        raise InputError(f'"{key}" is empty', hint="give each row an id")
    if len(value) > MAX_ID_CHARACTERS:
        raise InputError(
            f'"{key}" has {len(value)} characters, more than {MAX_ID_CHARACTERS}', hint="shorten the id everywhere"
        )
    if "\t" in value or "\n" in value or "\r" in value:
        hint = "replace it by another character"
        raise InputError(f'"{key}" holds a tab or a line break: {shown(value)}', hint=hint)
    return value


def give_id(
    fields: Fields, *, prefix: str, names: tuple[str, str], say: Callable[[str], None] = lambda _: None
) -> bool:
    """Give fields without an id one that their content makes; whether it did. Metadata called as ids are is said.

    >>> row = {"text": "It falls.", "doc_id": ""}
    >>> give_id(row, prefix="doc", names=DOC_ID), row["_id"]
    (True, 'doc-20b446e9773d46d5')
    """
    held = [name for name in names if fields.get(name) not in (None, "")]
    if held:
        return False
    for name in names:
        fields.pop(name, None)
    kept = {name: value for name, value in fields.items() if value not in (None, "", {})}
    fields["_id"] = content_id(prefix, kept)
    beside, section = fields.get("metadata"), _SECTIONS[names]
    if isinstance(beside, dict) and (meant := likely(names[1], beside)):
        place = f"columns.{section}.{names[1]}={meant}"
        say(f"ids are made of the rows' content; {shown(meant)} is metadata (if it is the id, say so: --set {place})")
    return True


def name_of(fields: Fields, names: tuple[str, str]) -> str:
    """Which of two names a row uses for one field; exactly one."""
    first, second = names
    if first not in fields:
        if second in fields:
            return second
        raise InputError(missing([names], fields), hint=rename(_SECTIONS[names], [names], fields))
    if second in fields:
        raise InputError(f'both "{first}" and "{second}"', hint="keep one of the two")
    return first


def finite(digits: str) -> float:
    """A number from its digits."""
    value = float(digits)
    if not math.isfinite(value):
        raise InputError(f"the number {shown(digits)} is too large", hint="write a smaller number, or text in quotes")
    return value


def number(text: str) -> int | float | str:
    """The number that a text of a CSV or TSV file is, or the text when it is none.

    >>> number("-3"), number("0.5"), number("1 kg"), number("nan")
    (-3, 0.5, '1 kg', 'nan')
    """
    if _INTEGER.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise too_many_digits()
        return int(text)
    return finite(text) if _FLOAT.fullmatch(text) else text


def too_many_digits() -> InputError:
    """The fault of an integer that nothing can hold."""
    return InputError("a number with thousands of digits", hint="write it as text in quotes")


def not_a_number(name: str) -> InputError:
    """The fault of NaN and the infinities."""
    return InputError(f"{name} is not a number", hint="write null or a number")


def check_storable(value: object, *, source: Source) -> None:
    """Refuse what no text or JSON can hold: NUL, C1 controls, half a surrogate pair, NaN, endless texts, nesting."""
    refuse_depth(value)
    _refuse_unstorable(value, source)


def refuse_depth(value: object) -> None:
    """Refuse nesting deeper than ``MAX_DEPTH``."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    if any(isinstance(each, dict | list) for each in level):
        raise too_deep()


def too_deep() -> InputError:
    """The fault of nesting deeper than ``MAX_DEPTH``."""
    return InputError(f"nested deeper than {MAX_DEPTH} levels", hint="flatten the metadata")


def type_name(value: object) -> str:
    """The kind of a JSON value in words.

    >>> type_name(True), type_name(1.5), type_name(None)
    ('true or false', 'a number', 'null')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def _id(fields: Fields, names: tuple[str, str]) -> str:
    name = name_of(fields, names)
    return check_id(_as_text(fields[name]), key=name)


def _as_text(value: object) -> object:
    """A whole number as its digits: databases and pandas have such ids."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT:
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text(fields: Fields, name: str, *, section: str = "") -> str:
    value = fields.get(name)
    if isinstance(value, str):
        return value
    if name not in fields:
        raise InputError(missing([(name,)], fields), hint=rename(section, [(name,)], fields))
    raise InputError(f'"{name}" is {type_name(value)}, not text', hint="write it as text in quotes")


def _filled(fields: Fields, name: str, *, section: str = "") -> str:
    text = _text(fields, name, section=section)
    if _is_blank(text):
        raise InputError(f'"{name}" is empty', hint="give it a text, or remove the row")
    return text


def _metadata(fields: Fields) -> Fields:
    value = fields.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict):
        hint = 'write {"name": value}, or a column for each value'
        raise InputError(f'"metadata" is {type_name(value)}, not an object', hint=hint)
    return value


def _excluded(value: object) -> object:
    """Ids of documents: a list of texts or numbers, or a text."""
    if isinstance(value, str) or (isinstance(value, list) and all(type(each) in (str, int) for each in value)):
        return value
    raise InputError(f'"{EXCLUDED_IDS}" is {type_name(value)}, not a list of ids', hint='write ["d1", "d2"]')


def _series(fields: Fields, plural: str, singular: str) -> list[tuple[int, Any]]:
    """The items of a list, or of the fields ``singular``, ``singular_1``, ... that are not null, with their places."""
    single = []
    for name in fields:
        column = NEGATIVE_COLUMN.fullmatch(name)
        if column and "negative" + (column[1] or "") == singular and fields[name] is not None:
            single.append((int(column[2] or 0), fields[name]))
    value = fields.get(plural)
    if value is None:
        return sorted(single, key=lambda each: each[0])
    if single:
        raise InputError(f'both "{plural}" and "{singular}"', hint="keep one of the two")
    if not isinstance(value, list):
        hint = f"write it as a list in [ ], or as columns {singular}_1, {singular}_2"
        raise InputError(f'"{plural}" is {type_name(value)}, not a list', hint=hint)
    return [(place, each) for place, each in enumerate(value)]


def _score(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f'"{name}" holds {type_name(value)}, not a number', hint="write a number from 0 to 1")
    if not 0 <= value <= 1:
        raise InputError(f'"{name}" holds a number outside 0 to 1', hint="scale the scores to 0 to 1")
    return float(value)


def _grade(value: object, *, max_grade: int) -> int:
    if isinstance(value, str):
        text = value.strip()
        found = _WHOLE_WITH_COMMA.fullmatch(text)
        value = number(found[1] if found else text)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        what = shown(value) if isinstance(value, str) else str(value) if isinstance(value, float) else type_name(value)
        hint = "write a whole number"
        if isinstance(value, float):
            hint = "grades are never rounded: multiply all of them, so that each is whole, and say what they mean in "
            hint += "[grades] of nearer.toml"
        raise InputError(f"the grade is not an integer but {what}", hint=hint)
    if value in _UNJUDGED:
        raise LeftOut("grades of -1 and -2 mean unjudged, as in TREC: rows excluded")
    shown_value = str(value) if abs(value) < 10**12 else "of more than 12 digits"
    if value < 0:
        raise InputError(f"the grade {shown_value} is negative", hint="write 0 for not relevant")
    if value > max_grade:
        hint = "correct it, or raise grades.max_grade in the recipe"
        raise InputError(f"the grade {shown_value} is above {max_grade}", hint=hint)
    return value


def _refuse_unknown(fields: Fields, known: frozenset[str], *, hint: str) -> None:
    if not fields.keys() <= known:
        raise InputError(f"unknown key {listed(fields.keys() - known)}", hint=hint)


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _refuse_unstorable(value: object, source: Source) -> None:
    if isinstance(value, str):
        _refuse_unstorable_text(value, source)
    elif isinstance(value, float) and not math.isfinite(value):
        raise not_a_number("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
    for name in value if isinstance(value, dict) else ():
        _refuse_unstorable(name, source)
    for child in _children(value):
        _refuse_unstorable(child, source)


def _refuse_unstorable_text(text: str, source: Source) -> None:
    if text.isascii() and "\0" not in text and len(text) <= limits.MAX_LINE_BYTES:
        return
    if "\0" in text:
        raise InputError(f"a NUL character in {shown(text)}", hint="remove it")
    if len(text) > limits.MAX_LINE_BYTES:
        raise limits.too_long()
    if not source.keeps_controls:
        source.refuse_controls(text)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        reason = f"half a surrogate pair in {shown(text)}"
        raise InputError(reason, hint="export the text as UTF-8 again") from None


def _children(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
    return ()
