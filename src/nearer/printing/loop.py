"""The loop, as text."""

from nearer.core.results.drift import Drift, DriftSignal, Period
from nearer.core.results.loop import Cycle, LoopDemo
from nearer.printing.parts import one_line, table


def drifted(result: Drift) -> str:
    """The result of `nearer drift`."""
    lines = [
        f"{result.verdict}: {_period(result.period)} beside {_period(result.before)}",
        *map(_signal, result.signals),
    ]
    if result.new_queries:
        lines += ["least like before:", *(f"  {one_line(each)}" for each in result.new_queries)]
    advice = {"drift": ["another turn may pay: nearer cycle"], "steady": [], "too little": []}[result.verdict]
    return "\n".join([*lines, *result.notes, *advice])


def _period(period: Period) -> str:
    searches = f"{period.num_searches:,} searches of {period.num_people:,} people"
    return f"{period.since} to {period.until} ({searches})"


def _signal(found: DriftSignal) -> str:
    if found.p_value is None:
        return f"  {found.name}: too few people ({found.meaning})"
    parts = [f"  {found.name}: {found.state}, p = {found.p_value:.3f}"]
    if found.size is not None:
        parts.append(f"moved by {found.size:.3f} of 1")
    if found.newest is not None and found.before is not None:
        parts.append(f"{found.before:.4g} -> {found.newest:.4g}")
    if found.effect is not None:
        parts.append(f"{found.effect.effect:+.4g} [{found.effect.low:+.4g}, {found.effect.high:+.4g}]")
    return f"{', '.join(parts)} ({found.meaning}; {found.false_alarm_rate:.0%} false alarms)"


def cycled(result: Cycle) -> str:
    """The result of `nearer cycle`."""
    turn = f"turn {result.number}" if result.number else "no turn"
    lines = [f"{turn}: {result.verdict}; {'; '.join(result.reasons)}"]
    if result.stages:
        lines += table([[f"  {each.stage}", each.state, each.summary] for each in result.stages])
    if result.cost_usd:
        most = "" if result.max_cost_usd is None else f" of at most {result.max_cost_usd:g}"
        lines.append(f"services were paid {result.cost_usd:.4f} USD{most}")
    then = {
        "waiting": "users are waited for; repeat this command later",
        "stopped": "go on: nearer cycle",
        "planned": "do it: nearer cycle",
        "promoted": "undo it: nearer rollback",
    }
    return "\n".join([*lines, *([then[result.verdict]] if result.verdict in then else [])])


def looped(result: LoopDemo) -> str:
    """The result of `nearer demo --loop`."""
    rows = [["turn", "before", "after", "verdict"]]
    for turn in result.turns:
        sides = ["" if each is None else f"{each:.4f}" for each in (turn.before, turn.after)]
        rows.append([str(turn.number), *sides, turn.verdict])
    base = result.base
    return "\n".join(
        [
            "",
            f"nDCG@10 on test, the base {base.value:.4f} [{base.low:.4f}, {base.high:.4f}]",
            *table(rows),
            f"in {result.duration_s:.0f} s; report: {result.report}",
        ]
    )
