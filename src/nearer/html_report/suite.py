"""The last run of the regression suite: how many cases pass, and those that fail for the last system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearer.core.records import CASE_GROUPS

JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """``rows`` hold a group, a severity and for each of ``systems`` how many cases pass; the last row is of all.

    ``failed`` are the cases that fail for the last system, ``newly_failing`` and ``newly_passing`` their names beside
    the first system.
    """

    file: str
    at: str
    systems: Sequence[JSON]
    rows: Sequence[tuple[str, str, Sequence[str]]]
    failed: Sequence[JSON]
    newly_failing: frozenset[str]
    newly_passing: Sequence[str]


def suite_of(run: JSON | None) -> SuiteView | None:
    """What the page shows of a run of the suite."""
    if run is None:
        return None
    systems: Sequence[JSON] = run["results"]
    rows = [
        (CASE_GROUPS[group], severity, [_passed(each["counts"][group][severity]) for each in systems])
        for group, severities in systems[0]["counts"].items()
        for severity in severities
    ]
    total = [_passed({**run, **each}) for each in systems]
    change: JSON = run["changes"][-1] if run["changes"] else {"newly_failing": (), "newly_passing": ()}
    return SuiteView(
        file=run["file"],
        at=run["at"],
        systems=systems,
        rows=[*rows, ("all", "", total)],
        failed=[{**each, "group": CASE_GROUPS[each["group"]]} for each in systems[-1]["failed"]],
        newly_failing=frozenset(change["newly_failing"]),
        newly_passing=change["newly_passing"],
    )


def _passed(count: JSON) -> str:
    return f"{count['num_cases'] - count['num_failed']:,} of {count['num_cases']:,}"
