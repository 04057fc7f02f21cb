"""Spans are made where OpenTelemetry's API is installed, and nothing is where it is not."""

import sys
from contextlib import contextmanager

import pytest

from nearer.core import spans


class Tracer:
    def __init__(self):
        self.made = []

    @contextmanager
    def start_as_current_span(self, name, *, attributes):
        self.made.append((name, dict(attributes)))
        yield


def test_a_span_has_a_name_and_attributes(monkeypatch):
    tracer = Tracer()
    monkeypatch.setattr(spans, "_tracer", lambda: tracer)
    with spans.span("search", release_id="release-1", num_queries=2):
        pass
    with pytest.raises(ValueError, match="mine"), spans.span("index"):
        raise ValueError("mine")
    assert tracer.made == [
        ("nearer.search", {"nearer.release_id": "release-1", "nearer.num_queries": 2}),
        ("nearer.index", {}),
    ]


def test_without_the_api_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    spans._tracer.cache_clear()
    try:
        with spans.span("search", k=1):
            done = True
    finally:
        spans._tracer.cache_clear()
    assert done


def test_with_the_sdk_a_search_is_a_tree_of_spans():
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("nearer")
    original, spans._tracer = spans._tracer, lambda: tracer
    try:
        with spans.span("search", num_queries=1), spans.span("encode_queries"):
            pass
    finally:
        spans._tracer = original
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, inner.parent.span_id) == ("nearer.encode_queries", outer.context.span_id)
