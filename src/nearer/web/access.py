"""Who may ask what: by keys, or, where there are none, from this machine alone."""

import ipaddress
import time
from collections import deque
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from nearer.core.errors import NearerError
from nearer.store.keys import SCOPES, Key, Keys, matching
from nearer.store.keys import Scope as KeyScope
from nearer.web.errors import Forbidden, TooMany, Unauthorized, answer_to

COOKIE = "nearer_key"
DASHBOARD, LOGIN = "/dashboard", "/dashboard/login"
LABEL, LABEL_LOGIN = "/label", "/label/login"
KEY_NAME = "nearer.key"
"""Where a request's scope holds the name of its key."""
_FILES = (f"{DASHBOARD}/style.css", f"{DASHBOARD}/page.js", f"{LABEL}/style.css", f"{LABEL}/label.js")
_OPEN = frozenset({"/healthz", "/readyz", LOGIN, LABEL_LOGIN, *_FILES})
_ADMIN = "/v1/admin/"
_WRITES = frozenset({"PUT", "DELETE"})
_WRITTEN = frozenset({"/v1/events"})
_FRESH_S = 1.0
_SCOPES = "nearer.scopes"
_MINUTE_S = 60.0


class Access:
    """Lets a request pass that may be answered; keys are read anew every second."""

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self._app, self._store = app, keys
        self._keys: list[Key] = []
        self._read_at = -_FRESH_S
        self._asked: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why not."""
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            try:
                self._check(scope)
            except NearerError as error:
                to_login = isinstance(error, Unauthorized) and _is_page(scope)
                login = LABEL_LOGIN if _is_label(scope["path"]) else LOGIN
                answer = RedirectResponse(login, status_code=303) if to_login else answer_to(error)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Raises Unauthorized, Forbidden, TooMany."""
        keys, headers = self._current(), Headers(scope=scope)
        if not keys:
            _refuse_other_machine(scope, headers)
            scope[_SCOPES] = SCOPES
            return
        key = matching(_token(scope, headers), keys)
        if key is None:
            raise Unauthorized("a key is needed", hint="send it as: Authorization: Bearer TOKEN")
        if (wanted := scope_of(scope["method"], scope["path"])) not in key.scopes:
            raise Forbidden(
                f"this key may not {wanted}", hint=f"make one that may: nearer key add NAME --scope {wanted}"
            )
        scope[KEY_NAME] = key.name
        if key.per_minute is not None:
            self._count(key, key.per_minute)
        scope[_SCOPES] = key.scopes

    def _current(self) -> list[Key]:
        now = time.monotonic()
        if now - self._read_at >= _FRESH_S:
            self._keys, self._read_at = self._store.all(), now
        return self._keys

    def _count(self, key: Key, per_minute: int) -> None:
        """Note a request of a key. Raises TooMany where it is one too many in a minute."""
        asked, now = self._asked.setdefault(key.key_id, deque()), time.monotonic()
        while asked and now - asked[0] >= _MINUTE_S:
            asked.popleft()
        if len(asked) >= per_minute:
            left_s = _MINUTE_S - (now - asked[0])
            raise TooMany(f"{per_minute} requests in a minute are this key's limit", hint="ask later", after_s=left_s)
        asked.append(now)


def scope_of(method: str, path: str) -> KeyScope:
    """What a request needs to be allowed.

    >>> scope_of("PUT", "/v1/documents"), scope_of("POST", "/v1/search"), scope_of("GET", "/v1/admin/jobs")
    ('write', 'read', 'admin')
    >>> scope_of("POST", "/label/labels-1"), scope_of("GET", "/label/labels-1/settle")
    ('label', 'admin')
    """
    if _is_label(path):
        return "admin" if path.endswith("/settle") else "label"
    if path.startswith(_ADMIN) or (method != "GET" and path.startswith(DASHBOARD)):
        return "admin"
    return "write" if method in _WRITES or path in _WRITTEN else "read"


def scopes_in(scope: Scope) -> tuple[KeyScope, ...]:
    """What who asks may do, once ``Access`` has let the request pass."""
    found: tuple[KeyScope, ...] = scope.get(_SCOPES, ())
    return found


def _token(scope: Scope, headers: Headers) -> str:
    """The key that a request brings: as a bearer, or, to pages alone, in its cookie."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    return HTTPConnection(scope).cookies.get(COOKIE, "") if _has_pages(scope["path"]) else ""


def _is_page(scope: Scope) -> bool:
    """Whether a person asks, by a browser, for a page of the dashboard or of labelling."""
    path: str = scope["path"]
    return scope["method"] == "GET" and _has_pages(path) and not path.endswith(".json")


def _has_pages(path: str) -> bool:
    return path.startswith(DASHBOARD) or _is_label(path)


def _is_label(path: str) -> bool:
    return path == LABEL or path.startswith(f"{LABEL}/")


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is of this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_other_machine(scope: Scope, headers: Headers) -> None:
    """Raises Unauthorized for another machine, and Forbidden for a name that a page of another site gave this one."""
    client: Any = scope.get("client")
    if client and not is_loopback(client[0]):
        raise Unauthorized("without keys only this machine may ask", hint="make a key: nearer key add NAME")
    host = headers.get("host", "localhost")
    if not is_loopback(host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host):
        raise Forbidden("this host is not known here", hint="ask at 127.0.0.1 or localhost, or make a key")
