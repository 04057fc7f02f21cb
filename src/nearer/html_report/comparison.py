"""Two systems on the same queries: metrics, differences, slices and examples as rows with their charts."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nearer.core.recipe import Recipe
from nearer.core.results.measuring import (
    ComparedSystems,
    Evaluation,
    ExampleCause,
    Interval,
    QueryExample,
    ShownDocument,
    SystemValues,
)
from nearer.html_report import charts
from nearer.html_report.formats import Excerpt, excerpt, number, signed, span

NUM_SLICES_SHOWN = 25
_EXCERPT = {"max_lines": 12, "max_characters": 600}
_LATER_EXCERPT = {"max_lines": 4, "max_characters": 240}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One line of a chart with the numbers behind it; ``difference`` is set where the two systems were compared."""

    name: str
    chart: Markup
    baseline: Interval | None = None
    candidate: Interval | None = None
    difference: ComparedSystems | None = None
    num_queries: int | None = None
    is_small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """A document of an example, at its rank, as much of its text as is shown."""

    rank: int
    doc_id: str
    relevant: bool
    text: Excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleView:
    """A query that the two systems differ much in; ``missing`` are the relevant documents that neither put first.

    ``direction`` is "gain" or "loss".
    """

    query: str
    metric: str
    baseline_value: float
    candidate_value: float
    direction: str
    baseline_top: Sequence[DocumentView]
    candidate_top: Sequence[DocumentView]
    missing: Sequence[DocumentView]
    why: ExampleCause | None
    worse: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """A baseline and a candidate; ``candidate`` is None where a system was measured alone.

    ``main`` is the comparison in the gate's metric, ``outcome`` its bar of queries won, tied and lost.
    """

    baseline: SystemValues
    candidate: SystemValues | None
    main: ComparedSystems | None
    main_values: tuple[Interval, Interval] | None
    outcome: Markup
    metrics: Sequence[ComparisonRow]
    metric_axis: Markup
    differences: Sequence[ComparisonRow]
    difference_axis: Markup
    slice_metric: str
    slices: Sequence[ComparisonRow]
    num_too_small: int
    wins: Sequence[ExampleView]
    losses: Sequence[ExampleView]
    others: Sequence[str]


def compared(evaluation: Evaluation, recipe: Recipe) -> ComparisonView | None:
    """The evaluation's first system against its last; None for an evaluation without results."""
    results = evaluation.results
    if not results:
        return None
    baseline, candidate = results[0], results[-1] if len(results) > 1 else None
    comparisons = [each for each in evaluation.comparisons if candidate and each.candidate == candidate.system]
    main = next((each for each in comparisons if each.metric == recipe.gate.measure), None)
    main = main or (comparisons[0] if comparisons else None)
    axis = charts.difference_axis([_difference_mark(each) for each in comparisons])
    slice_metric, slices = _slices(baseline, candidate, recipe)
    examples = [each for each in evaluation.examples if candidate and each.candidate == candidate.system]
    return ComparisonView(
        baseline=baseline,
        candidate=candidate,
        main=main,
        main_values=(baseline.metrics[main.metric], candidate.metrics[main.metric]) if main and candidate else None,
        outcome=_outcome(main),
        metrics=_metrics(baseline, candidate),
        metric_axis=charts.axis_labels(charts.UNIT),
        differences=[_difference(each, axis) for each in comparisons],
        difference_axis=charts.axis_labels(axis, signed=True),
        slice_metric=slice_metric,
        slices=slices,
        num_too_small=sum(row.is_small for row in slices),
        wins=[_example(each) for each in examples if each.kind == "win"],
        losses=[_example(each) for each in examples if each.kind == "loss"],
        others=[result.system for result in results[1:-1]],
    )


def _outcome(main: ComparedSystems | None) -> Markup:
    if main is None:
        return Markup()
    return charts.outcome_bar(num_wins=main.num_wins, num_ties=main.num_ties, num_losses=main.num_losses)


def _metrics(baseline: SystemValues, candidate: SystemValues | None) -> list[ComparisonRow]:
    rows = []
    for name, value in baseline.metrics.items():
        other = candidate.metrics.get(name) if candidate else None
        rows.append(ComparisonRow(name=name, chart=_pair_chart(name, value, other), baseline=value, candidate=other))
    return rows


def _pair_chart(name: str, baseline: Interval | None, candidate: Interval | None) -> Markup:
    described, marks = [name], []
    if baseline:
        described.append(f"baseline {number(baseline.value)} {span(baseline)}")
        marks.append(charts.mark(baseline.value, baseline.low, baseline.high, "baseline"))
    if candidate:
        described.append(f"candidate {number(candidate.value)} {span(candidate)}")
        marks.append(charts.mark(candidate.value, candidate.low, candidate.high, "candidate"))
    return charts.interval_row(marks, charts.UNIT, label=", ".join(described))


def _difference(comparison: ComparedSystems, axis: charts.Axis) -> ComparisonRow:
    name = comparison.metric
    label = f"{name}: candidate minus baseline {signed(comparison.difference)} {span(comparison, with_sign=True)}"
    chart = charts.difference_row(_difference_mark(comparison), axis, label=label)
    return ComparisonRow(name=name, chart=chart, difference=comparison)


def _difference_mark(comparison: ComparedSystems) -> charts.Mark | None:
    return charts.mark(comparison.difference, comparison.low, comparison.high, "candidate")


def _slices(baseline: SystemValues, candidate: SystemValues | None, recipe: Recipe) -> tuple[str, list[ComparisonRow]]:
    """The metric that slices are measured in, and a row a slice, largest first; no values where it is too small."""
    found, others = baseline.slices, candidate.slices if candidate else {}
    metric = next((name for each in found.values() for name in each.metrics or ()), "")
    rows = []
    for name, each in sorted(found.items(), key=lambda item: (-item[1].num_queries, item[0])):
        value = (each.metrics or {}).get(metric)
        other = (others[name].metrics or {}).get(metric) if name in others else None
        rows.append(
            ComparisonRow(
                name=name,
                chart=_pair_chart(name, value, other),
                baseline=value,
                candidate=other,
                num_queries=each.num_queries,
                is_small=each.num_queries < recipe.gate.min_slice_queries,
            )
        )
    return metric, rows


def _example(example: QueryExample) -> ExampleView:
    shown = {each.doc_id for each in (*example.baseline_top, *example.candidate_top)}
    return ExampleView(
        query=example.query,
        metric=example.metric,
        baseline_value=example.baseline_value,
        candidate_value=example.candidate_value,
        direction="gain" if example.kind == "win" else "loss",
        baseline_top=_documents(example.baseline_top),
        candidate_top=_documents(example.candidate_top),
        missing=_documents([each for each in example.relevant if each.doc_id not in shown]),
        why=example.why,
        worse="baseline" if example.kind == "win" else "candidate",
    )


def _documents(documents: Sequence[ShownDocument]) -> list[DocumentView]:
    found = []
    for rank, each in enumerate(documents, start=1):
        cut = excerpt(each.text, **(_EXCERPT if rank == 1 else _LATER_EXCERPT))
        found.append(DocumentView(rank=rank, doc_id=each.doc_id, relevant=each.relevant is not False, text=cut))
    return found
