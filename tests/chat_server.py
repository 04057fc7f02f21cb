"""A local server that speaks OpenAI's ``/v1/chat/completions``, with faults to order."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any]], str]
Fault = Callable[["_Handler", dict[str, Any]], None]


class ChatServer:
    """``with ChatServer(answer) as server``: ``answer`` makes the text of a request's body.

    ``faults`` are used up in order, one a request; ``fault_of`` names one by the body.
    """

    def __init__(self, answer: Answer, *, key: str | None = None) -> None:
        self.answer, self.key = answer, key
        self.faults: list[Fault | None] = []
        self.fault_of: Callable[[dict[str, Any]], Fault | None] = lambda _: None
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.most_at_once = self._at_once = 0
        self.lock, self.released = threading.Lock(), threading.Event()
        server = self

        class Handler(_Handler):
            owner = server

        self._http = _Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        """What goes into OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> "ChatServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(30)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.owner
        with owner.lock:
            owner.bodies.append(body)
            owner.keys.append(self.headers.get("authorization"))
            owner._at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner._at_once)
            fault = owner.faults.pop(0) if owner.faults else owner.fault_of(body)
        try:
            if fault is not None:
                fault(self, body)
            elif self.path != "/v1/chat/completions":
                self.fail(404, "no such page")
            elif owner.key and self.headers.get("authorization") != f"Bearer {owner.key}":
                self.fail(401, f"Incorrect API key provided: {self.headers.get('authorization')}")
            else:
                self.good(owner.answer(body))
        finally:
            with owner.lock:
                owner._at_once -= 1

    def good(self, text: str, **message: Any) -> None:
        """A good answer with this text."""
        answer = {
            "id": "x",
            "object": "chat.completion",
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        self.send(200, json.dumps(answer).encode())

    def fail(self, status: int, message: str, **headers: str) -> None:
        """An error as OpenAI tells it."""
        error = {"error": {"message": message, "type": "error", "param": None, "code": "x"}}
        self.send(status, json.dumps(error).encode(), **headers)

    def send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


def status(code: int, **headers: str) -> Fault:
    """An error with that status."""
    return lambda handler, _: handler.fail(code, "no", **headers)


def says(text: str, **message: Any) -> Fault:
    """A good answer with another text."""
    return lambda handler, _: handler.good(text, **message)


def raw(content: bytes) -> Fault:
    """Any bytes as a good answer."""
    return lambda handler, _: handler.send(200, content)


def cut_short(handler: _Handler, _: dict[str, Any]) -> None:
    """The connection is closed in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def stalled(handler: _Handler, _: dict[str, Any]) -> None:
    """Nothing is answered until the server ends."""
    handler.owner.released.wait(30)
    handler.close_connection = True


def document_of(body: dict[str, Any]) -> str:
    """The document in a request: what stands between its marks."""
    return re.search(r"<(document-\w+)>\n(.*?)\n</\1>", body["messages"][1]["content"], re.DOTALL)[2]


def query_of(body: dict[str, Any]) -> str:
    """The query in a request to judge."""
    return re.search(r"<(query-\w+)>\n(.*?)\n</\1>", body["messages"][1]["content"], re.DOTALL)[2]


def queries_by_words(body: dict[str, Any]) -> str:
    """Queries of words of the document, as JSON: what a good model would say."""
    words = re.findall(r"[a-z]{4,}", document_of(body).lower())
    queries = [
        {"style": "keywords", "query": f"{words[n]} {words[n + 1]} help"} for n in range(0, min(6, len(words) - 1), 2)
    ]
    return json.dumps({"queries": queries})
