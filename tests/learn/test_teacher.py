import math

import pytest

from nearer.core.errors import InputError
from nearer.learn.examples import Example, text_key
from nearer.learn.teacher import RelabelSettings, preference, teach


def example(positive="right", negatives=(), *, anchor="q", masked=()):
    return Example(anchor=anchor, positive=positive, negatives=tuple(negatives), masked=frozenset(masked))


def taught(mined, scores, *, before=None, num_negatives=1, most_positives=4, texts=(), never_positive=frozenset()):
    """Teach by scores of texts, whatever the anchor; nothing that was mined for had negatives unless ``before``."""
    asked = []

    def score(pairs):
        asked.extend(pairs)
        return [scores[text] for _, text in pairs]

    found = teach(
        before or [example(each.positive, anchor=each.anchor) for each in mined],
        mined,
        score=score,
        settings=RelabelSettings(
            masked_from=0.5, positive_from=0.9, num_negatives=num_negatives, most_positives=most_positives, seed=0
        ),
        texts=texts,
        never_positive=never_positive,
    )
    assert len(asked) == len(set(asked)), "each pair is asked for once"
    return found


def test_the_probability_needs_no_scale_of_the_scores():
    assert preference(3.0, 1.0) == pytest.approx(preference(103.0, 101.0))
    assert preference(1.0, 3.0) == pytest.approx(1 - preference(3.0, 1.0))
    assert (preference(1e4, -1e4), preference(-1e4, 1e4)) == (1.0, 0.0)


def test_what_is_clearly_worse_stays_with_its_score():
    found = taught([example(negatives=["wrong"])], {"right": 2.0, "wrong": -1.0})
    assert (found.num_masked, found.num_added) == (0, 0)
    [only] = found.examples
    assert (only.negatives, only.scores) == (("wrong",), (2.0, -1.0))


@pytest.mark.parametrize(("score", "num_added"), [(2.0, 0), (2.0 + math.log(8.9), 0), (2.0 + math.log(9.1), 1)])
def test_what_is_as_good_is_masked_and_what_is_clearly_better_a_positive(score, num_added):
    found = taught([example(negatives=["answer", "wrong"])], {"right": 2.0, "answer": score, "wrong": 0.0})
    assert (found.num_masked, found.num_added) == (1, num_added)
    assert [each.positive for each in found.examples] == ["right", "answer"][: 1 + num_added]
    for each in found.examples:
        assert each.negatives == ("wrong",), "the next of what was drawn takes its place"
        assert {text_key("answer"), text_key("right")} <= each.masked
        assert each.scores == ({"right": 2.0, "answer": score}[each.positive], 0.0)


def test_of_what_is_left_as_many_as_wanted_are_kept_in_their_order():
    [only] = taught(
        [example(negatives=["a", "b", "c", "d"])],
        {"right": 9.0, "a": 1.0, "b": 9.0, "c": 3.0, "d": 2.0},
        num_negatives=2,
    ).examples
    assert only.negatives == ("a", "c")


def test_where_nothing_is_left_random_texts_take_the_places_with_their_scores():
    texts = ["right", "as good", "AS GOOD", "mine", "any"]
    [only] = taught(
        [example(negatives=["as good"], masked=["mine"])], {"right": 1.0, "as good": 1.0, "any": -3.0}, texts=texts
    ).examples
    assert (only.negatives, only.scores) == (("any",), (1.0, -3.0))
    [only] = taught([example(negatives=["as good"])], {"right": 1.0, "as good": 1.0}).examples
    assert (only.negatives, only.scores) == ((), (1.0,)), "a collection may hold nothing else"


def test_all_examples_of_an_anchor_spare_what_one_of_its_positives_does_not_beat():
    mined = [example("good", ["fair"]), example("poor", ["other"], anchor="Q"), example("poor", ["fair"], anchor="z")]
    found = taught(mined, {"good": 9.0, "fair": 5.0, "poor": 4.0, "other": 0.0})
    first, second, third = found.examples[0], found.examples[1], found.examples[2]
    assert (first.negatives, second.negatives) == ((), ("other",))
    assert text_key("fair") in first.masked & second.masked
    assert third.negatives == (), "for another anchor it is judged anew"
    assert found.num_masked == 2
    assert found.num_added == 0, "it does not beat the best positive"


def test_negatives_that_somebody_gave_stay_whatever_the_teacher_says():
    before = [example(negatives=["given"]), example("right too", anchor="q")]
    mined = [example(negatives=["given", "mined"]), example("right too", ["given"], anchor="q")]
    found = taught(
        mined, {"right": 0.0, "right too": 0.0, "given": 99.0, "mined": -5.0}, before=before, num_negatives=2
    )
    assert [each.negatives for each in found.examples] == [("given", "mined"), ("given",)]
    assert (found.num_masked, found.num_added) == (0, 0)


def test_positives_are_added_from_the_best_until_there_are_enough():
    mined = [example(negatives=["b", "a", "c"])]
    found = taught(mined, {"right": 0.0, "a": 9.0, "b": 8.0, "c": 7.0}, most_positives=3)
    assert [each.positive for each in found.examples] == ["right", "a", "b"]
    assert (found.num_masked, found.num_added) == (3, 2)
    assert taught(mined, {"right": 0.0, "a": 9.0, "b": 8.0, "c": 7.0}, most_positives=1).num_added == 0


def test_what_answers_dev_is_masked_and_never_a_positive():
    found = taught([example(negatives=["A "])], {"right": 0.0, "A ": 9.0}, never_positive=frozenset({text_key("a")}))
    assert (found.num_masked, found.num_added) == (1, 0)


def test_scores_that_are_no_numbers_are_reported():
    with pytest.raises(InputError, match="1 of 2 pairs is not a finite number, first for 'q'") as caught:
        taught([example(negatives=["a"])], {"right": 0.0, "a": math.nan})
    assert "mining.reranker" in caught.value.hint


def test_without_examples_there_is_nothing_to_teach():
    assert taught([], {}).examples == ()
