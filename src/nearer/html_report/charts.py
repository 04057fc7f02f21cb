"""Charts as inline SVG: numbers in, markup out.

A chart is as wide as the page lets it be: horizontal places are percentages, so that text keeps its size on a phone.
Baselines are grey and hollow, candidates coloured and filled; colours are classes of the style sheet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from math import ceil, floor, isfinite, log2, log10
from pathlib import Path
from typing import Literal

from markupsafe import Markup

from nearer.core.escape import escape_controls

Role = Literal["baseline", "candidate"]

STYLE = Path(__file__).parent / "charts.css"
"""The style sheet of what is drawn here."""
_MINUS = "\N{MINUS SIGN}"
_MAX_LINE_POINTS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A value and the ends of its interval, and whose it is."""

    value: float
    low: float
    high: float
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A range and the values that are labelled on it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value lies, in per cent from the left; a value outside lies at the end."""
        share = (value - self.low) / (self.high - self.low)
        return 100 * min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What dev said during one pass: ``steps`` from 0 on, and as many values; ``train`` of training queries, if any.

    ``kept`` is the step whose weights stand.
    """

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    num_steps: int
    kept: int = 0
    train: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """A size of vector, in bytes a document, and its quality."""

    num_bytes: float
    value: float


_MOST_LABELS = 5
"""Labels of an axis that stand beside each other without touching, where the page is narrow."""
UNIT = Axis(low=0.0, high=1.0, ticks=(0.0, 0.25, 0.5, 0.75, 1.0))
"""The range of a measure."""


def mark(value: float, low: float, high: float, role: Role) -> Mark | None:
    """The mark of a value and its interval; None when one of the numbers is not finite."""
    if not all(map(isfinite, (value, low, high))):
        return None
    return Mark(value=value, low=low, high=high, role=role)


def difference_axis(marks: Sequence[Mark | None]) -> Axis:
    """A range with round ends that holds zero and every interval.

    >>> difference_axis([Mark(value=0.02, low=-0.01, high=0.05, role="candidate")]).ticks
    (-0.02, 0.0, 0.02, 0.04, 0.06)
    """
    ends = [0.0, *(end for each in marks if each for end in (each.low, each.high))]
    return round_axis(min(ends), max(ends), num_steps=5)


def round_axis(low: float, high: float, *, num_steps: int) -> Axis:
    """A range with round ends around ``low`` and ``high``, in about ``num_steps`` round steps."""
    rough = max(high - low, 1e-3) / num_steps
    power = 10.0 ** floor(log10(rough))
    step = next(power * size for size in (1, 2, 5, 10) if power * size >= rough * (1 - 1e-9))
    first = floor(low / step + 1e-9)
    last = max(ceil(high / step - 1e-9), first + 1)
    digits = max(0, -floor(log10(step)))
    ticks = tuple(round(number * step, digits) + 0.0 for number in range(first, last + 1))
    return Axis(low=ticks[0], high=ticks[-1], ticks=ticks)


def interval_row(marks: Sequence[Mark | None], axis: Axis, *, label: str) -> Markup:
    """One row of a dot-and-interval chart: the marks below each other on a shared axis."""
    drawn = [_grid(axis)]
    for number, each in enumerate(marks, start=1):
        if each:
            drawn.append(_dot(each, axis, y=100 * (number + 0.35) / (len(marks) + 1.7)))
    return _svg("row", label, drawn)


def difference_row(each: Mark | None, axis: Axis, *, label: str, lower_is_better: bool = False) -> Markup:
    """One row of a chart of differences, around a line at zero; hollow while the interval holds zero, a loss square."""
    zero = axis.place(0.0)
    drawn = [_grid(axis), _element("line", cls="zero", x1=_per(zero), x2=_per(zero), y1="0", y2="100%")]
    if each:
        is_loss = each.low > 0 if lower_is_better else each.high < 0
        drawn.append(_loss(each, axis) if is_loss else _dot(each, axis, y=50, hollow=each.low <= 0 <= each.high))
    return _svg("row", label, drawn)


