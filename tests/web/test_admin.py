"""What is live is moved over HTTP; long work is a job in a process of its own that outlives the service."""

import json
import os
import subprocess

import pytest

from nearer.core.errors import Conflict
from nearer.flows import job as jobs_flow
from nearer.flows.job import run_job, start_waiting_jobs
from nearer.store.jobs import Jobs
from nearer.store.workspace import Workspace
from web.conftest import eventually


@pytest.fixture
def in_process(monkeypatch):
    """Jobs that are begun are only noted: ``in_process()`` does them here, one after another."""
    begun = []
    monkeypatch.setattr(jobs_flow, "_spawn", lambda workspace, job_id: begun.append((workspace.folder, job_id)))

    def do():
        while begun:
            folder, job_id = begun.pop(0)
            with Workspace.open(folder) as workspace:
                run_job(workspace, job_id)

    return do


def events(running, job_id):
    """The server-sent events of a job, to their end."""
    with running.client.stream("GET", f"/v1/admin/jobs/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = "".join(answer.iter_text()).strip().split("\n\n")
    pairs = [block.split("\n") for block in blocks]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


def test_a_promotion_is_a_job_that_the_service_follows(serving, trained, in_process):
    running = serving(trained).ready()
    before = running.workspace.registry.live_id()
    job = running.client.post("/v1/admin/promote", json={"force_reason": "to serve it"})
    assert (job.status_code, job.json()["state"]) == (202, "queued")
    in_process()
    said = events(running, job.json()["job_id"])
    assert {name for name, _ in said[:-1]} <= {"progress"}
    assert len(said) > 1
    name, ended = said[-1]
    assert (name, ended["state"]) == ("ended", "done")
    after = ended["result"]["release_id"]
    assert after == running.workspace.registry.live_id() != before
    eventually(lambda: running.client.get("/readyz").json()["release_id"] == after, what="follows")
    reported = running.client.get("/v1/admin/releases").json()
    assert (reported["live"]["release_id"], reported["previous"]["release_id"], reported["served"]) == (
        after,
        before,
        after,
    )
    assert running.client.post("/v1/admin/rollback").json()["release_id"] == before
    eventually(lambda: running.client.get("/readyz").json()["release_id"] == before, what="follows back")
    assert [each["job_id"] for each in running.client.get("/v1/admin/jobs").json()["jobs"]] == [ended["job_id"]]
    assert running.client.get(f"/v1/admin/jobs/{ended['job_id']}").json() == ended


def test_a_job_that_cannot_be_done_says_why(live, in_process):
    job_id = live.client.post("/v1/admin/promote", json={"system": "no-such-model"}).json()["job_id"]
    in_process()
    ended = live.client.get(f"/v1/admin/jobs/{job_id}").json()
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "not_found")
    assert live.client.get("/v1/admin/jobs/job-0").json()["error"]["code"] == "not_found"
    assert live.client.get("/v1/admin/jobs/job-0/events").status_code == 404
    assert live.client.post("/v1/admin/promote", json={"sytem": "base"}).status_code == 422


def test_nothing_to_roll_back_to_and_prune(live):
    assert live.client.post("/v1/admin/rollback").json()["error"]["code"] == "not_found"
    assert live.client.post("/v1/admin/prune", json={"dry_run": True}).json()["dry_run"] is True
    assert live.client.post("/v1/admin/prune", json={"keep": -1}).status_code == 422


def test_a_job_is_begun_once(base_live):
    with Workspace.open(base_live) as workspace:
        job = Jobs(workspace).add("promote", {"system": "bm25", "force_reason": "to serve it"})
        assert run_job(workspace, job.job_id).state == "done"
        with pytest.raises(Conflict):
            run_job(workspace, job.job_id)


def test_one_that_was_entered_before_a_kill_is_begun_at_the_next_start(base_live, monkeypatch):
    begun = []
    monkeypatch.setattr(jobs_flow, "_spawn", lambda workspace, job_id: begun.append(job_id))
    with Workspace.open(base_live) as workspace:
        waiting = Jobs(workspace).add("promote", {"system": "bm25", "force_reason": "to serve it"})
        start_waiting_jobs(workspace)
        assert begun == [waiting.job_id]
        run_job(workspace, waiting.job_id)
        start_waiting_jobs(workspace)
        assert begun == [waiting.job_id]


def test_one_whose_process_ended_without_a_word_is_lost(base_live):
    with Workspace.open(base_live) as workspace:
        known = Jobs(workspace)
        job = known.add("promote", {})
        with known.work(job.job_id):
            assert known.get(job.job_id).state == "running"
        assert known.get(job.job_id).state == "lost"


@pytest.mark.exhaustive
def test_its_process_is_its_own_and_ends_the_job(serving, base_live, monkeypatch):
    """The real process: in a session of its own, so that what ends the service does not end it."""
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(jobs_flow.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    running = serving(base_live).ready()
    body = {"system": "bm25", "force_reason": "to serve it"}
    job_id = running.client.post("/v1/admin/promote", json=body).json()["job_id"]
    [process] = started
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    running.client.get(f"/v1/admin/jobs/{job_id}")
    eventually(lambda: Jobs(running.workspace).get(job_id).state == "done", what="the job is done", patience_s=180)
    eventually(lambda: process.poll() == 0, what="its process ended")
    assert running.workspace.registry.live().system["stages"] == ["bm25"]
