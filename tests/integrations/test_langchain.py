"""LangChain's own retriever interface, run where langchain-core is installed."""

import asyncio

import pytest

pytest.importorskip("langchain_core", reason="langchain-core is not installed: pip install langchain-core")

from nearer.core.errors import InputError
from nearer.integrations.langchain import NearerRetriever

WHERE = {"type": "gte", "key": "year", "value": 2006}


def read(documents):
    return [(each.id, each.metadata["score"], each.page_content) for each in documents]


def test_it_finds_what_nearer_finds(source, expected):
    retriever = NearerRetriever(source=source, k=4)
    assert read(retriever.invoke("rain 3")) == expected("rain 3", 4)
    assert read(retriever.batch(["rain 3", "harbour"])[1]) == expected("harbour", 4)
    assert read(asyncio.run(retriever.ainvoke("rain 3"))) == expected("rain 3", 4)


def test_filters_of_the_retriever_and_of_the_call_both_hold(source, expected):
    retriever = NearerRetriever(source=source, k=9, filter=WHERE)
    assert read(retriever.invoke("rain")) == expected("rain", 9, WHERE)
    below = {"type": "lt", "key": "year", "value": 2008}
    years = [each.metadata["year"] for each in retriever.invoke("rain", filter=below)]
    assert sorted(years) == [2006, 2007]


def test_what_is_not_supported_raises(source):
    retriever = NearerRetriever(source=source)
    with pytest.raises(InputError):
        retriever.invoke("rain", filter={"year": 2020})
    with pytest.raises(TypeError, match="search_kwargs"):
        retriever.invoke("rain", search_kwargs={"filter": {}})
    with pytest.raises(ValueError, match="search_type"):
        NearerRetriever(source=source, search_type="mmr")
