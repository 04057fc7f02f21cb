"""TREC's topics, qrels and runs."""

import pytest

from nearer.core.errors import InputError
from nearer.core.records import Judgment, Query
from nearer.store.formats import Source, read_judgments, read_queries, read_run, source
from nearer.store.formats.trec import RunEntry, check_words, topic_lines
from store.tables import found, records, the_fault

TOPICS = """
<top>

<num> Number: 401
<title> foreign minorities, Germany

<desc> Description:
What language and cultural differences impede
the integration of foreign minorities in Germany?

<narr> Narrative:
A relevant document will focus on the causes of the lack of
integration with 3 < 4 examples.

</top>

<top>
<num>402</num>
<title>behavioral genetics</title>
<dom> Domain: Medical
</top>
"""


def write(folder, content, name):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", ["topics.401-402.txt", "a.topics", "b.trec"])
def test_topics_keep_all_their_fields(tmp_path, name):
    assert records(read_queries(write(tmp_path, TOPICS, name))) == [
        Query(
            query_id="401",
            text="foreign minorities, Germany",
            metadata={
                "description": "What language and cultural differences impede the integration of foreign minorities "
                "in Germany?",
                "narrative": "A relevant document will focus on the causes of the lack of integration with 3 < 4 "
                "examples.",
            },
        ),
        Query(query_id="402", text="behavioral genetics", metadata={"dom": "Domain: Medical"}),
    ]


def test_topics_in_two_columns(tmp_path):
    path = write(tmp_path, "1\twhat is rain\n2\twho\n", "topics.txt")
    assert [query.query_id for query in records(read_queries(path))] == ["1", "2"]


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("<top>\n<title> t\n</top>\n", 'no "_id" or "query_id"'),
        ("<top>\n<num> 1\n</top>\n", 'no "text"'),
        ("<top>\n<num> 1\n<title>\n</top>\n", '"text" is empty'),
        ("<top>\n<num> 1\n<title> a\n<title> b\n</top>\n", "the key 'title' occurs twice"),
        ("<top>\n<num> 1\n<top>\n<num> 2\n<title> b\n</top>\n", "begins inside another"),
        ("<top>\nlost\n<num> 1\n<title> b\n</top>\n", "text outside a field: 'lost'"),
        ("lost\n", "text outside <top>: 'lost'"),
        (b"<top>\n<num> 1\n<title> caf\xe9\n</top>\n", "not UTF-8"),
        ("<top>\n<num> 401\n<title> b\n</top>\n", "'401' is already on line 2"),
    ],
)
def test_a_bad_topic_is_one_fault_on_its_first_line(tmp_path, topic, reason):
    topic = topic.encode() if isinstance(topic, str) else topic
    content = TOPICS.encode() + topic + b"<top>\n<num> 9\n<title> good\n</top>\n"
    good, [(line, reported)] = found(read_queries(write(tmp_path, content, "t.topics")))
    assert [query.query_id for query in good] == ["401", "402", "9"]
    assert line == TOPICS.count("\n") + 1
    assert reason in reported


def test_a_topic_without_end_is_cut_off_or_too_long(tmp_path, monkeypatch):
    content = TOPICS + "<top>\n<num> 403\n<title> o"
    assert found(read_queries(write(tmp_path, content, "t.topics")))[1][-1][1] == "the file ends in the middle of a row"
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 200)
    _, faults = found(read_queries(write(tmp_path, TOPICS, "t.topics")))
    assert faults == [(2, "longer than 0 MiB")]


def test_other_markup_is_refused_as_a_whole(tmp_path):
    fault = the_fault(read_queries(write(tmp_path, '<?xml version="1.0"?>\n<topics>\n</topics>\n', "t.topics")))
    assert fault.line == 0
    assert "<top>" in fault.reason


@pytest.mark.parametrize("name", ["test.qrels", "qrels.txt", "q.trec"])
def test_qrels(tmp_path, name):
    path = write(tmp_path, "q 0 d 1\n\nq\t0\te\u00a0f  2\r\nr Q0 d 0", name)
    assert records(read_judgments(path)) == [
        Judgment(query_id="q", doc_id="d", grade=1),
        Judgment(query_id="q", doc_id="e\u00a0f", grade=2),
        Judgment(query_id="r", doc_id="d", grade=0),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("q 0 d\n", "3 fields separated by white space, not 4"),
        ("q 0 d e 1\n", "5 fields separated by white space, not 4"),
        ("q 0 d -3\n", "the grade -3 is negative"),
        ("q 0 d 9\n", "the grade 9 is above 4"),
        ("q 0 d one\n", "the grade is not an integer but 'one'"),
    ],
)
def test_bad_qrels(tmp_path, row, reason):
    path = write(tmp_path, "a 0 b 1\n" + row + "c 0 d 1\n", "x.qrels")
    good, faults = found(read_judgments(path))
    assert len(good) == 2
    assert faults == [(2, reason)]


