"""Sets of pairs that people judge: who rates what next, what was rated, and what becomes of it.

A rating and the judgment that it makes are one transaction. A pair is handed out, and a rating taken, by one statement
that looks at the others' ratings: no pair gets more than are wanted, however many rate at once.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nearer.core.errors import Conflict, InputError, NotFound
from nearer.core.failpoints import failpoint
from nearer.core.records import Judgment
from nearer.store.changing import put_judgments, stamp_judgments
from nearer.store.collection import batches
from nearer.store.database import Database, insert_into
from nearer.store.formats.labels import LabelRow
from nearer.store.label_records import OPEN, RATED, SKIPPED, Guideline, GuidelineGrade, LabelSet, PairToLabel, Rating
from nearer.store.tables import documents, judgments, label_pairs, label_ratings, label_sets, queries

CLAIM = timedelta(minutes=30)
"""How long a pair that is on a screen is kept for its rater."""
UNKNOWN = "unknown"
"""The rater of a rating whose file names none."""
APART = 2
"""Ratings so many grades apart go to adjudication: one grade is taste, two are another meaning."""
REASON_CHARACTERS = 2000
_PRIME = 2**31 - 1


def _now() -> datetime:
    return datetime.now(UTC)


class Labels:
    """The label sets of a workspace."""

    def __init__(self, database: Database, *, now: Callable[[], datetime] = _now) -> None:
        self._database, self._now = database, now

    def add(self, label_set: LabelSet, pairs: Sequence[PairToLabel]) -> None:
        """Enter a set with its pairs. Raises Conflict for a name that is taken."""
        row = {name: getattr(label_set, name) for name in ("set_id", "name", "created_at", "max_grade", "strategy")}
        guideline = {
            "intro": label_set.guideline.intro,
            "grades": [[each.grade, each.name, each.meaning] for each in label_set.guideline.grades],
        }
        rankings = {system: {q: list(ids) for q, ids in found.items()} for system, found in label_set.rankings.items()}
        with self._database.write(holder="nearer label") as connection:
            if connection.scalar(sa.select(label_sets.c.set_id).where(label_sets.c.name == label_set.name)):
                raise Conflict(f"there is a label set {label_set.name!r} already", hint="choose another --name")
            connection.execute(label_sets.insert(), [{**row, "guideline": guideline, "rankings": rankings}])
            self._put_pairs(connection, label_set.set_id, pairs)
        failpoint("labels.set")

    def add_pairs(self, set_id: str, pairs: Sequence[PairToLabel]) -> None:
        """Enter more pairs in a set; those that it has stay as they are."""
        with self._database.write(holder="nearer label") as connection:
            self._put_pairs(connection, set_id, pairs)

    @staticmethod
    def _put_pairs(connection: Connection, set_id: str, pairs: Sequence[PairToLabel]) -> None:
        for batch in batches(pairs):
            rows = [{"set_id": set_id, **{name: getattr(p, name) for name in PairToLabel.__slots__}} for p in batch]
            connection.execute(insert_into(connection, label_pairs).on_conflict_do_nothing(), rows)

    def all(self) -> list[LabelSet]:
        """Every set, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(label_sets).order_by(label_sets.c.created_at, label_sets.c.set_id))
            return [_set_of(row) for row in rows]

    def get(self, name: str) -> LabelSet:
        """The set of a name or an id. Raises NotFound."""
        for each in self.all():
            if name in (each.name, each.set_id):
                return each
        raise NotFound(f"no label set {name!r}", hint="list them: nearer label status")

    def pairs(self, set_id: str) -> list[PairToLabel]:
        """The pairs of a set."""
        statement = sa.select(label_pairs).where(label_pairs.c.set_id == set_id)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(label_pairs.c.query_id, label_pairs.c.doc_id))
            return [_pair_of(row) for row in rows]

    def pair(self, set_id: str, pair_id: str) -> PairToLabel:
        """A pair of a set. Raises NotFound."""
        statement = sa.select(label_pairs).where((label_pairs.c.set_id == set_id) & (label_pairs.c.pair_id == pair_id))
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        if row is None:
            raise NotFound("this pair is not in the set", hint="its document may have been removed: go on")
        return _pair_of(row)

    def ratings(self, set_id: str, *, rater: str | None = None) -> list[Rating]:
        """The ratings of a set, or those of a rater, newest first."""
        statement = sa.select(label_ratings).where(label_ratings.c.set_id == set_id)
        if rater is not None:
            statement = statement.where(label_ratings.c.rater == rater)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(label_ratings.c.number.desc()))
            return [Rating(**{name: row._mapping[name] for name in Rating.__slots__}) for row in rows]

    def next(self, set_id: str, rater: str) -> PairToLabel | None:
        """The pair that is on a rater's screen, or a new one in the rater's own random order; None at the end."""
        with self._database.write(holder="nearer label") as connection:
            mine = (label_ratings.c.set_id == set_id) & (label_ratings.c.rater == rater)
            kept = self._kept(connection, mine, rater)
            pair_id = kept or connection.scalar(self._claim(set_id, rater))
            if pair_id is None:
                return None
            row = connection.execute(sa.select(label_pairs).where(label_pairs.c.pair_id == pair_id)).one()
            return _pair_of(row)

    def _kept(self, connection: Connection, mine: sa.ColumnElement[bool], rater: str) -> str | None:
        """The pair on the rater's screen, unless others filled it meanwhile; then it is let go."""
        is_open = mine & (label_ratings.c.state == OPEN)
        statement = sa.select(label_ratings.c.pair_id).where(is_open).order_by(label_ratings.c.number.desc())
        for pair_id in connection.scalars(statement).all():
            this = is_open & (label_ratings.c.pair_id == pair_id)
            room = sa.select(label_pairs.c.pair_id).where(label_pairs.c.pair_id == pair_id, self._has_room(rater))
            renewed = label_ratings.update().where(this, sa.exists(room)).values(at=self._text())
            if connection.execute(renewed).rowcount:
                return str(pair_id)
            connection.execute(label_ratings.delete().where(this))
        return None

    def _claim(self, set_id: str, rater: str) -> Any:
        """One statement: take the first pair that the rater has not seen and that lacks ratings."""
        digest = hashlib.sha256(f"{set_id} {rater}".encode()).digest()
        factor, shift = 1 + int.from_bytes(digest[:4]) % (_PRIME - 1), int.from_bytes(digest[4:8]) % _PRIME
        seen = sa.exists().where(label_ratings.c.pair_id == label_pairs.c.pair_id, label_ratings.c.rater == rater)
        chosen = (
            self._entry(rater, OPEN, None, "")
            .where(label_pairs.c.set_id == set_id, label_pairs.c.settled_grade.is_(None), ~seen, self._has_room(rater))
            .order_by((label_pairs.c.shuffle * factor + shift) % _PRIME, label_pairs.c.pair_id)
            .limit(1)
        )
        return sa.insert(label_ratings).from_select(_COLUMNS, chosen).returning(label_ratings.c.pair_id)

    def rate(self, set_id: str, pair_id: str, rater: str, *, grade: int, reason: str = "") -> None:
        """Take a rating, or correct one, and make it a judgment; a pair with a gold grade makes none.

        Raises InputError for a grade that is none and a reason too long, NotFound, and Conflict where the pair has as
        many ratings of others as are wanted.
        """
        label_set, pair = self.get(set_id), self.pair(set_id, pair_id)
        if not 0 <= grade <= label_set.max_grade:
            raise InputError(f"{grade} is no grade", hint=f"0 to {label_set.max_grade}")
        if len(reason) > REASON_CHARACTERS:
            raise InputError(f"a reason has {REASON_CHARACTERS} characters at most", hint="shorten it")
        with self._database.write(holder="nearer label") as connection:
            if not self._put(connection, pair_id, rater, state=RATED, grade=grade, reason=reason.strip()):
                message = "others have rated this pair meanwhile: it has as many ratings as are wanted"
                raise Conflict(message, hint="go on with the next one")
            if pair.gold_grade is None:
                self._judge(connection, pair, rater, grade=grade, weight=0.0 if pair.settled_by else None)
        failpoint("labels.rating")

    def skip(self, set_id: str, pair_id: str, rater: str) -> None:
        """Leave a pair to others. Raises NotFound."""
        pair = self.pair(set_id, pair_id)
        with self._database.write(holder="nearer label") as connection:
            self._put(connection, pair_id, rater, state=SKIPPED, grade=None, reason="", is_capped=False)
            _unjudge(connection, pair, rater)

    def undo(self, set_id: str, rater: str) -> str | None:
        """Take back what the rater did last, and put that pair on the screen; its id, or None."""
        mine = (label_ratings.c.set_id == set_id) & (label_ratings.c.rater == rater)
        with self._database.write(holder="nearer label") as connection:
            done = mine & label_ratings.c.state.in_((RATED, SKIPPED))
            pair_id = connection.scalar(
                sa.select(label_ratings.c.pair_id).where(done).order_by(label_ratings.c.number.desc()).limit(1)
            )
            if pair_id is None:
                return None
            connection.execute(label_ratings.delete().where(mine, label_ratings.c.state == OPEN))
            self._reopen(connection, str(pair_id), rater)
            return str(pair_id)

    def unrate(self, set_id: str, pair_id: str, rater: str) -> bool:
        """Take a rating back, so that the pair waits for ratings again; whether there was one."""
        pair = self.pair(set_id, pair_id)
        this = (label_ratings.c.pair_id == pair_id) & (label_ratings.c.rater == rater)
        with self._database.write(holder="nearer label") as connection:
            _unjudge(connection, pair, rater)
            return bool(connection.execute(label_ratings.delete().where(this, label_ratings.c.state != OPEN)).rowcount)

    def settle(self, set_id: str, pair_id: str, judge: str, *, grade: int) -> None:
        """Decide a pair about which raters disagree: their judgments stay, with a weight of 0. Raises as ``rate``."""
        label_set, pair = self.get(set_id), self.pair(set_id, pair_id)
        if not 0 <= grade <= label_set.max_grade:
            raise InputError(f"{grade} is no grade", hint=f"0 to {label_set.max_grade}")
        with self._database.write(holder="nearer label") as connection:
            this = label_pairs.c.pair_id == pair_id
            connection.execute(label_pairs.update().where(this).values(settled_grade=grade, settled_by=judge))
            on_pair = (judgments.c.query_id == pair.query_id) & (judgments.c.doc_id == pair.doc_id)
            connection.execute(judgments.update().where(on_pair, judgments.c.source == "human").values(weight=0.0))
            self._judge(connection, pair, settled_name(judge), grade=grade)
        failpoint("labels.rating")

    def take(self, set_id: str, pairs: Sequence[PairToLabel], rows: Sequence[LabelRow]) -> None:
        """Enter pairs and ratings that were made elsewhere, and their judgments, in one change."""
        with self._database.write(holder="nearer label") as connection:
            self._put_pairs(connection, set_id, pairs)
            statement = sa.select(label_pairs).where(label_pairs.c.set_id == set_id)
            by_ids = {(row.query_id, row.doc_id): _pair_of(row) for row in connection.execute(statement)}
            for row in rows:
                if row.grade is not None:
                    pair, rater = by_ids[row.query_id, row.doc_id], row.rater or UNKNOWN
                    self._put(
                        connection,
                        pair.pair_id,
                        rater,
                        state=RATED,
                        grade=row.grade,
                        reason=row.reason,
                        at=row.at,
                        is_capped=False,
                    )
                    if pair.gold_grade is None:
                        self._judge(connection, pair, rater, grade=row.grade)
        failpoint("labels.set")

    def to_settle(self, set_id: str) -> list[tuple[PairToLabel, list[Rating]]]:
        """The pairs whose ratings are ``APART`` or more, not settled yet, with the ratings."""
        said: dict[str, list[Rating]] = {}
        for each in self.ratings(set_id):
            if each.state == RATED:
                said.setdefault(each.pair_id, []).append(each)
        return [
            (pair, said[pair.pair_id])
            for pair in self.pairs(set_id)
            if pair.gold_grade is None and pair.settled_by is None and _are_apart(said.get(pair.pair_id, []))
        ]

    def _put(
        self,
        connection: Connection,
        pair_id: str,
        rater: str,
        *,
        state: str,
        grade: int | None,
        reason: str,
        at: str = "",
        is_capped: bool = True,
    ) -> bool:
        """One statement: write a rater's row of a pair, if there is room for it; whether there was."""
        chosen = self._entry(rater, state, grade, reason, at).where(label_pairs.c.pair_id == pair_id)
        chosen = chosen.where(self._has_room(rater)) if is_capped else chosen
        statement = insert_into(connection, label_ratings).from_select(_COLUMNS, chosen)
        changed = {name: statement.excluded[name] for name in ("state", "grade", "reason", "at", "number")}
        upsert = statement.on_conflict_do_update(index_elements=["pair_id", "rater"], set_=changed)
        return bool(connection.execute(upsert).rowcount)

    def _entry(self, rater: str, state: str, grade: int | None, reason: str, at: str = "") -> Any:
        other = label_ratings.alias("counted")
        number = (
            sa.select(sa.func.coalesce(sa.func.max(other.c.number), 0) + 1)
            .where(other.c.set_id == label_pairs.c.set_id)
            .correlate(label_pairs)
            .scalar_subquery()
        )
        return sa.select(
            label_pairs.c.pair_id,
            sa.literal(rater, label_ratings.c.rater.type),
            label_pairs.c.set_id,
            sa.literal(state, label_ratings.c.state.type),
            sa.literal(grade, label_ratings.c.grade.type),
            sa.literal(reason, label_ratings.c.reason.type),
            sa.literal(at or self._text(), label_ratings.c.at.type),
            number,
        )

    def _has_room(self, rater: str) -> sa.ColumnElement[bool]:
        """Whether a pair has fewer ratings of others, and fewer open on their screens, than are wanted."""
        other = label_ratings.alias("others")
        is_fresh = other.c.at > (self._now() - CLAIM).isoformat(timespec="milliseconds")
        taken = (
            sa.select(sa.func.count())
            .select_from(other)
            .where(
                other.c.pair_id == label_pairs.c.pair_id,
                other.c.rater != rater,
                (other.c.state == RATED) | ((other.c.state == OPEN) & is_fresh),
            )
            .correlate(label_pairs)
            .scalar_subquery()
        )
        has_room: sa.ColumnElement[bool] = taken < label_pairs.c.wanted
        return has_room

    def _reopen(self, connection: Connection, pair_id: str, rater: str) -> None:
        row = connection.execute(sa.select(label_pairs).where(label_pairs.c.pair_id == pair_id)).one()
        this = (label_ratings.c.pair_id == pair_id) & (label_ratings.c.rater == rater)
        connection.execute(label_ratings.update().where(this).values(state=OPEN, grade=None, at=self._text()))
        _unjudge(connection, _pair_of(row), rater)

    def _judge(
        self, connection: Connection, pair: PairToLabel, rater: str, *, grade: int, weight: float | None = None
    ) -> None:
        """Write the judgment of a rating; its weight is that of the rater's others, unless it is given."""
        if weight is None:
            mine = (judgments.c.source == "human") & (judgments.c.rater == rater) & (judgments.c.weight > 0)
            weight = connection.scalar(sa.select(sa.func.max(judgments.c.weight)).where(mine)) or 1.0
        judgment = Judgment(
            query_id=pair.query_id,
            doc_id=pair.doc_id,
            grade=grade,
            source="human",
            rater=rater,
            weight=weight,
            at=self._text(),
        )
        put_judgments(connection, [judgment])
        stamp_judgments(connection)

    def texts(self, pair: PairToLabel) -> tuple[str, Mapping[str, Any], str, str]:
        """The query's text and metadata, and the document's title and text."""
        with self._database.read() as connection:
            asked = connection.execute(sa.select(queries).where(queries.c.query_id == pair.query_id)).one()
            found = connection.execute(sa.select(documents).where(documents.c.doc_id == pair.doc_id)).one()
            return asked.text, asked.metadata, found.title, found.text

    def _text(self) -> str:
        return self._now().isoformat(timespec="milliseconds")


