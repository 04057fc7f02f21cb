"""``nearer mcp``, asked by the official SDK's own client over stdio and over streamable HTTP."""

import json
import os
import socket
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pyarrow.compute as pc
import pytest
import uvicorn

import nearer as package
from nearer.core.extras import extra
from nearer.flows.key import add_key
from nearer.flows.promote import promote
from nearer.store.events.reading import read_events
from nearer.store.workspace import Workspace
from nearer.web.limits import Limits
from nearer.web.service import Service

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from nearer.web.agents import make_agents_app


class Agents:
    """``nearer mcp --http`` in a thread of this process."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.workspace = Workspace.open(folder)
        self.service = Service(self.workspace, limits=Limits(**limits))
        self.service.start()
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        app = make_agents_app(self.service, host="127.0.0.1")
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]})
        self._thread.start()

    def end(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.service.close()
        self.workspace.close()


@pytest.fixture
def agents():
    running = []

    def start(folder, **limits):
        running.append(Agents(folder, **limits))
        return running[-1]

    yield start
    for each in running:
        each.end()


@asynccontextmanager
async def http_client(url, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


def over_stdio(folder):
    source = str(Path(package.__file__).parents[1])
    env = {name: os.environ[name] for name in ("HF_HUB_OFFLINE", "OMP_NUM_THREADS", "TQDM_DISABLE", "PATH")}
    arguments = ["-m", "nearer", "mcp", "--dir", str(folder)]
    return Client(StdioServerParameters(command=sys.executable, args=arguments, env={**env, "PYTHONPATH": source}))


def asked(open_client, *calls):
    """What the tools answer to calls in order; a callable makes its arguments from the answers before it."""

    async def ask():
        answers = []
        async with open_client as client:
            for name, arguments in calls:
                given = arguments(answers) if callable(arguments) else arguments
                answers.append(await client.call_tool(name, given))
        return answers

    return anyio.run(ask)


def content(result):
    assert not result.is_error, result.content
    return result.structured_content


def fault(result):
    assert result.is_error, result
    return result.content[0].text


def used(answers):
    found = content(answers[0])
    return {"query_id": found["query_id"], "id": found["results"][1]["id"]}


LOOP = (
    ("search", {"query": "music and water", "k": 3}),
    ("fetch", lambda answers: {"id": content(answers[0])["results"][0]["id"]}),
    ("feedback", used),
    ("feedback", lambda answers: {**used(answers), "action": "rating", "value": 4.0}),
    ("feedback", lambda answers: {"query_id": "query-made-up", "id": "d000"}),
)


def check_loop(folder, answers, searched):
    found, fetched, *taken = map(content, answers)
    assert [each["id"] for each in found["results"]] == [each["doc_id"] for each in searched["results"]][:3]
    assert found["results"][0]["text"]
    workspace = Workspace.open(folder)
    [document] = workspace.collection.documents([fetched["id"]])
    assert (fetched["title"], fetched["text"]) == (document.title, document.text)
    assert [each["num_apart"] for each in taken] == [0, 0, 1]
    logged = read_events(workspace.events)
    workspace.close()
    shown = logged.impressions.filter(pc.equal(logged.impressions["query_id"], found["query_id"])).to_pylist()
    assert shown[0]["doc_ids"] == [each["id"] for each in found["results"]]
    events = logged.events.filter(pc.equal(logged.events["query_id"], found["query_id"])).to_pylist()
    assert [(each["action"], each["doc_id"], each["value"]) for each in events] == [
        ("click", shown[0]["doc_ids"][1], None),
        ("rating", shown[0]["doc_ids"][1], 4.0),
    ]


@pytest.mark.slow
def test_over_stdio_an_agent_searches_reads_and_says_what_helped(ask, base_live):
    searched = ask(base_live, "search", "music and water")
    answers = asked(over_stdio(base_live), *LOOP)  # at once: it waits for the model
    check_loop(base_live, answers, searched)


def test_over_http_an_agent_searches_reads_and_says_what_helped(ask, agents, base_live):
    searched = ask(base_live, "search", "music and water")
    running = agents(base_live)
    answers = asked(Client(running.url), *LOOP)
    check_loop(base_live, answers, searched)


def test_the_tools_say_what_they_are(agents, base_live):
    async def listed():
        async with Client(agents(base_live).url) as client:
            return await client.list_tools()

    tools = {each.name: each for each in anyio.run(listed).tools}
    assert tools.keys() == {"search", "fetch", "feedback"}
    assert tools["search"].input_schema["required"] == ["query"]
    assert tools["feedback"].input_schema["required"] == ["query_id"]
    assert [tools[name].annotations.read_only_hint for name in ("search", "fetch", "feedback")] == [True, True, None]
    assert all(each.description and each.output_schema for each in tools.values())


HOSTILE = [
    ("search", {"query": "  "}, "the query is blank"),
    ("search", {"query": "x" * 30_000}, "30000 characters, more than 20000"),
    ("search", {"query": "x", "k": 0}, "greater than or equal to 1"),
    ("search", {"query": "x", "k": 10_000}, "less than or equal to 100"),
    ("search", {"query": "x", "filter": {"type": "eq", "key": "year' OR 1=1", "value": 1}}, "cannot be filtered"),
    ("search", {"query": "x", "filter": {"type": "drop"}}, ""),
    ("search", {"query": 7}, "string"),
    ("search", {}, "query"),
    ("fetch", {"id": "../../nearer.toml"}, "no document"),
    ("fetch", {"id": "d\x00"}, "no document"),
    ("fetch", {"id": "x" * 5000}, "5000 characters"),
    ("feedback", {"query_id": "q", "id": "x" * 600}, "600 characters"),
    ("feedback", {"query_id": "q" * 200, "id": "d"}, "at most 100 characters"),
    ("feedback", {"query_id": "q", "id": "d", "action": ""}, "at least 1 character"),
    ("feedback", {"query_id": "q", "id": "d", "value": "NaN"}, ""),
    ("no such tool", {}, "Unknown tool"),
]


def test_hostile_input_is_refused_and_the_next_question_answered(agents, base_live):
    running = agents(base_live)
    calls = [(name, arguments) for name, arguments, _ in HOSTILE]

    async def ask():
        found = []
        async with Client(running.url) as client:
            for name, arguments in calls:
                try:
                    found.append(fault(await client.call_tool(name, arguments)))
                except Exception as error:  # the protocol's own refusal
                    found.append(str(error))
        return found

    for (name, arguments, said), reported in zip(HOSTILE, anyio.run(ask), strict=True):
        assert said in reported, (name, str(arguments)[:80], reported)
        assert "Traceback" not in reported
        assert str(base_live) not in reported
    assert content(asked(Client(running.url), LOOP[0])[0])["results"]


def test_what_is_no_message_of_the_protocol_is_refused(agents, base_live):
    running = agents(base_live, body_bytes=10_000)
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with httpx2.Client(timeout=30) as client:
        for body in (b"", b"{", b"[]", b"\xff\xfe", json.dumps({"jsonrpc": "2.0", "id": 1}).encode(), b'"' * 100):
            assert 400 <= client.post(running.url, content=body, headers=headers).status_code < 500, body
        assert client.post(running.url, content=b" " * 20_000, headers=headers).status_code == 413
        other_site = {**headers, "Origin": "https://evil.example"}
        assert client.post(running.url, content=b"{}", headers=other_site).status_code == 403
        other_host = {**headers, "Host": "evil.example"}
        assert client.post(running.url, content=b"{}", headers=other_host).status_code == 403
    assert content(asked(Client(running.url), LOOP[0])[0])["results"]


def test_keys_decide_who_asks_and_who_gives_feedback(agents, base_live):
    with Workspace.open(base_live) as workspace:
        reader = add_key(workspace, "reader", scopes=["read"]).token
        writer = add_key(workspace, "writer", scopes=["read", "write"]).token
    running = agents(base_live)
    calls = (LOOP[0], ("feedback", used))
    found, refused = asked(http_client(running.url, reader), *calls)
    assert content(found)["results"]
    assert "this key may not write" in fault(refused)
    assert content(asked(http_client(running.url, writer), *calls)[1])["num_events"] == 1
    with httpx2.Client() as client:
        assert client.post(running.url, json={}).status_code == 401


def test_while_nothing_is_live_an_agent_is_told_so(agents, tmp_path):
    Workspace.init(tmp_path / "new").close()
    answer = asked(Client(agents(tmp_path / "new").url), ("search", {"query": "rain"}))
    assert "nothing is live yet" in fault(answer[0])


def test_it_follows_what_is_live_and_what_is_written(ask, agents, trained, tmp_path):
    running = agents(trained)
    before = content(asked(Client(running.url), LOOP[0])[0])
    with Workspace.open(trained) as workspace:
        promoted = promote(workspace, workspace.registry.models()[-1].model_id, force_reason="to see it followed")
    assert promoted.verdict == "promoted"
    ids = lambda found: [(each["id"], each["score"]) for each in found["results"]]  # noqa: E731
    from web.conftest import eventually

    eventually(lambda: ids(content(asked(Client(running.url), LOOP[0])[0])) != ids(before), what="it follows")


def test_without_the_extra_the_verb_says_how_to_install_it(nearer, base_live, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    reported = nearer("mcp", "--dir", base_live)
    assert reported.exit_code == 2
    assert "pip install 'nearer[mcp]'" in reported.err
    with pytest.raises(Exception, match="mcp"), extra("mcp", used_for="nearer mcp"):
        import mcp  # noqa: F401


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--port", "9999"], "--host and --port are of --http"), (["--http", "--host", "0.0.0.0"], "loopback alone")],
)
def test_wrong_usage_is_refused(nearer, base_live, arguments, said):
    reported = nearer("mcp", "--dir", base_live, *arguments)
    assert reported.exit_code == 2
    assert said in reported.err
