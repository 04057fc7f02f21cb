"""Build, inspect and verify the index of a system's space."""

from dataclasses import replace

from nearer.core.errors import ModelRefused, NotFound, ServiceError
from nearer.core.progress import Progress, Silent
from nearer.core.results.data import IndexStatus
from nearer.core.results.serving import Indexed
from nearer.encode.engine import LOCAL, encoding_by
from nearer.store.registered import Release
from nearer.store.workspace import Workspace
from nearer.systems import LIVE, System, api_use, chunk_of, open_release, open_system
from nearer.systems.space_index import build, verify


def index(
    workspace: Workspace, system: str | None = None, *, engine: str = LOCAL, progress: Progress | None = None
) -> Indexed:
    """Bring the index of a system's space up to the documents; without a name those of live and its predecessor.

    Only what was added or edited is read, and only new texts are encoded; on the machines of a Ray cluster where
    ``engine`` is "ray".
    """
    progress = progress or Silent()
    workspace.begin_writing()
    systems = _systems(workspace, system)
    with encoding_by(engine, progress):
        built = tuple(build(workspace, each, progress=progress) for each in systems)
    return Indexed(indexes=built, api=api_use(systems))


def index_status(workspace: Workspace, system: str | None = None) -> IndexStatus:
    """Whether the indexes follow the documents; the verdict is "faults" when one does not."""
    faults = {each.name: tuple(verify(workspace, each)) for each in _systems(workspace, system)}
    return IndexStatus(verdict="faults" if any(faults.values()) else "ok", faults=faults)


def _systems(workspace: Workspace, name: str | None) -> list[System]:
    """The named system, or live and its predecessor; what a release pins is never cut by today's recipe.

    One index serves all models of a space.
    """
    registry = workspace.registry
    released = [each for each in (registry.live(), registry.previous()) if each]
    if name is None:
        if not released:
            raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
        live, *others = released
        system = open_release(workspace, live, name=LIVE)
        apart = [each for each in others if not system.shares_index(each)]  # what shares live's index follows live
        return [system, *(_open_predecessor(workspace, each) for each in apart)]
    system = open_system(workspace, name)
    for each in released:
        if system.shares_index(each):
            return [replace(system, chunk=chunk_of(each, system.encoder))]
    return [system]


def _open_predecessor(workspace: Workspace, release: Release) -> System:
    """What a rollback would return to. Raises what opening it raises, with how to go on without it."""
    try:
        return open_release(workspace, release, name=release.model_id)
    except (ModelRefused, ServiceError) as error:
        hint = "follow the documents without it: nearer index live"
        raise type(error)(f"the release before live: {error.message}", hint=hint) from error
