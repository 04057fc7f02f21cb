"""What users ask, and what becomes of it, in the newest period of the event log beside the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.core.results.drift import Drift, DriftDay, DriftSignal, DriftState, Period
from nearer.core.results.online import Effect
from nearer.encode.corpus import embed_queries
from nearer.online.compare import compare
from nearer.online.drift import FALSE_ALARMS, FEWEST, energy_test, one_a_person, worsened
from nearer.online.metrics import METRICS, Metric, UnitSums, by_unit
from nearer.online.moments import Moments
from nearer.online.outcomes import Outcomes, read_outcomes
from nearer.signals.log import SiftedLog, read_log
from nearer.store.collection import TRAIN
from nearer.store.events.columns import named_codes, persons, seconds
from nearer.store.workspace import Workspace
from nearer.systems import System

_SHOWN = 5
_ALL = "all"


def find_drift(
    workspace: Workspace,
    system: System,
    *,
    days: int,
    watched: Metric,
    against: Literal["before", "training"],
    seed: int,
    progress: Progress,
) -> Drift:
    """Compare the periods, the queries as ``system`` sees them. Raises InputError for an empty log."""
    periods = _periods(_with_persons(read_log(workspace.events)), days=days)
    rng = np.random.default_rng(seed)
    queries, new_queries = _queries(workspace, system, periods, against=against, rng=rng, progress=progress)
    signals = (queries, *(_changed(each, periods, rng=rng) for each in (METRICS["zero_results"], watched)))
    return Drift(
        verdict=_verdict([each.state for each in signals]),
        signals=signals,
        against=against,
        metric=watched.name,
        period=periods.newest.described,
        before=periods.before.described,
        days=_days(watched, periods),
        new_queries=new_queries,
        encoder_id=system.encoder.encoder_id,
        notes=_notes(periods),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A period: its searches that name a person, as outcomes and as rows of the log."""

    outcomes: Outcomes
    is_in_I: Bools
    described: Period


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Periods:
    newest: _Part
    before: _Part
    log: SiftedLog
    person_I: Ints
    num_nobody: int


def _with_persons(log: SiftedLog) -> SiftedLog:
    """The log in which a user is the person: the session where no user is known."""
    shown = log.impressions
    place = shown.schema.get_field_index("user")
    return log.of(shown.set_column(place, "user", persons(shown)))


def _periods(log: SiftedLog, *, days: int) -> _Periods:
    """The newest period, and the one before it. Raises InputError where nothing was ever asked."""
    at_I = seconds(log.impressions["at"])
    if not np.isfinite(at_I).any():
        raise InputError("the event log has no searches", hint="nearer serve; or bring a log: nearer add events FILE")
    until = datetime.fromtimestamp(float(np.nanmax(at_I)), UTC) + timedelta(milliseconds=1)
    middle, person_I = until - timedelta(days=days), named_codes(log.impressions["user"])

    def part(since: datetime, end: datetime) -> _Part:
        outcomes = read_outcomes(
            log.impressions, log.events, log.impression_E, arms=None, unit="user", since=since, until=end
        )
        is_in_I = (at_I >= since.timestamp()) & (at_I < end.timestamp())
        releases = pc.unique(log.impressions["release_id"].filter(pa.array(is_in_I))).to_pylist()
        described = Period(
            since=since.isoformat(timespec="seconds"),
            until=end.isoformat(timespec="seconds"),
            num_searches=len(outcomes.unit_I),
            num_people=len(np.unique(outcomes.unit_I)),
            releases=tuple(sorted(each for each in releases if each)),
        )
        return _Part(outcomes=outcomes, is_in_I=is_in_I, described=described)

    newest, before = part(middle, until), part(middle - timedelta(days=days), middle)
    num_nobody = newest.outcomes.num_without_unit + before.outcomes.num_without_unit
    return _Periods(newest=newest, before=before, log=log, person_I=person_I, num_nobody=num_nobody)


