"""The last run of the regression suite: how many cases pass, and those that fail for the last system."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearer.core.records import CASE_GROUPS
from nearer.core.results.measuring import FailedCase, SuiteRun, SuiteValues
from nearer.store.results import Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """``rows`` hold a group, a severity and for each of ``systems`` how many cases pass; the last row is of all.

    ``failed`` are the cases that fail for the last system, with what their group is called; ``newly_failing`` and
    ``newly_passing`` their names beside the first system.
    """

    file: str
    at: str
    systems: Sequence[SuiteValues]
    rows: Sequence[tuple[str, str, Sequence[str]]]
    failed: Sequence[tuple[str, FailedCase]]
    newly_failing: frozenset[str]
    newly_passing: Sequence[str]


def suite_of(kept: Kept[SuiteRun] | None) -> SuiteView | None:
    """What the page shows of a run of the suite."""
    if kept is None:
        return None
    run = kept.result
    systems = run.results
    rows = [
        (
            CASE_GROUPS[group],
            severity,
            [
                _passed(count.num_cases, count.num_failed)
                for count in (each.counts[group][severity] for each in systems)
            ],
        )
        for group, severities in systems[0].counts.items()
        for severity in severities
    ]
    total = [_passed(run.num_cases, each.num_failed) for each in systems]
    change = run.changes[-1] if run.changes else None
    return SuiteView(
        file=run.file,
        at=kept.at,
        systems=systems,
        rows=[*rows, ("all", "", total)],
        failed=[(CASE_GROUPS[each.group], each) for each in systems[-1].failed],
        newly_failing=frozenset(change.newly_failing if change else ()),
        newly_passing=change.newly_passing if change else (),
    )


def _passed(num_cases: int, num_failed: int) -> str:
    return f"{num_cases - num_failed:,} of {num_cases:,}"
