"""Which release answers a user: live, or the one that answers a share of the users."""

from typing import Literal

from nearer.core.errors import NotFound
from nearer.online.assign import Allocation
from nearer.serving.encode_queue import EncodeQueue
from nearer.serving.follower import RARE_S, Follower
from nearer.serving.served import Served
from nearer.store.arms import ArmEntry, Arms
from nearer.store.registry import Release
from nearer.store.workspace import Workspace

Arm = Literal["live", "control", "treatment"]
"""``live`` answers whom no share is drawn of: where one release answers all, and who did not say who they are."""


class Router:
    """Draws users by a hash of who they are, so that each keeps an arm; follows which release has which share."""

    def __init__(self, workspace: Workspace, *, queue: EncodeQueue) -> None:
        self._arms, self._registry = Arms(workspace.database), workspace.registry
        self._entry: ArmEntry | None = None
        self.follower = Follower(workspace, queue=queue, target=self._target, poll_s=RARE_S)

    @property
    def served(self) -> Served | None:
        """The treatment as it is served now, if there is one."""
        return self.follower.served

    def arm_of(self, unit: str | None) -> Arm:
        """The arm of a user or session; ``live`` until the treatment can answer."""
        entry, served = self._entry, self.follower.served
        if not unit or entry is None or served is None or served.release.release_id != entry.release_id:
            return "live"
        allocation = Allocation(salt=entry.arm_id, weights={"control": 1 - entry.share, "treatment": entry.share})
        return "treatment" if allocation.arm_of(unit) == "treatment" else "control"

    def _target(self, _: Workspace) -> Release:
        self._entry = self._arms.active()
        if self._entry is None:
            raise NotFound("live answers all users", hint="nearer promote SYSTEM --share 0.1")
        return self._registry.release(self._entry.release_id)
