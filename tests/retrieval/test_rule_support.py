import math
import random

import numpy as np
import pytest

from nearer.core.records import Document
from nearer.retrieval.metadata_schema import MetadataSchema
from nearer.retrieval.rule_support import MIN_QUERIES, _binomial_tail, rule_support


def found(judged, *, corpus=(), known=("year",)):
    """The rules of queries, each with the metadata of its relevant documents, and of a corpus that has others too."""
    queries = [query for query, _ in judged]
    answers = [(row, answer) for row, (_, several) in enumerate(judged) for answer in several]
    metadata = [*(answer for _, answer in answers), *corpus]
    documents = [Document(doc_id=f"d{row}", text="x", metadata=each) for row, each in enumerate(metadata)]
    return rule_support(
        MetadataSchema.read(documents, queries, query_time_fields=known, texts=()),
        queries=queries,
        relevant=(np.array([row for row, _ in answers], np.int64), np.arange(len(answers))),
        query_time_fields=known,
        min_share=0.95,
    )


def of_years(pairs):
    return found([({"year": asked}, [{"year": held}]) for asked, held in pairs])


def of_values(relevant, others):
    return found([({}, [each]) for each in relevant], corpus=others, known=()).rules


def years(number=40, seed=0):
    rng = random.Random(seed)
    return [rng.randint(2000, 2020) for _ in range(number)]


def shown(rules):
    return [str(each.rule) for each in rules]


@pytest.mark.parametrize(("sign", "step"), [("=", 0), ("<=", -1), (">=", 1)])
def test_the_relation_that_relevant_documents_obey_is_found(sign, step):
    [rule] = of_years([(year, year + step * (n % 3)) for n, year in enumerate(years())]).rules
    assert str(rule) == f"year{sign}query.year (100% of what is relevant in training)"


def test_fields_that_have_nothing_to_do_with_each_other_give_no_rule_and_a_note():
    rules = of_years(list(zip(years(), years(seed=1), strict=True)))
    assert rules.rules == ()
    [note] = rules.notes
    assert note.startswith("no rule of year: of the relevant documents in training year=query.year for ")
    assert note.endswith("95% must obey")


def test_a_rule_may_be_broken_by_few_and_not_by_more():
    pairs = [(2000, 2000)] * 95 + [(2000, 2001)] * 5
    [rule] = of_years(pairs).rules
    assert (str(rule.rule), rule.share) == ("year=query.year", 0.95)
    [rule] = of_years([(2000, 2000)] * 94 + [(2000, 2001)] * 6).rules
    assert str(rule.rule) == "year>=query.year"


@pytest.mark.parametrize("number", [0, 1, MIN_QUERIES - 1])
def test_too_few_training_queries_give_no_rule_and_a_note(number):
    rules = of_years([(2000, 2000)] * number)
    assert rules.rules == ()
    assert f"only {number} training queries" in rules.notes[0]


def test_each_query_counts_once_however_many_documents_are_relevant_to_it():
    many = [({"year": 1}, [{"year": 1}] * 1000)]
    others = [({"year": 1}, [{"year": held}]) for held in [2] * 10 + [0] * 10]
    assert found(many + others).rules == ()


def test_queries_without_the_field_count_neither_way():
    judged = [({"year": 2000}, [{"year": 2000}])] * 30 + [({}, [{"year": 1990}])] * 30
    assert shown(found(judged).rules) == ["year=query.year"]


@pytest.mark.parametrize(
    ("held", "said"),
    [(None, "no document has it"), ([{}], "it holds [{}]"), ("soon", "documents hold text values in 'year'")],
)
def test_a_field_that_cannot_be_compared_gives_no_rule_and_the_reason(held, said):
    rules = found([({"year": 2000}, [{"year": held}])] * 40)
    assert rules.rules == ()
    assert rules.notes[0].startswith("no rule of year: ")
    assert said in rules.notes[0]


def test_a_value_that_relevant_documents_have_and_others_do_not_is_a_rule():
    corpus = [{"status": status, "n": n % 7} for status in ("current", "old") for n in range(50)]
    [rule] = of_values(corpus[:30], corpus[30:])
    assert (str(rule.rule), rule.share) == ("status=current", 1.0)


def test_a_value_that_nearly_all_documents_have_is_no_rule():
    corpus = [{"status": "current"}] * 95 + [{"status": "old"}] * 5
    assert of_values(corpus[:40], corpus[40:]) == ()
    assert of_values([{"status": "current"}] * 40, ()) == ()


def test_too_few_relevant_documents_or_too_many_values_give_no_rule():
    corpus = [{"status": "current"}] * 50 + [{"status": "old"}] * 50
    assert of_values(corpus[: MIN_QUERIES - 1], corpus[MIN_QUERIES - 1 :]) == ()
    names = [{"name": f"n{n}"} for n in range(100)]
    assert of_values([{"name": "n0"}] * 40, names) == ()


@pytest.mark.parametrize(("most", "number", "probability"), [(0, 10, 0.3), (2, 40, 0.05), (5, 5, 0.5), (3, 200, 0.01)])
def test_the_binomial_tail(most, number, probability):
    terms = (math.comb(number, k) * probability**k * (1 - probability) ** (number - k) for k in range(most + 1))
    assert _binomial_tail(most, number, probability) == pytest.approx(sum(terms))


def test_the_binomial_tail_where_all_or_nothing_happens():
    assert (_binomial_tail(0, 10, 0.0), _binomial_tail(9, 10, 1.0), _binomial_tail(10, 10, 1.0)) == (1.0, 0.0, 1.0)