def _queries(
    workspace: Workspace,
    system: System,
    periods: _Periods,
    *,
    against: str,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[DriftSignal, tuple[str, ...]]:
    """Whether queries moved; and those of the newest period that are least like the others."""
    new = _asked(periods, periods.newest, rng)
    if against == "training":
        texts = [each.text for each in workspace.collection.queries(TRAIN)]
        old = [texts[row] for row in rng.permutation(len(texts))[: len(new) or None].tolist()]
    else:
        old = _asked(periods, periods.before, rng)
    if min(len(new), len(old)) < FEWEST:
        return _signal("queries", "what users ask"), ()
    asked = [Query(query_id=str(row), text=text) for row, text in enumerate([*new, *old])]
    emb_ZD = embed_queries(workspace, system.encoder, asked, progress)
    shift = energy_test(emb_ZD[: len(new)], emb_ZD[len(new) :], rng=rng)
    signal = _signal("queries", "what users ask", p_value=shift.p_value, size=shift.size)
    newest_first = dict.fromkeys(new[row] for row in np.argsort(-shift.novelty_N).tolist())
    return signal, tuple(newest_first)[:_SHOWN] if signal.state == "drift" else ()


def _asked(periods: _Periods, part: _Part, rng: np.random.Generator) -> list[str]:
    """One query a person."""
    rows = one_a_person(periods.person_I, part.is_in_I, rng=rng)
    return [str(each) for each in periods.log.impressions["query"].take(pa.array(rows)).to_pylist()]


def _changed(metric: Metric, periods: _Periods, *, rng: np.random.Generator) -> DriftSignal:
    """Whether a metric is worse than before."""
    new, old = (_sums(metric, each) for each in (periods.newest, periods.before))
    meaning = f"{metric.meaning}; {metric.better} is better"
    if min(len(new.units_U), len(old.units_U)) < FEWEST:
        return _signal(metric.name, meaning)
    p_value = worsened(new, old, is_higher_better=metric.better == "higher", rng=rng)
    moments = [Moments.of_ratio(each.top_U, each.below_U, name=metric.name) for each in (old, new)]
    return _signal(
        metric.name,
        meaning,
        p_value=p_value,
        newest=moments[1].mean,
        before=moments[0].mean,
        effect=compare(*moments) if any(each.variance for each in moments) else None,
    )


def _sums(metric: Metric, part: _Part) -> UnitSums:
    """A metric by person, of those who have something to divide by."""
    found = by_unit(metric, part.outcomes, _ALL)
    kept = found.below_U > 0
    return UnitSums(units_U=found.units_U[kept], top_U=found.top_U[kept], below_U=found.below_U[kept])


def _signal(
    name: str,
    meaning: str,
    *,
    p_value: float | None = None,
    size: float | None = None,
    newest: float | None = None,
    before: float | None = None,
    effect: Effect | None = None,
) -> DriftSignal:
    state: DriftState = "too little" if p_value is None else "drift" if p_value <= FALSE_ALARMS else "steady"
    return DriftSignal(
        name=name,
        meaning=meaning,
        state=state,
        p_value=p_value,
        false_alarm_rate=FALSE_ALARMS,
        size=size,
        newest=newest,
        before=before,
        effect=effect,
    )


def _verdict(states: Sequence[DriftState]) -> DriftState:
    if "drift" in states:
        return "drift"
    return "steady" if "steady" in states else "too little"


def _days(metric: Metric, periods: _Periods) -> tuple[DriftDay, ...]:
    """Both periods by day."""
    found = []
    for part in (periods.before, periods.newest):
        since = datetime.fromisoformat(part.described.since)
        for day in np.unique(part.outcomes.day_I).tolist():
            of_day = part.outcomes.of(part.outcomes.day_I == day)
            zero, value = (_ratio(each, of_day) for each in (METRICS["zero_results"], metric))
            found.append(
                DriftDay(
                    day=(since + timedelta(days=day)).isoformat(timespec="seconds"),
                    num_searches=len(of_day.unit_I),
                    zero_results=zero or 0.0,
                    metric=value,
                )
            )
    return tuple(found)


def _ratio(metric: Metric, outcomes: Outcomes) -> float | None:
    top_I, below_I = metric.parts(outcomes)
    return float(top_I.sum() / below_I.sum()) if below_I.sum() else None


def _notes(periods: _Periods) -> tuple[str, ...]:
    notes = []
    if periods.num_nobody:
        notes.append(f"{periods.num_nobody} searches name neither user nor session, and are left out: send one of them")
    if set(periods.newest.described.releases) != set(periods.before.described.releases):
        notes.append("what is live changed between the periods: a metric may have moved for that")
    few = [each for each in (periods.newest, periods.before) if each.described.num_people < FEWEST]
    if few:
        notes.append(f"a period needs {FEWEST} people to say anything; take longer ones: nearer drift --days 28")
    return tuple(notes)
