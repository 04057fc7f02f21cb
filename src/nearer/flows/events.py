"""What the event log holds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.results.signals import EventCounts
from nearer.flows.retention import enforce_retention
from nearer.signals.log import read_log
from nearer.store.events.sharing import event_folder
from nearer.store.files import bytes_in
from nearer.store.workspace import Workspace

_HOUR = timedelta(hours=1)


def event_counts(workspace: Workspace, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> EventCounts:
    """Count what was shown and done. Raises WorkspaceError when the event log cannot be read."""
    enforce_retention(workspace)
    log = read_log(event_folder(workspace), doc_ids=workspace.collection.document_hashes())
    logged, impressions, counted = log.logged, log.impressions, log.events
    events, apart = logged.events, log.sifted.counts()
    since = now() - _HOUR
    return EventCounts(
        num_impressions=impressions.num_rows,
        num_explored=_num_explored(impressions),
        num_events=counted.num_rows,
        by_action=_by_number(counted["action"]),
        num_apart=sum(apart.values()),
        apart=apart,
        num_repeated=logged.num_repeated,
        num_users=_num_named(impressions["user"], counted["user"]),
        num_sessions=_num_named(impressions["session"], counted["session"]),
        num_queries=len(pc.unique(impressions["query"])),
        first_at=_time(min, impressions["at"], events["received_at"]),
        last_at=_time(max, impressions["at"], events["received_at"]),
        last_hour={
            "impressions": _num_since(impressions["at"], since),
            "events": _num_since(counted["received_at"], since),
            "apart": _num_since(events.filter(pa.array(~log.sifted.counted_E))["received_at"], since),
        },
        num_files=logged.num_files,
        num_bytes=bytes_in(workspace.events),
        num_torn_bytes=logged.num_torn_bytes,
        num_damaged=logged.num_damaged,
    )


def _num_explored(impressions: pa.Table) -> int:
    """How many answers hold neighbours that were swapped: at their places others were more likely."""
    lists = impressions["propensities"].combine_chunks()
    rows, likely = pc.list_parent_indices(lists), pc.list_flatten(lists)
    return len(pc.unique(rows.filter(pc.less(likely, 0.5)))) if len(rows) else 0


def _by_number(column: pa.ChunkedArray) -> dict[str, int]:
    counts = pc.value_counts(column).to_pylist()
    return {
        each["values"]: each["counts"] for each in sorted(counts, key=lambda each: (-each["counts"], each["values"]))
    }


def _num_named(*columns: pa.ChunkedArray) -> int:
    names = pc.unique(pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()))
    return len(names) - int(pc.any(pc.equal(names, "")).as_py() or False)


def _num_since(times: pa.ChunkedArray, since: datetime) -> int:
    return int(pc.sum(pc.greater(times, pa.scalar(since, times.type))).as_py() or 0)


def _time(of: Callable[[list[datetime]], datetime], *columns: pa.ChunkedArray) -> str | None:
    name = "min" if of is min else "max"
    found = [each for column in columns if (each := pc.min_max(column)[name].as_py()) is not None]
    return of(found).isoformat(timespec="seconds") if found else None
