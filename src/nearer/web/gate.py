"""What every request passes first: an id, the size of its body, and where it came from."""

import logging
import secrets
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nearer.web.errors import Forbidden, TooLarge, answer_to

_log = logging.getLogger(__name__)


class Gate:
    """Refuses a body that is too large before it is read, and a page of another site that asks in its user's name."""

    def __init__(self, app: ASGIApp, *, body_bytes: int) -> None:
        self._app, self._body_bytes = app, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with an error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, request_id=secrets.token_hex(8))
        try:
            headers = Headers(scope=scope)
            _refuse_other_site(headers)
            body = _Body(receive, limit=self._body_bytes)
            if _declared(headers) > self._body_bytes:
                raise TooLarge(body.fault, hint="send it in several requests")
            await self._app(scope, body.receive, answer.send)
        except Exception as error:
            if answer.has_begun:
                raise
            _log.info("request %s was refused or failed", answer.request_id)
            await answer_to(error)(scope, receive, answer.send)


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

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0


def _refuse_other_site(headers: Headers) -> None:
    """Raises Forbidden for a request that a browser says comes from a page of another site."""
    origin: Any = headers.get("origin")
    if origin and urlsplit(origin).netloc != headers.get("host"):
        raise Forbidden("a page of another site may not ask here", hint="ask from your own server")