def axis_labels(axis: Axis, *, signed: bool = False) -> Markup:
    """The labels of the axis that the rows below share; every other of more than ``_MOST_LABELS``, zero among them."""
    step = axis.ticks[1] - axis.ticks[0]
    digits = max(1, -floor(log10(step) + 1e-9)) if signed else 2
    first = axis.ticks.index(0.0) % 2 if len(axis.ticks) > _MOST_LABELS and 0.0 in axis.ticks else 0
    texts = []
    for tick in axis.ticks[first :: 2 if len(axis.ticks) > _MOST_LABELS else 1]:
        text = "0" if tick == 0 else f"{abs(tick):.{digits}f}" if signed else f"{tick:g}"
        sign = ("+" if tick > 0 else _MINUS if tick < 0 else "") if signed else ""
        texts.append(_text(sign + text, x=_per(axis.place(tick)), y="100%", dy="-9", anchor="middle"))
    return _svg("axis", None, texts)


def outcome_bar(*, num_wins: int, num_ties: int, num_losses: int) -> Markup:
    """The shares of queries won, tied and lost, in one bar."""
    total = max(1, num_wins + num_ties + num_losses)
    at, drawn = 0.0, []
    for cls, count in (("won", num_wins), ("tied", num_ties), ("lost", num_losses)):
        width = 100 * count / total
        drawn.append(_element("rect", cls=cls, x=_per(at), y="0", width=_per(width), height="100%"))
        at += width
    return _svg("outcome", f"{num_wins} won, {num_ties} tied, {num_losses} lost", drawn)


def sparkline(values: Sequence[float], *, label: str) -> Markup:
    """A small line through the finite values, thinned to what a page can show; nothing for fewer than two."""
    kept = [value for value in values if isfinite(value)]
    if len(kept) < 2:
        return Markup()
    kept = [kept[round(at * (len(kept) - 1) / (count - 1))] for count in [_count(kept)] for at in range(count)]
    low, high = min(kept), max(kept)
    height = (high - low) or 1.0
    points = [(100 * at / (len(kept) - 1), 100 - 100 * (value - low) / height) for at, value in enumerate(kept)]
    return _svg("spark", label, [_line(points, cls="quiet")])


def dev_curve(curves: Sequence[Curve], *, label: str) -> Markup:
    """Dev over the steps of all passes, the first point and the kept one marked; training queries too."""
    points = [(step, value) for curve in placed(curves) for step, value in curve if isfinite(value)]
    if not points:
        return Markup()
    train = [curve for curve in curves if curve.train]
    values = [value for _, value in points] + [value for curve in train for value in curve.train if isfinite(value)]
    axis = round_axis(min(values), max(values), num_steps=3)
    last = max(1, sum(curve.num_steps for curve in curves))
    drawn = [_level(axis, tick) for tick in axis.ticks]
    start = 0
    for curve in curves:
        drawn.append(_pass_label(curve.name, start=start, end=start + curve.num_steps, last=last))
        start += curve.num_steps
    drawn += _train_lines(curves, axis, last)
    for curve_points in placed(curves):
        finite = _on_chart(curve_points, axis, last)
        drawn.append(_line(finite, cls="candidate"))
        drawn += [_circle(x, y, cls="candidate", radius=3) for x, y in finite]
    base, kept = points[0], placed(curves)[-1][curves[-1].steps.index(curves[-1].kept)]
    drawn.append(_named("base", base, axis, last, cls="baseline", below=base[1] < kept[1]))
    if kept != base:
        drawn.append(_named("kept", kept, axis, last, cls="candidate", below=False))
    return _svg("curve", label, drawn)


