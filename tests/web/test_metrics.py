"""Prometheus reads what was asked, what answers, and how far the index is behind; of several workers the sum."""

import os
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nearer.core.records import Document
from nearer.flows.documents import put
from nearer.flows.promote import promote
from web.conftest import eventually


def read(text):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_was_asked_is_counted(live):
    for _ in range(3):
        live.post("/v1/search", query="rain")
    live.post("/v1/search", status=422)
    live.client.get("/nothing/at/all")
    found = read(live.client.get("/metrics").text)
    assert found["nearer_requests_total", "POST", "/v1/search", "200"] == 3
    assert found["nearer_requests_total", "POST", "/v1/search", "422"] == 1
    assert found["nearer_requests_total", "GET", "other", "404"] == 1
    assert found["nearer_request_seconds_count", "/v1/search"] == 4
    assert found["nearer_search_seconds_count", "encode"] == 3
    assert found["nearer_encode_batch_texts_sum",] >= 3
    assert found["nearer_live_release", live.workspace.registry.live_id()] == 1
    assert found["nearer_requests_pending",] == 1, "this one"
    assert found["nearer_index_lag_revisions",] == 0


def test_a_swap_and_a_lag_are_seen(live, monkeypatch):
    before = live.workspace.registry.live_id()
    promote(live.workspace, "bm25", force_reason="to serve it")
    after = live.workspace.registry.live_id()
    eventually(lambda: live.client.get("/readyz").json()["release_id"] == after, what="follows")
    found = read(live.client.get("/metrics").text)
    assert (found["nearer_live_release", before], found["nearer_live_release", after]) == (0, 1)
    assert found["nearer_swaps_total",] == 2
    monkeypatch.setattr(live.service.indexer, "_follow", lambda served: None)
    put(live.workspace, [Document(doc_id="late", text="late")])
    assert read(live.client.get("/metrics").text)["nearer_index_lag_revisions",] == 1


WORKER = """
import os, sys
from nearer.web.metrics import Metrics
metrics = Metrics()
for _ in range(int(sys.argv[1])):
    metrics.request(route="/v1/search", method="POST", status=200, seconds=0.01)
metrics.swapped("release-1")
metrics.now(pending=1, texts=2, lag=int(sys.argv[1]))
print(metrics.text().decode())
if sys.argv[2] == "ends":
    metrics.close()
"""


def test_several_workers_count_together(tmp_path):
    def worker(number, ending):
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        arguments = [sys.executable, "-c", WORKER, str(number), ending]
        ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True, timeout=120)
        return read(ended.stdout)

    worker(3, "stays")
    worker(5, "ends")
    found = worker(4, "stays")
    assert found["nearer_requests_total", "POST", "/v1/search", "200"] == 12
    assert found["nearer_request_seconds_count", "/v1/search"] == 12
    assert found["nearer_encode_waiting_texts",] == 4, "of the two that are there"
    assert found["nearer_index_lag_revisions",] == 4
    assert found["nearer_live_release", "release-1"] == 1
    assert found["nearer_swaps_total",] == pytest.approx(3)
