import math
import random

import pytest

from nearer.measure.rules import MIN_QUERIES, Rule, _binomial_tail, document_rules, query_rules


def judged(pairs, field="year"):
    return {f"q{n}": [({field: asked}, {field: held})] for n, (asked, held) in enumerate(pairs)}


def found(pairs, **options):
    return query_rules(["year"], judged(pairs), min_share=0.95, **options)


def years(number=40, seed=0):
    rng = random.Random(seed)
    return [rng.randint(2000, 2020) for _ in range(number)]


@pytest.mark.parametrize(("sign", "step"), [("=", 0), ("<=", -1), (">=", 1)])
def test_the_relation_that_relevant_documents_obey_is_found(sign, step):
    rules = found([(year, year + step * (n % 3)) for n, year in enumerate(years())]).rules
    assert rules == (Rule(field="year", sign=sign),)


def test_fields_that_have_nothing_to_do_with_each_other_give_no_rule_and_a_note():
    rules = found(list(zip(years(), years(seed=1), strict=True)))
    assert rules.rules == ()
    [note] = rules.notes
    assert "no rule of year" in note
    assert "95% must obey" in note


def test_a_rule_may_be_broken_by_few_and_not_by_more():
    pairs = [(2000, 2000)] * 95 + [(2000, 2001)] * 5
    assert found(pairs).rules == (Rule(field="year", sign="=", share=0.95),)
    [rule] = found([(2000, 2000)] * 94 + [(2000, 2001)] * 6).rules
    assert rule.sign == ">="


@pytest.mark.parametrize("number", [0, 1, MIN_QUERIES - 1])
def test_too_few_training_queries_give_no_rule_and_a_note(number):
    rules = found([(2000, 2000)] * number)
    assert rules.rules == ()
    assert f"only {number} training queries" in rules.notes[0]


def test_each_query_counts_once_however_many_documents_are_relevant_to_it():
    many = {"many": [({"year": 1}, {"year": 1})] * 1000}
    rules = query_rules(["year"], many | judged([(1, 2)] * 10 + [(1, 0)] * 10), min_share=0.95)
    assert rules.rules == ()


@pytest.mark.parametrize("held", ["2000", None, True, math.nan, [2000], {"from": 2000}])
def test_values_that_cannot_be_compared_obey_nothing(held):
    for sign in ("=", "<=", ">="):
        assert not Rule(field="year", sign=sign).admits({"year": 2000}, {"year": held})
    assert found([(2000, held)] * 40).rules == ()


def test_dates_as_text_and_truth_values():
    assert Rule(field="day", sign="<=").admits({"day": "2020-02-01"}, {"day": "2020-01-31"})
    assert Rule(field="open", sign="=").admits({"open": True}, {"open": True})
    assert not Rule(field="open", sign="<=").admits({"open": True}, {"open": False})


def test_a_document_without_the_field_passes_no_rule_and_a_query_without_it_asks_for_none():
    rule = Rule(field="year", sign="<=")
    assert not rule.admits({"year": 2000}, {})
    assert rule.admits({}, {"year": 2030})
    assert rule.admits({"year": None}, {})
    assert not Rule(field="status", sign="=", value="current").admits({}, {})


def test_rules_are_written_as_one_reads_them():
    assert str(Rule(field="year", sign="<=")) == "year <= the query's"
    assert str(Rule(field="status", sign="=", value="current")) == "status = current"


def test_a_value_that_relevant_documents_have_and_others_do_not_is_a_rule():
    corpus = [{"status": "current", "n": n % 7} for n in range(50)] + [{"status": "old", "n": n % 7} for n in range(50)]
    [rule] = document_rules(corpus[:30], corpus, min_share=0.95)
    assert (rule.field, rule.sign, rule.value, rule.share) == ("status", "=", "current", 1.0)


def test_a_value_that_nearly_all_documents_have_is_no_rule():
    corpus = [{"status": "current"}] * 95 + [{"status": "old"}] * 5
    assert document_rules(corpus[:40], corpus, min_share=0.95) == ()
    assert document_rules([{"status": "current"}] * 40, [{"status": "current"}] * 40, min_share=0.95) == ()


def test_too_few_relevant_documents_or_too_many_values_give_no_rule():
    corpus = [{"status": "current"}] * 50 + [{"status": "old"}] * 50
    assert document_rules(corpus[: MIN_QUERIES - 1], corpus, min_share=0.95) == ()
    names = [{"name": f"n{n}"} for n in range(100)]
    assert document_rules([{"name": "n0"}] * 40, names, min_share=0.95) == ()


def test_values_without_a_meaning_for_a_filter_are_passed_over():
    corpus = [{"tags": ["a"], "score": math.nan, "none": None}] * 50 + [{}] * 50
    assert document_rules(corpus[:40], corpus, min_share=0.95) == ()


def test_one_and_true_are_two_values():
    corpus = [{"flag": True}] * 50 + [{"flag": 1}] * 50
    [rule] = document_rules(corpus[:40], corpus, min_share=0.95)
    assert rule.value is True
    assert not rule.admits({}, {"flag": 1})


@pytest.mark.parametrize(("most", "number", "probability"), [(0, 10, 0.3), (2, 40, 0.05), (5, 5, 0.5), (3, 200, 0.01)])
def test_the_binomial_tail(most, number, probability):
    terms = (math.comb(number, k) * probability**k * (1 - probability) ** (number - k) for k in range(most + 1))
    assert _binomial_tail(most, number, probability) == pytest.approx(sum(terms))


def test_the_binomial_tail_where_all_or_nothing_happens():
    assert (_binomial_tail(0, 10, 0.0), _binomial_tail(9, 10, 1.0), _binomial_tail(10, 10, 1.0)) == (1.0, 0.0, 1.0)
