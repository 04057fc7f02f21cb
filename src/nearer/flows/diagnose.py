"""Diagnose a system: every query of a split that failed, with its one cause and what would mend it."""

from nearer.core.progress import Progress, Silent
from nearer.core.results.measuring import Diagnosis
from nearer.evaluation.diagnosis import diagnose_system
from nearer.evaluation.ready import ready_to_measure, refuse_unjudged
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, open_system


def diagnose(
    workspace: Workspace, system: str | None = None, *, split: str = "dev", progress: Progress | None = None
) -> Diagnosis:
    """The cause of every failed query of ``split``, for live (or the base while nothing is) unless a system is named.

    A query fails when no relevant document is ranked first or, for live, when its index does not hold the one that is
    as it is now. A query that was judged, and has nothing relevant in the corpus, fails too.

    Raises InputError when the split has no query with a relevant document or a field of the recipe is unknown, NotFound
    for an unknown system, WorkspaceError where a look at a test split could not be entered.
    """
    progress = progress or Silent()
    workspace.registry.refuse_look(split)
    ready_to_measure(workspace)
    refuse_unjudged(workspace, split)
    name = system or (LIVE if workspace.registry.live() else BASE)
    return diagnose_system(workspace, open_system(workspace, name), split=split, progress=progress)
