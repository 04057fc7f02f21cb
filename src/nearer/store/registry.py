"""Models, immutable releases, the one pointer that says which release is live, and how all of them came about."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import Conflict, NotFound
from nearer.core.failpoints import failpoint
from nearer.core.ids import content_id
from nearer.core.results.base import JSON
from nearer.store import tables
from nearer.store.database import Database, insert_into
from nearer.store.registered import Action, Decision, Model, Release, Reranker, Training

if TYPE_CHECKING:
    from nearer.core.results.measuring import Ledger
    from nearer.core.results.releases import HistoryEvent
    from nearer.core.results.training import TrainingRecord

LIVE = "live"
_AGE: tuple[sa.ColumnElement[Any], ...] = (
    tables.models.c.created_at,
    tables.models.c.parent_model_id.is_not(None),  # of two that were entered together the parent first
    tables.models.c.model_id,
)
MOVES: tuple[Action, ...] = ("promote", "rollback")
"""What changes which release is live."""


def utc_now() -> str:
    """The time now, UTC, to the millisecond, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _is_test(split: str) -> bool:
    return split.startswith("test")


class Registry:
    """What the workspace remembers of models and releases; ``now`` tells the time."""

    def __init__(self, database: Database, *, now: Callable[[], str] = utc_now) -> None:
        self._database = database
        self._now = now

    def add_model(self, model: Model, *, parent: Model | None = None) -> Model:
        """Enter a model, and what it was made from where that is not known yet.

        Entering one again says anew where it lies and, behind an API, how it is called.
        """
        known = self.find_model(model.model_id)
        if known and (known.source, dict(known.encoder)) == (model.source, dict(model.encoder)):
            return known  # reading writes nothing
        with self._database.write() as connection:
            self._put_model(connection, model, parent=parent)
        failpoint("registry.model")
        return self.model(model.model_id)

    def find_model(self, model_id: str) -> Model | None:
        """The model of that id, if there is one."""
        statement = sa.select(tables.models).where(tables.models.c.model_id == model_id)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return Model(**row._mapping) if row else None

    def model_ids(self) -> list[str]:
        """The ids of all models, oldest first."""
        with self._database.read() as connection:
            return list(connection.scalars(sa.select(tables.models.c.model_id).order_by(*_AGE)))

    def model(self, model_id: str) -> Model:
        """The model of that id. Raises NotFound, naming the ids there are."""
        if found := self.find_model(model_id):
            return found
        known = ", ".join(self.model_ids()) or "none"
        raise NotFound(f"no model {model_id!r}; known: {known}", hint="train one: nearer train")

    def models(self) -> list[Model]:
        """All models, oldest first."""
        statement = sa.select(tables.models).order_by(*_AGE)
        with self._database.read() as connection:
            return [Model(**row._mapping) for row in connection.execute(statement)]

    def add_training(
        self, training: Training, *, made: Model | Reranker | None = None, parent: Model | None = None
    ) -> None:
        """Enter a training and what it made, and the model that it began with where that is not known yet.

        All of it is one transaction, and entering it again changes nothing.
        """
        row = {
            "at": self._now(),
            "started_at": training.started_at,
            "verb": training.verb,
            "part_id": training.part_id,
            "is_improved": training.is_improved,
            "record": training.record.to_dict(),
        }
        with self._database.write() as connection:
            if isinstance(made, Model):
                self._put_model(connection, made, parent=parent)
            elif parent:
                self._put_model(connection, parent)
            if isinstance(made, Reranker):
                values = {**asdict(made), "created_at": self._now()}
                connection.execute(insert_into(connection, tables.rerankers).on_conflict_do_nothing(), [values])
            connection.execute(insert_into(connection, tables.trainings).on_conflict_do_nothing(), [row])
        if made:
            failpoint("registry.model" if isinstance(made, Model) else "registry.reranker")

    def training_of(self, part_id: str) -> "TrainingRecord | None":
        """How a model or reranker was made; None of one that was not made here."""
        from nearer.core.results.training import TrainingRecord

        table = tables.trainings
        condition = (table.c.part_id == part_id) & table.c.is_improved
        statement = sa.select(table.c.record).where(condition).order_by(table.c.training_id.desc()).limit(1)
        with self._database.read() as connection:
            record = connection.scalar(statement)
        return TrainingRecord.read(record) if record else None

    def last_training(self, verbs: Sequence[str]) -> tuple[str | None, bool] | None:
        """What stands after the newest training by one of the verbs, and whether it was improved."""
        table = tables.trainings
        statement = sa.select(table.c.part_id, table.c.is_improved).where(table.c.verb.in_(verbs))
        with self._database.read() as connection:
            row = connection.execute(statement.order_by(table.c.training_id.desc()).limit(1)).one_or_none()
        return (row.part_id, row.is_improved) if row else None

    def trained_parts(self) -> list[str]:
        """The ids of the models and rerankers that were trained here, oldest first."""
        table = tables.trainings
        statement = sa.select(table.c.part_id).where(table.c.is_improved).order_by(table.c.training_id)
        with self._database.read() as connection:
            return list(dict.fromkeys(connection.scalars(statement)))

    def reranker(self, reranker_id: str) -> Reranker:
        """The reranker of that id. Raises NotFound, naming the ids there are."""
        table = tables.rerankers
        with self._database.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.reranker_id == reranker_id)).one_or_none()
            if row:
                return Reranker(**row._mapping)
            known = ", ".join(connection.scalars(sa.select(table.c.reranker_id).order_by(table.c.created_at))) or "none"
        raise NotFound(f"no reranker {reranker_id!r}; known: {known}", hint="train one: nearer train --reranker")

    def rerankers(self) -> list[Reranker]:
        """All rerankers trained here, oldest first."""
        statement = sa.select(tables.rerankers).order_by(tables.rerankers.c.created_at, tables.rerankers.c.reranker_id)
        with self._database.read() as connection:
            return [Reranker(**row._mapping) for row in connection.execute(statement)]

    def knows_cross_encoder(self, cross_encoder_id: str) -> bool:
        """Whether a cross-encoder was trained here."""
        table = tables.rerankers
        statement = sa.select(table.c.reranker_id).where(table.c.cross_encoder_id == cross_encoder_id)
        with self._database.read() as connection:
            return connection.scalar(statement) is not None

    def keep_probe(self, declaration_id: str, vectors: bytes) -> bytes:
        """The first probe of an encoder behind an API: ``vectors`` unless one is kept already."""
        table = tables.probes
        row = {"declaration_id": declaration_id, "vectors": vectors, "created_at": self._now()}
        statement = sa.select(table.c.vectors).where(table.c.declaration_id == declaration_id)
        with self._database.read() as connection:
            kept = connection.scalar(statement)
        if kept is not None:
            return bytes(kept)
        with self._database.write() as connection:
            connection.execute(insert_into(connection, table).on_conflict_do_nothing(), [row])
            kept = connection.execute(statement).scalar_one()
        failpoint("registry.probe")
        return bytes(kept)

    def add_release(self, *, model: Model, system: JSON) -> Release:
        """Make an immutable release of a model, which is entered where it is not known yet."""
        created_at = self._now()
        content = {"model_id": model.model_id, "system": dict(system), "at": created_at}
        release_id = content_id("release", content, num_hex=12)
        row = {
            "release_id": release_id,
            "model_id": model.model_id,
            "space_id": model.space_id,
            "system": dict(system),
            "created_at": created_at,
        }
        with self._database.write() as connection:
            self._put_model(connection, model)
            connection.execute(insert_into(connection, tables.releases).on_conflict_do_nothing(), [row])
        failpoint("registry.release")
        return self.release(release_id)

    def release(self, release_id: str) -> Release:
        """The release of that id. Raises NotFound."""
        statement = sa.select(tables.releases).where(tables.releases.c.release_id == release_id)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise NotFound(f"no release {release_id!r}", hint="list them: nearer history")
        return Release(**row._mapping)

    def releases(self, part_id: str) -> list[str]:
        """The ids of the releases of a model, or of those that rerank with a reranker trained here, oldest first."""
        return [each.release_id for each in self._releases() if part_id in (each.model_id, each.reranker)]

    def released_parts(self) -> set[str]:
        """The ids of all models and rerankers that a release names."""
        return {part_id for each in self._releases() for part_id in (each.model_id, each.reranker) if part_id}

    def _releases(self) -> list[Release]:
        """All releases, oldest first."""
        table = tables.releases
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.created_at, table.c.release_id)).all()
        return [Release(**row._mapping) for row in rows]

    def forget(self, part_ids: Sequence[str]) -> None:
        """Take models and rerankers out that no release names, and how they were made."""
        with self._database.write() as connection:
            connection.execute(tables.models.delete().where(tables.models.c.model_id.in_(part_ids)))
            connection.execute(tables.rerankers.delete().where(tables.rerankers.c.reranker_id.in_(part_ids)))
            connection.execute(tables.trainings.delete().where(tables.trainings.c.part_id.in_(part_ids)))

    def live_id(self) -> str | None:
        """The id of the release that answers queries now."""
        statement = sa.select(tables.pointers.c.release_id).where(tables.pointers.c.name == LIVE)
        with self._database.read() as connection:
            return connection.scalar(statement)

    def live(self) -> Release | None:
        """The release that answers queries now."""
        release_id = self.live_id()
        return self.release(release_id) if release_id else None

    def first_live(self) -> Release | None:
        """The release that was live first."""
        table = tables.decisions
        statement = sa.select(table.c.release_id).where(table.c.action == "promote").order_by(table.c.decision_id)
        with self._database.read() as connection:
            release_id = connection.scalar(statement.limit(1))
        return self.release(release_id) if release_id else None

    def previous(self) -> Release | None:
        """The release that a rollback returns to: the one that was live when the current one was promoted."""
        table, live = tables.decisions, self.live()
        if live is None:
            return None
        condition = (table.c.release_id == live.release_id) & (table.c.action == "promote")
        statement = (
            sa.select(table.c.previous_release_id).where(condition).order_by(table.c.decision_id.desc()).limit(1)
        )
        with self._database.read() as connection:
            release_id = connection.scalar(statement)
        return self.release(release_id) if release_id else None

    def move_live(self, decision: Decision, *, expected: str | None, release_id: str) -> None:
        """Point live at a release, if it still points at ``expected``; the move and the decision are one transaction.

        Raises Conflict when another process moved it first.
        """
        with self._database.write() as connection:
            if not self._swap(connection, expected=expected, release_id=release_id):
                raise Conflict("the live release changed meanwhile", hint="look: nearer status, then repeat")
            put_decision(connection, decision, release_id=release_id, previous=expected, at=self._now())
            ended = tables.arms.update().where(tables.arms.c.ended_at.is_(None))  # what they were beside is gone
            connection.execute(ended.values(ended_at=self._now()))
        failpoint("registry.pointer")

    def add_decision(self, decision: Decision, *, release_id: str | None = None) -> None:
        """Enter a decision that moves nothing, such as a refusal; or a release that the gate let through."""
        live = self.live()
        with self._database.write() as connection:
            put_decision(
                connection, decision, release_id=release_id, previous=live.release_id if live else None, at=self._now()
            )

    def history(self) -> "list[HistoryEvent]":
        """Everything that happened to the live pointer, oldest first."""
        from nearer.core.results.releases import HistoryEvent

        columns = [tables.decisions.c[each.name] for each in fields(HistoryEvent)]
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*columns).order_by(tables.decisions.c.decision_id)).all()
        return [
            HistoryEvent(**{**row._mapping, "reasons": tuple(row.reasons), "notes": tuple(row.notes)}) for row in rows
        ]

    def last_decision(self, *, release_id: str | None = None) -> Decision | None:
        """The newest decision, with what the gate saw; or the newest promotion of a release that a gate judged."""
        table = tables.decisions
        columns = [table.c[each.name] for each in fields(Decision)]
        statement = sa.select(*columns).order_by(table.c.decision_id.desc()).limit(1)
        if release_id:
            statement = statement.where((table.c.release_id == release_id) & table.c.evaluation.is_not(None))
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return _decision_in(row) if row else None

    def refuse_look(self, split: str) -> None:
        """Raises WorkspaceError, before anything is measured, where a look at a test split could not be entered."""
        if _is_test(split):
            self._database.refuse_read_only()

    def use_test_split(self, *, split: str, systems: list[str], purpose: str) -> "Ledger":
        """Enter a look at a test split in the ledger, and count this one too.

        Splits of other names may be looked at freely; their ``num_test_uses`` is None.
        """
        from nearer.core.results.measuring import Ledger

        if not _is_test(split):
            return Ledger(split=split, num_test_uses=None)
        table = tables.ledger
        row = {"at": self._now(), "split": split, "systems": systems, "purpose": purpose}
        with self._database.write() as connection:
            connection.execute(table.insert(), [row])
            statement = sa.select(sa.func.count()).select_from(table).where(table.c.split == split)
            num_test_uses = connection.scalar(statement) or 0
        failpoint("registry.use_test_split")
        return Ledger(split=split, num_test_uses=num_test_uses)

    def _put_model(self, connection: Connection, model: Model, *, parent: Model | None = None) -> None:
        if parent:
            self._put_model(connection, parent)
        row = {**asdict(model), "encoder": dict(model.encoder), "created_at": model.created_at or self._now()}
        statement = insert_into(connection, tables.models).on_conflict_do_update(
            index_elements=["model_id"], set_={"source": model.source, "encoder": row["encoder"]}
        )
        connection.execute(statement, [row])

    @staticmethod
    def _swap(connection: Connection, *, expected: str | None, release_id: str) -> bool:
        table = tables.pointers
        if expected is None:
            statement = insert_into(connection, table).values(name=LIVE, release_id=release_id).on_conflict_do_nothing()
            return connection.execute(statement).rowcount == 1
        condition = (table.c.name == LIVE) & (table.c.release_id == expected)
        return connection.execute(table.update().where(condition).values(release_id=release_id)).rowcount == 1


def put_decision(
    connection: Connection, decision: Decision, *, release_id: str | None, previous: str | None, at: str
) -> None:
    """Enter a decision in a transaction; ``previous`` is what was live."""
    row = {
        "at": at,
        "action": decision.action,
        "model_id": decision.model_id,
        "release_id": release_id,
        "previous_release_id": previous,
        "reasons": list(decision.reasons),
        "notes": list(decision.notes),
        "forced": decision.forced,
        "evaluation": decision.evaluation.to_dict() if decision.evaluation else None,
        "suite": decision.suite.to_dict() if decision.suite else None,
    }
    connection.execute(tables.decisions.insert(), [row])


def _decision_in(row: Any) -> Decision:
    from nearer.core.results.measuring import Evaluation, SuiteRun

    return Decision(
        action=row.action,
        model_id=row.model_id,
        reasons=tuple(row.reasons),
        notes=tuple(row.notes),
        forced=row.forced,
        evaluation=Evaluation.read(row.evaluation) if row.evaluation else None,
        suite=SuiteRun.read(row.suite) if row.suite else None,
    )
