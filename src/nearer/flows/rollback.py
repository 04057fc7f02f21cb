"""Move the live pointer back, or to a release of before."""

from nearer.core.errors import NotFound, WorkspaceError
from nearer.core.progress import Progress, Silent
from nearer.core.results.releases import Rollback
from nearer.store.registered import Action, Decision, Release
from nearer.store.workspace import Workspace
from nearer.systems import System, api_use, open_release
from nearer.systems.space_index import build, verify


def rollback(workspace: Workspace, *, progress: Progress | None = None) -> Rollback:
    """Make live again what was live before the current release was promoted, over today's documents.

    Raises NotFound when there is nothing to go back to.
    """
    progress = progress or Silent()
    registry = workspace.registry
    live, previous = registry.live(), registry.previous()
    if live is None or previous is None:
        raise NotFound("there is no release to roll back to", hint="see what was live: nearer history")
    workspace.begin_writing()
    system = move_pointer(workspace, live=live, target=previous, action="rollback", progress=progress)
    return Rollback(
        release_id=previous.release_id,
        model_id=previous.model_id,
        previous=live.release_id,
        api=api_use([system]),
    )


def move_pointer(
    workspace: Workspace, *, live: Release | None, target: Release, action: Action, progress: Progress
) -> System:
    """Bring the target's index up to today's documents if it is not, then move the pointer.

    Raises WorkspaceError when the index has faults all the same; the pointer stays where it was.
    """
    system = brought_up(workspace, target, progress=progress)
    decision = Decision(action=action, model_id=target.model_id)
    workspace.registry.move_live(decision, expected=live.release_id if live else None, release_id=target.release_id)
    return system


def brought_up(workspace: Workspace, target: Release, *, progress: Progress) -> System:
    """The system of a release, whose index is up to today's documents. Raises WorkspaceError when it has faults."""
    system = open_release(workspace, target, name=target.model_id)
    if verify(workspace, system):
        build(workspace, system, progress=progress)
        if faults := verify(workspace, system):
            raise WorkspaceError(
                f"the index of {target.release_id} cannot serve: {'; '.join(faults)}",
                hint=f"mend what it says, then see: nearer index {target.model_id} --verify",
            )
    return system
