"""Jobs and keys after a process was killed: entered whole or not at all, and never done twice."""

import pytest

from forked import die_at
from nearer.core.errors import Conflict
from nearer.store.jobs import Jobs
from nearer.store.keys import Keys
from nearer.store.workspace import Workspace


@pytest.fixture
def folder(tmp_path, store_recipe):
    Workspace.init(tmp_path / "shop", recipe=store_recipe).close()
    return tmp_path / "shop"


def add_job(folder):
    with Workspace.open(folder) as workspace:
        Jobs(workspace).add("prune", {})


def work(folder):
    with Workspace.open(folder) as workspace:
        [job] = Jobs(workspace).all()
        with Jobs(workspace).work(job.job_id):
            pass


def add_key(folder):
    with Workspace.open(folder) as workspace:
        Keys(workspace.database).add("shop", scopes=["read"])


def test_a_job_that_was_entered_waits_after_a_kill(folder):
    die_at("jobs.added", add_job, folder)
    with Workspace.open(folder) as workspace:
        assert [(job.verb, job.state) for job in Jobs(workspace).all()] == [("prune", "queued")]


def test_a_job_whose_process_was_killed_is_reported_and_not_done_twice(folder):
    add_job(folder)
    die_at("jobs.claimed", work, folder)
    with Workspace.open(folder) as workspace:
        [job] = Jobs(workspace).all()
        assert job.state not in ("queued", "done")
    with pytest.raises(Conflict, match="was begun before"):
        work(folder)


def test_a_key_that_was_entered_is_there_after_a_kill(folder):
    die_at("keys.commit", add_key, folder)
    with Workspace.open(folder) as workspace:
        assert [key.name for key in Keys(workspace.database).all()] == ["shop"]
