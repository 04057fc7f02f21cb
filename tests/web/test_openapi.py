"""What the OpenAPI document says holds: no request made from it fails the service, or is answered otherwise."""

import subprocess
import sys

import pytest

from nearer.store.jobs import Jobs
from nearer.store.keys import Keys
from web.conftest import eventually

pytestmark = pytest.mark.slow
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


def ended_at_once(workspace, job_id):
    """Instead of a process of its own for each of hundreds of jobs: what comes in over HTTP is what is tried here."""
    Jobs(workspace).end(job_id, state="failed", result={"error": {"code": "not_found", "message": "", "hint": ""}})


@pytest.mark.parametrize(
    ("phases", "paths"),
    [
        pytest.param("examples,coverage", "^/v1/(search|documents)$", id="coverage of search and documents"),
        pytest.param("examples,coverage", ".*", id="coverage"),
        pytest.param("fuzzing", ".*", id="fuzzing"),
        pytest.param("stateful", ".*", id="stateful"),
    ],
)
def test_every_answer_is_one_that_the_document_tells(live, phases, paths, monkeypatch, tmp_path):
    monkeypatch.setattr("nearer.flows.job._spawn", ended_at_once)
    _, token = Keys(live.workspace.database).add("all", scopes=["read", "write", "admin"])
    key = f"Authorization: Bearer {token}"
    eventually(lambda: live.client.get("/v1/models").status_code == 401, what="the key is asked for")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{live.url}/openapi.json"]
    command += [
        "--header",
        key,
        "--phases",
        phases,
        "--include-path-regex",
        paths,
        "--checks",
        ",".join(CHECKS),
        "--max-examples",
        "20",
        "--seed",
        "1",
    ]
    command += ["--warnings", "off", "--continue-on-failure", "--request-timeout", "30", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert live.client.get("/readyz").status_code == 200, "it serves still"
