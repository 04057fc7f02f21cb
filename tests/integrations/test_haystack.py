"""Haystack's own component interface, in a pipeline, run where haystack-ai is installed."""

import os

import pytest

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
pytest.importorskip("haystack", reason="haystack-ai is not installed: pip install haystack-ai")

from haystack import Pipeline

from nearer.core.errors import InputError
from nearer.integrations.haystack import NearerRetriever

FROM_2006 = {"field": "meta.year", "operator": ">=", "value": 2006}


def read(answer):
    return [(each.id, each.score, each.content) for each in answer["documents"]]


def test_it_finds_what_nearer_finds_in_a_pipeline(source, expected):
    pipeline = Pipeline()
    pipeline.add_component("retriever", NearerRetriever(source, top_k=4))
    answer = pipeline.run({"retriever": {"query": "rain 3"}})["retriever"]
    assert read(answer) == expected("rain 3", 4)
    answer = pipeline.run({"retriever": {"query": "rain", "top_k": 9, "filters": FROM_2006}})["retriever"]
    assert read(answer) == expected("rain", 9, {"type": "gte", "key": "year", "value": 2006})


def test_filters_join_and_an_unsupported_one_raises(source):
    below = {"field": "year", "operator": "<", "value": 2008}
    retriever = NearerRetriever(source, filters={"operator": "AND", "conditions": [FROM_2006, below]})
    assert {each.meta["year"] for each in retriever.run("rain")["documents"]} == {2006, 2007}
    for filters in ({"operator": "NOT", "conditions": [below]}, {"year": 2020}, {**below, "operator": "like"}, ["x"]):
        with pytest.raises(InputError):
            retriever.run("rain", filters=filters)
