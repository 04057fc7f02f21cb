"""Two releases at once: a share of the users is answered by another release than live."""

import secrets
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from nearer.core.errors import Conflict, InputError, NotFound
from nearer.core.failpoints import failpoint
from nearer.store.database import Database
from nearer.store.registered import Decision
from nearer.store.registry import LIVE, put_decision, utc_now
from nearer.store.tables import arms, pointers

_LIVE_ID = sa.select(pointers.c.release_id).where(pointers.c.name == LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEntry:
    """A release that answers a share of the users beside ``live_release_id``; its id is the salt that draws them."""

    arm_id: str
    release_id: str
    live_release_id: str
    share: float
    started_at: str
    ended_at: str | None


class Arms:
    """The releases that answered, or answer, a share of the users; at most one does at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, decision: Decision, *, live_id: str, release_id: str, share: float) -> None:
        """Have a release answer a share of the users beside live; it and the decision are one transaction.

        Raises Conflict where another release does, or another is live meanwhile.
        """
        with self._database.write() as connection:
            put_arm(connection, decision, live_id=live_id, release_id=release_id, share=share)
        failpoint("arms.started")

    def refuse_share(self, share: float) -> None:
        """Raises InputError for what is no share, NotFound while nothing is live, Conflict where another has one."""
        if not 0 < share < 1:
            raise InputError(f"a share of {share:g} is none", hint="for example: --share 0.1; without it for all users")
        with self._database.read() as connection:
            if connection.scalar(_LIVE_ID) is None:
                raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
        self.refuse_active()

    def refuse_active(self) -> None:
        """Raises Conflict where another release answers a share of the users, before anything is measured."""
        if active := self.active():
            raise _taken(active.release_id)

    def active(self) -> ArmEntry | None:
        """The release that answers a share of the users now."""
        return self._one(arms.c.ended_at.is_(None))

    def last(self) -> ArmEntry | None:
        """The one that does now, or did last."""
        return self.active() or self._one(sa.true())

    def get(self, arm_id: str) -> ArmEntry | None:
        """The one of that id."""
        return self._one(arms.c.arm_id == arm_id)

    def stop(self, arm_id: str) -> None:
        """Have live answer all users again."""
        with self._database.write() as connection:
            connection.execute(arms.update().where(arms.c.arm_id == arm_id).values(ended_at=utc_now()))

    def _one(self, condition: sa.ColumnElement[bool]) -> ArmEntry | None:
        statement = sa.select(arms).where(condition).order_by(arms.c.started_at.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return ArmEntry(**row._mapping) if row else None


def put_arm(connection: sa.Connection, decision: Decision, *, live_id: str, release_id: str, share: float) -> ArmEntry:
    """Enter a release that answers a share of the users, and the decision, in a transaction. Raises Conflict."""
    if other := connection.scalar(sa.select(arms.c.release_id).where(arms.c.ended_at.is_(None))):
        raise _taken(other)
    if connection.scalar(_LIVE_ID) != live_id:
        raise Conflict("the live release changed meanwhile", hint="look: nearer status, then repeat")
    now = utc_now()
    entry = ArmEntry(
        arm_id=f"arm-{secrets.token_hex(6)}",
        release_id=release_id,
        live_release_id=live_id,
        share=share,
        started_at=now,
        ended_at=None,
    )
    connection.execute(arms.insert(), [asdict(entry)])
    put_decision(connection, decision, release_id=release_id, previous=live_id, at=now)
    return entry


def _taken(release_id: str) -> Conflict:
    return Conflict(f"{release_id} answers a share of the users", hint="end that first: nearer arm stop")
