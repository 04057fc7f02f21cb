"""The regression suite: named cases that must keep working, run over today's documents."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from nearer.core.errors import Fault, FaultLog, ImportFaults
from nearer.core.failpoints import failpoint
from nearer.core.records import CASE_GROUPS, Case, CaseGroup, Query, Severity
from nearer.core.results.measuring import CaseCounts, FailedCase, PlacedDocument, SuiteChange, SuiteRun, SuiteValues
from nearer.encode.corpus import refuse_other_documents
from nearer.encode.embedded import Corpora
from nearer.evaluation.ranking import rank
from nearer.measure.suite import CaseResult, Place, newly_failing, run_case
from nearer.store.formats import Row, read_suite
from nearer.store.workspace import Workspace
from nearer.systems import System

Results = tuple[CaseResult, ...]


DEPTH = 100
"""A document's rank is reported down to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The cases of a file, all of whose documents exist; ``doc_ids`` are the documents of when it was read."""

    file: Path
    cases: tuple[Case, ...]
    doc_ids: tuple[str, ...]


def gate_suite(workspace: Workspace) -> Suite | None:
    """The suite that the recipe names for the gate. Raises ImportFaults when it has faults."""
    name = workspace.recipe.gate.suite
    return open_suite(workspace, workspace.folder / name) if name else None


def open_suite(workspace: Workspace, file: Path) -> Suite:
    """The cases in ``file``. Raises ImportFaults with all that is wrong, unknown documents too."""
    doc_ids = tuple(workspace.collection.document_hashes())
    known, log, cases = frozenset(doc_ids), FaultLog(), []
    for row in read_suite(file):
        if isinstance(row, Fault):
            log.add(row)
            continue
        cases.append(row.record)
        for fault in _unknown_documents(file, row, known):
            log.add(fault)
    if log.num_faults:
        raise ImportFaults(log, hint="correct the suite", outcome="nothing was run")
    return Suite(file=file, cases=tuple(cases), doc_ids=doc_ids)


def run_suite(corpora: Corpora, suite: Suite, system: System) -> Results:
    """What a system makes of every case; as in live search nothing is excluded.

    Raises Conflict when documents came or went since the suite was read.
    """
    depth = max(DEPTH, *(case.k for case in suite.cases))
    queries = [Query(query_id=case.name, text=case.query, metadata=case.metadata) for case in suite.cases]
    _, ranked, _ = rank(corpora, system, queries, k=depth, as_served=True)
    refuse_other_documents(corpora.documents, suite.doc_ids)
    return tuple(
        run_case(case, [suite.doc_ids[row] for row in rows_K if row >= 0])
        for case, rows_K in zip(suite.cases, ranked.rows_QK, strict=True)
    )


def keep_suite_run(workspace: Workspace, suite: Suite, ran: Sequence[tuple[System, Results]]) -> SuiteRun:
    """What systems made of the suite, kept for the report."""
    (first, before), *others = ran
    _, last = ran[-1]
    failed = any(not each.passed and each.case.severity == "critical" for each in last)
    result = SuiteRun(
        file=str(suite.file),
        num_cases=len(suite.cases),
        results=tuple(_result(system, results) for system, results in ran),
        changes=tuple(
            SuiteChange(
                baseline=first.name,
                candidate=system.name,
                newly_failing=tuple(each.case.name for each in newly_failing(before, results)),
                newly_passing=tuple(each.case.name for each in newly_failing(results, before)),
            )
            for system, results in others
        ),
        verdict="faults" if failed else "ok",
    )
    workspace.results.keep("suite", result)
    failpoint("registry.suite")
    return result


def _unknown_documents(file: Path, row: Row[Case], known: frozenset[str]) -> list[Fault]:
    case = row.record
    unknown = [doc_id for doc_id in (*case.must, *case.must_not) if doc_id not in known]
    remedy = "add the document first, or take it out of the case"
    return [
        Fault(file=str(file), line=row.line, reason=f"case {case.name!r}: unknown document {each!r}", remedy=remedy)
        for each in unknown
    ]


def _result(system: System, results: Results) -> SuiteValues:
    return SuiteValues(
        system=system.name,
        model_id=system.model.model_id,
        encoder_id=system.model.encoder_id,
        num_failed=sum(not each.passed for each in results),
        counts=_counts(results),
        failed=tuple(_failure(each) for each in results if not each.passed),
    )


def _counts(results: Results) -> dict[CaseGroup, dict[Severity, CaseCounts]]:
    """How many cases there are and how many failed, by group and severity; only those that occur."""
    cases = Counter((each.case.group, each.case.severity) for each in results)
    failed = Counter((each.case.group, each.case.severity) for each in results if not each.passed)
    return {
        group: {
            severity: CaseCounts(num_cases=cases[group, severity], num_failed=failed[group, severity])
            for severity in get_args(Severity)
            if cases[group, severity]
        }
        for group in CASE_GROUPS
        if any(cases[group, severity] for severity in get_args(Severity))
    }


def _failure(result: CaseResult) -> FailedCase:
    case = result.case
    return FailedCase(
        name=case.name,
        query=case.query,
        k=case.k,
        severity=case.severity,
        group=case.group,
        missing=_placed(result.missing),
        forbidden=_placed(result.forbidden),
        why=result.why(),
    )


def _placed(places: Sequence[Place]) -> tuple[PlacedDocument, ...]:
    return tuple(PlacedDocument(**asdict(each)) for each in places)
