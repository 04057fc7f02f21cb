"""Keys: shown once, kept as hashes, each with its scopes and rate; without any, this machine alone may ask."""

import pytest

from nearer.core.errors import InputError
from nearer.flows.key import add_key, remove_key
from nearer.store.keys import Keys
from nearer.store.workspace import Workspace
from nearer.web import access
from nearer.web.run import serve
from web.conftest import eventually

SEARCH = {"query": "rain"}


@pytest.fixture
def keyed(live, monkeypatch):
    """``keyed("read", per_minute=3)``: a client of the live service with a key of these scopes."""
    monkeypatch.setattr(access, "_FRESH_S", 0.0)

    def make(*scopes, per_minute=None):
        token = add_key(live.workspace, "-".join(scopes), scopes=scopes, per_minute=per_minute).token
        return {"Authorization": f"Bearer {token}"}

    return make


def status(live, method, path, headers=None, **options):
    return live.client.request(method, path, headers=headers, **options).status_code


def test_each_scope_is_given_by_itself(live, keyed):
    for scope in ("read", "write", "admin"):
        headers = keyed(scope)
        asked = status(live, "POST", "/v1/search", headers, json=SEARCH)
        written = status(live, "PUT", "/v1/documents", headers, json={"documents": [{"id": "a", "text": "a"}]})
        ruled = status(live, "GET", "/v1/admin/nothing", headers)
        assert (asked == 200, written == 200, ruled == 404) == (scope == "read", scope == "write", scope == "admin")
        assert {asked, written, ruled} - {200, 404} == {403}


def test_who_sends_none_or_another_is_refused(live, keyed):
    read = keyed("read")
    token = read["Authorization"].removeprefix("Bearer ")
    for headers in ({}, {"Authorization": token}, {"Authorization": f"Bearer {token}x"}, {"Authorization": "Bearer"}):
        answer = live.client.post("/v1/search", json=SEARCH, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert status(live, "GET", "/docs") == 401
    assert status(live, "GET", "/healthz") == status(live, "GET", "/readyz") == 200
    assert status(live, "POST", "/v1/search", read, json=SEARCH) == 200
    assert status(live, "POST", "/v1/search", {"Authorization": f"bearer {token}"}, json=SEARCH) == 200


def test_a_removed_key_is_refused(live, keyed):
    read = keyed("read")
    keyed("write")
    assert status(live, "POST", "/v1/search", read, json=SEARCH) == 200
    remove_key(live.workspace, "read")
    assert status(live, "POST", "/v1/search", read, json=SEARCH) == 401


def test_keys_are_read_anew_within_a_second(live):
    assert status(live, "POST", "/v1/search", json=SEARCH) == 200
    add_key(live.workspace, "shop")
    eventually(lambda: status(live, "POST", "/v1/search", json=SEARCH) == 401, what="noticed")


def test_a_key_has_a_rate(live, keyed, monkeypatch):
    limited, free = keyed("read", per_minute=3), keyed("read", "write")
    assert [status(live, "POST", "/v1/search", limited, json=SEARCH) for _ in range(4)] == [200, 200, 200, 429]
    refused = live.client.post("/v1/search", json=SEARCH, headers=limited)
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert status(live, "POST", "/v1/search", free, json=SEARCH) == 200
    monkeypatch.setattr(access, "_MINUTE_S", 0.0)
    assert status(live, "POST", "/v1/search", limited, json=SEARCH) == 200


def test_a_token_is_kept_nowhere(base_live):
    with Workspace.open(base_live) as workspace:
        token = add_key(workspace, "shop", scopes=("read", "admin"), per_minute=9).token
        [key] = Keys(workspace.database).all()
        assert (key.name, key.scopes, key.per_minute) == ("shop", ("read", "admin"), 9)
    secret = token.removeprefix("nearer_").encode()
    assert len(secret) == 43
    files = [path for path in (base_live / ".nearer").rglob("*") if path.is_file()]
    assert [path.name for path in files if secret in path.read_bytes()] == []


def test_other_machines_need_keys(base_live, live):
    with Workspace.open(base_live) as workspace, pytest.raises(InputError, match="loopback alone"):
        serve(workspace, host="0.0.0.0", port=0)
    headers = {"X-Forwarded-For": "10.1.2.3"}
    assert status(live, "POST", "/v1/search", headers, json=SEARCH) == 401, "a proxy here asks for another machine"
    assert status(live, "POST", "/v1/search", {"Host": "rebound.example"}, json=SEARCH) == 403
    assert status(live, "POST", "/v1/search", {"Host": "localhost:80"}, json=SEARCH) == 200


def test_the_verb(ask, nearer, base_live):
    added = ask(base_live, "key", "add", "shop", "--scope", "write", "--rate", 60)
    assert (added["key"]["scopes"], added["key"]["per_minute"]) == (["write"], 60)
    assert added["token"].startswith("nearer_")
    assert "shown this once" in nearer("key", "add", "other", "--dir", base_live).out
    assert [each["name"] for each in ask(base_live, "key", "list")["entries"]] == ["shop", "other"]
    assert ask(base_live, "key", "remove", "other")["key"]["name"] == "other"
    for arguments in (
        ("add", "shop"),
        ("add", " "),
        ("add", "x", "--scope", "root"),
        ("add", "x", "--rate", 0),
        ("add",),
        ("remove", "x"),
        ("list", "x"),
        ("show",),
    ):
        ask(base_live, "key", *arguments, code=2)


@pytest.mark.exhaustive
def test_pages_of_a_named_site_may_ask(base_live, serving):
    running = serving(base_live, origins=["https://shop.example"]).ready()
    site = {"Origin": "https://shop.example"}
    answer = running.client.post("/v1/search", json=SEARCH, headers=site)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    asked = {**site, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert status(running, "OPTIONS", "/v1/search", asked) == 200
    assert status(running, "POST", "/v1/search", {"Origin": "https://other.example"}, json=SEARCH) == 403
