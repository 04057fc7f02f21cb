"""How hard an example is: by its nearest negative, or by its positive alone."""

import numpy as np
import pytest

from learn.test_fit import examples as some_examples
from learn.test_table import example
from nearer.learn.examples import text_key
from nearer.learn.fit import Sides, _collator
from nearer.learn.hardness import hardness, hardness_for
from nearer.learn.table import ExampleTable


def at(degrees):
    return np.array([[np.cos(np.radians(each)), np.sin(np.radians(each))] for each in degrees], np.float32) * 3


def cosine(degrees):
    return np.cos(np.radians(degrees))


def test_the_nearest_negative_less_the_positive():
    table = ExampleTable.build([example("q", "p", "far", "near"), example("r", "s", "far")])
    assert table.texts == ("p", "far", "near", "s")
    found = hardness(table, at([0, 90]), at([10, 80, 30, 60]))
    np.testing.assert_allclose(found, [cosine(30) - cosine(10), cosine(10) - cosine(30)], atol=1e-6)


def test_where_one_has_no_negative_positives_alone_are_compared():
    table = ExampleTable.build([example("q", "p", "n"), example("r", "s")])
    np.testing.assert_allclose(hardness(table, at([0, 0]), at([10, 5, 60])), [-cosine(10), -cosine(60)], atol=1e-6)


def test_what_is_spared_or_graded_as_high_is_no_negative_and_what_is_graded_lower_is():
    spared = example("q", "p", "other answer", "n", spared=["other answer"])
    grades = {text_key("higher"): 4.0, text_key("lower"): 1.0}
    graded = example("q", "p", "higher", "lower", grade=2.0, grades=grades)
    for made, texts in ((spared, [10, 11, 40]), (graded, [10, 11, 40])):
        found = hardness(ExampleTable.build([made]), at([0]), at(texts))
        np.testing.assert_allclose(found, [cosine(40) - cosine(10)], atol=1e-6)


@pytest.mark.parametrize("prompts", [("", ""), ("ask ", "tell ")])
def test_the_model_sees_texts_as_in_search_without_dropout_and_stays_in_training(tiny_encoder, prompts):
    model, data = tiny_encoder.model, some_examples(12, num_negatives=2)
    sides = Sides(query=prompts[0], document=prompts[1])
    table = ExampleTable.build(data)
    model.train()
    found = hardness_for(model, _collator(model, table, sides), None)
    assert model.training
    anchors = model.encode([prompts[0] + text for text in table.anchors])
    texts = model.encode([prompts[1] + text for text in table.texts])
    np.testing.assert_allclose(found, hardness(table, anchors, texts), atol=1e-5)
    fixed = np.roll(texts, 1, axis=0)
    known = hardness_for(model, _collator(model, table, sides), fixed)
    np.testing.assert_allclose(known, hardness(table, anchors, fixed), atol=1e-5)
