"""Say what is installed, missing and misconfigured, without loading a model or asking a service."""

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from nearer.core.errors import NearerError
from nearer.core.installed import PACKAGE, packages
from nearer.core.recipe import Recipe
from nearer.core.results.doctor import Checkup, Finding, Package, fault, note, ok
from nearer.retrieval.manifest import LOCK
from nearer.store.files import bytes_in
from nearer.store.leases import holder_in, is_held
from nearer.store.workspace import Workspace, is_workspace
from nearer.systems.checkup import check_encoders, check_index, check_models, check_reranker
from nearer.training.unfinished import unfinished_runs

LEAST_FREE_BYTES = 1_000_000_000
"""Room that a small training takes: our rule, three copies of a model of 90 MB and the trainer's states, rounded up."""
Findings = Iterator[Finding]


def doctor(folder: Path | str = ".", *, overrides: tuple[str, ...] = ()) -> Checkup:
    """What is installed, and what would keep the workspace in ``folder`` from working.

    Nothing is written, no model is loaded, and no service is asked.
    """
    folder = Path(folder)
    installed = packages()
    findings = [*_missing(installed)]
    has_workspace = is_workspace(folder)
    if not has_workspace:
        findings.append(note("workspace", f"{folder.resolve()} is not a workspace", f"nearer init {folder}"))
    else:
        findings += _of_workspace(folder, overrides, installed)
    return Checkup(
        verdict="faults" if any(each.level == "fault" for each in findings) else "ok",
        findings=tuple(findings),
        packages=installed,
        workspace=str(folder.resolve()) if has_workspace else None,
        version=version(PACKAGE),
        python=sys.version.split()[0],
        platform=platform.platform(terse=True),
    )


def _missing(installed: tuple[Package, ...]) -> Findings:
    """Requirements that are always needed and not here, in the version that is wanted."""
    wrong = [each for each in installed if each.extra is None and not each.fits]
    yield from (
        fault("packages", f"{each.name}{each.wanted}: {each.installed or 'none'} is installed", each.command)
        for each in wrong
    )
    if not wrong:
        yield ok("packages", "all that is always needed is installed")


def _of_workspace(folder: Path, overrides: tuple[str, ...], installed: tuple[Package, ...]) -> Findings:
    try:
        workspace = Workspace.open(folder, overrides=overrides)
    except NearerError as error:
        yield fault("workspace" if error.code != "bad_recipe" else "recipe", error.message, error.hint or None)
        return
    with workspace:
        yield ok("recipe", "nearer.toml can be read, and no value in it is refused")
        checks: tuple[tuple[str, Callable[[], Findings]], ...] = (
            ("extras", lambda: _extras(workspace.recipe, installed)),
            ("encoders", lambda: check_encoders(workspace)),
            ("reranker", lambda: check_reranker(workspace)),
            ("models", lambda: check_models(workspace)),
            ("index", lambda: check_index(workspace)),
            ("trainings", lambda: _trainings(workspace)),
            ("locks", lambda: _locks(workspace)),
            ("disk", lambda: _disk(workspace)),
        )
        for what, check in checks:
            try:
                yield from check()
            except NearerError as error:
                yield fault(what, error.message, error.hint or None)


def _extras(recipe: Recipe, installed: tuple[Package, ...]) -> Findings:
    """Extras that the recipe needs, and that are not all here."""
    needed = {
        "lance": recipe.index.kind == "lancedb" and "index.kind",
        "postgres": (recipe.store.url and "store.url") or (recipe.index.kind == "pgvector" and "index.kind"),
        "api": any(each.api.endpoint for each in (recipe.encoder, *recipe.advise.encoders)) and "encoder.api.endpoint",
        "s3": recipe.store.files is not None and "store.files",
        "lora": bool(recipe.train.lora_rank) and "train.lora_rank",
    }
    for extra, key in needed.items():
        lacking = [each.name for each in installed if each.extra == extra and not each.fits]
        if key and lacking:
            yield fault("extras", f"{key} needs {', '.join(lacking)}", f"pip install '{PACKAGE}[{extra}]'")


def _trainings(workspace: Workspace) -> Findings:
    for each in unfinished_runs(workspace):
        if each.is_running:
            yield note("trainings", f"{each.run_id} is running since {each.started_at}")
        else:
            command = f"nearer train --resume {each.run_id}; or: nearer train --discard {each.run_id}"
            yield note(
                "trainings", f"{each.run_id}, begun at {each.started_at or 'a time unknown'}, has not ended", command
            )


def _locks(workspace: Workspace) -> Findings:
    """Who is at work; a lock goes with its process, so that none is ever left over."""
    files = [path for path in workspace.locks.glob("*.lock") if not path.name.startswith("process-")]
    for path in [*sorted(files), *sorted(workspace.indexes.glob(f"*/{LOCK}"))]:
        if is_held(path):
            yield note("locks", f"{path} is held by {holder_in(path.with_suffix('.holder'))}")


def _disk(workspace: Workspace) -> Findings:
    """Whether there is room for a training, and to build the largest index beside itself."""
    free = shutil.disk_usage(workspace.state).free
    largest = max((bytes_in(path) for path in workspace.indexes.glob("*")), default=0)
    wanted = max(LEAST_FREE_BYTES, 2 * largest)
    sentence = f"{free / 1e9:,.1f} GB are free at {workspace.state}"
    if free < wanted:
        reason = "a training and the largest index, built anew beside itself, take"
        yield fault("disk", f"{sentence}; {reason} {wanted / 1e9:,.1f} GB", "nearer prune --dry-run")
    else:
        yield ok("disk", sentence)
