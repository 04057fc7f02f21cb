"""Jobs: begun in a process of their own, which says how it moves and what became of it."""

import json
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nearer.core.errors import NearerError
from nearer.core.progress import Progress, one
from nearer.core.results.base import Result
from nearer.core.results.service import JobEntry
from nearer.flows.advise import advise
from nearer.flows.evaluate import evaluate
from nearer.flows.promote import promote
from nearer.flows.shadow import start_shadow
from nearer.flows.train import train
from nearer.store.jobs import JobLine, Jobs
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace

T = TypeVar("T")
_EVERY_S = 0.2

VERBS: Mapping[str, Callable[..., Result]] = {
    "promote": promote,
    "shadow": start_shadow,
    "train": train,
    "advise": advise,
    "evaluate": evaluate,
}
"""What may be a job."""

STARTED_BY_HAND = ("train", "advise", "evaluate")
"""What the dashboard starts."""


class WrittenProgress:
    """Progress as lines of JSON in a file, a few a second."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def track(self, items: Iterable[T], *, label: str, total: int, size: Callable[[T], int] = one) -> Generator[T]:
        """Yield ``items`` unchanged; a ``total`` of 0 is unknown."""
        shown_at, done = 0.0, 0
        for item in items:
            yield item
            done += size(item)
            if done == total or time.monotonic() - shown_at >= _EVERY_S:
                shown_at = time.monotonic()
                self._write({"at": utc_now(), "label": label, "done": done, "total": total})

    def say(self, text: str) -> None:
        """Write one line."""
        self._write({"at": utc_now(), "text": text})

    def _write(self, line: JobLine) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def start_job(workspace: Workspace, verb: str, arguments: Mapping[str, Any]) -> JobEntry:
    """Enter a job and begin it; a service that is killed between the two begins it when it starts again."""
    job = Jobs(workspace).add(verb, arguments)
    _spawn(workspace, job.job_id)
    return job


def start_waiting_jobs(workspace: Workspace) -> None:
    """Begin the jobs that were entered and never begun."""
    for job in Jobs(workspace).all():
        if job.state == "queued":
            _spawn(workspace, job.job_id)


def run_job(workspace: Workspace, job_id: str) -> JobEntry:
    """Do a job in this process, and write down what became of it.

    Raises Conflict when it was begun before, NotFound.
    """
    known = Jobs(workspace)
    with known.work(job_id) as job:
        progress: Progress = WrittenProgress(known.progress_file(job_id))
        try:
            result = VERBS[job.verb](workspace, **job.arguments, progress=progress)
            known.end(job_id, state="done", result=result.to_dict())
        except NearerError as error:
            failure = {"code": error.code, "message": error.message, "hint": error.hint}
            known.end(job_id, state="failed", result={"error": failure})
        except Exception:
            traceback.print_exc()
            failure = {"code": "internal", "message": "the job failed", "hint": f"see .nearer/jobs/{job_id}.log"}
            known.end(job_id, state="failed", result={"error": failure})
        return known.get(job_id)


def _spawn(workspace: Workspace, job_id: str) -> None:
    """A process that goes on when this one ends, or is told to end."""
    command = [sys.executable, "-m", "nearer", "job", job_id, "--dir", str(workspace.folder.resolve())]
    with Jobs(workspace).log_file(job_id).open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    threading.Thread(target=process.wait, name="nearer-job", daemon=True).start()  # so that it leaves no zombie
