"""Models, immutable releases, and the one pointer that says which release is live."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from nearer.core.errors import Conflict, NotFound
from nearer.core.failpoints import failpoint
from nearer.core.ids import content_id
from nearer.core.results.measuring import Ledger
from nearer.core.results.training import TrainingRecord
from nearer.store import database as tables
from nearer.store.database import Database

LIVE = "live"
_AGE = (tables.models.c.created_at, tables.models.c.model_id)
JSON = Mapping[str, Any]


def utc_now() -> str:
    """The time now, UTC, to the millisecond, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model the workspace knows; ``encoder`` holds its encoder's settings, ``source`` says where it lies.

    The settings of an adapter, of a compressed model, or of one trained for queries alone, name the space that it
    searches; what they map, and what documents keep, is the encoder of the parent.
    """

    model_id: str
    encoder_id: str
    source: str
    encoder: JSON
    parent_model_id: str | None = None
    training: TrainingRecord | None = None
    created_at: str = ""

    @property
    def space_id(self) -> str:
        """The space of the document vectors that this model searches: its own, or the one that an adapter targets."""
        return str(self.encoder.get("space_id", self.encoder_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranker:
    """A cross-encoder that was trained here, from ``parent_id``: a model, another reranker, or none that is known."""

    reranker_id: str
    cross_encoder_id: str
    source: str
    training: TrainingRecord
    parent_id: str | None = None
    created_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A system that may answer queries: a model, its space, and how it was allowed to go live."""

    release_id: str
    model_id: str
    space_id: str
    system: JSON = field(default_factory=dict)
    evidence: JSON = field(default_factory=dict)
    created_at: str = ""

    @property
    def reranker(self) -> str | None:
        """What its system calls its cross-encoder: the id of one trained here, a folder, or a Hub name."""
        name = self.system.get("search", {}).get("rerank", {}).get("model")
        return str(name) if name else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the history."""

    at: str
    action: str
    release_id: str | None
    previous_release_id: str | None
    detail: JSON


def _is_test(split: str) -> bool:
    return split.startswith("test")


class Registry:
    """What the workspace remembers of models and releases; ``now`` tells the time."""

    def __init__(self, database: Database, *, now: Callable[[], str] = utc_now) -> None:
        self._database = database
        self._now = now

    def add_model(self, model: Model) -> Model:
        """Enter a model; entering it again says anew where it lies and, behind an API, how it is called."""
        row = {
            "model_id": model.model_id,
            "encoder_id": model.encoder_id,
            "parent_model_id": model.parent_model_id,
            "source": model.source,
            "encoder": dict(model.encoder),
            "training": model.training.to_dict() if model.training else None,
            "created_at": self._now(),
        }
        known = self._model(model.model_id)
        if known and (known.source, dict(known.encoder)) == (model.source, row["encoder"]):
            return known  # reading writes nothing
        with self._database.write() as connection:
            statement = insert(tables.models).on_conflict_do_update(
                index_elements=["model_id"], set_={"source": model.source, "encoder": row["encoder"]}
            )
            connection.execute(statement, [row])
        failpoint("registry.model")
        return self.model(model.model_id)

    def model(self, model_id: str) -> Model:
        """The model of that id. Raises NotFound, naming the ids there are."""
        if found := self._model(model_id):
            return found
        with self._database.read() as connection:
            known = ", ".join(connection.scalars(sa.select(tables.models.c.model_id).order_by(*_AGE))) or "none"
        raise NotFound(f"no model {model_id!r}; known: {known}", hint="train one: nearer train")

    def models(self) -> list[Model]:
        """All models, oldest first."""
        statement = sa.select(tables.models).order_by(*_AGE)
        with self._database.read() as connection:
            return [_model_in(row) for row in connection.execute(statement)]

    def add_reranker(self, reranker: Reranker) -> Reranker:
        """Enter a cross-encoder; entering it again changes nothing."""
        row = {
            "reranker_id": reranker.reranker_id,
            "cross_encoder_id": reranker.cross_encoder_id,
            "parent_id": reranker.parent_id,
            "source": reranker.source,
            "training": reranker.training.to_dict(),
            "created_at": self._now(),
        }
        with self._database.write() as connection:
            connection.execute(insert(tables.rerankers).on_conflict_do_nothing(), [row])
        failpoint("registry.reranker")
        return self.reranker(reranker.reranker_id)

    def reranker(self, reranker_id: str) -> Reranker:
        """The reranker of that id. Raises NotFound, naming the ids there are."""
        table = tables.rerankers
        with self._database.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.reranker_id == reranker_id)).one_or_none()
            if row:
                return _reranker_in(row)
            known = ", ".join(connection.scalars(sa.select(table.c.reranker_id).order_by(table.c.created_at))) or "none"
        raise NotFound(f"no reranker {reranker_id!r}; known: {known}", hint="train one: nearer train --reranker")

    def rerankers(self) -> list[Reranker]:
        """All rerankers trained here, oldest first."""
        statement = sa.select(tables.rerankers).order_by(tables.rerankers.c.created_at, tables.rerankers.c.reranker_id)
        with self._database.read() as connection:
            return [_reranker_in(row) for row in connection.execute(statement)]

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
            connection.execute(insert(table).on_conflict_do_nothing(), [row])
            kept = connection.execute(statement).scalar_one()
        failpoint("registry.probe")
        return bytes(kept)

    def add_release(self, *, model: Model, system: JSON, evidence: JSON) -> Release:
        """Make an immutable release of a model."""
        created_at = self._now()
        content = {"model_id": model.model_id, "system": dict(system), "evidence": dict(evidence), "at": created_at}
        release_id = content_id("release", content, num_hex=12)
        row = {
            "release_id": release_id,
            "model_id": model.model_id,
            "space_id": model.space_id,
            "system": dict(system),
            "evidence": dict(evidence),
            "created_at": created_at,
        }
        with self._database.write() as connection:
            connection.execute(insert(tables.releases).on_conflict_do_nothing(), [row])
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

    def releases(self, part_id: str) -> list[Release]:
        """The releases of a model, or those that rerank with a reranker trained here, oldest first."""
        statement = sa.select(tables.releases).order_by(tables.releases.c.created_at)
        with self._database.read() as connection:
            found = [Release(**row._mapping) for row in connection.execute(statement)]
        return [release for release in found if part_id in (release.model_id, release.reranker)]

    def released_parts(self) -> set[str]:
        """The ids of all models and rerankers that a release names."""
        table = tables.releases
        reranker = sa.func.json_extract(table.c.system, "$.search.rerank.model")
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table.c.model_id, reranker)).all()
        return {part_id for row in rows for part_id in row if part_id}

    def forget(self, part_ids: Sequence[str]) -> None:
        """Take models and rerankers out that no release names."""
        with self._database.write() as connection:
            connection.execute(tables.models.delete().where(tables.models.c.model_id.in_(part_ids)))
            connection.execute(tables.rerankers.delete().where(tables.rerankers.c.reranker_id.in_(part_ids)))

    def live_id(self) -> str | None:
        """The id of the release that answers queries now."""
        statement = sa.select(tables.pointers.c.release_id).where(tables.pointers.c.name == LIVE)
        with self._database.read() as connection:
            return connection.scalar(statement)

    def live(self) -> Release | None:
        """The release that answers queries now."""
        release_id = self.live_id()
        return self.release(release_id) if release_id else None

    def previous(self) -> Release | None:
        """The release that a rollback returns to: the one that was live when the current one was promoted."""
        table, live = tables.history, self.live()
        if live is None:
            return None
        condition = (table.c.release_id == live.release_id) & (table.c.action == "promote")
        statement = sa.select(table.c.previous_release_id).where(condition).order_by(table.c.event_id.desc()).limit(1)
        with self._database.read() as connection:
            release_id = connection.scalar(statement)
        return self.release(release_id) if release_id else None

    def move_live(self, *, expected: str | None, release_id: str, action: str, detail: JSON) -> None:
        """Point live at a release, if it still points at ``expected``; the move and its history are one transaction.

        Raises Conflict when another process moved it first.
        """
        with self._database.write() as connection:
            if not self._swap(connection, expected=expected, release_id=release_id):
                raise Conflict("the live release changed meanwhile", hint="look: nearer status, then repeat")
            self._record(connection, action, release_id=release_id, previous=expected, detail=detail)
        failpoint("registry.pointer")

    def record(self, action: str, *, detail: JSON) -> None:
        """Write a line of history that moves nothing, such as a refusal."""
        live = self.live()
        with self._database.write() as connection:
            previous = live.release_id if live else None
            self._record(connection, action, release_id=None, previous=previous, detail=detail)

    def history(self) -> list[Event]:
        """Everything that happened to the live pointer, and trainings, oldest first."""
        table = tables.history
        columns = [table.c[name] for name in ("at", "action", "release_id", "previous_release_id", "detail")]
        with self._database.read() as connection:
            return [Event(**row._mapping) for row in connection.execute(sa.select(*columns).order_by(table.c.event_id))]

    def last_event(self, action: str) -> Event | None:
        """The newest event of an action."""
        table = tables.history
        columns = [table.c[name] for name in ("at", "action", "release_id", "previous_release_id", "detail")]
        statement = sa.select(*columns).where(table.c.action == action).order_by(table.c.event_id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return Event(**row._mapping) if row else None

    def has_training(self, started_at: str) -> bool:
        """Whether the history knows a training that began then."""
        table = tables.history
        condition = sa.func.json_extract(table.c.detail, "$.started_at") == started_at
        with self._database.read() as connection:
            return connection.scalar(sa.select(table.c.event_id).where(condition).limit(1)) is not None

    def refuse_look(self, split: str) -> None:
        """Raises WorkspaceError, before anything is measured, where a look at a test split could not be entered."""
        if _is_test(split):
            self._database.refuse_read_only()

    def use_test_split(self, *, split: str, systems: list[str], purpose: str) -> Ledger:
        """Enter a look at a test split in the ledger, and count this one too.

        Splits of other names may be looked at freely; their ``num_test_uses`` is None.
        """
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

    def add_evaluation(self, *, split: str, result: JSON) -> None:
        """Keep the result of an evaluation for the report."""
        row = {"at": self._now(), "split": split, "result": dict(result)}
        with self._database.write() as connection:
            connection.execute(tables.evaluations.insert(), [row])

    def evaluations(self) -> list[dict[str, Any]]:
        """The results of all evaluations, oldest first."""
        table = tables.evaluations
        with self._database.read() as connection:
            return list(connection.scalars(sa.select(table.c.result).order_by(table.c.evaluation_id)))

    def add_suite_run(self, result: JSON) -> None:
        """Keep what the regression suite found, for the report."""
        with self._database.write() as connection:
            connection.execute(tables.suite_runs.insert(), [{"at": self._now(), "result": dict(result)}])
        failpoint("registry.suite")

    def last_suite_run(self) -> dict[str, Any] | None:
        """What the regression suite found when it was last run, with the time under ``at``."""
        table = tables.suite_runs
        statement = sa.select(table.c.at, table.c.result).order_by(table.c.suite_run_id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return {**row.result, "at": row.at} if row else None

    def _model(self, model_id: str) -> Model | None:
        statement = sa.select(tables.models).where(tables.models.c.model_id == model_id)
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return _model_in(row) if row else None

    @staticmethod
    def _swap(connection: Connection, *, expected: str | None, release_id: str) -> bool:
        table = tables.pointers
        if expected is None:
            statement = insert(table).values(name=LIVE, release_id=release_id).on_conflict_do_nothing()
            return connection.execute(statement).rowcount == 1
        condition = (table.c.name == LIVE) & (table.c.release_id == expected)
        return connection.execute(table.update().where(condition).values(release_id=release_id)).rowcount == 1

    def _record(
        self, connection: Connection, action: str, *, release_id: str | None, previous: str | None, detail: JSON
    ) -> None:
        row = {
            "at": self._now(),
            "action": action,
            "release_id": release_id,
            "previous_release_id": previous,
            "detail": dict(detail),
        }
        connection.execute(tables.history.insert(), [row])


def _model_in(row: sa.Row[Any]) -> Model:
    training = TrainingRecord.read(row.training) if row.training else None
    return Model(**{**row._mapping, "training": training})


def _reranker_in(row: sa.Row[Any]) -> Reranker:
    return Reranker(**{**row._mapping, "training": TrainingRecord.read(row.training)})
