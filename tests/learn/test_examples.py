import pytest

from nearer.core.records import GradeScale, Judgment, Pair, Query
from nearer.learn.examples import (
    Example,
    NearDuplicates,
    from_judgments,
    from_pairs,
    limit,
    mask_neighbours,
    share_masks,
    text_key,
)

SCALE = GradeScale.for_max_grade(4)  # relevant from 2, positive from 3
QUERIES = [Query(query_id="q1", text="red car"), Query(query_id="q2", text="blue car")]


def examples_of(grades, *, queries=QUERIES, max_positives=10, graded=False, seed=0, absent=()):
    judgments = [Judgment(query_id=q, doc_id=d, grade=g) for (q, d), g in grades.items()]
    texts_of = {key: [f"Text of {key[1]}"] for key in grades if key not in absent}
    options = {"max_positives": max_positives, "graded": graded, "seed": seed}
    return from_judgments(queries, judgments, scale=SCALE, texts_of=texts_of, **options)


def test_one_example_a_positive_and_a_grade_in_between_is_neither():
    grades = {("q1", "d4"): 4, ("q1", "d3"): 3, ("q1", "d2"): 2, ("q1", "d1"): 1, ("q1", "d0"): 0}
    made = examples_of(grades)
    assert [(e.anchor, e.positive) for e in made] == [("red car", "Text of d4"), ("red car", "Text of d3")]
    for example in made:
        assert example.masked == {text_key(t) for t in ("Text of d4", "Text of d3", "Text of d2", "red car")}
        assert (example.negatives, example.weight) == ((), 1.0)


def test_graded_examples_know_every_level_and_bring_a_lower_one_along():
    grades = {("q1", "d4"): 4, ("q1", "d3"): 3, ("q1", "d2"): 2, ("q1", "d1"): 1, ("q1", "d0"): 0}
    high, low = examples_of(grades, graded=True)
    levels = {text_key("Text of d4"): 4.0, text_key("Text of d3"): 3.0, text_key("Text of d1"): 1.0}
    assert (high.grades, low.grades) == (levels, levels)
    assert (high.grade, low.grade) == (4.0, 3.0)
    assert high.negatives == low.negatives == ("Text of d1",)
    assert text_key("Text of d2") in high.masked  # neither positive nor negative
    assert text_key("Text of d0") not in high.masked


def test_one_grade_makes_the_same_examples_graded_or_not():
    grades = {("q1", "a"): 4, ("q1", "b"): 4, ("q1", "c"): 0}
    assert examples_of(grades, graded=True) == examples_of(grades, graded=False)


@pytest.mark.parametrize(
    ("value", "source", "name"),
    [
        ("clicks", "clicks", "clicks"),
        (None, "", "unnamed"),
        (" ", "", "unnamed"),
        (2024, "2024", "2024"),
        (True, "true", "true"),
        (["a", "ä"], '["a", "ä"]', '["a", "ä"]'),
    ],
)
def test_the_source_of_an_example_is_what_its_query_says(value, source, name):
    query = Query(query_id="q1", text="red car", metadata={"from": value, "source": "other"})
    judgments, texts_of = [Judgment(query_id="q1", doc_id="d", grade=4)], {("q1", "d"): ["A"]}
    options = {"scale": SCALE, "texts_of": texts_of, "max_positives": 9, "graded": False, "seed": 0}
    [made] = from_judgments([query], judgments, **options, source_field="from")
    assert (made.source, made.source_name) == (source, name)
    [made] = from_judgments([query], judgments, **options)
    assert made.source == ""


def test_the_source_of_a_pair_is_its_own():
    pairs = [Pair(query="q", positive="p", source="bought"), Pair(query="r", positive="s")]
    assert [made.source_name for made in from_pairs(pairs, margin=0.05)] == ["bought", "unnamed"]


def test_a_positive_that_is_the_query_itself_teaches_nothing():
    texts_of = {("q1", "d1"): [" RED  car"], ("q1", "d2"): ["a car"]}
    judgments = [Judgment(query_id="q1", doc_id=d, grade=4) for d in ("d1", "d2")]
    made = from_judgments(QUERIES, judgments, scale=SCALE, texts_of=texts_of, max_positives=9, graded=False, seed=0)
    assert [e.positive for e in made] == ["a car"]


def test_every_passage_of_a_relevant_document_is_masked_and_the_first_is_the_positive():
    judgments = [Judgment(query_id="q1", doc_id="d1", grade=4), Judgment(query_id="q1", doc_id="d2", grade=1)]
    texts_of = {("q1", "d1"): ["nearest", "other part"], ("q1", "d2"): ["wrong", "wrong too"]}
    (made,) = from_judgments(QUERIES, judgments, scale=SCALE, texts_of=texts_of, max_positives=9, graded=False, seed=0)
    assert made.positive == "nearest"
    assert made.masked == {"nearest", "other part", "red car"}


def test_documents_without_a_text_and_queries_without_positives_are_left_out():
    assert [e.positive for e in examples_of({("q1", "a"): 4, ("q1", "b"): 4}, absent={("q1", "a")})] == ["Text of b"]
    assert examples_of({("q1", "a"): 2}) == []