_COLUMNS = ["pair_id", "rater", "set_id", "state", "grade", "reason", "at", "number"]


def settled_name(judge: str) -> str:
    """The rater of a judgment that settled a disagreement."""
    return f"{judge} (settled)"


def _unjudge(connection: Connection, pair: PairToLabel, rater: str) -> None:
    this = (judgments.c.query_id == pair.query_id) & (judgments.c.doc_id == pair.doc_id)
    mine = (judgments.c.source == "human") & (judgments.c.rater == rater)
    if pair.gold_grade is None:
        connection.execute(judgments.delete().where(this, mine))


def _are_apart(ratings: Sequence[Rating]) -> bool:
    grades = [each.grade for each in ratings if each.grade is not None]
    return len(grades) > 1 and max(grades) - min(grades) >= APART


def _set_of(row: sa.Row[Any]) -> LabelSet:
    content = dict(row._mapping)
    said = content.pop("guideline")
    grades = tuple(GuidelineGrade(grade=grade, name=name, meaning=meaning) for grade, name, meaning in said["grades"])
    return LabelSet(**content, guideline=Guideline(intro=said["intro"], grades=grades))


def _pair_of(row: sa.Row[Any]) -> PairToLabel:
    return PairToLabel(**{name: row._mapping[name] for name in PairToLabel.__slots__})
