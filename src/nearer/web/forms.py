"""What pages have in common: the fields of a form, and what may be shown of an error."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import Request

from nearer.core.errors import NearerError
from nearer.web.errors import answer_to


def told(error: NearerError) -> tuple[int, Mapping[str, str]]:
    """The status of an error, and what may be shown of it."""
    status = answer_to(error).status_code
    return status, {"message": error.message, "hint": error.hint} if status < 500 else _HIDDEN


_HIDDEN = {"message": "The service failed to answer.", "hint": "Its log says why."}


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name. Raises nothing: what is no form has no fields."""
    fields = parse_qs((await request.body()).decode("utf-8", errors="replace"), keep_blank_values=True)
    return {name: values[-1].strip() for name, values in fields.items()}
