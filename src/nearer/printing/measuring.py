"""Evaluations, diagnoses, suites, other tasks."""

from collections.abc import Sequence

from nearer.core.records import CASE_GROUPS, TRUSTED
from nearer.core.results.base import JSON
from nearer.core.results.measuring import (
    Compared,
    ComparedSystems,
    Diagnosis,
    Evaluation,
    SliceValues,
    SuiteRun,
    SuiteValues,
    SystemValues,
    TaskEvaluation,
)
from nearer.printing.parts import comparison, excluded, interval, listed, one_line, passed, spent, table

_MOST_SLICES = 20


def evaluated(result: Evaluation) -> str:
    """The result of `nearer evaluate`."""
    uses = result.ledger.num_test_uses
    groups = f" in {result.num_groups} groups" if result.num_groups else ""
    head = f"{result.split}: {result.num_queries} queries{groups}" + (f", use {uses} of this test set" if uses else "")
    if result.judged_by != TRUSTED:
        head += f"; judged by {', '.join(result.judged_by)}"
    notes = _query_notes(result)
    names = [each.system for each in result.results]
    rows = [["", *names]]
    for metric in result.results[0].metrics:
        rows.append([metric, *(interval(each.metrics[metric]) for each in result.results)])
    notes += [note for each in result.results for note in _run_notes(each)]
    notes += [f"note: {note}" for note in result.notes]
    return "\n".join(
        [
            head,
            *table(rows),
            *excluded(result.excluded),
            *_slices(result),
            *notes,
            *_comparisons(result),
            *_precision(result),
            *spent(result.api),
        ]
    )


def _query_notes(result: Evaluation) -> list[str]:
    """Over which queries the measures are taken, where it is not all of the split."""
    notes = []
    if result.num_with_relevant < result.num_queries:
        notes.append(
            f"{result.num_queries} queries have a document of a grade above 0: nDCG and Judged are taken over these; "
            f"{result.num_with_relevant} have a relevant one (grade {result.relevant_from} or more): all other measures"
        )
    if result.num_without_gain:
        notes.append(f"{result.num_without_gain} more queries have only grades of 0, and are not measured")
    if result.num_unjudged:
        notes.append(f"{result.num_unjudged} more queries have no judgment, and are not measured")
    return [f"note: {note}" for note in notes]


def _run_notes(result: SystemValues) -> list[str]:
    run = result.run
    notes = {
        "num_unknown_documents": "ranked documents are not in the corpus, and count as not relevant",
        "num_queries_without_rows": "queries have no rows, and score 0",
        "num_other_queries": "queries of other splits, or without a grade above 0, are excluded",
        "num_unknown_queries": "queries that the workspace does not know are excluded",
    }
    if run is None:
        return []
    lines = [f"{run[name]} {note}" for name, note in notes.items() if run[name]]
    return [f"{result.system}: {line}" for line in [*lines, *run.notes]]


def diagnosed(result: Diagnosis) -> str:
    """The result of `nearer diagnose`."""
    uses = result.ledger.num_test_uses
    head = f"{result.system}, {result.split}: {result.num_failed} of {result.num_queries} queries failed"
    head += f", use {uses} of this test set" if uses else ""
    lines = []
    for each in result.causes:
        lines += [
            f"{each.cause}: {each.num_queries} ({each.share:.0%}), {each.meaning}",
            f"  -> {each.remedy}",
        ]
        lines += [f"  {_line(example.query)}: {example.evidence}" for example in each.examples]
    return "\n".join(
        [head, *lines, *excluded(result.excluded), *(f"note: {note}" for note in result.notes), *spent(result.api)]
    )


def _line(text: str) -> str:
    """A text on one line, cut where it is long."""
    line = " ".join(text.split())
    return f'"{line[:70]}..."' if len(line) > 70 else f'"{line}"'


def suite_run(result: SuiteRun) -> str:
    """The result of `nearer suite`."""
    results = result.results
    rows = [["", "", *(each.system for each in results)]]
    for group, severities in results[0].counts.items():
        for severity in severities:
            found = [each.counts[group][severity] for each in results]
            rows.append([CASE_GROUPS[group], severity, *(passed(count.num_cases, count.num_failed) for count in found)])
    rows.append(["all", "", *(passed(result.num_cases, each.num_failed) for each in results)])
    failing = [line for each in results for line in _failing_cases(each)]
    changes = [
        f"{each.candidate} beside {each.baseline}: newly failing: {listed(each.newly_failing)}; "
        f"newly passing: {listed(each.newly_passing)}"
        for each in result.changes
    ]
    head, verdict = f"{result.file}: cases that pass", f"verdict: {result.verdict}"
    return "\n".join([head, *table(rows), *failing, *changes, verdict, *spent(result.api)])


