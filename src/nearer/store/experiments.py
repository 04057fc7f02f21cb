"""Experiments with users: what was planned, since when it runs, and what it found."""

import secrets
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from nearer.core.errors import Conflict, NotFound
from nearer.core.failpoints import failpoint
from nearer.core.results.base import JSON
from nearer.store.arms import put_arm
from nearer.store.database import Database
from nearer.store.registered import Decision
from nearer.store.tables import arms, experiments

_HINT = "see what there is: nearer experiment list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment; ``offline`` is what the measurement before it forecast, ``report`` what it found when it ended."""

    experiment_id: str
    plan: JSON
    plan_hash: str
    arm_id: str
    control_release_id: str
    treatment_release_id: str
    started_at: str
    ended_at: str | None
    reason: str | None
    offline: JSON | None
    report: JSON | None


class Experiments:
    """The experiments of a workspace; at most one runs at a time, on the one arm that there is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        decision: Decision,
        plan: JSON,
        *,
        plan_hash: str,
        live_id: str,
        release_id: str,
        offline: JSON | None,
    ) -> Experiment:
        """Have a release answer the plan's share of the users as an experiment; all of it is one transaction.

        So no user meets the release before the service knows how the plan mixes it in. Raises Conflict where another
        release answers a share, or another is live meanwhile.
        """
        with self._database.write() as connection:
            arm = put_arm(connection, decision, live_id=live_id, release_id=release_id, share=plan["share"])
            experiment = Experiment(
                experiment_id=f"experiment-{secrets.token_hex(6)}",
                plan=plan,
                plan_hash=plan_hash,
                arm_id=arm.arm_id,
                control_release_id=live_id,
                treatment_release_id=release_id,
                started_at=arm.started_at,
                ended_at=None,
                reason=None,
                offline=offline,
                report=None,
            )
            connection.execute(experiments.insert(), [asdict(experiment)])
        failpoint("experiments.started")
        return experiment

    def end(self, experiment: Experiment, *, reason: str, ended_at: str, report: JSON) -> Experiment:
        """End an experiment and its arm in one step, with what it found. Raises Conflict where it has ended."""
        mine = experiments.c.experiment_id == experiment.experiment_id
        with self._database.write() as connection:
            changed = connection.execute(
                experiments.update()
                .where(mine, experiments.c.ended_at.is_(None))
                .values(ended_at=ended_at, reason=reason, report=report)
            )
            if not changed.rowcount:
                raise Conflict(f"{experiment.experiment_id} has ended already", hint=_HINT)
            is_arm = (arms.c.arm_id == experiment.arm_id) & arms.c.ended_at.is_(None)
            connection.execute(arms.update().where(is_arm).values(ended_at=ended_at))
        failpoint("experiments.ended")
        return self.get(experiment.experiment_id)

    def get(self, experiment_id: str) -> Experiment:
        """The experiment of that id. Raises NotFound."""
        found = self._where(experiments.c.experiment_id == experiment_id)
        if not found:
            raise NotFound(f"no experiment {experiment_id!r}", hint=_HINT)
        return found[0]

    def running(self) -> Experiment | None:
        """The one that runs now."""
        return next(iter(self._where(experiments.c.ended_at.is_(None))), None)

    def on_arm(self, arm_id: str) -> Experiment | None:
        """The one that runs, or ran, on an arm; None where a share of the users is no experiment."""
        return next(iter(self._where(experiments.c.arm_id == arm_id)), None)

    def all(self) -> list[Experiment]:
        """Every experiment, the newest first."""
        return self._where(sa.true())

    def _where(self, condition: Any) -> list[Experiment]:
        statement = sa.select(experiments).where(condition).order_by(experiments.c.started_at.desc())
        with self._database.read() as connection:
            return [Experiment(**row._mapping) for row in connection.execute(statement)]
