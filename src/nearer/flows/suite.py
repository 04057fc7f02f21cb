"""The regression suite: named cases that must keep working, run for systems over today's documents."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from nearer.core.errors import InputError
from nearer.core.progress import Progress, Silent
from nearer.core.results.measuring import SuiteRun
from nearer.encode.embedded import Corpora
from nearer.evaluation.suite import gate_suite, keep_suite_run, open_suite, run_suite
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, api_use, open_system, refuse_unknown
from nearer.systems.names import named_systems


def suite(
    workspace: Workspace,
    systems: Sequence[str | PathLike[str]] | None = None,
    *,
    file: Path | str | None = None,
    progress: Progress | None = None,
) -> SuiteRun:
    """Run the suite for ``systems`` (what is live, or else the base) and tell what each newly fails beside the first.

    ``file`` is ``gate.suite`` of the recipe unless it is given. The verdict is "faults" when the last system fails a
    critical case. Raises ImportFaults for a suite with faults, InputError when none is named or a system is a run,
    NotFound for an unknown system, WorkspaceError where the run could not be kept.
    """
    registry, progress = workspace.registry, progress or Silent()
    wanted = named_systems(systems or ())
    workspace.database.refuse_read_only()
    read = gate_suite(workspace) if file is None else open_suite(workspace, Path(file))
    if read is None:
        raise InputError("no suite is named", hint="name one: --file SUITE.toml, or gate.suite in nearer.toml")
    names = wanted or [LIVE if registry.live() else BASE]
    refuse_unknown(workspace, names)
    opened = [open_system(workspace, name) for name in names]
    corpora = Corpora(workspace, progress)
    ran = [(each, run_suite(corpora, read, each)) for each in opened]
    return replace(keep_suite_run(workspace, read, ran), api=api_use(opened))
