import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.core.filters import Comparison, Compound, matches
from nearer.retrieval.rules import condition_of, parse_rules, passing, passing_pairs, unused

FIELDS = {"year": "integer", "price": "number", "lang": "text", "free": "boolean", "label_topic": "text"}
QUERY_FIELDS = ["year", "lang", "since", "free"]


def rules(*texts):
    return parse_rules(texts, fields=FIELDS, query_time_fields=QUERY_FIELDS)


@pytest.mark.parametrize(
    ("text", "query", "wanted"),
    [
        ("year>=query.since", {"since": 2020}, Comparison(type="gte", key="year", value=2020)),
        (" lang = query.lang ", {"lang": "en"}, Comparison(type="eq", key="lang", value="en")),
        ("lang!=query.lang", {"lang": "query.lang"}, Comparison(type="ne", key="lang", value="query.lang")),
        ("free=query.free", {"free": False}, Comparison(type="eq", key="free", value=False)),
        ("free=true", {}, Comparison(type="eq", key="free", value=True)),
        ("price<10.5", {"price": 3}, Comparison(type="lt", key="price", value=10.5)),
        # What came from CSV is text, and is read as the document's type.
        ("year<=query.year", {"year": "2020"}, Comparison(type="lte", key="year", value=2020)),
        ("free=query.free", {"free": "TRUE"}, Comparison(type="eq", key="free", value=True)),
    ],
)
def test_a_rule_is_a_condition_for_each_query(text, query, wanted):
    assert condition_of(rules(text), query) == wanted


def test_rules_that_apply_must_all_hold_and_the_others_are_reported():
    several = rules("year>=query.year", "lang=query.lang", "free=true")
    lang, free = Comparison(type="eq", key="lang", value="en"), Comparison(type="eq", key="free", value=True)
    assert condition_of(several, {"lang": "en", "year": None}) == Compound(type="and", filters=(lang, free))
    assert [str(rule) for rule in unused(several, {"lang": "en", "year": None})] == ["year>=query.year"]
    assert condition_of(several[:2], {}) is None
    assert unused(several[:2], {}) == several[:2]
    assert condition_of((), {"lang": "en"}) is None


@pytest.mark.parametrize(
    "text", ["year>=query.since", "lang!=query.lang", "free=true", "price=1e+30", "price<=-0.5", "lang=a=b", "lang="]
)
def test_a_rule_prints_as_it_is_written(text):
    [rule] = rules(text)
    assert str(rule) == text
    assert rules(str(rule)) == (rule,)


@pytest.mark.parametrize(
    ("text", "reported", "hint"),
    [
        ("year", "'year' is no rule", "year>=query.year"),
        ("=query.year", "is no rule", "year>=query.year"),
        ("years>=query.year", "fields that may filter: year", "index.filter_fields"),
        (
            "year>=query.topic",
            "'topic' may not filter; query_time_fields of the recipe are: year, lang",
            "right answer",
        ),
        ("year>=query.", "the query's '' may not filter", "right answer"),
        ("free>query.free", "cannot compare", "eq"),
        ("year>=x", "'year' holds integer values, not 'x'", "compare"),
        ("lang=query.label_topic", "'label_topic' was derived from the right answer", "known when"),
        ("label_topic=query.lang", "'label_topic' was derived", "known when"),
        ("label_topic=x", "'label_topic' was derived", "known when"),
        ("label_absent=x", "'label_absent' was derived", "known when"),
    ],
)
def test_what_is_no_rule_is_reported(text, reported, hint):
    with pytest.raises(InputError, match=reported) as caught:
        rules(text)
    assert hint in caught.value.hint


def test_a_label_is_refused_even_where_the_recipe_lists_it():
    with pytest.raises(InputError, match="was derived from the right answer"):
        parse_rules(["lang=query.label_lang"], fields=FIELDS, query_time_fields=["label_lang"])


def test_without_query_time_fields_the_message_says_none():
    with pytest.raises(InputError, match="query_time_fields of the recipe are: none"):
        parse_rules(["year=query.year"], fields=FIELDS, query_time_fields=[])


@pytest.mark.parametrize("value", ["x", "", 2**63, True, float("nan"), [2020], {"a": 1}, "2020 or so", "\ud800"])
def test_a_querys_value_that_documents_never_hold_is_reported(value):
    with pytest.raises(InputError, match=r"cannot filter for a query whose 'year' is .*integer values in 'year'"):
        condition_of(rules("year>=query.year"), {"year": value})


def test_a_number_is_no_text():
    with pytest.raises(InputError, match="documents hold text values in 'lang'"):
        condition_of(rules("lang=query.lang"), {"lang": 49})


VALUES = st.one_of(st.none(), st.integers(-2, 2), st.booleans(), st.sampled_from([0.5, -0.0]))
COMPARISONS = st.builds(
    Comparison,
    type=st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]),
    key=st.sampled_from(["a", "b"]),
    value=st.integers(-2, 2),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.builds(
        Compound, type=st.sampled_from(["and", "or"]), filters=st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=5,
)


@given(FILTERS, st.lists(st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES}), max_size=8))
def test_passing_is_matching_document_by_document(condition, documents):
    mask = passing(condition, documents)
    assert mask.dtype == np.bool_
    assert mask.tolist() == [matches(condition, each) for each in documents]


@given(
    text=st.sampled_from(["year>=query.year", "lang=query.lang", "lang!=en", "free=true"]),
    queries=st.lists(
        st.fixed_dictionaries({}, optional={"year": st.integers(0, 2), "lang": st.just("en")}), min_size=1
    ),
    documents=st.lists(
        st.fixed_dictionaries({}, optional={"year": st.integers(0, 2), "lang": st.just("en")}), min_size=1
    ),
    draws=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99))),
)
def test_passing_pairs_is_passing_pair_by_pair(text, queries, documents, draws):
    [rule] = rules(text)
    pairs = [(query % len(queries), document % len(documents)) for query, document in draws]
    mask = passing_pairs(rule, tuple(np.array(pairs, np.int64).reshape(-1, 2).T), queries=queries, documents=documents)
    conditions = [condition_of([rule], queries[query]) for query, _ in pairs]
    wanted = [each is None or matches(each, documents[row]) for each, (_, row) in zip(conditions, pairs, strict=True)]
    assert (mask.dtype, mask.tolist()) == (np.bool_, wanted)


@pytest.mark.parametrize("value", ["soon", [2020], {"year": 2020}])
def test_a_document_of_another_type_is_reported(value):
    with pytest.raises(InputError, match=r"field 'year' of a document holds .* cannot be compared with 2020"):
        passing(Comparison(type="gte", key="year", value=2020), [{"year": 2021}, {}, {"year": value}])
