"""Every answer that is an error: one shape, ``{"error": {"code", "message", "hint"}}``, and no path or traceback."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from nearer.core import errors
from nearer.core.errors import NearerError

_log = logging.getLogger(__name__)


class TooLarge(NearerError):
    """A request is larger than the service takes."""

    code = "too_large"


class Forbidden(NearerError):
    """Who asks may not do this."""

    code = "forbidden"


class Unauthorized(NearerError):
    """Who asks did not say who they are."""

    code = "unauthorized"


class TooMany(errors.Overloaded):
    """A key has asked as often as it may; ``after_s`` seconds from now it may again."""

    def __init__(self, message: str, *, hint: str, after_s: float) -> None:
        super().__init__(message, hint=hint)
        self.after_s = after_s


_STATUS: dict[type[NearerError], int] = {
    errors.InputError: 400,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Overloaded: 429,
    errors.NotReady: 503,
    errors.WorkspaceBusy: 503,
    errors.DeadlineExceeded: 504,
    TooLarge: 413,
    Unauthorized: 401,
    Forbidden: 403,
}
"""The status of an error whose message may be shown; any other has 500, and its message stays in the log."""

_AGAIN = frozenset({429, 503})
_HIDDEN = frozenset({errors.WorkspaceBusy})
_INTERNAL = ("internal", "the service failed to answer", "see its log, where this request's id stands")
_UNREADABLE = "There was an error parsing the body"
"""What FastAPI says of bytes that no parser of JSON takes."""
_ALTERNATIVES = ("body", "one", "many", "str")
_SEND_JSON = "send a JSON object, as application/json"
_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def error_answer(
    status: int, code: str, message: str, hint: str = "", *, headers: dict[str, str] | None = None
) -> JSONResponse:
    """An error as every client is told it."""
    again = {"Retry-After": "1"} if status in _AGAIN else {}
    content = {"error": {"code": code, "message": message, "hint": hint}}
    return JSONResponse(content, status_code=status, headers={**again, **(headers or {})})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a client may see of an error, in whichever form it asked."""

    status: int
    code: str
    message: str
    hint: str
    headers: Mapping[str, str] = field(default_factory=dict)


def shown(error: Exception) -> Shown:
    """What a client may see of an error; the message of one that is ours to mend goes to the log instead."""
    if not isinstance(error, NearerError):
        _log.error("a request failed", exc_info=error)
        return Shown(status=500, code=_INTERNAL[0], message=_INTERNAL[1], hint=_INTERNAL[2])
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), None)
    if status and type(error) not in _HIDDEN:
        return Shown(status=status, code=error.code, message=error.message, hint=error.hint, headers=_headers(error))
    _log.error("%s: %s (%s)", type(error).__name__, error.message, error.hint)
    if status:
        message, hint = "the workspace is busy", "repeat the request in a moment"
    elif isinstance(error, errors.ServiceError):
        status, message, hint = 502, "the service that encodes gave no usable answer", "see the log"
    else:
        status, message, hint = 500, _INTERNAL[1], _INTERNAL[2]
    return Shown(status=status, code=error.code, message=message, hint=hint)


def answer_to(error: Exception) -> JSONResponse:
    """The answer that tells a client of an error."""
    seen = shown(error)
    return error_answer(seen.status, seen.code, seen.message, seen.hint, headers=dict(seen.headers))


def _headers(error: NearerError) -> dict[str, str]:
    if isinstance(error, TooMany):
        return {"Retry-After": str(math.ceil(error.after_s))}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}


def add_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have an application tell its errors so; ``routes`` are all that it has."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        return answer_to(error)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _invalid(error.errors())

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            error.headers = {"Allow": ", ".join(_methods(request, routes))}
        if error.status_code == 400 and error.detail == _UNREADABLE:
            return error_answer(400, "bad_input", "the body is not JSON in UTF-8, or nested too deep", _SEND_JSON)
        code = _BY_STATUS.get(error.status_code, "bad_input")
        hint = "the service's own page lists what there is: /docs" if error.status_code in (404, 405) else ""
        return error_answer(error.status_code, code, str(error.detail), hint, headers=dict(error.headers or {}))

    app.add_exception_handler(NearerError, answer)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)


def _methods(request: Request, routes: Sequence[BaseRoute]) -> list[str]:
    """What a path takes: each method is a route of its own."""
    known = [each for each in routes if isinstance(each, Route)]
    matching = [each for each in known if each.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for each in matching for method in each.methods or ()})


def _invalid(found: Sequence[Any]) -> JSONResponse:
    """The first fault of a body, what a check of ours says before all others, and how many more there are."""
    first = next((each for each in found if each["type"] == "value_error"), found[0])
    *places, last = first["loc"]
    is_unknown = first["type"] == "extra_forbidden"
    where = ".".join(str(each) for each in (*places, last) if _is_field(each) or (is_unknown and each is last))
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    if first["type"] == "json_invalid":
        return error_answer(422, "bad_input", "the body is not JSON", _SEND_JSON)
    what = "this field is not known" if is_unknown else str(first["msg"]).removeprefix("Value error, ")
    message = f"{where}: {what}{more}" if where else f"{what}{more}"
    return error_answer(422, "bad_input", message, "the fields are described at /docs")


def _is_field(name: int | str) -> bool:
    """Whether a part of where a fault is stands in the body: pydantic names alternatives by types and tags too."""
    return isinstance(name, int) or not ("[" in name or name in _ALTERNATIVES)
