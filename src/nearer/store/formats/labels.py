"""Labels as files for people and other tools: JSONL, CSV, TREC qrels, Label Studio's tasks, Argilla's records.

Every pair of a set is written, rated or not, under its own ids.

Source: labelstud.io/guide/task_format (data, annotations, result, completed_by, was_cancelled);
docs.argilla.io/latest/reference/argilla/records/records (fields, metadata, responses by question, user_id).
"""

import csv
import io
import json
import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from nearer.core.errors import InputError
from nearer.store.formats.judge_sheet import guarded, unguarded

LabelFormat = Literal["jsonl", "csv", "qrels", "label-studio", "argilla"]
LABEL_FORMATS: tuple[LabelFormat, ...] = get_args(LabelFormat)
_BY_SUFFIX: Mapping[str, LabelFormat] = {
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".qrels": "qrels",
    ".trec": "qrels",
    ".txt": "qrels",
}
UNJUDGED = -1
"""The grade of an unrated pair in qrels, as trec_eval has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """A rating of a pair, or a pair without one: then there is no grade and no rater."""

    query_id: str
    doc_id: str
    query: str = ""
    title: str = ""
    text: str = ""
    grade: int | None = None
    rater: str = ""
    reason: str = ""
    at: str = ""


class Rated(TypedDict, total=False):
    """What a file says of a rating, as it stands there."""

    grade: int | str | None
    rater: str
    reason: str
    at: str


class _Value(TypedDict, total=False):
    choices: list[str]
    text: list[str]


class Region(TypedDict):
    """An answer to one question, as Label Studio has it."""

    from_name: str
    to_name: str
    type: Literal["choices", "textarea"]
    value: _Value


class Response(TypedDict):
    """An answer of a user to one question, as Argilla has it."""

    value: int | str
    user_id: str


def format_of(path: Path, name: str | None) -> LabelFormat | None:
    """The format that is named, or that the file's name tells; None where it does not. Raises InputError."""
    if name is not None:
        known = next((each for each in LABEL_FORMATS if each == name), None)
        if known is None:
            raise InputError(f"--format {name}: not known", hint=f"one of: {', '.join(LABEL_FORMATS)}")
        return known
    return _BY_SUFFIX.get(path.suffix.lower())


def labels_text(rows: Sequence[LabelRow], kind: LabelFormat) -> str:
    """The rows as a file's text. Raises InputError for ids that qrels cannot hold."""
    return _WRITERS[kind](rows)


