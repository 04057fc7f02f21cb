"""Which release answers a user: live, the one that answers a share of the users, or the first for those held out."""

from dataclasses import replace
from random import SystemRandom
from typing import Literal

from nearer.core.errors import NotFound
from nearer.online.assign import Allocation, is_held_out
from nearer.online.interleave import team_draft
from nearer.serving.encode_queue import EncodeQueue
from nearer.serving.follower import RARE_S, Follower
from nearer.serving.searcher import Answer
from nearer.serving.served import Served
from nearer.store.arms import ArmEntry, Arms
from nearer.store.experiments import Experiments
from nearer.store.registered import Release
from nearer.store.workspace import Workspace

Arm = Literal["live", "control", "treatment", "interleaved", "holdout"]
"""``live`` answers whom no share is drawn of: where one release answers all, and who did not say who they are.

``interleaved`` are both rankings in one list, for the share of the users of such an experiment. ``holdout`` is what was
live first, for the users who take part in nothing.
"""

_DRAWS = SystemRandom()


class Router:
    """Draws users by a hash of who they are, so that each keeps an arm; follows which release has which share."""

    def __init__(self, workspace: Workspace, *, queue: EncodeQueue) -> None:
        self._arms, self._registry = Arms(workspace.database), workspace.registry
        self._experiments = Experiments(workspace.database)
        self._holdout = workspace.recipe.search.holdout
        self._sharing: tuple[ArmEntry, bool] | None = None  # and whether it is mixed with live in one list
        self.follower = Follower(workspace, queue=queue, target=self._target, poll_s=RARE_S)
        self.first = Follower(workspace, queue=queue, target=self._first, poll_s=RARE_S)

    @property
    def served(self) -> Served | None:
        """The treatment as it is served now, if there is one."""
        return self.follower.served

    def arm_of(self, unit: str | None) -> Arm:
        """The arm of a user or session; ``live`` until the treatment can answer."""
        if unit and is_held_out(unit, share=self._holdout):
            return "holdout" if self.first.served else "live"
        sharing, served = self._sharing, self.follower.served
        if not unit or sharing is None or served is None or served.release.release_id != sharing[0].release_id:
            return "live"
        entry, is_interleaved = sharing
        allocation = Allocation(salt=entry.arm_id, weights={"control": 1 - entry.share, "treatment": entry.share})
        if allocation.arm_of(unit) != "treatment":
            return "control"
        return "interleaved" if is_interleaved else "treatment"

    def start(self) -> None:
        """Begin to open what answers beside live."""
        self.follower.start()
        self.first.start()

    def close(self) -> None:
        """Stop following."""
        self.follower.close()
        self.first.close()

    def _first(self, _: Workspace) -> Release:
        first = self._registry.first_live() if self._holdout else None
        if first is None or first.release_id == self._registry.live_id():
            raise NotFound("live answers all users", hint="hold users out: search.holdout = 0.05")
        return first

    def _target(self, _: Workspace) -> Release:
        entry = self._arms.active()
        if entry is None:
            self._sharing = None
            raise NotFound("live answers all users", hint="nearer promote SYSTEM --share 0.1")
        experiment = self._experiments.on_arm(entry.arm_id)
        self._sharing = entry, bool(experiment and experiment.plan["kind"] == "interleaving")
        return self._registry.release(entry.release_id)


def interleave(control: Answer, treatment: Answer) -> Answer:
    """Both answers in one list by team draft, as long as the longer; it is stamped as control's."""
    hit_of = {hit.document.doc_id: hit for answer in (treatment, control) for hit in answer.hits}
    rankings = [[hit.document.doc_id for hit in answer.hits] for answer in (control, treatment)]
    shown = team_draft(*rankings, k=max(map(len, rankings)), rng=_DRAWS)
    parts = control.took_s.keys() | treatment.took_s.keys()
    return replace(
        control,
        hits=tuple(hit_of[each.doc_id] for each in shown),
        teams="".join(each.side for each in shown),
        took_s={part: control.took_s.get(part, 0.0) + treatment.took_s.get(part, 0.0) for part in sorted(parts)},
    )
