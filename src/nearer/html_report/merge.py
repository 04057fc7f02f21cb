"""A model merged with another: dev and the regression suite by the weight, from the last merge."""

from dataclasses import dataclass

from markupsafe import Markup

from nearer.core.results.vectors import Merged
from nearer.html_report import charts
from nearer.html_report.formats import number
from nearer.store.results import Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeView:
    """The merge as it was answered, and its pictures; that of cases is empty without a suite."""

    at: str
    last: Merged
    has_suite: bool
    dev: Markup
    cases: Markup


def merge_of(kept: Kept[Merged] | None) -> MergeView | None:
    """What the page shows of the last merge."""
    if kept is None:
        return None
    last = kept.result
    dev = {each.weight: each.value for each in last.points}
    passed = {
        each.weight: float(each.num_cases - each.num_failed)
        for each in last.points
        if each.num_cases is not None and each.num_failed is not None
    }
    chosen = last.weight
    label = f"{last.metric} on training dev by weight: {number(dev[0])} at 0, {number(dev[chosen])} at {chosen:g}"
    cases = f"cases that pass by weight: {passed[0]:.0f} at 0, {passed[chosen]:.0f} at {chosen:g}" if passed else ""
    return MergeView(
        at=kept.at,
        last=last,
        has_suite=bool(passed),
        dev=charts.weight_curve(dev, chosen=chosen, label=label),
        cases=charts.weight_curve(passed, chosen=chosen, label=cases) if passed else Markup(),
    )
