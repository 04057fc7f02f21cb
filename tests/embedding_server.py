"""A local server that speaks OpenAI's ``/v1/embeddings``, with faults to order.

Vectors are bags of hashed words, so that texts that share words are near, and the same on every machine.
"""

import base64
import hashlib
import json
import re
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["_Handler", dict[str, Any]], None]


def vector(text: str, *, dimension: int, model: str = "bag") -> list[float]:
    """Each word adds one or minus one in two places; a fixed part keeps texts without words from being all zero."""
    values = [0.01] * dimension
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(f"{model} {word}".encode()).digest()
        for place, sign in ((digest[0:4], digest[8]), (digest[4:8], digest[9])):
            values[int.from_bytes(place) % dimension] += 1.0 if sign % 2 else -1.0
    return values


@dataclass(slots=True)
class Request:
    """One request as the server saw it."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str
    at: float = field(default_factory=time.monotonic)

    @property
    def texts(self) -> list[str]:
        """What was to be embedded."""
        given = self.body["input"]
        return [given] if isinstance(given, str) else given


class EmbeddingServer:
    """``with EmbeddingServer() as server``: answers at ``server.endpoint`` until the end.

    ``faults`` are used up in order, one a request, before good answers are given; ``None`` in it is a good answer.
    ``model`` is what answers: another name gives other vectors. ``noise`` is added to every coordinate.
    """

    def __init__(self, *, dimension: int = 64, key: str | None = None) -> None:
        self.dimension, self.key = dimension, key
        self.model, self.noise = "bag", 0.0
        self.faults: list[Reply | None] = []
        self.fault_of: Callable[[Request], Reply | None] = lambda _: None
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._at_once = 0
        self.lock = threading.Lock()
        self.released, self.met = threading.Event(), threading.Event()
        server = self

        class Handler(_Handler):
            owner = server

        self._http = _QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def endpoint(self) -> str:
        """What goes into the recipe."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def texts(self) -> list[str]:
        """All texts of all requests so far."""
        return [text for request in self.requests for text in request.texts]

    def __enter__(self) -> "EmbeddingServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def seen(self, request: Request) -> Reply | None:
        """Count a request; the fault that it is to meet, if any."""
        with self.lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            if self._at_once > 1:
                self.met.set()
            return self.faults.pop(0) if self.faults else self.fault_of(request)

    def left(self) -> None:
        """A request has been answered."""
        with self.lock:
            self._at_once -= 1

    def answer(self, body: dict[str, Any], texts: list[str]) -> dict[str, Any]:
        """A good answer."""
        dimension = body.get("dimensions", self.dimension)
        rows = []
        for index, text in enumerate(texts):
            values = [value + self.noise for value in vector(text, dimension=dimension, model=self.model)]
            packed = base64.b64encode(struct.pack(f"<{dimension}f", *values)).decode()
            embedding: Any = packed if body.get("encoding_format") == "base64" else values
            rows.append({"object": "embedding", "index": index, "embedding": embedding})
        num_tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
        return {"object": "list", "data": rows, "model": body["model"], "usage": usage}


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(body=body, headers={k.lower(): v for k, v in self.headers.items()}, path=self.path)
        fault = self.owner.seen(request)
        try:
            if fault is not None:
                fault(self, body)
            elif self.path != "/v1/embeddings":
                self.fail(404, "no such page")
            elif self.owner.key and request.headers.get("authorization") != f"Bearer {self.owner.key}":
                self.fail(401, f"Incorrect API key provided: {request.headers.get('authorization')}")
            else:
                self.good(body)
        finally:
            self.owner.left()

    def good(self, body: dict[str, Any], change: Callable[[dict[str, Any]], Any] = lambda answer: answer) -> None:
        """A good answer, or what ``change`` makes of it."""
        given = body["input"]
        answer = self.owner.answer(body, [given] if isinstance(given, str) else given)
        self.send(200, json.dumps(change(answer) or answer).encode())

    def fail(self, status: int, message: str, *, headers: dict[str, str] | None = None, code: str = "x") -> None:
        """An error as OpenAI tells it."""
        error = {"message": message, "type": "error", "param": None, "code": code}
        self.send(status, json.dumps({"error": error}).encode(), headers=headers)

    def send(
        self, status: int, content: bytes, *, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        now = self.date_time_string()
        own = {"Date": now, "Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in {**own, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


def status(code: int, message: str = "no", **headers: str) -> Reply:
    """An error with that status; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.fail(code, message, headers=named)


def changed(change: Callable[[dict[str, Any]], Any]) -> Reply:
    """A good answer spoilt by ``change``, in place or by what it returns."""
    return lambda handler, body: handler.good(body, change)


def raw(content: bytes, *, code: int = 200, kind: str = "text/html", **headers: str) -> Reply:
    """Any bytes."""
    return lambda handler, _: handler.send(code, content, kind=kind, headers=headers)


def dropped(handler: _Handler, _: dict[str, Any]) -> None:
    """The connection is closed without a word."""
    handler.close_connection = True
    handler.connection.close()


def cut_short(handler: _Handler, _: dict[str, Any]) -> None:
    """The connection is closed in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.close_connection = True


def in_company(handler: _Handler, body: dict[str, Any]) -> None:
    """A good answer, once another request has come while this one waits: at once after that, or after ten seconds."""
    handler.owner.met.wait(10)
    handler.good(body)


def stalled(handler: _Handler, _: dict[str, Any]) -> None:
    """Nothing is answered until the server ends."""
    handler.owner.released.wait(30)
    handler.close_connection = True
