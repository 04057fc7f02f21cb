import numpy as np

from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import Example, text_key

NAN = np.nan


def example(anchor, positive, *negatives, masked=(), **others):
    keys = frozenset(text_key(text) for text in (anchor, positive, *masked))
    return Example(anchor=anchor, positive=positive, negatives=negatives, masked=keys, **others)


def grades_of(examples, rows=None):
    table = ExampleTable.build(examples)
    rows = range(len(examples)) if rows is None else rows
    texts = list(dict.fromkeys(text for row in rows for text in table.candidates[row]))
    found = table.grades(rows, texts)
    return [{table.texts[text]: float(g) for text, g in zip(texts, line, strict=True)} for line in found]


def excluded(examples):
    return [{text for text, grade in line.items() if np.isnan(grade)} for line in grades_of(examples)]


def test_every_text_is_there_once():
    table = ExampleTable.build([example("q", "a", "n"), example("q", "b", "a")])
    assert table.anchors == ("q",)
    assert table.texts == ("a", "n", "b")
    assert table.candidates == ((0, 1), (2, 0))
    assert table.anchor_E.tolist() == [0, 0]


def test_distinct_texts_are_negatives_of_one_another():
    made = [example(f"anchor {n} a b", f"positive {n} c d", f"negative {n} e f") for n in range(3)]
    assert excluded(made) == [set(), set(), set()]
    assert [sum(line.values()) for line in grades_of(made)] == [1, 1, 1]


def test_what_a_batch_leaves_out():
    near = "how to open a savings account at the bank today"
    batch = [
        example("q", "first answer", "hard negative one", masked=["second answer"]),
        example("q", "Second  Answer", "hard negative two", masked=["first answer"]),
        example("other", near, "q"),  # its negative is the first two anchors' own text
        example("third", f"{near} please", "first answer"),  # a near-duplicate, and the first row's positive
        example("fourth", "first answer", "hard negative three"),  # the same text as the first row's
    ]
    assert excluded(batch) == [{"Second  Answer", "q"}, {"first answer", "q"}, {f"{near} please"}, {near}, set()]
    assert [line["first answer"] for line in grades_of(batch)][4] == 1


def test_grades_of_other_texts_are_known_by_their_key():
    made = [
        example(
            "q", "the answer", "the sibling", grade=4.0, grades={text_key("The  sibling"): 1.0}, masked=["middling"]
        ),
        example("r", "middling", "the  Sibling"),
    ]
    found = grades_of(made)[0]
    assert (found["the answer"], found["the sibling"], found["the  Sibling"]) == (4, 1, 1)
    assert np.isnan(found["middling"])
    assert grades_of(made)[1]["the answer"] == 0


def test_rows_are_those_of_the_batch():
    made = [example("q", "a"), example("r", "b"), example("q", "c", masked=["a"])]
    table = ExampleTable.build(made)
    grades = table.grades([2, 1], [table.texts.index(text) for text in ("b", "a", "c")])
    np.testing.assert_array_equal(grades, [[0, NAN, 1], [1, 0, 0]])


def test_how_many_negatives_an_example_meets_in_a_batch():
    alike = [
        example("q", f"answer {n} to it all", masked=[f"answer {m} to it all" for m in range(4)]) for n in range(4)
    ]
    others = [example(f"r{n}", f"other {n} of those", f"wrong {n} of them") for n in range(4)]
    assert ExampleTable.build(alike).num_negatives([range(4)]) == 0
    assert ExampleTable.build(others).num_negatives([range(4)]) == 7
    assert ExampleTable.build([*alike, *others]).num_negatives([range(8)]) == (4 * 8 + 4 * 11) / 8
    assert ExampleTable.build(others).num_negatives([[0, 1], [2, 3]]) == 3
    assert ExampleTable.build(others).num_negatives([[0, 1, 2], [3]]) == (3 * 5 + 1) / 4, "a mean over examples"
    assert ExampleTable.build(others).num_negatives([[0, 1, 0]]) == 3, "a text that comes twice is one negative"