def read_labels(path: Path, kind: LabelFormat | None) -> tuple[LabelFormat, list[LabelRow]]:
    """The format of a file and its rows; without ``kind`` its content tells which JSON it is.

    Raises InputError with what is wrong.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # as it is: ends of lines inside texts stay
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8", hint="save it as UTF-8") from error
    try:
        kind = kind or _kind_of_json(text)
        rows = list(_READERS[kind](text))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(f"{path}: not a file of labels: {error}", hint="see: docs/how-to/label.md") from error
    if not rows:
        raise InputError(f"{path}: the file holds no pair", hint="check the file")
    return kind, rows


def _kind_of_json(text: str) -> LabelFormat:
    content = json.loads(text)
    first = content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}
    if "annotations" in first or "data" in first:
        return "label-studio"
    if "responses" in first or "fields" in first:
        return "argilla"
    raise ValueError("neither Label Studio's nor Argilla's JSON; name it with --format")


def _jsonl(rows: Sequence[LabelRow]) -> str:
    return "".join(f"{json.dumps(asdict(row), ensure_ascii=False)}\n" for row in rows)


def _read_jsonl(text: str) -> Iterator[LabelRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            content = json.loads(line)
            if not isinstance(content, dict):
                raise ValueError(f"line {number}: no object")
            unknown = content.keys() - _NAMES
            if unknown:
                raise ValueError(f"line {number}: unknown field {sorted(unknown)[0]!r}")
            yield _row(content, where=f"line {number}")


def _csv(rows: Sequence[LabelRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_ORDER)
    for row in rows:
        cells = [getattr(row, name) for name in _ORDER]
        writer.writerow(["" if cell is None else guarded(str(cell)) for cell in cells])
    return out.getvalue()


def _read_csv(text: str) -> Iterator[LabelRow]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := {"query_id", "doc_id", "grade"} - set(reader.fieldnames or ()):
        raise ValueError(f"no column {sorted(missing)[0]!r}")
    for cells in reader:
        known = {name: unguarded(cell) for name, cell in cells.items() if name in _NAMES and cell is not None}
        yield _row({**known, "grade": known.get("grade", "").strip() or None}, where=f"line {reader.line_num}")


def _qrels(rows: Sequence[LabelRow]) -> str:
    """One line a pair: the caller has made one rating of several."""
    lines = []
    for row in rows:
        if bad := next((each for each in (row.query_id, row.doc_id) if re.search(r"\s", each) or not each), None):
            raise InputError(
                f"the id {bad!r} cannot be in qrels, whose fields are parted by spaces", hint="--format jsonl"
            )
        lines.append(f"{row.query_id} 0 {row.doc_id} {UNJUDGED if row.grade is None else row.grade}\n")
    return "".join(lines)


def _read_qrels(text: str) -> Iterator[LabelRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        cells = line.split()
        if len(cells) != 4:
            raise ValueError(f"line {number}: {len(cells)} fields, not 4")
        grade = int(cells[3])
        rated: Rated = {"grade": grade, "rater": "qrels"} if grade >= 0 else {}
        yield _row({"query_id": cells[0], "doc_id": cells[2], **rated}, where=f"line {number}")


def _label_studio(rows: Sequence[LabelRow]) -> str:
    tasks = []
    for number, (row, ratings) in enumerate(_by_pair(rows), start=1):
        data = {name: getattr(row, name) for name in ("query_id", "doc_id", "query", "title", "text")}
        annotations = [
            {"created_at": each.at, "was_cancelled": False, "ground_truth": False, "result": _regions(each)}
            for each in ratings
        ]
        tasks.append({"id": number, "data": data, "annotations": annotations, "predictions": []})
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def _regions(row: LabelRow) -> list[Region]:
    said = {"reason": row.reason, "rater": row.rater}
    regions: list[Region] = [
        {"from_name": "grade", "to_name": "text", "type": "choices", "value": {"choices": [str(row.grade)]}}
    ]
    for name, text in said.items():
        if text:
            regions.append({"from_name": name, "to_name": "text", "type": "textarea", "value": {"text": [text]}})
    return regions


def _read_label_studio(text: str) -> Iterator[LabelRow]:
    for task in json.loads(text):
        where = f"task {task.get('id')}"
        data = {name: str(value) for name, value in task["data"].items() if name in _NAMES and value is not None}
        ratings = [each for each in task.get("annotations") or () if not each.get("was_cancelled")]
        found = [_annotated(each, where=where) for each in ratings]
        for rated in [each for each in found if each.get("grade") is not None] or [{}]:
            yield _row({**data, **rated}, where=where)


def _annotated(annotation: Mapping[str, Any], *, where: str) -> Rated:
    """The grade, reason and rater of an annotation, and who completed it.

    The grade is what the question called ``grade`` says, or the only other one that is a choice, a rating or a number.
    Raises ValueError where several others could be it.
    """
    found: Rated = {"at": str(annotation.get("created_at") or ""), "rater": _completed_by(annotation)}
    graded: dict[str, int | str] = {}
    for region in annotation.get("result") or ():
        value, kind, name = region.get("value") or {}, region.get("type"), str(region.get("from_name"))
        if kind == "choices" and value.get("choices"):
            graded[name] = value["choices"][0]
        elif kind in ("rating", "number") and value.get(kind) is not None:
            graded[name] = value[kind]
        elif kind == "textarea" and name in ("reason", "rater") and value.get("text"):
            text = value["text"]
            said = text if isinstance(text, str) else "\n".join(text)
            found.update({"reason": said} if name == "reason" else {"rater": said})
    if "grade" not in graded and len(graded) > 1:
        raise ValueError(f"{where}: which of {', '.join(sorted(graded))} is the grade? call its control grade")
    if graded:
        grade = graded.get("grade", next(iter(graded.values())))
        found["grade"] = _leading(grade) if isinstance(grade, str) else grade
    return found


def _completed_by(annotation: Mapping[str, Any]) -> str:
    who = annotation.get("completed_by")
    return str(who.get("email") or who.get("id")) if isinstance(who, dict) else "" if who is None else f"user {who}"


def _leading(text: str) -> int:
    """The grade of a choice such as "3" or "3 Good"."""
    match = re.match(r"\s*(\d+)", text)
    if not match:
        raise ValueError(f"the choice {text!r} does not begin with a grade")
    return int(match[1])


def _user_id(rater: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"nearer:{rater}"))


def _argilla(rows: Sequence[LabelRow]) -> str:
    records = []
    for row, ratings in _by_pair(rows):
        responses: dict[str, list[Response]] = {}
        for each in ratings:
            said = {"grade": each.grade, "reason": each.reason or None, "at": each.at or None}
            for question, value in said.items():
                if value is not None:
                    responses.setdefault(question, []).append({"value": value, "user_id": _user_id(each.rater)})
        names = sorted({each.rater for each in ratings})
        metadata = {"query_id": row.query_id, "doc_id": row.doc_id, **({"raters": names} if names else {})}
        records.append(
            {
                "id": f"{row.query_id}/{row.doc_id}",
                "fields": {"query": row.query, "title": row.title, "text": row.text},
                "metadata": metadata,
                "suggestions": {},
                "responses": responses,
                "vectors": {},
            }
        )
    return json.dumps(records, ensure_ascii=False, indent=1) + "\n"


def _read_argilla(text: str) -> Iterator[LabelRow]:
    records = json.loads(text)
    questions = {each for record in records for _, each, _ in _answers(record.get("responses") or {})}
    if questions and "grade" not in questions:
        raise ValueError(f"no question is called grade; there are {', '.join(sorted(questions))}")
    for record in records:
        metadata = record.get("metadata") or {}
        ids = {name: str(metadata.get(name) or "") for name in ("query_id", "doc_id")}
        shown = {name: str(value or "") for name, value in record.get("fields", {}).items() if name in _NAMES}
        name_of = {_user_id(name): name for name in metadata.get("raters", ())}
        said = _responses(record.get("responses") or {})
        rated = [(name_of.get(user, user), values) for user, values in said.items() if "grade" in values]
        for rater, values in rated or [("", Rated())]:
            yield _row({**ids, **shown, **values, "rater": rater}, where=f"record {record.get('id')}")


def _responses(found: Any) -> dict[str, Rated]:
    """What each user answered: by question (Argilla 2), or a response a user (Argilla 1)."""
    said: dict[str, Rated] = {}
    for user, question, value in _answers(found):
        known = said.setdefault(user, {})
        if question == "grade":
            known["grade"] = _leading(value) if isinstance(value, str) else value
        elif question == "reason":
            known["reason"] = value
        elif question == "at":
            known["at"] = value
    return said


def _answers(found: Any) -> Iterator[tuple[str, str, Any]]:
    """User, question and answer, of what was submitted."""
    if isinstance(found, dict):
        for question, answers in found.items():
            for answer in answers:
                if answer.get("status", "submitted") == "submitted":
                    yield str(answer["user_id"]), question, answer["value"]
        return
    for response in found:
        if response.get("status", "submitted") == "submitted":
            for question, answer in (response.get("values") or {}).items():
                yield str(response["user_id"]), question, answer["value"]


def _by_pair(rows: Sequence[LabelRow]) -> list[tuple[LabelRow, list[LabelRow]]]:
    found: dict[tuple[str, str], list[LabelRow]] = {}
    for row in rows:
        found.setdefault((row.query_id, row.doc_id), []).append(row)
    return [(said[0], [each for each in said if each.grade is not None]) for said in found.values()]


def _row(content: Mapping[str, Any], *, where: str) -> LabelRow:
    """A row of its fields. Raises ValueError for what is none."""
    if not all(isinstance(content.get(name), str) and content[name] for name in ("query_id", "doc_id")):
        raise ValueError(f"{where}: query_id or doc_id is empty or no text")
    grade = content.get("grade")
    texts = {name: str(content.get(name) or "") for name in _ORDER if name != "grade"}
    return LabelRow(**texts, grade=None if grade is None else _whole(grade, where=where))


def _whole(grade: object, *, where: str) -> int:
    """The grade, also of a spreadsheet's 2.0. Raises ValueError for what is no whole number."""
    if isinstance(grade, int | float | str) and not isinstance(grade, bool):
        try:
            value = float(grade)
        except (ValueError, OverflowError):
            value = math.nan
        if value.is_integer():
            return int(value)
    raise ValueError(f"{where}: the grade {grade!r:.80} is no whole number")


_ORDER = [each.name for each in fields(LabelRow)]
_NAMES = frozenset(_ORDER)
_WRITERS: Mapping[LabelFormat, Callable[[Sequence[LabelRow]], str]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "qrels": _qrels,
    "label-studio": _label_studio,
    "argilla": _argilla,
}
_READERS: Mapping[LabelFormat, Callable[[str], Iterator[LabelRow]]] = {
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "qrels": _read_qrels,
    "label-studio": _read_label_studio,
    "argilla": _read_argilla,
}
