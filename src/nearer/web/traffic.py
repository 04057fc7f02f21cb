"""What was searched lately, in this process alone: for the dashboard, and gone with the process."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.results.shadow import Spread

MOST_SEEN = 1000
_NUM_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A search: its words, which arm answered, how many results, and the milliseconds of its parts."""

    query_id: str
    query: str
    arm: str
    num_results: int
    took_ms: Mapping[str, float]


class Traffic:
    """The newest searches; nothing of who asked."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=MOST_SEEN)
        self._followed: deque[str] = deque(maxlen=4 * MOST_SEEN)

    def add(self, seen: Seen) -> None:
        """Note a search."""
        self._seen.append(seen)

    def followed(self, query_ids: Iterable[str]) -> None:
        """Note searches on whose results somebody did something."""
        self._followed.extend(query_ids)

    def unclicked(self) -> list[tuple[str, int]]:
        """The queries that found something on which nobody did anything, and how often; none where no event came."""
        followed = set(self._followed)
        if not followed:
            return []
        left = (each.query for each in self.newest() if each.num_results and each.query_id not in followed)
        return Counter(left).most_common(_NUM_SHOWN)

    def newest(self) -> list[Seen]:
        """The searches, oldest first."""
        return list(self._seen)


def latency_of(searches: Sequence[Seen]) -> dict[str, Spread]:
    """Where the milliseconds of each part lie."""
    parts = dict.fromkeys(part for each in searches for part in each.took_ms)
    return {part: spread_of([each.took_ms[part] for each in searches if part in each.took_ms]) for part in parts}


def spread_of(values: Sequence[float]) -> Spread:
    """The quantiles of some values."""
    p5, p50, p95, p99 = np.quantile(np.asarray(values, np.float64), [0.05, 0.5, 0.95, 0.99]).tolist()
    return Spread(p5=p5, p50=p50, p95=p95, p99=p99)


def zero_results_of(searches: Sequence[Seen]) -> list[tuple[str, int]]:
    """The queries that found nothing, and how often each was asked."""
    return Counter(each.query for each in searches if not each.num_results).most_common(_NUM_SHOWN)
