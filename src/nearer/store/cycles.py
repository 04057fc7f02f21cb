"""Turns of the loop, stage by stage, so that one that was cut short goes on where it was."""

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from nearer.core.failpoints import failpoint
from nearer.core.ids import content_id
from nearer.core.results.base import JSON
from nearer.store.database import Database, insert_into
from nearer.store.registry import utc_now
from nearer.store.tables import cycle_stages, cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleEntry:
    """A turn; ``news`` is what there was to learn from when it began. It goes on until it has a verdict."""

    cycle_id: str
    number: int
    news: JSON
    live_release_id: str | None
    started_at: str
    ended_at: str | None
    verdict: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntry:
    """What a stage gave; one that waits for users has begun something, and is asked again."""

    stage: str
    input_hash: str
    state: Literal["done", "skipped", "waiting"]
    summary: str
    result: JSON
    at: str
    took_s: float


class Cycles:
    """The turns of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, news: JSON, *, live_release_id: str | None) -> CycleEntry:
        """Begin a turn."""
        started_at = utc_now()
        with self._database.write() as connection:
            number = (connection.scalar(sa.select(sa.func.max(cycles.c.number))) or 0) + 1
            cycle_id = content_id("cycle", [number, started_at, dict(news)], num_hex=12)
            row = {
                "cycle_id": cycle_id,
                "number": number,
                "news": dict(news),
                "live_release_id": live_release_id,
                "started_at": started_at,
            }
            connection.execute(cycles.insert(), [row])
        failpoint("cycle.begun")
        return self._where(cycles.c.cycle_id == cycle_id)[0]

    def unfinished(self) -> CycleEntry | None:
        """The turn that has not ended."""
        return next(iter(self._where(cycles.c.ended_at.is_(None))), None)

    def last(self) -> CycleEntry | None:
        """The newest turn that ended."""
        return next(iter(self._where(cycles.c.ended_at.is_not(None))), None)

    def all(self) -> list[CycleEntry]:
        """Every turn, the newest first."""
        return self._where(sa.true())

    def stages(self, cycle_id: str) -> dict[str, StageEntry]:
        """What the stages of a turn gave so far, by their names."""
        columns = [each for each in cycle_stages.c if each.name != "cycle_id"]
        statement = sa.select(*columns).where(cycle_stages.c.cycle_id == cycle_id).order_by(cycle_stages.c.at)
        with self._database.read() as connection:
            return {row.stage: StageEntry(**row._mapping) for row in connection.execute(statement)}

    def keep(self, cycle_id: str, entry: StageEntry) -> None:
        """Keep what a stage gave, in place of what it gave before."""
        row = {name: getattr(entry, name) for name in StageEntry.__slots__} | {"cycle_id": cycle_id}
        with self._database.write() as connection:
            statement = insert_into(connection, cycle_stages).values(row)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["cycle_id", "stage"], set_={name: row[name] for name in StageEntry.__slots__}
                )
            )
        failpoint("cycle.stage")

    def end(self, cycle_id: str, *, verdict: str, reasons: tuple[str, ...]) -> CycleEntry:
        """End a turn."""
        with self._database.write() as connection:
            connection.execute(
                cycles.update()
                .where(cycles.c.cycle_id == cycle_id)
                .values(verdict=verdict, reasons=list(reasons), ended_at=utc_now())
            )
        failpoint("cycle.ended")
        return self._where(cycles.c.cycle_id == cycle_id)[0]

    def used_parts(self) -> set[str]:
        """The ids of the models that a turn made which has not ended, and must stay."""
        entry = self.unfinished()
        results = [each.result for each in self.stages(entry.cycle_id).values()] if entry else []
        return {str(found) for each in results if (found := each.get("model_id"))}

    def _where(self, condition: Any) -> list[CycleEntry]:
        statement = sa.select(cycles).where(condition).order_by(cycles.c.number.desc())
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [CycleEntry(**{**row._mapping, "reasons": tuple(row.reasons or ())}) for row in rows]
