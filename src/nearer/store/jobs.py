"""Long work that a service was asked for: each a row, and a process of its own that outlives the service.

<workspace>/.nearer/jobs/<job id>.jsonl   what it said of its progress, a line each
<workspace>/.nearer/jobs/<job id>.log     what else it printed
<workspace>/.nearer/locks/<job id>.lock   held while it is at work
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import sqlalchemy as sa

from nearer.core.errors import Conflict, NotFound
from nearer.core.failpoints import failpoint
from nearer.core.results.service import JobEntry, JobState
from nearer.store.files import inside
from nearer.store.registry import utc_now
from nearer.store.tables import jobs
from nearer.store.workspace import Workspace

ENDED: tuple[JobState, ...] = ("done", "failed", "lost")


class JobLine(TypedDict, total=False):
    """A line that a job wrote: how far a part of it is, or a text."""

    at: str
    label: str
    done: int
    total: int
    text: str


class Jobs:
    """The jobs of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._database = workspace.database
        self._folder = workspace.state / "jobs"

    def add(self, verb: str, arguments: Mapping[str, Any]) -> JobEntry:
        """Enter a job that is to be begun."""
        job_id = f"job-{secrets.token_hex(8)}"
        row = {"job_id": job_id, "verb": verb, "arguments": dict(arguments), "state": "queued", "created_at": utc_now()}
        with self._database.write() as connection:
            connection.execute(jobs.insert(), [row])
        failpoint("jobs.added")
        return self.get(job_id)

    def get(self, job_id: str) -> JobEntry:
        """The job of that id as it stands. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
        if row is None:
            raise NotFound(f"no job {job_id!r}", hint="list them: GET /v1/admin/jobs")
        return self._seen(row)

    def all(self, *, limit: int = 100) -> list[JobEntry]:
        """The newest jobs, newest first."""
        statement = sa.select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.job_id).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [self._seen(row) for row in rows]

    @contextmanager
    def work(self, job_id: str) -> Iterator[JobEntry]:
        """Be the process that does a job: it is claimed, and others see whether this process still lives.

        Raises Conflict when another has claimed it, NotFound.
        """
        job = self.get(job_id)
        with self._workspace.lease(job.job_id, verb="job"):
            claim = jobs.update().where((jobs.c.job_id == job_id) & (jobs.c.state == "queued"))
            with self._database.write() as connection:
                if connection.execute(claim.values(state="running", started_at=utc_now())).rowcount != 1:
                    raise Conflict(f"{job_id} was begun before", hint="ask for it anew")
            failpoint("jobs.claimed")
            yield self.get(job_id)

    def end(self, job_id: str, *, state: JobState, result: Mapping[str, Any]) -> None:
        """Write down what became of a job."""
        ended = jobs.update().where(jobs.c.job_id == job_id)
        with self._database.write() as connection:
            connection.execute(ended.values(state=state, result=dict(result), ended_at=utc_now()))

    def lose_unended(self) -> None:
        """Give up the jobs that have not ended: those of a workspace that was copied, whose processes are elsewhere."""
        unended = jobs.update().where(jobs.c.state.in_(("queued", "running")))
        with self._database.write() as connection:
            connection.execute(unended.values(state="lost", ended_at=utc_now()))

    def progress_file(self, job_id: str) -> Path:
        """Where a job says how it moves."""
        self._folder.mkdir(exist_ok=True)
        return inside(self._folder, f"{job_id}.jsonl")

    def log_file(self, job_id: str) -> Path:
        """Where the rest of what its process prints goes."""
        self._folder.mkdir(exist_ok=True)
        return inside(self._folder, f"{job_id}.log")

    def progress(self, job_id: str, *, after: int = 0) -> tuple[list[JobLine], int]:
        """What it said since byte ``after``, in whole lines, and the byte after them."""
        try:
            with self.progress_file(job_id).open("rb") as file:
                file.seek(after)
                whole, line_end, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return [], after
        return [json.loads(line) for line in whole.splitlines()], after + len(whole) + len(line_end)

    def _seen(self, row: sa.Row[Any]) -> JobEntry:
        job = dict(row._mapping)
        is_lost = job["state"] == "running" and not self._workspace.is_held(job["job_id"])
        return JobEntry(**{**job, "state": "lost"}) if is_lost else JobEntry(**job)
