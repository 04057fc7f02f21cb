"""Documents over HTTP: durable when acknowledged, found within a second, by every service of the workspace."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from forked import die_apart_at
from nearer.store.workspace import Workspace
from web.conftest import eventually
from web.killed import put_one

ZEBRA = {"id": "z/1", "title": "Zebra", "text": "stripes of a zebra", "metadata": {"year": 2024}}


def found(running, text, **options):
    return [each["doc_id"] for each in running.post("/v1/search", query=text, k=1000, **options)["results"]]


def write(running, *documents, status=200, **parameters):
    answer = running.client.put("/v1/documents", json={"documents": documents}, params=parameters)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_it_is_found_once_it_was_waited_for(live):
    done = write(live, ZEBRA, wait=True)
    assert done == {"num_added": 1, "num_updated": 0, "num_unchanged": 0, "searchable": True}
    assert "z/1" in found(live, "stripes of a zebra")
    assert found(live, "zebra", mode="lexical") == ["z/1"]
    assert live.client.get("/v1/documents/z/1").json() == ZEBRA
    edited = {**ZEBRA, "text": "a horse"}
    assert write(live, edited, wait=True)["num_updated"] == 1
    [hit] = [each for each in live.post("/v1/search", query="horse", k=100)["results"] if each["doc_id"] == "z/1"]
    assert hit["snippet"].endswith("a horse")
    assert found(live, "stripes", mode="lexical") == []
    assert live.service.follower.served.differences(live.workspace.collection) == []


def test_it_is_found_soon_and_removed_at_once(live):
    assert write(live, ZEBRA)["searchable"] is False
    eventually(lambda: "z/1" in found(live, "zebra"), what="found", patience_s=10)  # a second, where nobody else works
    assert live.client.delete("/v1/documents", params={"id": ["z/1", "d001"]}).json() == {"num_removed": 2}
    assert not {"z/1", "d001"} & set(found(live, "zebra"))
    assert live.client.get("/v1/documents/z/1").json()["error"]["code"] == "not_found"
    eventually(lambda: not live.service.follower.served.differences(live.workspace.collection), what="index follows")


def test_ids_are_listed_in_pages(live):
    ids, after = [], ""
    while after is not None:
        page = live.client.get("/v1/documents", params={"after": after, "limit": 30}).json()
        ids, after = ids + page["ids"], page["next"]
    assert ids == [each.doc_id for each in live.workspace.collection.documents()]


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ({"id": "a"}, 422, "text"),
        ({"id": "a", "text": " "}, 400, "an empty document"),
        ({"id": "", "text": "a"}, 400, "empty"),
        ({"id": "a\tb", "text": "a"}, 400, "tab"),
        ({"id": "x" * 513, "text": "a"}, 400, "513 characters"),
        ({"id": "a", "text": "a", "year": 2024}, 422, "year: this field is not known"),
        ({"id": "a", "text": "a\u0000b"}, 400, "NUL"),
        ({"id": "a", "text": "x" * (2**20 + 1)}, 413, "characters"),
    ],
)
def test_what_an_import_refuses_is_refused_here(live_for_all, document, status, said):
    before = live_for_all.workspace.collection.revision()
    error = write(live_for_all, ZEBRA, document, status=status)["error"]
    assert said in error["message"]
    assert live_for_all.workspace.collection.revision() == before, "all or none"


def test_a_document_twice_or_not_there(live):
    assert write(live, ZEBRA, ZEBRA, status=400)["error"]["message"] == "'z/1' is there twice"
    refused = live.client.delete("/v1/documents", params={"id": ["d001", "nothing"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    assert live.client.get("/v1/documents/d001").status_code == 200
    assert live.client.delete("/v1/documents").status_code == 422


def test_many_write_at_once_and_nothing_is_lost(live):
    def add(number):
        return write(live, {"id": f"w{number}", "text": f"a word {number}"}, wait=number % 3 == 0)

    with ThreadPoolExecutor(8) as pool:
        assert sum(each["num_added"] for each in pool.map(add, range(24))) == 24
    assert {f"w{n}" for n in range(24)} <= set(live.client.get("/v1/documents?after=v&limit=1000").json()["ids"])
    eventually(lambda: not live.service.follower.served.differences(live.workspace.collection), what="index follows")
    assert {f"w{n}" for n in range(24)} <= set(found(live, "a word"))


def test_another_service_of_the_workspace_follows(live, serving, base_live):
    other = serving(base_live).ready()
    write(live, ZEBRA, wait=True)
    eventually(lambda: "z/1" in found(other, "zebra"), what="the other finds it")


def test_what_was_acknowledged_survives_a_kill(base_live):
    die_apart_at("documents.commit", put_one, base_live)
    with Workspace.open(base_live) as workspace:
        [kept] = workspace.collection.documents(["killed"])
        assert kept.text == "a text"
