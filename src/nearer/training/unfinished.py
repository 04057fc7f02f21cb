"""The training runs that are not finished: which there are, which one goes on, and how one is given up."""

import json
from dataclasses import dataclass
from pathlib import Path

from nearer.core.errors import Conflict, InputError, NotFound
from nearer.core.extras import extra
from nearer.core.ids import content_id
from nearer.core.results.base import JSON, Result
from nearer.core.results.status import Discarded, UnfinishedRun
from nearer.store.files import bytes_in, remove_tree
from nearer.store.workspace import Workspace

RECORD = "run.json"
NEWEST = "newest"
PACKAGES = ("nearer", "torch", "transformers", "sentence-transformers", "accelerate", "peft", "numpy")
_SURROUNDINGS = {"device", *PACKAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest(Result):
    """What was called, with what: the recipe's own values, and beside it a time, settings to search, seeds."""

    verb: str
    recipe: JSON
    start: str
    budget_s: float | None = None
    num_trials: int = 0
    num_seeds: int = 1

    @property
    def besides(self) -> dict[str, float | int | None]:
        """What was asked beside the recipe and the start, which decides the outcome too."""
        return {"budget_s": self.budget_s, "num_trials": self.num_trials, "num_seeds": self.num_seeds}


def refuse_nonsense(asked: TrainingRequest) -> None:
    """Raises InputError for numbers that cannot be, and for a search with several seeds."""
    if asked.num_trials < 0 or asked.num_seeds < 1 or (asked.budget_s is not None and asked.budget_s <= 0):
        raise InputError("a time, trials and seeds are above 0", hint="for example: --budget 20m --search 10")
    if asked.num_trials:
        with extra("search", used_for="a search of settings"):
            import optuna  # noqa: F401
    if asked.num_trials and asked.num_seeds > 1:
        hint = "search first, write down what it found, then train that with several seeds"
        raise InputError("a search and several seeds do not go together", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(Result):
    """What a run writes down at its beginning; ``decides`` is what its id is made of."""

    started_at: str
    revision: int
    num_threads: int
    num_processes: int = 1
    request: TrainingRequest
    decides: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """One run; ``record`` is what it wrote down at its beginning, None when that is missing or damaged."""

    run_id: str
    folder: Path
    record: RunRecord | None
    is_running: bool

    @property
    def verb(self) -> str:
        """What was called; empty when that is not known."""
        return self.record.request.verb if self.record else ""

    @property
    def started_at(self) -> str:
        """When it began; empty when that is not known."""
        return self.record.started_at if self.record else ""

    @property
    def summary(self) -> UnfinishedRun:
        """The run as ``nearer status`` shows it."""
        return UnfinishedRun(
            run_id=self.run_id,
            verb=self.verb,
            started_at=self.started_at,
            is_running=self.is_running,
            num_passes_done=len(list(self.folder.glob("pass-*/result"))),
            num_bytes=bytes_in(self.folder),
        )


def unfinished_runs(workspace: Workspace, *, verb: str | None = None) -> list[Unfinished]:
    """The unfinished runs of a verb, or all, oldest first."""
    found = [
        Unfinished(
            run_id=folder.name,
            folder=folder,
            record=record_of(folder),
            is_running=workspace.is_held(resource_of(folder.name)),
        )
        for folder in workspace.training.glob("run-*")
    ]
    known = [each for each in found if verb is None or each.verb == verb]
    return sorted(known, key=lambda each: (each.started_at, each.run_id))


def find_run(workspace: Workspace, run_id: str, *, verb: str) -> Unfinished:
    """The unfinished run of that id, or the ``newest``. Raises NotFound, naming those there are."""
    found = unfinished_runs(workspace, verb=verb)
    for each in reversed(found):
        if run_id in (each.run_id, NEWEST):
            return each
    known = ", ".join(each.run_id for each in found) or "none"
    raise NotFound(f"no unfinished training {run_id!r}; known: {known}", hint="see: nearer status")


def discard_run(workspace: Workspace, run_id: str) -> Discarded:
    """Remove an unfinished training. Raises NotFound, WorkspaceBusy while it runs."""
    found = {each.run_id: each for each in unfinished_runs(workspace)}
    if run_id not in found:
        raise NotFound(
            f"no unfinished training {run_id!r}; known: {', '.join(found) or 'none'}", hint="see: nearer status"
        )
    with workspace.lease(resource_of(run_id), verb="train --discard"):
        summary = found[run_id].summary
        remove_tree(found[run_id].folder)
    return Discarded(discarded=summary)


def run_to_go_on(workspace: Workspace, decides: JSON, *, verb: str, resume: str | None) -> str:
    """The id of the run whose outcome ``decides`` decides, or of the one to ``resume`` that only begun elsewhere.

    Raises Conflict when the run to resume had other data or settings, or when nobody said what is to become of one
    that only other versions of the libraries, or another device, tell from this.
    """
    run_id = content_id("run", decides)
    runs = [find_run(workspace, resume, verb=verb)] if resume else unfinished_runs(workspace, verb=verb)
    if any(each.run_id == run_id for each in runs):
        return run_id
    for each in runs:
        differing = _differing(each.record, decides)
        if differing <= _SURROUNDINGS:
            if resume:
                return each.run_id
            raise Conflict(
                f"{each.run_id}, begun at {each.started_at}, is not finished, and was begun with another "
                f"{', '.join(sorted(differing))}",
                hint=f"nearer {verb} --resume {each.run_id}, or give it up: nearer train --discard {each.run_id}",
            )
        if resume:
            raise Conflict(
                f"{each.run_id} cannot go on: it had another {', '.join(sorted(differing))}",
                hint=f"train anew: nearer {verb}; give it up: nearer train --discard {each.run_id}",
            )
    return run_id


def resource_of(run_id: str) -> str:
    """The name of the lease of a run."""
    return f"training-{run_id}"


def record_of(folder: Path) -> RunRecord | None:
    """What a run wrote down at its beginning; None when that is missing or damaged."""
    try:
        record = RunRecord.read(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    return record if content_id("run", record.decides) == folder.name else None


def _differing(record: RunRecord | None, decides: JSON) -> set[str]:
    """What a run was decided by that is another now; everything when its record is damaged."""
    before = record.decides if record else {}
    return {key for key in {*before, *decides} if before.get(key) != decides.get(key)}


def request_of(workspace: Workspace, run_id: str, *, verb: str) -> tuple[str, TrainingRequest]:
    """The id of the unfinished run of that id, or of the ``newest``, and what was called. Raises NotFound."""
    found = find_run(workspace, run_id, verb=verb)
    assert found.record is not None  # else its verb is not known
    return found.run_id, found.record.request
