from nearer.learn.examples import Example
from nearer.learn.listwise import make_ranked_lists


def lists(examples, grades=None, *, most_graded=5, seed=0):
    return make_ranked_lists(examples, grades or {}, most_graded=most_graded, seed=seed)


def test_binary_judgments_give_the_positive_all():
    example = Example(anchor="Q", positive="a", negatives=("x", "y"))
    for grades in ({}, {"q": {"a": 1}}, {"q": {"a": 1, "b": 1}}):
        [made] = lists([example], grades)
        assert (made.anchor, made.texts, made.targets) == ("Q", ("a", "x", "y"), (1.0, 0.0, 0.0))


def test_grades_are_shares_and_only_lower_ones_stand_in_a_list():
    grades = {"q": {"best": 4, "good": 3, "fair": 1}}
    examples = [Example(anchor="q", positive=text, negatives=("x",)) for text in ("best", "good")]
    first, second = lists(examples, grades)
    assert dict(zip(first.texts, first.targets, strict=True)) == {"best": 0.5, "good": 0.375, "fair": 0.125, "x": 0.0}
    assert dict(zip(second.texts, second.targets, strict=True)) == {"good": 0.75, "fair": 0.25, "x": 0.0}
    assert first.texts[0] == "best"


def test_a_mined_text_that_is_judged_lower_stands_there_once():
    example = Example(anchor="q", positive="a", negatives=("fair", "x"))
    [made] = lists([example], {"q": {"a": 3, "fair": 1}})
    assert (made.texts, made.targets) == (("a", "fair", "x"), (0.75, 0.25, 0.0))
    [made] = lists([example], {"q": {"a": 3, "fair": 1, "other": 1}}, most_graded=0)
    assert (made.texts, made.targets) == (("a", "x"), (1.0, 0.0))


def test_of_many_lower_ones_some_are_drawn_the_same_by_the_same_seed():
    grades = {"q": {"a": 4, **{f"b{n}": 1 + n % 3 for n in range(20)}}}
    example = Example(anchor="q", positive="a")
    drawn = [lists([example], grades, most_graded=3, seed=seed)[0] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(each.texts) for each in drawn] == [4, 4, 4]
    assert all(abs(sum(each.targets) - 1) < 1e-9 for each in drawn)


def test_a_pair_given_as_text_has_no_grade_and_brings_its_weight():
    [made] = lists([Example(anchor="q", positive="given", negatives=("x",), weight=0.5)], {"q": {"a": 3, "fair": 1}})
    assert (made.texts, made.targets) == (("given", "x"), (0.5, 0.0))
