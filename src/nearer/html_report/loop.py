"""Turns of the loop: what each decided, and what the gate measured, turn by turn."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nearer.core.results.base import JSON
from nearer.core.results.loop import CycleStage
from nearer.html_report import charts
from nearer.html_report.formats import number
from nearer.store.cycles import CycleEntry, StageEntry

_SHOWN = 12
_GATE: CycleStage = "gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnData:
    """A turn and what its stages gave."""

    entry: CycleEntry
    stages: dict[str, StageEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """A turn in words, and live and the candidate as the gate measured them, where it was asked."""

    number: int
    at: str
    verdict: str
    reasons: tuple[str, ...]
    sources: str
    before: str
    after: str
    chart: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopView:
    """The newest turns, the oldest first, on one axis."""

    metric: str
    turns: tuple[TurnView, ...]
    labels: Markup


def loop_of(turns: Sequence[TurnData]) -> LoopView | None:
    """What the page shows of the turns that ended; None where there were none."""
    ended = [each for each in turns if each.entry.ended_at][-_SHOWN:]
    if not ended:
        return None
    axis = turns_axis([_measured(each) for each in ended])
    metric = next((str(each.stages[_GATE].result["metric"]) for each in ended if _measured(each)), "")
    views = tuple(_turn(each, axis) for each in ended)
    return LoopView(metric=metric, turns=views, labels=charts.axis_labels(axis))


def turns_axis(measured: Sequence[Sequence[JSON]]) -> charts.Axis:
    """The axis that the turns share; of each is given what the gate measured, live first, or nothing."""
    ends = [end for sides in measured for side in sides for end in (side["low"], side["high"])]
    return charts.round_axis(min(ends, default=0.0), max(ends, default=1.0), num_steps=5)


def turn_row(sides: Sequence[JSON], axis: charts.Axis, *, number_of: int | None) -> Markup:
    """What the gate measured in a turn: what was live grey, the candidate coloured; empty where it was not asked."""
    if not sides:
        return Markup()
    marks = [
        charts.mark(side["value"], side["low"], side["high"], "candidate" if place else "baseline")
        for place, side in enumerate(sides)
    ]
    values = ", then ".join(number(side["value"]) for side in sides)
    return charts.interval_row(marks, axis, label=f"turn {number_of}: {values}")


def _measured(turn: TurnData) -> list[JSON]:
    gate = turn.stages.get(_GATE)
    return list(gate.result.get("measured", ())) if gate else []


def _turn(turn: TurnData, axis: charts.Axis) -> TurnView:
    sides = _measured(turn)
    before, after = [number(side["value"]) for side in sides] if len(sides) == 2 else ("", "")
    return TurnView(
        number=turn.entry.number,
        at=turn.entry.ended_at or "",
        verdict=turn.entry.verdict or "",
        reasons=turn.entry.reasons,
        sources=_sources(turn),
        before=before,
        after=after,
        chart=turn_row(sides, axis, number_of=turn.entry.number),
    )


def _sources(turn: TurnData) -> str:
    """How many pairs of each source the last training of the turn saw."""
    trained = [turn.stages[name] for name in ("train_base", "train_live") if name in turn.stages]
    found = next((each.result["sources"] for each in trained if each.result.get("sources")), ())
    return ", ".join(f"{each['num_pairs']} {each['source']}" for each in found)
