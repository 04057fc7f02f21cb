"""What pages of the dashboard draw: the effect of an experiment day by day, and the turns of the loop."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nearer.core.results.base import JSON
from nearer.core.results.loop import Cycle
from nearer.core.results.online import DayEffect
from nearer.html_report import charts
from nearer.html_report.loop import turn_row, turns_axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A row a chart, all on one axis, whose labels stand above."""

    labels: Markup
    rows: tuple[Markup, ...]


def effects_picture(days: Sequence[DayEffect], *, better: str) -> Picture:
    """The effect and its interval up to each day, around zero; a square where it is proven to be worse."""
    marks = [charts.mark(each.effect.effect, each.effect.low, each.effect.high, "candidate") for each in days]
    axis = charts.difference_axis(marks)
    rows = [
        charts.difference_row(each, axis, label=f"day {day.day}", lower_is_better=better == "lower")
        for each, day in zip(marks, days, strict=True)
    ]
    return Picture(labels=charts.axis_labels(axis, signed=True), rows=tuple(rows))


def turns_picture(turns: Sequence[Cycle]) -> Picture:
    """What the gate measured in each turn, as the report draws it."""
    measured = [_measured(turn) for turn in turns]
    axis = turns_axis(measured)
    rows = [turn_row(sides, axis, number_of=turn.number) for turn, sides in zip(turns, measured, strict=True)]
    return Picture(labels=charts.axis_labels(axis), rows=tuple(rows))


def _measured(turn: Cycle) -> list[JSON]:
    gate = next((each for each in turn.stages if each.stage == "gate"), None)
    return list(gate.result.get("measured", ())) if gate else []
