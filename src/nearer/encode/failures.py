"""Why a service gave no usable answer, whether asking again may help, and what the user can do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nearer.core.errors import ServiceError
from nearer.core.ids import canonical_json
from nearer.core.sections import ApiRecipe
from nearer.encode.pace import retry_after_s

if TYPE_CHECKING:
    import openai

LONGEST_PAUSE_S = 600.0
"""A service that asks for a longer pause is not waited for."""
_KEPT = "what was encoded is kept, so repeat the command"
_MOST_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed; ``pause_s`` is how long the service asks everyone to wait."""

    error: ServiceError
    may_pass: bool
    is_lost_connection: bool = False
    pause_s: float | None = None


def explain(error: Exception, *, api: ApiRecipe, model: str, key: str | None) -> Failure:
    """What an exception of the client means."""
    import httpx2
    import openai

    if isinstance(error, openai.APIStatusError):
        return _refusal(error, api=api, model=model, key=key)
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        message = f"{api.endpoint}: no whole answer within {api.timeout_s:g} s"
        hint = f"raise encoder.api.timeout_s or lower encoder.api.batch_texts; {_KEPT}"
        return Failure(error=ServiceError(message, hint=hint), may_pass=True)
    cause = shown(str(error.__cause__ or error), key=key)
    hint = f"check the network and encoder.api.endpoint; {_KEPT}"
    return Failure(
        error=ServiceError(f"{api.endpoint}: cannot be reached: {cause}", hint=hint),
        may_pass=True,
        is_lost_connection=True,
    )


def shown(text: str, *, key: str | None) -> str:
    """What a service said, on one line, cut, and without the key should it have repeated it."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text.replace(key or "\0", "***"))
    line = " ".join(printable.split())
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."


def _refusal(error: "openai.APIStatusError", *, api: ApiRecipe, model: str, key: str | None) -> Failure:
    status = error.status_code
    said = shown(_message(error), key=key)
    pause_s = retry_after_s(error.response.headers)
    is_broke = error.code == "insufficient_quota"
    asks_too_much = pause_s is not None and pause_s > LONGEST_PAUSE_S
    message = f"{api.endpoint}: {status}{f': {said}' if said else ''}"
    if asks_too_much:
        message += f" (asks to wait {pause_s:.0f} s)"
    return Failure(
        error=ServiceError(message, hint="top up the account, then repeat" if is_broke else _hint(status, api, model)),
        may_pass=(status in (408, 409, 429) or status >= 500) and not is_broke and not asks_too_much,
        pause_s=pause_s,
    )


def _message(error: "openai.APIStatusError") -> str:
    """What the service says, in any of the ways in use; a redirection's target; nothing of a web page."""
    if error.status_code < 400:
        target = urlsplit(error.response.headers.get("location", ""))
        return f"it points to {target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or canonical_json(body)
    return "" if body is None or str(body).lstrip().startswith("<") else str(body)


def _hint(status: int, api: ApiRecipe, model: str) -> str:
    if status < 400:
        return "redirections are not followed; if you trust that address, set encoder.api.endpoint to it"
    if status in (401, 403) and api.key_env is None:
        return "set encoder.api.key_env to the name of the environment variable that holds the key"
    if status in (401, 403):
        return f"check the key in the environment variable {api.key_env}, and what it may do"
    if status == 404:
        return f"check encoder.model ({model}), and encoder.api.endpoint: most end in /v1"
    if status == 429:
        return f"set encoder.api.requests_per_minute and tokens_per_minute to the account's limits; {_KEPT}"
    if status >= 500 or status in (408, 409):
        return f"wait until the service has recovered; {_KEPT}"
    hint = "if a text is too long, lower encoder.max_seq_length; if a request is, encoder.api.batch_tokens"
    return hint if api.dimensions is None else f"{hint}; if dimensions, leave encoder.api.dimensions out"