def test_qrels_of_another_shape_say_which_name_they_need(tmp_path):
    for content in ("query-id\tcorpus-id\tscore\nq\td\t1\n", '{"query_id": "q"}\n'):
        fault = the_fault(read_judgments(write(tmp_path, content, "x.qrels")))
        assert (fault.line, ".tsv" in fault.remedy) == (0, True)
    fault = the_fault(read_judgments(write(tmp_path, "q\t0\td\t1\n", "x.tsv")))
    assert (fault.line, ".qrels" in fault.remedy) == (0, True)
    _, faults = found(read_judgments(write(tmp_path, "a 0 b 1\nq 0 d", "x.qrels")))
    assert faults == [(2, "the file ends in the middle of a row")]


def test_runs(tmp_path):
    path = write(tmp_path, "q Q0 d 1 12.5 bm25\nq 0 e 7 -3e-2 bm25\n", "bm25.run")
    assert records(read_run(path)) == [
        RunEntry(query_id="q", doc_id="d", score=12.5),
        RunEntry(query_id="q", doc_id="e", score=-0.03),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("q Q0 d 1 nan t\n", "the score 'nan' is not a number"),
        ("q Q0 d 1 inf t\n", "the score 'inf' is not a number"),
        ("q Q0 d 1 1e999 t\n", "the number '1e999' is too large"),
        ("q Q0 d 1 -1e39 t\n", "the score -1e+39 is beyond single precision"),
        ("q Q0 d 1\n", "4 fields separated by white space, not 6"),
        ("q d 1 2 t\n", "5 fields separated by white space, not 6"),
        ("a Q0 b 2 0.5 t\n", "'a' + 'b' is already on line 1"),
    ],
)
def test_bad_runs(tmp_path, row, reason):
    good, faults = found(read_run(write(tmp_path, "a Q0 b 1 1 t\n" + row + "c Q0 d 1 1 t\n", "x")))
    assert len(good) == 2
    assert faults == [(2, reason)]


def test_ids_that_hold_white_space_cannot_be_written():
    check_words(["a", "ü\u00a0b"], "query")
    with pytest.raises(InputError, match=r"2 query ids hold white space.*'a b', 'c d'"):
        check_words(["c d", "a b", "e", "a b"], "query")


def test_a_topic_is_one_line():
    assert list(topic_lines([Query(query_id="q", text="a\r\n\tb")])) == ["q\ta b\n"]


def test_ranks_that_contradict_scores_are_noted(tmp_path):
    lines = "q Q0 a 1 0.1 t\nq Q0 b 2 0.2 t\nq Q0 c 3 0.2 t\np Q0 a 1 0.9 t\np Q0 b 2 0.8 t\np Q0 c x 0.9 t\n"
    run = source.Source(write(tmp_path, lines, "distances.run"))
    assert len([*read_run(run)]) == 6
    note, tie = run.notes.lines()
    assert "trec_eval orders by document id" in tie
    assert note.startswith("distances.run: lines with a worse rank and a better score than the line before: the scores")
    assert note.endswith("negate the scores: 1")


@pytest.mark.parametrize("tag", ["t", "my own tag"])
def test_tabs_keep_fields_with_white_space_together(tmp_path, tag):
    """Else the rank would be taken for the score, and the worst would be first."""
    path = write(tmp_path, f"q 1\tQ0\tdoc one\t1\t0.9\t{tag}\nq 1\tQ0\tdoc two\t2\t0.8\t{tag}\n", "a.run")
    file = Source(path)
    assert [(each.query_id, each.doc_id, each.score) for each in records(read_run(file))] == [
        ("q 1", "doc one", 0.9),
        ("q 1", "doc two", 0.8),
    ]
    assert file.notes.lines() == ("a.run: lines with white space inside fields, which tabs separate: 2",)
    judged = write(tmp_path, "q 1\t0\tdoc one\t1\n", "a.qrels")
    assert [(each.query_id, each.doc_id) for each in records(read_judgments(judged))] == [("q 1", "doc one")]


@pytest.mark.parametrize(
    ("line", "rank"), [("q Q0 doc one 1 0.9 t", "one"), ("q Q0 d 0.9 2024", "0.9"), ("q Q0 my doc 3 0.9 a b", "doc")]
)
def test_a_run_whose_fields_nobody_can_tell_is_refused(tmp_path, line, rank):
    fault = the_fault(read_run(write(tmp_path, f"{line}\n", "a.run")))
    assert fault.reason.endswith(f"not 6, and the rank would be '{rank}'")


def test_ties_that_ranks_settle_otherwise_are_noted(tmp_path):
    file = Source(write(tmp_path, "q Q0 a 1 0 t\nq Q0 b 2 0 t\nq Q0 a2 3 0 t\nr Q0 z 1 0 t\nr Q0 a 2 0 t\n", "a.run"))
    assert len(records(read_run(file))) == 5
    [note] = file.notes.lines()
    assert note.startswith("a.run: lines of the score of the line before")
    assert note.endswith(": 1")
