"""What comes in and goes out: add, remove, check, export."""

from nearer.core.results.data import (
    Exported,
    ExportedModel,
    ExportedVectors,
    Imported,
    NewWorkspace,
    Preflight,
    Removed,
    WrittenSheet,
)
from nearer.printing.parts import excluded, spent


def made_workspace(result: NewWorkspace) -> str:
    """The result of `nearer init`."""
    lines = [f"made a workspace in {result.workspace}"]
    if result.postgres:
        lines.append(f"its records and its index are in a PostgreSQL of its own: {result.postgres}")
    return "\n".join(lines)


def added(result: Imported) -> str:
    """The result of `nearer add`."""
    lines = [
        f"{kind}: {change.num_added} added, {change.num_updated} updated, {change.num_unchanged} unchanged"
        for kind, change in result.changes.items()
    ]
    num_rows = sum(change.num_rows for change in result.changes.values())
    lines.append(f"{num_rows} rows in {result.duration_s:.1f} s ({num_rows / result.duration_s:.0f} a second)")
    lines += [f"note: {note}" for note in result.notes]
    if result.apart:
        lines.append(f"kept apart: {', '.join(f'{number:,} {reason}' for reason, number in result.apart.items())}")
    if result.num_skipped:
        lines.append(f"{result.num_skipped} bad rows set aside, the first:")
        lines += [f"  {f.file}:{f.line}: {f.reason} ({f.remedy})" for f in result.faults[:20]]
    return "\n".join([*lines, _holdings(result)])


def removed(result: Removed) -> str:
    """The result of `nearer remove`."""
    return f"{result.num_removed} documents removed; bring the index up to date: nearer index"


def checked(result: Preflight) -> str:
    """The result of `nearer check`."""
    lines = [_holdings(result), f"{result.num_passages} passages, {result.num_truncated} truncated"]
    if result.num_dropped:
        lines.append(f"{result.num_dropped} leaking queries set aside")
    lines += [f"fault: {fault}" for fault in result.faults]
    lines += [f"  {leak.query_id} leaks into {leak.leaks_into} ({leak.kind})" for leak in result.leaks]
    lines += [f"note: {note}" for note in result.notes]
    if not result.num_leaks:
        lines.append("no leaks between splits")
    return "\n".join([*lines, f"verdict: {result.verdict}"])


def exported(result: Exported) -> str:
    """The result of `nearer export`."""
    line = f"{result.num_lines} lines of {result.kind} for {result.split}: {result.file}"
    return "\n".join([line, *(excluded(result.excluded) if result.excluded else [])])


def exported_vectors(result: ExportedVectors) -> str:
    """The result of `nearer export vectors`."""
    what = f"{result.num_vectors} vectors of {result.num_documents} documents, {result.dimension} dimensions"
    lines = [f"{result.file}: {what}, for {result.store}", f"space {result.space_id} of {result.model_id}"]
    return "\n".join([*lines, *spent(result.api)])


def exported_model(result: ExportedModel) -> str:
    """The result of `nearer export model`."""
    lines = [
        f"{result.folder}: {result.model_id}, {result.dimension} dimensions, {result.num_bytes / 1e6:,.1f} MB",
        f"vectors of {result.num_compared} texts differ by at most {result.max_difference:.1e} from ours",
        f"measured on {', '.join(result.measured_on)}: see its README.md"
        if result.measured_on
        else "its card has no figures: measure it (nearer evaluate), then export it again",
    ]
    if result.is_routed:
        lines.append("queries and documents differ in it: encode_query and encode_document, never encode")
    return "\n".join([*lines, *([f"pushed: {result.url}"] if result.url else [])])


def sheet_written(result: WrittenSheet) -> str:
    """The result of `nearer judge-sheet`."""
    known = f", {result.num_judged} of them judged already" if result.num_judged else ""
    return (
        f"{result.file}: {result.num_rows} rows to judge{known}, of {result.num_queries} queries, from "
        f"{' and '.join(result.systems)}\n"
        f"fill in the column grade (0: not relevant; higher: more), then: nearer add judgments {result.file}"
    )


def _holdings(result: Imported | Preflight) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in result.counts.items() if count)
    splits = ", ".join(f"{split} {count}" for split, count in result.splits.items())
    return f"the workspace holds {counts or 'nothing'}" + (f"; queries by split: {splits}" if splits else "")
