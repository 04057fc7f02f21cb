"""A service and a searcher give a retriever the same."""

import pytest

from nearer.core.errors import InputError, ServiceError
from nearer.integrations.source import source_of

WHERE = {"type": "gte", "key": "year", "value": 2006}


def test_passages_scores_and_metadata_are_those_of_a_search(source, expected):
    found = source_of(source)("rain 3", k=4, where=WHERE)
    assert [(each.doc_id, each.score, each.text) for each in found] == expected("rain 3", 4, WHERE)
    assert all(each.metadata["year"] >= 2006 and each.metadata["title"].startswith("title") for each in found)


def test_what_cannot_be_asked_is_refused_not_dropped(source):
    for where in ({"type": "gte", "key": "colour", "value": 1}, {"type": "near", "key": "year", "value": 1}):
        with pytest.raises(InputError):
            source_of(source)("rain", k=3, where=where)
    with pytest.raises(InputError):
        source_of(source)("  ", k=3, where=None)


def test_no_service_is_reported_with_how_to_start_it():
    with pytest.raises(ServiceError) as caught:
        source_of("http://127.0.0.1:9")("rain", k=3, where=None)
    assert caught.value.hint == "start it: nearer serve"


def test_a_key_goes_with_each_request(url, workspace, monkeypatch):
    from nearer.flows.key import add_key, remove_key

    token = add_key(workspace, "retriever").token
    try:
        monkeypatch.setenv("NEARER_API_KEY", token)
        assert len(source_of(url)("rain", k=2, where=None)) == 2
    finally:
        remove_key(workspace, "retriever")
