"""What was searched lately, by the event log: of all processes of the service, and also after it was started anew."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearer.core.results.base import JSON
from nearer.core.results.shadow import Spread
from nearer.store.events.reading import read_newest

MOST_SEEN = 1000
_NUM_SHOWN = 50
_QUERY_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A search: its words, which arm answered, how many results, and how long it took; ``failed`` ones have neither."""

    query_id: str
    query: str
    arm: str
    num_results: int
    took_ms: float | None
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The newest searches, oldest first, nothing of who asked; ``followed`` are those on whose results users acted."""

    searches: tuple[Seen, ...]
    followed: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> "Traffic":
        """What the event log in ``folder`` holds of the newest. Raises OSError."""
        newest = read_newest(folder, num_impressions=MOST_SEEN)
        impressions = newest["impressions"].sort_by("at").slice(max(0, newest["impressions"].num_rows - MOST_SEEN))
        names = ("query_id", "query", "arm", "doc_ids", "took_ms", "failed")
        rows = impressions.select(names).to_pylist()
        events = newest["events"].select(("query_id", "doc_id", "apart")).to_pylist()
        return cls(
            searches=tuple(map(_seen, rows)),
            followed=frozenset(each["query_id"] for each in events if each["doc_id"] and not each["apart"]),
        )

    def latency(self) -> Spread | None:
        """Where the milliseconds of the answers lie."""
        took = [each.took_ms for each in self.searches if each.took_ms is not None]
        return spread_of(took) if took else None

    def zero_results(self) -> list[tuple[str, int]]:
        """The queries that found nothing, and how often each was asked."""
        nothing = (each.query for each in self.searches if not each.num_results and not each.failed)
        return Counter(nothing).most_common(_NUM_SHOWN)

    def unclicked(self) -> list[tuple[str, int]]:
        """The queries that found something on which nobody did anything, and how often; none where no event came."""
        if not self.followed:
            return []
        left = (each.query for each in self.searches if each.num_results and each.query_id not in self.followed)
        return Counter(left).most_common(_NUM_SHOWN)


def spread_of(values: Sequence[float]) -> Spread:
    """The quantiles of some values."""
    p5, p50, p95, p99 = np.quantile(np.asarray(values, np.float64), [0.05, 0.5, 0.95, 0.99]).tolist()
    return Spread(p5=p5, p50=p50, p95=p95, p99=p99)


def _seen(row: JSON) -> Seen:
    return Seen(
        query_id=row["query_id"],
        query=row["query"][:_QUERY_CHARACTERS],
        arm=row["arm"],
        num_results=len(row["doc_ids"]),
        took_ms=row["took_ms"],
        failed=bool(row["failed"]),
    )
