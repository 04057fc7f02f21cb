"""The training runs that are not finished: which there are, which one goes on, and how one is given up."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearer.core.errors import Conflict, NotFound
from nearer.core.ids import content_id
from nearer.store.files import bytes_in, remove_tree
from nearer.store.leases import is_held
from nearer.store.workspace import Workspace

RECORD = "run.json"
NEWEST = "newest"
PACKAGES = ("nearer", "torch", "transformers", "sentence-transformers", "accelerate", "peft", "numpy")
_SURROUNDINGS = {"device", *PACKAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """One run; ``record`` is what it wrote down at its beginning, empty when that is missing or damaged."""

    run_id: str
    folder: Path
    record: Mapping[str, Any]
    is_running: bool

    @property
    def summary(self) -> dict[str, Any]:
        """The run as ``nearer status`` shows it; ``num_bytes`` is its size on disk."""
        return {
            "run_id": self.run_id,
            "verb": self.record.get("verb", ""),
            "started_at": self.record.get("started_at", ""),
            "is_running": self.is_running,
            "num_passes_done": len(list(self.folder.glob("pass-*/result"))),
            "num_bytes": bytes_in(self.folder),
        }


def unfinished_runs(workspace: Workspace, *, verb: str | None = None) -> list[Unfinished]:
    """The unfinished runs of a verb, or all, oldest first."""
    found = [
        Unfinished(
            run_id=folder.name,
            folder=folder,
            record=record_of(folder),
            is_running=is_held(workspace.locks / f"{resource_of(folder.name)}.lock"),
        )
        for folder in workspace.training.glob("run-*")
    ]
    known = [each for each in found if verb is None or each.record.get("verb") == verb]
    return sorted(known, key=lambda each: (each.record.get("started_at", ""), each.run_id))


def find_run(workspace: Workspace, run_id: str, *, verb: str) -> Unfinished:
    """The unfinished run of that id, or the ``newest``. Raises NotFound, naming those there are."""
    found = unfinished_runs(workspace, verb=verb)
    for each in reversed(found):
        if run_id in (each.run_id, NEWEST):
            return each
    known = ", ".join(each.run_id for each in found) or "none"
    raise NotFound(f"no unfinished training {run_id!r}; known: {known}", hint="see: nearer status")


def discard_run(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """Remove an unfinished training. Raises NotFound, WorkspaceBusy while it runs."""
    found = {each.run_id: each for each in unfinished_runs(workspace)}
    if run_id not in found:
        raise NotFound(
            f"no unfinished training {run_id!r}; known: {', '.join(found) or 'none'}", hint="see: nearer status"
        )
    with workspace.lease(resource_of(run_id), verb="train --discard"):
        summary = found[run_id].summary
        remove_tree(found[run_id].folder)
    return {"discarded": summary}


def run_to_go_on(workspace: Workspace, decides: Mapping[str, Any], *, verb: str, resume: str | None) -> str:
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
                f"{each.run_id}, begun at {each.record['started_at']}, is not finished, and was begun with another "
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


def record_of(folder: Path) -> dict[str, Any]:
    """What a run wrote down at its beginning; empty when that is missing or damaged."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    wanted = {"verb": str, "started_at": str, "num_threads": int, "revision": int, "request": dict, "decides": dict}
    is_whole = isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in wanted.items())
    return record if is_whole and content_id("run", record["decides"]) == folder.name else {}


def _differing(record: Mapping[str, Any], decides: Mapping[str, Any]) -> set[str]:
    """What a run was decided by that is another now; everything when its record is damaged."""
    before = record.get("decides", {})
    return {key for key in {*before, *decides} if before.get(key) != decides.get(key)}
