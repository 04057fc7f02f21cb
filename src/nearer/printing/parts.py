"""What several results have in common: figures, tables, lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nearer.core.results.measuring import ApiUse, Compared, ExcludedDocuments, Interval
    from nearer.core.results.status import ApiTotal


def passed(num_cases: int, num_failed: int) -> str:
    """How many cases of a suite passed, of how many."""
    return f"{num_cases - num_failed} of {num_cases}"


def listed(names: Sequence[str]) -> str:
    """Names in a row."""
    return ", ".join(names) or "none"


def one_line(text: str) -> str:
    """A text without line breaks, cut where it is long."""
    return " ".join(text.split())[:100]


def interval(value: Interval) -> str:
    """A value and its interval."""
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def comparison(c: Compared, *, adjusted: str = "") -> str:
    """A candidate against its baseline in one measure."""
    from nearer.core.results.measuring import direction

    return (
        f"{c.metric}: {c.candidate} - {c.baseline} = "
        f"{c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}], {direction(c.low, c.high, c.p_value)}, "
        f"p = {c.p_value:.4f}{adjusted}; {c.num_wins} won, {c.num_losses} lost, {c.num_ties} tied"
    )


def excluded(found: ExcludedDocuments) -> list[str]:
    """What no ranking holds, and what might have been expected to be excluded."""
    parts = []
    if found.num_documents:
        named = f", {found.num_named} of them named by their query" if found.num_named else ""
        parts.append(
            f"{found.num_documents} documents of {found.num_queries} queries (evaluate.exclude = "
            f'"{found.rule}"{named}); live search returns them'
        )
    others = {
        "that would be are judged, and stay": found.num_judged,
        "on which nobody judged have a query's id but another text, and stay": found.num_same_id,
    }
    parts += [f"{number} documents {what}" for what, number in others.items() if number]
    if found.num_unknown:
        parts.append(f"{found.num_unknown} excluded_ids are those of no document")
    return [f"excluded: {'; '.join(parts)}"] if parts else []


def spent(api: ApiUse | None) -> list[str]:
    """What a service was asked for in this run, if any was."""
    if api is None:
        return []
    missing = "" if api.is_recorded else "; not in the sum of nearer status, which could not be written"
    return [f"asked of services: {usage(api)}{missing}"]


def usage(used: ApiUse | ApiTotal) -> str:
    """Requests, tokens and cost."""
    cost = "price unknown" if used.cost_usd is None else f"{used.cost_usd:.6f} USD"
    return f"{used.num_requests} requests, {used.num_tokens} tokens, {cost}"


def table(rows: list[list[str]]) -> list[str]:
    """Rows with their columns aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
