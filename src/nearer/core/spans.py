"""Spans of OpenTelemetry, where its API is installed; without it they cost nothing and do nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_NAME = "nearer"


@contextmanager
def span(name: str, **attributes: str | int | float | bool) -> Iterator[None]:
    """Around work that is shown as a span ``nearer.<name>``; an exception is recorded, and goes on.

    Names and numbers alone are attributes: no query and no document is.
    """
    tracer = _tracer()
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(
        f"{_NAME}.{name}", attributes={f"{_NAME}.{key}": value for key, value in attributes.items()}
    ):
        yield


@cache
def _tracer() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer(_NAME)
