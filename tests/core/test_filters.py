import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.core.filters import MOST_NESTED, Comparator, Comparison, Compound, matches, parse_filter, parse_where

FIELDS = {"year": "integer", "price": "number", "lang": "text", "free": "boolean"}


def compare(kind, key, value):
    return {"type": kind, "key": key, "value": value}


def test_a_filter_is_read_as_it_is_written():
    nested = {"type": "or", "filters": [compare("gte", "year", 2020), compare("in", "lang", ["en", "de"])]}
    assert parse_filter(nested, FIELDS) == Compound(
        type="or",
        filters=(
            Comparison(type="gte", key="year", value=2020),
            Comparison(type="in", key="lang", value=("en", "de")),
        ),
    )


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        ("year>2020", "is an object"),
        (None, "is an object"),
        ({}, "unknown filter type None"),
        (compare("like", "lang", "e%"), "unknown filter type 'like'; there are: eq, ne"),
        (compare(["eq"], "lang", "en"), "unknown filter type"),
        ({"type": "eq", "key": "lang"}, '"key" and "value"'),
        ({**compare("eq", "lang", "en"), "boost": 2}, '"key" and "value"'),
        ({"type": "and", "filters": []}, "must be a list of filters"),
        ({"type": "and", "filters": compare("eq", "lang", "en")}, "must be a list of filters"),
        ({"type": "and", "filters": ["lang"]}, "is an object"),
        (compare("eq", "langs", "en"), "fields that may filter: year, price, lang, free"),
        (compare("eq", 3, "en"), "cannot be filtered by 3"),
        (compare("eq", "lang", 3), "'lang' holds text values, not 3"),
        (compare("eq", "lang", None), "not None"),
        (compare("eq", "lang", "\ud800"), "not '\\\\ud800'"),
        (compare("eq", "year", "about 2020"), "'year' holds integer values, not 'about 2020'"),
        (compare("eq", "year", True), "not True"),
        (compare("eq", "year", 2**63), "not 9223372036854775808"),
        (compare("eq", "price", math.nan), "not nan"),
        (compare("eq", "price", math.inf), "not inf"),
        (compare("eq", "free", 1), "'free' holds boolean values, not 1"),
        (compare("gt", "free", False), "cannot compare"),
        (compare("in", "lang", "en"), "needs a list"),
        (compare("in", "lang", []), "needs a list"),
        (compare("nin", "lang", ["en", 3]), "not 3"),
        (compare("eq", "lang", ["en"]), "not \\['en'\\]"),
        (compare("eq", "lang", "x" * 10_000 + "\ud800"), "holds text"),
    ],
)
def test_what_cannot_filter_is_reported(content, reported):
    with pytest.raises(InputError, match=reported) as caught:
        parse_filter(content, FIELDS)
    assert caught.value.hint
    assert len(caught.value.message) < 300


def test_filters_nested_too_deep_are_refused():
    content = compare("eq", "lang", "en")
    for _ in range(MOST_NESTED):
        content = {"type": "and", "filters": [content]}
    assert matches(parse_filter(content, FIELDS), {"lang": "en"})
    for _ in range(5000):
        content = {"type": "and", "filters": [content]}
    with pytest.raises(InputError, match="nested"):
        parse_filter(content, FIELDS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("year>=2020", Comparison(type="gte", key="year", value=2020)),
        (" year  <  2020.5 ", Comparison(type="lt", key="year", value=2020.5)),
        ("lang=en", Comparison(type="eq", key="lang", value="en")),
        ("lang!=", Comparison(type="ne", key="lang", value="")),
        ("lang=a=b>c", Comparison(type="eq", key="lang", value="a=b>c")),
        ("lang=2020", Comparison(type="eq", key="lang", value="2020")),
        ("free=TRUE", Comparison(type="eq", key="free", value=True)),
        ("price<=-1e3", Comparison(type="lte", key="price", value=-1000.0)),
    ],
)
def test_conditions_are_read_as_the_fields_type(text, wanted):
    assert parse_where([text], FIELDS) == wanted


def test_several_conditions_must_all_hold():
    both = parse_where(["year>=2020", "lang=en"], FIELDS)
    assert both == Compound(type="and", filters=(parse_where(["year>=2020"], FIELDS), parse_where(["lang=en"], FIELDS)))
    assert parse_where([], FIELDS) is None


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("year", "no condition"),
        ("=2020", "no condition"),
        ("", "no condition"),
        ("years>1", "years"),
        ("year>x", "'x'"),
        ("free=maybe", "maybe"),
        ("free>true", "cannot compare"),
        ("price=nan", "nan"),
        ("year=" + "9" * 5000, "inf"),
    ],
)
def test_conditions_that_cannot_be_read_are_reported(text, reported):
    with pytest.raises(InputError, match=reported):
        parse_where([text], FIELDS)


def test_without_fields_the_remedy_is_the_recipe():
    with pytest.raises(InputError, match="fields that may filter: none") as caught:
        parse_where(["lang=en"], {})
    assert "index.filter_fields" in caught.value.hint


@given(st.sampled_from(get_args(Comparator)), st.integers(-3, 3), st.none() | st.integers(-3, 3))
def test_a_comparison_and_its_opposite_divide_the_documents_that_have_the_field(kind, wanted, value):
    opposite = {"eq": "ne", "gt": "lte", "lt": "gte", "in": "nin"}
    opposite |= {right: left for left, right in opposite.items()}
    among = (wanted, 0) if kind in ("in", "nin") else wanted
    passes = matches(Comparison(type=kind, key="x", value=among), {"x": value})
    passes_not = matches(Comparison(type=opposite[kind], key="x", value=among), {"x": value})
    assert (passes, passes_not).count(True) == (value is not None)


def test_a_document_without_the_field_passes_no_comparison():
    assert not any(matches(Comparison(type=kind, key="x", value=("a",)), {}) for kind in get_args(Comparator))
