"""A candidate in the shadow of live: start, report, stop. The service asks it what a share of users ask live."""

from dataclasses import replace

from nearer.core.errors import InputError, NotFound
from nearer.core.progress import Progress, Silent
from nearer.core.results.shadow import ShadowReport
from nearer.serving.shadow_report import last_shadow, report_shadow, sentence_of
from nearer.store.registered import Release
from nearer.store.shadows import Shadows
from nearer.store.workspace import Workspace
from nearer.systems import System, api_use, chunk_of, open_system
from nearer.systems.filtering import refuse_unindexed
from nearer.systems.space_index import build

_HINT = "see what there is: nearer status"


def start_shadow(
    workspace: Workspace, system: str, *, share: float = 0.1, progress: Progress | None = None
) -> ShadowReport:
    """Put a ``system`` in the shadow of live: its index is built, and the service asks it a ``share`` of the queries.

    Users see live's answers alone. Raises InputError for a share that is none and for what is live, Conflict where
    another candidate is in the shadow, NotFound while nothing is live.
    """
    if not 0 < share <= 1:
        raise InputError(f"a share of {share:g} is none", hint="for example: --share 0.2")
    live = workspace.registry.live()
    if live is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    shadows = Shadows(workspace.database)
    shadows.refuse_active()
    candidate = open_system(workspace, system)
    if candidate.is_released_as(live):
        raise InputError(f"{system} is what is live", hint=f"name another: {_HINT}")
    if "filter" in candidate.stages:
        refuse_unindexed(candidate.search, workspace.recipe.index.filter_fields)
    if candidate.shares_index(live):  # which must go on unchanged
        candidate = replace(candidate, chunk=chunk_of(live, candidate.encoder))
    workspace.begin_writing()
    built = build(workspace, candidate, progress=progress or Silent())
    model = workspace.registry.add_model(candidate.model)
    as_released = Release(
        release_id="",
        model_id=model.model_id,
        space_id=model.space_id,
        system={**candidate.pinned, "index": built.index.to_dict()},
    )
    entry = shadows.start(as_released, system=system, share=share)
    return replace(report_shadow(workspace, entry), api=api_use([candidate]))


def shadow_report(workspace: Workspace) -> ShadowReport:
    """What the candidate in the shadow, or the last one, answered beside live. Raises NotFound where there was none."""
    found = last_shadow(workspace)
    if found is None:
        raise NotFound("no candidate was in the shadow yet", hint="put one in it: nearer shadow start SYSTEM")
    return found


def stop_shadow(workspace: Workspace) -> ShadowReport:
    """Take the candidate out of the shadow; what was answered is kept. Raises NotFound where none is in it."""
    shadows = Shadows(workspace.database)
    if (active := shadows.active()) is None:
        raise NotFound("no candidate is in the shadow", hint="put one in it: nearer shadow start SYSTEM")
    shadows.stop(active.shadow_id)
    return shadow_report(workspace)


def shadow_notes(workspace: Workspace, candidate: System) -> tuple[str, ...]:
    """What the gate is told of a candidate that was in the shadow of live; it refuses nobody for it."""
    found = Shadows(workspace.database).of_system(model_id=candidate.model.model_id, description=candidate.pinned)
    sentence = sentence_of(report_shadow(workspace, found)) if found else None
    return (f"{found.shadow_id}: {sentence}",) if found and sentence else ()
