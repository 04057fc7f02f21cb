"""Tables of impressions and events that come from files: what is new of them is entered in one step."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.failpoints import failpoint
from nearer.core.results.changes import Changes
from nearer.store.events.forgetting import write_table
from nearer.store.events.reading import Logged
from nearer.store.events.records import IMPORT, SCHEMAS, Kind
from nearer.store.files import move_into_place, scratch_folder

_KEYS: Mapping[Kind, str] = {"impressions": "query_id", "events": "event_id"}


def enter(folder: Path, tables: Mapping[Kind, pa.Table], *, known: Logged) -> dict[str, Changes]:
    """Enter those rows whose ids ``known`` lacks, all in one step; what that changed. Raises OSError."""
    before = {"impressions": known.impressions, "events": known.events}
    new = {kind: _new(table, before[kind], _KEYS[kind]) for kind, table in tables.items()}
    if any(table.num_rows for table in new.values()):
        with scratch_folder(folder) as scratch:
            digest = hashlib.sha256()
            for kind in SCHEMAS:
                write_table(scratch / f"{kind}.parquet", new[kind])
                digest.update((scratch / f"{kind}.parquet").read_bytes())
            failpoint("events.staged")
            move_into_place(scratch, folder / f"{IMPORT}{digest.hexdigest()[:32]}")
            failpoint("events.imported")
    return {
        kind: Changes(num_added=new[kind].num_rows, num_unchanged=table.num_rows - new[kind].num_rows)
        for kind, table in tables.items()
    }


def _new(table: pa.Table, before: pa.Table, key: str) -> pa.Table:
    known = pc.is_in(table[key], value_set=before[key].combine_chunks())
    return table.filter(pc.invert(known))
