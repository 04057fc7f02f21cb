"""The fields of a page's form."""

from urllib.parse import parse_qs

from fastapi import Request


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name. Raises nothing: what is no form has no fields."""
    fields = parse_qs((await request.body()).decode("utf-8", errors="replace"), keep_blank_values=True)
    return {name: values[-1].strip() for name, values in fields.items()}
