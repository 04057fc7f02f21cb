"""Shorter and smaller vectors: the last curve of sizes that was measured, as rows and a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nearer.html_report import charts
from nearer.html_report.formats import number

JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeView:
    """The curve as it was answered, its picture, and the quality from which a size is near enough."""

    measured: JSON
    rows: Sequence[JSON]
    proposal: JSON
    chart: Markup
    lowest: float


def size_of(measured: JSON | None) -> SizeView | None:
    """What the page shows of the curve of sizes."""
    if measured is None:
        return None
    rows: Sequence[JSON] = measured["rows"]
    full, proposal = rows[0], measured["proposal"]
    lowest = full["value"] * (1 - measured["settings"]["max_loss"])
    curves: dict[str, list[charts.ChartPoint]] = {}
    for row in rows:
        curves.setdefault(row["precision"], []).append(_point(row))
    label = (
        f"{measured['metric']} by bytes a document: full {number(full['value'])}, "
        f"proposed {proposal['dimension']} dimensions in {proposal['precision']} {number(proposal['value'])}"
    )
    chart = charts.size_curves(curves, full=_point(full), chosen=_point(proposal), lowest=lowest, label=label)
    return SizeView(measured=measured, rows=rows, proposal=proposal, chart=chart, lowest=lowest)


def _point(row: JSON) -> charts.ChartPoint:
    return charts.ChartPoint(num_bytes=row["bytes_per_document"], value=row["value"])
