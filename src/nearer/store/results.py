"""What verbs answered, kept for the report: one row an answer, read by what it is, not all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import sqlalchemy as sa

from nearer.core.results.base import Result
from nearer.store.database import Database
from nearer.store.registry import utc_now
from nearer.store.tables import results

R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[R]):
    """An answer, and when it was given (UTC)."""

    at: str
    result: R


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationEntry:
    """An evaluation that was kept: the ids of the models of its systems, in their order; None for a run."""

    result_id: int
    split: str
    model_ids: tuple[str | None, ...]

    @property
    def is_comparison(self) -> bool:
        """Whether several systems were measured."""
        return len(self.model_ids) > 1

    @property
    def is_of_test(self) -> bool:
        """Whether it was measured on a test split."""
        return self.split.startswith("test")


class Results:
    """The answers that were kept; ``now`` tells the time."""

    def __init__(self, database: Database, *, now: Callable[[], str] = utc_now) -> None:
        self._database = database
        self._now = now

    def keep(
        self, verb: str, result: Result, *, split: str | None = None, model_ids: Sequence[str | None] = ()
    ) -> None:
        """Keep what a verb answered."""
        row = {
            "at": self._now(),
            "verb": verb,
            "split": split,
            "model_ids": list(model_ids),
            "content": result.to_dict(),
        }
        with self._database.write() as connection:
            connection.execute(results.insert(), [row])

    def last(self, verb: str, kind: type[R]) -> Kept[R] | None:
        """What a verb answered last."""
        statement = sa.select(results.c.at, results.c.content).where(results.c.verb == verb)
        with self._database.read() as connection:
            row = connection.execute(statement.order_by(results.c.result_id.desc()).limit(1)).one_or_none()
        return Kept(at=row.at, result=kind.read(row.content)) if row else None

    def read(self, result_id: int, kind: type[R]) -> R:
        """The answer of that number."""
        return self.entry(result_id, kind).result

    def entry(self, result_id: int, kind: type[R]) -> Kept[R]:
        """The answer of that number, and when it was given."""
        statement = sa.select(results.c.at, results.c.content).where(results.c.result_id == result_id)
        with self._database.read() as connection:
            row = connection.execute(statement).one()
        return Kept(at=row.at, result=kind.read(row.content))

    def evaluations(self) -> list[EvaluationEntry]:
        """The evaluations that were kept, oldest first, without what they measured."""
        columns = (results.c.result_id, results.c.split, results.c.model_ids)
        statement = sa.select(*columns).where(results.c.verb == "evaluate").order_by(results.c.result_id)
        with self._database.read() as connection:
            return [
                EvaluationEntry(result_id=row.result_id, split=row.split, model_ids=tuple(row.model_ids))
                for row in connection.execute(statement)
            ]