def test_many_positives_are_cut_at_random_by_seed_and_all_stay_masked():
    grades = {("q1", f"d{n}"): 3 for n in range(20)}
    first, again, other = (examples_of(grades, max_positives=3, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 3
    assert all(len(example.masked) == 21 for example in first)


def test_pairs_keep_their_negatives_and_spare_each_others_positives():
    pairs = [
        Pair(query="Red car", positive="p1", negatives=("n1",)),
        Pair(query="red  CAR", positive="p2", score=0.4),
        Pair(query="blue car", positive="p3"),
    ]
    first, second, third = from_pairs(pairs, margin=0.05)
    assert first.negatives == ("n1",)
    assert first.masked == second.masked == {"p1", "p2", "red car"}
    assert third.masked == {"p3", "blue car"}
    assert [e.weight for e in (first, second, third)] == [1.0, 0.4, 1.0]


@pytest.mark.parametrize(("score", "kept"), [(1.0, ("low", "mid")), (0.5, ("low",)), (None, ("low", "mid"))])
def test_a_negative_scored_too_close_to_its_positive_is_dropped(score, kept):
    pair = Pair(
        query="q", positive="p", negatives=("low", "mid", "high"), score=score, negative_scores=(0.1, 0.5, 0.96)
    )
    assert from_pairs([pair], margin=0.05)[0].negatives == kept


def test_limit_keeps_the_order():
    examples = [Example(anchor=str(n), positive="p") for n in range(20)]
    assert limit(examples, max_pairs=None, seed=0) == limit(examples, max_pairs=20, seed=0) == examples
    few = limit(examples, max_pairs=5, seed=0)
    assert few == limit(examples, max_pairs=5, seed=0) != limit(examples, max_pairs=5, seed=1)
    assert [int(e.anchor) for e in few] == sorted(int(e.anchor) for e in few)
    assert len(few) == 5


def test_near_duplicates_are_symmetric_and_exact_at_the_threshold():
    five, four = "a b c d e f g", "a b c d e f"  # 5 shingles, 4 of them shared
    duplicates = NearDuplicates(0.8)
    assert duplicates.alike(five, four)
    assert duplicates.alike(four, five)
    assert not duplicates.alike(five, "a b c d e")
    assert duplicates.alike("", "  ")


def test_anchors_of_one_text_spare_each_others_positives():
    first = Example(anchor="Red car", positive="p1", masked=frozenset({"red car", "p1"}))
    twin = Example(anchor="red  CAR", positive="P2", masked=frozenset({"red car"}))
    other = Example(anchor="blue car", positive="p3")
    shared = share_masks([first, twin, other])
    assert shared[0].masked == shared[1].masked == {"red car", "p1", "p2"}
    assert shared[2].masked == {"p3"}
    assert [example.positive for example in shared] == ["p1", "P2", "p3"]


def masking(*rows):
    """What anchors with these positives mask, and refuse where there is a third; by anchor."""
    examples = [
        Example(anchor=anchor, positive=positive, masked=frozenset({anchor}), known_negatives=frozenset(refused))
        for anchor, positive, *refused in rows
    ]
    return {example.anchor: example.masked for example in mask_neighbours(examples)}


def test_anchors_that_share_a_positive_spare_each_others_texts():
    masked = masking(("a", "1"), ("a", "2"), ("b", "2"), ("b", "3"), ("c", "3"), ("c", "4"), ("d", "5"))
    assert masked["a"] == {"1", "2", "3", "a", "b"}, "not what only the next but one has"
    assert masked["b"] == {"1", "2", "3", "4", "a", "b", "c"}
    assert masked["d"] == {"5", "d"}


def test_a_positive_that_is_not_trained_on_is_shared_all_the_same():
    known = [Example(anchor="a", positive="1", masked=frozenset({"2"})), Example(anchor="b", positive="2")]
    assert [each.masked for each in mask_neighbours(known)] == [{"1", "2"}, {"1", "2"}]


def test_an_anchor_that_is_anothers_positive_shares_it():
    masked = masking(("a", "b"), ("b", "1"))
    assert masked["a"] == masked["b"] == {"a", "b", "1"}


def test_what_is_refused_is_not_masked_for_an_anchor_that_shares():
    masked = masking(("a", "1", "3"), ("a", "2"), ("b", "2"), ("b", "3"))
    assert masked["a"] == {"1", "2", "a", "b"}
    assert masked["b"] == {"1", "2", "3", "a", "b"}


def test_a_text_that_answers_nearly_everything_makes_nothing_alike():
    def masked_by_first(number):
        rows = [row for n in range(number) for row in ((f"q{n}", "hub"), (f"q{n}", f"own {n}"))]
        return masking(*rows)["q0"]

    assert masked_by_first(21) == {"hub", "own 0", "q0"}
    assert len(masked_by_first(20)) == 1 + 2 * 20


def test_anchors_of_an_example_have_one_set_in_common():
    first, second = mask_neighbours([Example(anchor="a", positive=text) for text in "12"])
    assert first.masked is second.masked
