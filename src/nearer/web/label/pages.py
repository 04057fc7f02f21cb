"""What each page of labelling shows, as a record."""

from dataclasses import dataclass

from nearer.core.results.base import Result
from nearer.flows.label_terminal import need_of
from nearer.store.label_records import OPEN, RATED, SKIPPED, LabelSet, PairToLabel, Rating
from nearer.store.labels import Labels

_MOST_CHARACTERS = 20_000
_MOST_LISTED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeButton(Result):
    """A grade that may be given, and what it means; ``is_mine`` where it is the rater's own so far."""

    grade: int
    name: str
    meaning: str
    is_mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPage(Result):
    """A pair to judge, how to judge it, and how far the rater is; ``pair_id`` is None where nothing is left."""

    set_id: str
    set_name: str
    rater: str
    pair_id: str | None
    query: str
    need: str
    title: str
    text: str
    is_cut: bool
    intro: str
    grades: tuple[GradeButton, ...]
    reason: str
    is_rated: bool
    num_mine: int
    num_done: int
    num_wanted: int
    num_to_settle: int
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetEntry(Result):
    """A label set in the list."""

    set_id: str
    name: str
    num_done: int
    num_wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetsPage(Result):
    """The label sets there are."""

    rater: str
    sets: tuple[SetEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MineEntry(Result):
    """A pair that the rater judged or skipped."""

    pair_id: str
    query: str
    title: str
    grade: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MinePage(Result):
    """What the rater did, newest first, to be corrected."""

    set_id: str
    set_name: str
    rater: str
    entries: tuple[MineEntry, ...]
    num_more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlePage(Result):
    """The next pair about which raters disagree: their grades and reasons, without their names."""

    set_id: str
    set_name: str
    pair_id: str | None
    query: str
    need: str
    title: str
    text: str
    grades: tuple[GradeButton, ...]
    opinions: tuple[tuple[int, str], ...]
    num_left: int


def sets_page(labels: Labels, rater: str) -> SetsPage:
    """All sets with their progress."""
    return SetsPage(rater=rater, sets=tuple(_entry(labels, each) for each in labels.all()))


def pair_page(labels: Labels, set_name: str, rater: str, *, pair_id: str | None = None, said: str = "") -> PairPage:
    """The pair on a rater's screen, or the next; or one that the rater judged. Raises NotFound."""
    label_set = labels.get(set_name)
    pair = labels.pair(label_set.set_id, pair_id) if pair_id else labels.next(label_set.set_id, rater)
    mine = labels.ratings(label_set.set_id, rater=rater)
    this = next((each for each in mine if pair and each.pair_id == pair.pair_id), None)
    query, metadata, title, text = labels.texts(pair) if pair else ("", {}, "", "")
    entry = _entry(labels, label_set)
    return PairPage(
        set_id=label_set.set_id,
        set_name=label_set.name,
        rater=rater,
        pair_id=pair.pair_id if pair else None,
        query=query,
        need=need_of(metadata),
        title=title,
        text=text[:_MOST_CHARACTERS],
        is_cut=len(text) > _MOST_CHARACTERS,
        intro=label_set.guideline.intro,
        grades=_grades(label_set, this),
        reason=this.reason if this else "",
        is_rated=bool(this and this.state != OPEN),
        num_mine=sum(each.state == RATED for each in mine),
        num_done=entry.num_done,
        num_wanted=entry.num_wanted,
        num_to_settle=len(labels.to_settle(label_set.set_id)),
        said=said,
    )


def mine_page(labels: Labels, set_name: str, rater: str) -> MinePage:
    """What a rater did in a set. Raises NotFound."""
    label_set = labels.get(set_name)
    done = [each for each in labels.ratings(label_set.set_id, rater=rater) if each.state in (RATED, SKIPPED)]
    entries = []
    for each in done[:_MOST_LISTED]:
        query, _, title, text = labels.texts(labels.pair(label_set.set_id, each.pair_id))
        shown = title or text[:80]
        entries.append(MineEntry(pair_id=each.pair_id, query=query, title=shown, grade=each.grade, reason=each.reason))
    return MinePage(
        set_id=label_set.set_id,
        set_name=label_set.name,
        rater=rater,
        entries=tuple(entries),
        num_more=max(0, len(done) - _MOST_LISTED),
    )


def settle_page(labels: Labels, set_name: str) -> SettlePage:
    """The first pair of the adjudication queue. Raises NotFound."""
    label_set = labels.get(set_name)
    left = labels.to_settle(label_set.set_id)
    pair, ratings = left[0] if left else (None, [])
    query, metadata, title, text = labels.texts(pair) if pair else ("", {}, "", "")
    opinions = sorted((each.grade or 0, each.reason) for each in ratings)
    return SettlePage(
        set_id=label_set.set_id,
        set_name=label_set.name,
        pair_id=pair.pair_id if pair else None,
        query=query,
        need=need_of(metadata),
        title=title,
        text=text[:_MOST_CHARACTERS],
        grades=_grades(label_set, None),
        opinions=tuple(opinions),
        num_left=len(left),
    )


def _grades(label_set: LabelSet, rating: Rating | None) -> tuple[GradeButton, ...]:
    return tuple(
        GradeButton(
            grade=each.grade,
            name=each.name,
            meaning=each.meaning,
            is_mine=rating is not None and rating.grade == each.grade,
        )
        for each in label_set.guideline.grades
    )


def _entry(labels: Labels, label_set: LabelSet) -> SetEntry:
    pairs: dict[str, PairToLabel] = {p.pair_id: p for p in labels.pairs(label_set.set_id) if p.gold_grade is None}
    num_done = sum(each.state == RATED and each.pair_id in pairs for each in labels.ratings(label_set.set_id))
    return SetEntry(
        set_id=label_set.set_id,
        name=label_set.name,
        num_done=num_done,
        num_wanted=sum(each.wanted for each in pairs.values()),
    )
