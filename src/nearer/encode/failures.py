"""Why a service gave no usable answer, and what the user can do."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nearer.core.errors import ServiceError
from nearer.core.ids import canonical_json
from nearer.core.sections import ApiRecipe

if TYPE_CHECKING:
    import openai

_KEPT = "what was encoded is kept, so repeat the command"
_MOST_SHOWN = 300


def explain(error: "openai.APIError", *, api: ApiRecipe, model: str, key: str | None) -> ServiceError:
    """What an exception of the client means, once it has given up."""
    import openai

    if isinstance(error, openai.APIStatusError):
        said = shown(_message(error), key=key)
        is_broke = error.code == "insufficient_quota"
        return ServiceError(
            f"{api.endpoint}: {error.status_code}{f': {said}' if said else ''}{_wait(error)}",
            hint=f"top up the account; {_KEPT}" if is_broke else _hint(error.status_code, api, model),
        )
    if isinstance(error, openai.APITimeoutError):
        message = f"{api.endpoint}: no answer within {api.timeout_s:g} s"
        return ServiceError(message, hint=f"raise encoder.api.timeout_s or lower encoder.api.batch_texts; {_KEPT}")
    cause = shown(str(error.__cause__ or error), key=key)
    return ServiceError(
        f"{api.endpoint}: cannot be reached: {cause}", hint=f"check the network and encoder.api.endpoint; {_KEPT}"
    )


def shown(text: str, *, key: str | None) -> str:
    """What a service said, on one line, cut, and without the key should it have repeated it."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text.replace(key or "\0", "***"))
    line = " ".join(printable.split())
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."


def _wait(error: "openai.APIStatusError") -> str:
    """How long the service asks to wait, where it says so in seconds."""
    seconds = error.response.headers.get("retry-after", "")
    return f" (it asks to wait {seconds} s)" if seconds.isdecimal() and len(seconds) < 9 else ""


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
        return f"lower encoder.api.max_parallel and batch_tokens, or raise encoder.api.max_retries; {_KEPT}"
    if status >= 500 or status in (408, 409):
        return f"wait until the service has recovered; {_KEPT}"
    hint = "if a text is too long, lower encoder.max_seq_length; if a request is, encoder.api.batch_tokens"
    return hint if api.dimensions is None else f"{hint}; if dimensions, leave encoder.api.dimensions out"
