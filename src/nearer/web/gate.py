"""What every request passes first: an id, the size of its body, and where it came from."""

import logging
import secrets
import time
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nearer.web.errors import Forbidden, TooLarge, answer_to
from nearer.web.metrics import Metrics

_log = logging.getLogger(__name__)
_NO_ROUTE = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class Gate:
    """Refuses a body that is too large before it is read, and a page of another site that asks in its user's name."""

    def __init__(self, app: ASGIApp, *, body_bytes: int, metrics: Metrics, origins: Sequence[str] = ()) -> None:
        self._app, self._body_bytes, self._origins = app, body_bytes, frozenset(origins)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with an error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer, start = _Answer(send, request_id=secrets.token_hex(8)), time.perf_counter()
        try:
            headers = Headers(scope=scope)
            _refuse_other_site(headers, self._origins)
            body = _Body(receive, limit=self._body_bytes)
            if _declared(headers) > self._body_bytes:
                raise TooLarge(body.fault, hint="send it in several requests")
            await self._app(scope, body.receive, answer.send)
        except Exception as error:
            if answer.has_begun:
                raise
            _log.info("request %s was refused or failed", answer.request_id)
            await answer_to(error)(scope, receive, answer.send)
        finally:
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            seconds = time.perf_counter() - start
            method = scope["method"] if scope["method"] in _METHODS else _NO_ROUTE
            self._metrics.request(route=route, method=method, status=answer.status, seconds=seconds)


class _Body:
    """A body that may not be larger than it may be."""

    def __init__(self, receive: Receive, *, limit: int) -> None:
        self._receive, self._limit, self._num_bytes = receive, limit, 0
        self.fault = f"the body is larger than {limit} bytes"

    async def receive(self) -> Message:
        """The next part. Raises HTTPException, which FastAPI lets through, once there were too many bytes."""
        message = await self._receive()
        self._num_bytes += len(message.get("body", b""))
        if self._num_bytes > self._limit:
            raise HTTPException(413, self.fault)
        return message


class _Answer:
    """An answer that carries the request's id and forbids what only a page would need."""

    def __init__(self, send: Send, *, request_id: str) -> None:
        self._send, self.request_id, self.has_begun = send, request_id, False
        self.status = 499  # where the client has gone before it was answered, as nginx counts it

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0


def _refuse_other_site(headers: Headers, allowed: Collection[str]) -> None:
    """Raises Forbidden for a request that a browser says comes from a page of another site."""
    origin = headers.get("origin")
    if origin and origin not in allowed and urlsplit(origin).netloc != headers.get("host"):
        raise Forbidden("a page of another site may not ask here", hint="ask from your own server")
