"""The event log as it counts: read, sifted, and what is left of it.

Arrays: E events that count.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from nearer.core.arrays import Ints
from nearer.signals.sift import Sifted, sift
from nearer.store.events.reading import EventReader, Logged, read_events


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiftedLog:
    """What was shown; the events that count, and in ``impression_E`` the rows of their impressions.

    ``logged`` is all that there is, and ``sifted`` says of each of its events whether it counts.
    """

    logged: Logged
    sifted: Sifted
    events: pa.Table
    impression_E: Ints

    @property
    def impressions(self) -> pa.Table:
        """What was shown."""
        return self.logged.impressions

    def of(self, impressions: pa.Table) -> "SiftedLog":
        """The same with other columns of what was shown."""
        return replace(self, logged=replace(self.logged, impressions=impressions))


def read_log(source: Path | EventReader, *, doc_ids: Collection[str] | None = None) -> SiftedLog:
    """The event log in a folder, or of a reader that goes on from where it was; with ``doc_ids`` only their events.

    Raises WorkspaceError.
    """
    logged = source.read() if isinstance(source, EventReader) else read_events(source)
    sifted = sift(logged.impressions, logged.events, doc_ids=doc_ids)
    return SiftedLog(
        logged=logged,
        sifted=sifted,
        events=logged.events.filter(pa.array(sifted.counted_E)),
        impression_E=sifted.impression_E[sifted.counted_E],
    )