def _failing_cases(result: SuiteValues) -> list[str]:
    head = [f"{result.system} fails:"] if result.failed else []
    cases = [
        f"  {each.name} ({each.severity}, {CASE_GROUPS[each.group]}): {one_line(each.query)}\n    {each.why}"
        for each in result.failed
    ]
    return [*head, *cases]


def evaluated_task(result: TaskEvaluation) -> str:
    """The result of `nearer evaluate --task`."""
    counts, uses = result.counts, result.ledger.num_test_uses
    head = f"{result.task} by {result.label}, {result.split}: {counts['num_items']} items"
    head += f" of {counts['num_items_before_draw']}" if counts["num_items"] < counts["num_items_before_draw"] else ""
    head += f", {counts['num_labels']} labels" + (f"; use {uses} of this test set" if uses else "")
    rows = [["", *(each.system for each in result.results), "random vectors"]]
    for metric, chance in result.chance.items():
        rows.append([metric, *(interval(each.metrics[metric]) for each in result.results), f"{chance:.3f}"])
    details = [
        f"{each.system}, {metric}: " + ", ".join(f"{name} {value:.3f}" for name, value in detail.items())
        for each in result.results
        for metric, detail in each.details.items()
    ]
    notes = [f"note: {note}" for note in result.notes]
    return "\n".join([head, *table(rows), *details, *_comparisons(result), *notes])


def _slices(result: Evaluation) -> list[str]:
    """A line for each of the largest slices, with the first measure of every system."""
    first, *_ = result.results
    names = sorted(first.slices, key=lambda name: -first.slices[name].num_queries)
    rows = [_slice(name, [each.slices[name] for each in result.results]) for name in names[:_MOST_SLICES]]
    if not rows:
        return []
    num_more = len(names) - len(rows)
    more = [f"  and {num_more} smaller slices, see --json"] if num_more else []
    return [f"{next(iter(first.metrics))} by slice (queries):", *table(rows), *more]


def _slice(name: str, found: list[SliceValues]) -> list[str]:
    size = f"{found[0].num_queries} in {found[0].num_groups} groups"
    size = size if found[0].num_groups else str(found[0].num_queries)
    values = [interval(next(iter(each.metrics.values()))) if each.metrics else "too small" for each in found]
    return [f"  {name} ({size})", *values]


def _comparisons(result: Evaluation | TaskEvaluation) -> list[str]:
    """A line for every candidate and measure; what p-values were adjusted for, where there are several candidates."""
    compared: Sequence[Compared] = result.comparisons
    num_candidates = len(result.results) - 1
    if num_candidates < 2:
        return [comparison(each) for each in compared]
    baseline = compared[0].baseline
    lines = [comparison(each, adjusted=f" ({each.p_adjusted:.4f} after Holm)") for each in compared]
    return [*lines, f"after Holm: over the {num_candidates} systems compared with {baseline}, each measure by itself"]


def _precision(result: Evaluation) -> list[str]:
    """What the queries tell in the first measure: of every candidate, or of a system that was measured alone."""
    metric = next(iter(result.results[0].metrics))
    compared = [each for each in result.comparisons if each.metric == metric]
    if not compared:
        return [f"{metric}: {_needed(result.results[0], result.settings)}"]
    return [_detectable(each, result.settings) for each in compared]


def _detectable(comparison: ComparedSystems, settings: JSON) -> str:
    what = f"{comparison.metric}, {comparison.candidate} - {comparison.baseline}"
    if comparison.detectable is None:
        return f"{what}: {_needed(comparison, settings)}"
    shows = f"a true difference of {comparison.detectable:.3f} would show"
    level = f"(power 0.8, alpha {1 - settings['confidence']:g})"
    return f"{what}: {shows} {level}; {_needed(comparison, settings)}"


def _needed(known: SystemValues | ComparedSystems, settings: JSON) -> str:
    if known.num_queries_needed is None:
        return "too few queries or groups, or none that differs, to tell how many are needed"
    more = f"{known.num_queries_more:,} more" if known.num_queries_more else "which there are"
    return f"an interval of ±{settings['wanted_precision']:g} needs {known.num_queries_needed:,} queries, {more}"