def size_curves(
    curves: Mapping[str, Sequence[ChartPoint]], *, full: ChartPoint, chosen: ChartPoint, lowest: float, label: str
) -> Markup:
    """Quality by bytes a document, one line a precision; the full vectors hollow, the chosen size filled.

    Bytes are on a scale of powers of two. A line marks the ``lowest`` quality that is near enough.
    """
    points = [point for curve in curves.values() for point in curve]
    values = [lowest, full.value, *(point.value for point in points)]
    across = _doubling([full.num_bytes, *(point.num_bytes for point in points)])
    room = 0.1 * (max(values) - min(values))  # for the names below the lowest points
    axis = round_axis(min(values) - room, max(values), num_steps=3)
    drawn = [_level(axis, tick) for tick in axis.ticks]
    drawn += [
        _text(f"{2**tick:,.0f} B", x=_per(across.place(tick)), y="100%", dy="18", anchor="middle")
        for tick in across.ticks
    ]
    floor_y = _per(100 - axis.place(lowest))
    drawn.append(_element("line", cls="zero", x1="0", x2="100%", y1=floor_y, y2=floor_y))
    for name, curve in curves.items():
        places = [_place(point, across, axis) for point in sorted(curve, key=lambda point: point.num_bytes)]
        drawn.append(_line(places, cls="quiet"))
        drawn += [_circle(x, y, cls="quiet", radius=3) for x, y in places]
        drawn += [_text(name, x=_per(x), y=_per(y), dy="20", anchor="middle") for x, y in places[:1]]
    for point, cls, name in ((full, "baseline hollow", "full"), (chosen, "candidate", "proposed")):
        x, y = _place(point, across, axis)
        drawn.append(_circle(x, y, cls=cls, radius=5))
        drawn.append(_text(f"{name} {point.value:.3f}", x=_per(x), y=_per(y), dy="-11", anchor="middle", cls=cls))
        if chosen == full:
            break
    return _svg("curve", label, drawn)


def weight_curve(value_of: Mapping[float, float], *, chosen: float, label: str) -> Markup:
    """A value by a weight from 0 to 1, the chosen weight filled."""
    axis = round_axis(min(value_of.values()), max(value_of.values()), num_steps=3)
    drawn = [_level(axis, tick) for tick in axis.ticks]
    drawn += [_text(f"{tick:g}", x=_per(UNIT.place(tick)), y="100%", dy="18", anchor="middle") for tick in UNIT.ticks]
    places = {weight: (UNIT.place(weight), 100 - axis.place(value)) for weight, value in sorted(value_of.items())}
    drawn.append(_line(list(places.values()), cls="quiet"))
    drawn += [_circle(x, y, cls="quiet", radius=3) for x, y in places.values()]
    x, y = places[chosen]
    drawn.append(_circle(x, y, cls="candidate", radius=5))
    drawn.append(_text(f"{value_of[chosen]:.4g}", x=_per(x), y=_per(y), dy="-11", anchor="middle", cls="candidate"))
    return _svg("curve", label, drawn)


def _doubling(numbers: Sequence[float]) -> Axis:
    """An axis of powers of two around some numbers."""
    low, high = floor(log2(min(numbers))), ceil(log2(max(numbers)))
    high = max(high, low + 1)
    return Axis(low=low, high=high, ticks=tuple(range(low, high + 1)))


def _place(point: ChartPoint, across: Axis, axis: Axis) -> tuple[float, float]:
    return across.place(log2(point.num_bytes)), 100 - axis.place(point.value)


def placed(curves: Sequence[Curve]) -> list[list[tuple[int, float]]]:
    """The points of each pass, its steps counted from the first pass on.

    >>> first = Curve(name="pass 1", steps=(0, 5), values=(0.1, 0.2), num_steps=5)
    >>> placed([first, Curve(name="pass 2", steps=(0,), values=(0.2,), num_steps=5)])
    [[(0, 0.1), (5, 0.2)], [(5, 0.2)]]
    """
    start, found = 0, []
    for curve in curves:
        found.append([(start + step, value) for step, value in zip(curve.steps, curve.values, strict=True)])
        start += curve.num_steps
    return found


def _on_chart(points: Sequence[tuple[int, float]], axis: Axis, last: int) -> list[tuple[float, float]]:
    """The finite points, in per cent of width and height."""
    return [(100 * step / last, 100 - axis.place(value)) for step, value in points if isfinite(value)]


def _train_lines(curves: Sequence[Curve], axis: Axis, last: int) -> list[str]:
    """Training queries as quiet lines, named where they begin; no line for a pass in which they were not measured."""
    measured = [replace(each, steps=each.steps if each.train else (), values=each.train) for each in curves]
    lines = [line for points in placed(measured) if (line := _on_chart(points, axis, last))]
    named = [_text("training queries", x=_per(x), y=_per(y), dy="-11", anchor="start") for (x, y), *_ in lines[:1]]
    return [*(_line(line, cls="quiet") for line in lines), *named]


