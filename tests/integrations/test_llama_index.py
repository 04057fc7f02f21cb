"""LlamaIndex's own retriever interface, run where llama-index-core is installed."""

import pytest

pytest.importorskip("llama_index.core", reason="llama-index-core is not installed: pip install llama-index-core")

from llama_index.core.vector_stores import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from nearer.core.errors import InputError
from nearer.integrations.llama_index import NearerRetriever


def of(operator, value, key="year"):
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


def read(nodes):
    return [(each.node.id_, each.score, each.node.text) for each in nodes]


def test_it_finds_what_nearer_finds(source, expected):
    assert read(NearerRetriever(source, k=4).retrieve("rain 3")) == expected("rain 3", 4)


def test_filters_are_nearers_own(source, expected):
    where = {"type": "gte", "key": "year", "value": 2006}
    found = NearerRetriever(source, k=9, filters=of(FilterOperator.GTE, 2006)).retrieve("rain")
    assert read(found) == expected("rain", 9, where)
    nested = MetadataFilters(
        filters=[of(FilterOperator.LT, 2002), of(FilterOperator.IN, [2007, 2008])], condition=FilterCondition.OR
    )
    years = {each.node.metadata["year"] for each in NearerRetriever(source, k=9, filters=nested).retrieve("rain")}
    assert years == {2000, 2001, 2007, 2008}


@pytest.mark.parametrize("operator", [FilterOperator.TEXT_MATCH, FilterOperator.CONTAINS, FilterOperator.IS_EMPTY])
def test_an_unsupported_filter_raises(source, operator):
    with pytest.raises(InputError, match="is not supported"):
        NearerRetriever(source, filters=of(operator, "x"))
    not_ = MetadataFilters(filters=[of(FilterOperator.EQ, 1)], condition=FilterCondition.NOT)
    with pytest.raises(InputError, match="joined by 'not'"):
        NearerRetriever(source, filters=not_)
    with pytest.raises(InputError):
        NearerRetriever(source, filters=of(FilterOperator.EQ, 1, key="colour")).retrieve("rain")
