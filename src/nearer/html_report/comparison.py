"""Two systems on the same queries: metrics, differences, slices and examples as rows with their charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nearer.core.recipe import Recipe
from nearer.html_report import charts
from nearer.html_report.formats import Excerpt, excerpt, number, signed, span

JSON = Mapping[str, Any]

NUM_SLICES_SHOWN = 25
_EXCERPT = {"max_lines": 12, "max_characters": 600}
_LATER_EXCERPT = {"max_lines": 4, "max_characters": 240}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One line of a chart with the numbers behind it; ``difference`` is set where the two systems were compared."""

    name: str
    chart: Markup
    baseline: JSON | None = None
    candidate: JSON | None = None
    difference: JSON | None = None
    num_queries: int | None = None
    is_small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """A baseline and a candidate; ``candidate`` is None where a system was measured alone.

    ``main`` is the comparison in the gate's metric, ``outcome`` its bar of queries won, tied and lost.
    """

    baseline: JSON
    candidate: JSON | None
    main: JSON | None
    main_values: tuple[JSON, JSON] | None
    outcome: Markup
    metrics: Sequence[ComparisonRow]
    metric_axis: Markup
    differences: Sequence[ComparisonRow]
    difference_axis: Markup
    slice_metric: str
    slices: Sequence[ComparisonRow]
    num_too_small: int
    wins: Sequence[JSON]
    losses: Sequence[JSON]
    others: Sequence[str]


def compared(evaluation: JSON, recipe: Recipe) -> ComparisonView | None:
    """The evaluation's first system against its last; None for an evaluation without results."""
    results: Sequence[JSON] = evaluation.get("results", [])
    if not results:
        return None
    baseline, candidate = results[0], results[-1] if len(results) > 1 else None
    comparisons = [
        each for each in evaluation.get("comparisons", []) if candidate and each["candidate"] == candidate["system"]
    ]
    main = next((each for each in comparisons if each["metric"] == recipe.gate.measure), None)
    main = main or (comparisons[0] if comparisons else None)
    axis = charts.difference_axis([_difference_mark(each) for each in comparisons])
    slice_metric, slices = _slices(baseline, candidate, recipe)
    examples = [each for each in evaluation.get("examples", []) if candidate and _is_of(each, candidate)]
    return ComparisonView(
        baseline=baseline,
        candidate=candidate,
        main=main,
        main_values=(baseline["metrics"][main["metric"]], candidate["metrics"][main["metric"]])
        if main and candidate
        else None,
        outcome=_outcome(main),
        metrics=_metrics(baseline, candidate),
        metric_axis=charts.axis_labels(charts.UNIT),
        differences=[_difference(each, axis) for each in comparisons],
        difference_axis=charts.axis_labels(axis, signed=True),
        slice_metric=slice_metric,
        slices=slices,
        num_too_small=sum(row.is_small for row in slices),
        wins=[_example(each) for each in examples if each["kind"] == "win"],
        losses=[_example(each) for each in examples if each["kind"] == "loss"],
        others=[result["system"] for result in results[1:-1]],
    )


def _is_of(example: JSON, candidate: JSON) -> bool:
    return bool(example.get("candidate", candidate["system"]) == candidate["system"])


def _outcome(main: JSON | None) -> Markup:
    if main is None:
        return Markup()
    return charts.outcome_bar(num_wins=main["num_wins"], num_ties=main["num_ties"], num_losses=main["num_losses"])


def _metrics(baseline: JSON, candidate: JSON | None) -> list[ComparisonRow]:
    rows = []
    for name, value in baseline["metrics"].items():
        other = candidate["metrics"].get(name) if candidate else None
        rows.append(ComparisonRow(name=name, chart=_pair_chart(name, value, other), baseline=value, candidate=other))
    return rows


def _pair_chart(name: str, baseline: JSON | None, candidate: JSON | None) -> Markup:
    described, marks = [name], []
    if baseline:
        described.append(f"baseline {number(baseline['value'])} {span(baseline)}")
        marks.append(charts.mark(baseline, "baseline"))
    if candidate:
        described.append(f"candidate {number(candidate['value'])} {span(candidate)}")
        marks.append(charts.mark(candidate, "candidate"))
    return charts.interval_row(marks, charts.UNIT, label=", ".join(described))


def _difference(comparison: JSON, axis: charts.Axis) -> ComparisonRow:
    name = comparison["metric"]
    label = f"{name}: candidate minus baseline {signed(comparison['difference'])} {span(comparison, with_sign=True)}"
    chart = charts.difference_row(_difference_mark(comparison), axis, label=label)
    return ComparisonRow(name=name, chart=chart, difference=comparison)


def _difference_mark(comparison: JSON) -> charts.Mark | None:
    return charts.mark(comparison, "candidate", key="difference")


def _slices(baseline: JSON, candidate: JSON | None, recipe: Recipe) -> tuple[str, list[ComparisonRow]]:
    """The metric that slices are measured in, and a row a slice, largest first; no values where it is too small."""
    found: Mapping[str, JSON] = baseline.get("slices") or {}
    others: Mapping[str, JSON] = (candidate.get("slices") if candidate else None) or {}
    metric = next((name for each in found.values() for name in each["metrics"] or ()), "")
    rows = []
    for name, each in sorted(found.items(), key=lambda item: (-item[1]["num_queries"], item[0])):
        value = (each["metrics"] or {}).get(metric)
        other = (others[name]["metrics"] or {}).get(metric) if name in others else None
        rows.append(
            ComparisonRow(
                name=name,
                chart=_pair_chart(name, value, other),
                baseline=value,
                candidate=other,
                num_queries=each["num_queries"],
                is_small=each["num_queries"] < recipe.gate.min_slice_queries,
            )
        )
    return metric, rows


def _example(example: JSON) -> dict[str, Any]:
    shown = {each["doc_id"] for side in ("baseline_top", "candidate_top") for each in example[side]}
    return {
        **example,
        "baseline_top": _documents(example["baseline_top"]),
        "candidate_top": _documents(example["candidate_top"]),
        "missing": _documents([each for each in example["relevant"] if each["doc_id"] not in shown]),
        "why": example.get("why"),
        "worse": "baseline" if example["kind"] == "win" else "candidate",
    }


def _documents(documents: Sequence[JSON]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rank, each in enumerate(documents, start=1):
        cut: Excerpt = excerpt(each["text"], **(_EXCERPT if rank == 1 else _LATER_EXCERPT))
        found.append({"rank": rank, "doc_id": each["doc_id"], "relevant": each.get("relevant", True), "text": cut})
    return found
