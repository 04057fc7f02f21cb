"""What interleaved lists say, from the event log: whose documents each user clicked on more.

An impression's ``teams`` has a letter a document: ``a`` control's, ``b`` the treatment's.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from nearer.core.arrays import Ints
from nearer.core.results.online import ExperimentVerdict, InterleavedResult
from nearer.online.interleave import Shown, interleaving_preference, winner
from nearer.online.outcomes import CLICK, Unit
from nearer.online.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class InterleavedLists:
    """The result, and what it comes from."""

    result: InterleavedResult
    num_units: int
    num_lists: int
    num_without_unit: int


def interleaved_result(
    impressions: pa.Table,
    events: pa.Table,
    impression_E: Ints,
    *,
    unit: Unit,
    since: datetime,
    until: datetime,
    plan: Plan,
) -> InterleavedLists:
    """A winner a user: who won more of their lists that were clicked. Lists without a click say nothing."""
    clicked: dict[int, set[str]] = {}
    for row, action, doc_id in zip(
        impression_E.tolist(), events["action"].to_pylist(), events["doc_id"].to_pylist(), strict=True
    ):
        if action == CLICK:
            clicked.setdefault(row, set()).add(doc_id)
    balance: Counter[str] = Counter()
    seen: set[str] = set()
    num_lists = num_without_unit = 0
    names = ("at", unit, "teams", "doc_ids")
    for row, (at, who, teams, doc_ids) in enumerate(
        zip(*(impressions[each].to_pylist() for each in names), strict=True)
    ):
        if not teams or not since <= at < until:
            continue
        if not who:
            num_without_unit += 1
            continue
        num_lists += 1
        if row in clicked:
            seen.add(who)
            shown = [Shown(doc_id=doc_id, side=side) for doc_id, side in zip(doc_ids, teams, strict=True)]
            balance[who] += {"a": -1, "b": 1, "tie": 0}[winner(shown, clicked[row])]
    wins, losses = sum(balance[who] > 0 for who in seen), sum(balance[who] < 0 for who in seen)
    ties = len(seen) - wins - losses
    enough = len(seen) >= 2
    preference = interleaving_preference(wins, losses, ties, confidence=plan.confidence) if enough else None
    return InterleavedLists(
        result=InterleavedResult(num_wins=wins, num_losses=losses, num_ties=ties, preference=preference),
        num_units=len(seen),
        num_lists=num_lists,
        num_without_unit=num_without_unit,
    )


def verdict_of_lists(
    found: InterleavedResult, plan: Plan, *, is_over: bool
) -> tuple[ExperimentVerdict, tuple[str, ...]]:
    """What follows, and why."""
    if found.preference is None:
        return "too early", (f"fewer than two {plan.unit}s clicked on anything",)
    if not is_over:
        return "too early", (f"a fixed horizon is read once, after {plan.days} days",)
    if found.preference.low > 0:
        return "better", ("users prefer the treatment",)
    if found.preference.high < 0:
        return "worse", ("users prefer control",)
    return "not shown", ("the interval of the preference includes 0",)
