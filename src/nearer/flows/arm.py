"""The release that answers a share of the users: how it stands, and its end."""

from nearer.core.errors import NotFound
from nearer.core.results.releases import ArmStatus
from nearer.store.arms import ArmEntry, Arms
from nearer.store.workspace import Workspace

_HINT = "begin: nearer promote SYSTEM --share 0.1"


def arm_status(workspace: Workspace) -> ArmStatus:
    """Which release answers a share of the users, or did last. Raises NotFound where none ever did."""
    found = Arms(workspace.database).last()
    if found is None:
        raise NotFound("no release answered a share of the users yet", hint=_HINT)
    return _status(found)


def stop_arm(workspace: Workspace) -> ArmStatus:
    """Have live answer all users again. Raises NotFound where it does."""
    arms = Arms(workspace.database)
    if (active := arms.active()) is None:
        raise NotFound("live answers all users", hint=_HINT)
    arms.stop(active.arm_id)
    return arm_status(workspace)


def _status(entry: ArmEntry) -> ArmStatus:
    return ArmStatus(
        arm_id=entry.arm_id,
        release_id=entry.release_id,
        live_release_id=entry.live_release_id,
        share=entry.share,
        started_at=entry.started_at,
        ended_at=entry.ended_at,
    )
