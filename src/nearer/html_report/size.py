"""Shorter and smaller vectors: the last curve of sizes that was measured, as rows and a chart."""

from dataclasses import dataclass

from markupsafe import Markup

from nearer.core.results.vectors import CompressionCurve, SizeValues
from nearer.html_report import charts
from nearer.html_report.formats import number
from nearer.store.results import Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeView:
    """The curve as it was answered, its picture, and the quality from which a size is near enough."""

    at: str
    measured: CompressionCurve
    chart: Markup
    lowest: float


def size_of(kept: Kept[CompressionCurve] | None) -> SizeView | None:
    """What the page shows of the curve of sizes."""
    if kept is None:
        return None
    measured = kept.result
    rows = measured.rows
    full, proposal = rows[0], measured.proposal
    lowest = full.value * (1 - measured.settings["max_loss"])
    curves: dict[str, list[charts.ChartPoint]] = {}
    for row in rows:
        curves.setdefault(row.precision, []).append(_point(row))
    label = (
        f"{measured.metric} by bytes a document: full {number(full.value)}, "
        f"proposed {proposal.dimension} dimensions in {proposal.precision} {number(proposal.value)}"
    )
    chart = charts.size_curves(curves, full=_point(full), chosen=_point(proposal), lowest=lowest, label=label)
    return SizeView(at=kept.at, measured=measured, chart=chart, lowest=lowest)


def _point(row: SizeValues) -> charts.ChartPoint:
    return charts.ChartPoint(num_bytes=row.bytes_per_document, value=row.value)
