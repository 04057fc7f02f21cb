"""Files of labels: ids and texts of any kind come back as they were, and other tools' answers mean what they say."""

import json
import re

import pytest

from nearer.core.errors import InputError
from nearer.store.formats.labels import LabelRow, labels_text, read_labels

ODD = [
    "007",
    "1.0",
    "a\tb",
    'q"uote',
    "'=x",
    "=1+1",
    "a,b",
    "a\r\nb",
    "a\nb",
    "x\u2028y",
    "x\u0085y",
    "e\u0301",
    " lead",
]


def rows(ids):
    for number, query_id in enumerate(ids):
        for doc_id in ids[::2]:
            rated = {"grade": number % 5, "rater": "=ann", "reason": query_id} if number % 3 else {}
            yield LabelRow(query_id=query_id, doc_id=doc_id, query=f"{query_id}?", text=f"{doc_id}\r\n", **rated)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "label-studio", "argilla"])
def test_odd_ids_and_texts_come_back(tmp_path, kind):
    path, made = tmp_path / "labels", list(rows(ODD))
    path.write_bytes(labels_text(made, kind).encode())
    assert read_labels(path, kind) == (kind, made)


def test_qrels_hold_every_id_without_white_space(tmp_path):
    path, made = tmp_path / "labels", list(rows([each for each in ODD if not re.search(r"\s", each)]))
    path.write_bytes(labels_text(made, "qrels").encode())
    found = read_labels(path, "qrels")[1]
    assert [(each.query_id, each.doc_id, each.grade) for each in found] == [
        (each.query_id, each.doc_id, each.grade) for each in made
    ]


def read(tmp_path, content, kind=None):
    path = tmp_path / "labels.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_labels(path, kind)[1]


def task(*regions, **changes):
    annotation = {"id": 1, "completed_by": 10, "was_cancelled": False, "result": list(regions)}
    return [{"id": 5, "data": {"query_id": "q", "doc_id": 7, "title": None}, "annotations": [annotation], **changes}]


def region(name, kind, value):
    return {"id": "x", "from_name": name, "to_name": "text", "type": kind, "origin": "manual", "value": value}


GRADE = region("grade", "choices", {"choices": ["3"]})


@pytest.mark.parametrize(
    ("regions", "grade", "reason"),
    [
        ([GRADE, region("language", "choices", {"choices": ["German"]})], 3, ""),
        ([GRADE, region("quality", "choices", {"choices": ["1"]})], 3, ""),
        ([region("relevance", "choices", {"choices": ["2 Good"]})], 2, ""),
        ([region("relevance", "choices", {"choices": []})], None, ""),
        ([GRADE, {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}], 3, ""),
        ([GRADE, region("reason", "textarea", {"text": "why not"})], 3, "why not"),
        ([region("stars", "rating", {"rating": 4})], 4, ""),
    ],
)
def test_label_studios_answers_mean_what_they_say(tmp_path, regions, grade, reason):
    [found] = read(tmp_path, task(*regions))
    assert (found.doc_id, found.title, found.grade, found.reason) == ("7", "", grade, reason)


def test_tasks_that_nobody_annotated_are_unrated(tmp_path):
    [found] = read(tmp_path, task(annotations=None))
    assert found.grade is None


def record(responses, **changes):
    ids = {"query_id": "q", "doc_id": 7}
    return [{"id": "r1", "fields": {"query": "q"}, "metadata": ids, "responses": responses, **changes}]


def test_argillas_labels_may_be_words_after_the_grade(tmp_path):
    [found] = read(tmp_path, record({"grade": [{"value": "3 Good", "user_id": "u"}]}))
    assert (found.grade, found.rater) == (3, "u")
    discarded = {"user_id": "v", "status": "discarded", "values": None}
    submitted = {"user_id": "u", "status": "submitted", "values": {"grade": {"value": 2}}}
    assert [each.grade for each in read(tmp_path, record([discarded, submitted]))] == [2]


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (task(region("number", "number", {"number": 2.5})), None, "task 5: the grade 2.5 is no whole number"),
        (
            task(region("a", "rating", {"rating": 1}), region("b", "rating", {"rating": 2})),
            None,
            "task 5: which of a, b is the grade",
        ),
        (
            record({"relevance": [{"value": 3, "user_id": "u"}]}),
            None,
            "no question is called grade; there are rel",
        ),
        (record({}, metadata={}), None, "record r1: query_id or doc_id is empty"),
        ([1], None, "neither Label Studio's nor Argilla's"),
        ("[" * 100_000, None, "not a file of labels"),
        ("query_id,doc_id,grade\nq,d,good\n", "csv", "line 2: the grade 'good' is no whole number"),
        ('{"query_id": "q", "doc_id": "d", "grade": 1e400}', "jsonl", "line 1: the grade inf is no whole number"),
        ("[1]", "jsonl", "line 1: no object"),
    ],
)
def test_what_is_no_label_is_named(tmp_path, content, kind, why):
    with pytest.raises(InputError, match=why):
        read(tmp_path, content, kind)


def test_a_spreadsheets_grades_and_short_rows_are_read(tmp_path):
    found = read(tmp_path, "query_id,doc_id,grade\nq,d,2.0\nq,e\n", "csv")
    assert [each.grade for each in found] == [2, None]
