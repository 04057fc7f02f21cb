"""The loop, as text."""

from nearer.core.results.drift import Drift, DriftSignal, Period
from nearer.printing.parts import one_line


def drifted(result: Drift) -> str:
    """The result of `nearer drift`."""
    lines = [
        f"{result.verdict}: {_period(result.period)} beside {_period(result.before)}",
        *map(_signal, result.signals),
    ]
    if result.new_queries:
        lines += ["least like before:", *(f"  {one_line(each)}" for each in result.new_queries)]
    advice = {"drift": ["another training may pay: nearer train"], "steady": [], "too little": []}[result.verdict]
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