def _count(values: Sequence[float]) -> int:
    return min(len(values), _MAX_LINE_POINTS)


def _grid(axis: Axis) -> str:
    places = [_per(axis.place(tick)) for tick in axis.ticks]
    return "".join(_element("line", cls="grid", x1=at, x2=at, y1="0", y2="100%") for at in places)


def _dot(each: Mark, axis: Axis, *, y: float, hollow: bool = False) -> str:
    at, low, high = (axis.place(value) for value in (each.value, each.low, each.high))
    cls = f"{each.role} hollow" if hollow or each.role == "baseline" else each.role
    line = _element("line", cls=f"{each.role} interval", x1=_per(low), x2=_per(high), y1=_per(y), y2=_per(y))
    return line + _circle(at, y, cls=cls, radius=4.5)


def _loss(each: Mark, axis: Axis) -> str:
    low, at, high = (_per(axis.place(value)) for value in (each.low, each.value, each.high))
    line = _element("line", cls="loss interval", x1=low, x2=high, y1="50%", y2="50%")
    return line + _element(
        "rect", cls="loss dot", x=at, y="50%", width="9", height="9", transform="translate(-4.5 -4.5)"
    )


def _level(axis: Axis, tick: float) -> str:
    y = _per(100 - axis.place(tick))
    digits = max(2, -floor(log10(axis.ticks[1] - axis.ticks[0]) + 1e-9))
    line = _element("line", cls="grid", x1="0", x2="100%", y1=y, y2=y)
    return line + _text(f"{tick:.{digits}f}", x="-10", y=y, dy="4", anchor="end")


def _pass_label(name: str, *, start: int, end: int, last: int) -> str:
    at = _per(100 * start / last)
    boundary = _element("line", cls="boundary", x1=at, x2=at, y1="0", y2="100%") if start else ""
    begin = _text(str(start), x=at, y="100%", dy="18", anchor="middle")
    final = _text(f"{end} steps", x="100%", y="100%", dy="18", anchor="end") if end == last else ""
    middle = _text(name, x=_per(50 * (start + end) / last), y="100%", dy="18", anchor="middle")
    return boundary + begin + middle + final


def _named(name: str, point: tuple[int, float], axis: Axis, last: int, *, cls: str, below: bool) -> str:
    x, y = 100 * point[0] / last, 100 - axis.place(point[1])
    anchor = "start" if x < 15 else "end" if x > 85 else "middle"
    hollow = " hollow" if cls == "baseline" else ""
    text = _text(f"{name} {point[1]:.3f}", x=_per(x), y=_per(y), dy="20" if below else "-11", anchor=anchor, cls=cls)
    return _circle(x, y, cls=cls + hollow, radius=5) + text


def _line(points: Sequence[tuple[float, float]], *, cls: str) -> str:
    """A line through points in per cent of width and height; its stroke keeps its width."""
    if len(points) < 2:
        return ""
    path = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in _without_repeats(points))
    inner = _element("path", cls=f"{cls} line", d=path)
    return (
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%" overflow="visible">'
        f"{inner}</svg>"
    )


def _without_repeats(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [points[0], *(after for before, after in pairwise(points) if after != before)]


def _circle(x: float, y: float, *, cls: str, radius: float) -> str:
    return _element("circle", cls=f"{cls} dot", cx=_per(x), cy=_per(y), r=f"{radius:g}")


def _text(text: str, *, x: str, y: str, dy: str, anchor: str, cls: str = "quiet") -> str:
    attributes = f'class="{cls} text" x="{x}" y="{y}" dy="{dy}" text-anchor="{anchor}"'
    return f"<text {attributes}>{escape(text)}</text>"


def _element(name: str, *, cls: str, **attributes: str) -> str:
    values = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f'<{name} class="{escape(cls)}"{values}/>'


def _svg(kind: str, label: str | None, drawn: Sequence[str]) -> Markup:
    name = f'role="img" aria-label="{escape(escape_controls(label))}"' if label is not None else 'aria-hidden="true"'
    return Markup(f'<svg class="chart {escape(kind)}" {name}>{"".join(drawn)}</svg>')


def _per(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"
