"""Candidates that are asked what live is asked, and what both answered."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from nearer.core.errors import Conflict
from nearer.core.failpoints import failpoint
from nearer.core.results.base import JSON
from nearer.store.database import Database
from nearer.store.registered import Release
from nearer.store.registry import utc_now
from nearer.store.tables import shadow_answers, shadows

MOST_KEPT = 10_000
"""Answers of a shadow that are kept, the newest."""

Ranked = Sequence[tuple[str, float]]
"""Documents with their scores, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowEntry:
    """A candidate in the shadow of live: what it is, and the share of live's queries that it is asked.

    ``num_offered`` queries were drawn; of these ``num_dropped`` found no room, and ``num_failed`` had no answer.
    """

    shadow_id: str
    system: str
    model_id: str
    space_id: str
    description: JSON
    share: float
    started_at: str
    ended_at: str | None
    num_offered: int
    num_dropped: int
    num_failed: int

    @property
    def release(self) -> Release:
        """The candidate as if it were released, which nobody may promote: it pins the system alike."""
        return Release(
            release_id=self.shadow_id,
            model_id=self.model_id,
            space_id=self.space_id,
            system=self.description,
            created_at=self.started_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowAnswer:
    """One query with what live and the candidate answered, and the milliseconds that each took."""

    at: str
    query: str
    live_release_id: str
    live: Ranked
    shadow: Ranked
    live_ms: float
    shadow_ms: float


class Shadows:
    """The shadows of a workspace; at most one is active."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def refuse_active(self) -> None:
        """Raises Conflict where a candidate is in the shadow already, before anything is built for another."""
        if active := self.active():
            raise Conflict(f"{active.system} is in the shadow already", hint="end it first: nearer shadow stop")

    def start(self, release: Release, *, system: str, share: float) -> ShadowEntry:
        """Enter a shadow. Raises Conflict where one is active."""
        row = {
            "shadow_id": f"shadow-{secrets.token_hex(6)}",
            "system": system,
            "model_id": release.model_id,
            "space_id": release.space_id,
            "description": dict(release.system),
            "share": share,
            "started_at": utc_now(),
        }
        with self._database.write() as connection:
            table = shadows
            if connection.scalar(sa.select(table.c.system).where(table.c.ended_at.is_(None)).limit(1)) is not None:
                raise Conflict("a candidate is in the shadow already", hint="end it first: nearer shadow stop")
            connection.execute(shadows.insert(), [row])
        failpoint("shadow.started")
        found = self.active()
        assert found
        return found

    def active(self) -> ShadowEntry | None:
        """The shadow that is asked now."""
        return self._one(shadows.c.ended_at.is_(None))

    def last(self) -> ShadowEntry | None:
        """The shadow that is asked now, or was last."""
        return self.active() or self._one(sa.true())

    def of_system(self, *, model_id: str, description: JSON) -> ShadowEntry | None:
        """The newest shadow of a system: of that model, pinned alike."""
        condition = shadows.c.model_id == model_id
        statement = sa.select(shadows).where(condition).order_by(shadows.c.started_at.desc())
        with self._database.read() as connection:
            found = [ShadowEntry(**row._mapping) for row in connection.execute(statement)]
        return next((each for each in found if _is_alike(each.description, description)), None)

    def stop(self, shadow_id: str) -> None:
        """End a shadow; what was answered is kept."""
        ended = shadows.update().where((shadows.c.shadow_id == shadow_id) & shadows.c.ended_at.is_(None))
        with self._database.write() as connection:
            connection.execute(ended.values(ended_at=utc_now()))

    def add(
        self,
        shadow_id: str,
        answers: Sequence[ShadowAnswer],
        *,
        num_offered: int,
        num_dropped: int,
        num_failed: int,
    ) -> None:
        """Keep what was answered, and count what was not; the oldest answers beyond ``MOST_KEPT`` go."""
        table = shadow_answers
        counted = {
            "num_offered": shadows.c.num_offered + num_offered,
            "num_dropped": shadows.c.num_dropped + num_dropped,
            "num_failed": shadows.c.num_failed + num_failed,
        }
        rows = [{"shadow_id": shadow_id, **asdict(each)} for each in answers]
        mine = table.c.shadow_id == shadow_id
        newest = sa.select(table.c.answer_id).where(mine).order_by(table.c.answer_id.desc()).limit(MOST_KEPT)
        with self._database.write() as connection:
            connection.execute(shadows.update().where(shadows.c.shadow_id == shadow_id).values(counted))
            if rows:
                connection.execute(table.insert(), rows)
                connection.execute(table.delete().where(mine & table.c.answer_id.not_in(newest)))
        failpoint("shadow.answers")

    def answers(self, shadow_id: str) -> list[ShadowAnswer]:
        """What was answered beside a shadow, oldest first."""
        table = shadow_answers
        statement = sa.select(table).where(table.c.shadow_id == shadow_id).order_by(table.c.answer_id)
        with self._database.read() as connection:
            return [_answer(dict(row._mapping)) for row in connection.execute(statement)]

    def used_parts(self) -> set[str]:
        """The ids of the model and the reranker of the active shadow, which must stay."""
        active = self.active()
        return {each for each in (active.model_id, active.release.reranker) if each} if active else set()

    def _one(self, condition: sa.ColumnElement[bool]) -> ShadowEntry | None:
        statement = sa.select(shadows).where(condition).order_by(shadows.c.started_at.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return ShadowEntry(**row._mapping) if row else None


def _is_alike(left: JSON, right: JSON) -> bool:
    return all(left.get(name) == right.get(name) for name in ("stages", "search", "cross_encoder_id"))


def _answer(row: dict[Any, Any]) -> ShadowAnswer:
    kept = {name: value for name, value in row.items() if name not in ("answer_id", "shadow_id", "live", "shadow")}
    return ShadowAnswer(
        **kept,
        live=tuple((doc_id, score) for doc_id, score in row["live"]),
        shadow=tuple((doc_id, score) for doc_id, score in row["shadow"]),
    )
