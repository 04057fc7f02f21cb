"""Import what users did: UBI as JSON lines, or a table with a row for every document that was shown."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from nearer.core.errors import ImportFaults
from nearer.core.results.data import Imported
from nearer.flows.retention import enforce_retention
from nearer.signals.click_table import read_click_table
from nearer.signals.incoming import Faults, Incoming
from nearer.signals.log import read_log
from nearer.signals.read_log import read_table
from nearer.signals.ubi import is_ubi, read_ubi
from nearer.store.events.columns import rows_of
from nearer.store.events.importing import enter
from nearer.store.events.reading import read_events
from nearer.store.events.records import Kind
from nearer.store.events.salt import Salt
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace

_JSON_LINES = (".jsonl", ".ndjson", ".json")


def add_events(workspace: Workspace, path: Path | str, *, skip_bad: bool = False) -> Imported:
    """Import impressions and events of a file: what is there already is not entered again.

    Raises ImportFaults with every fault, and nothing is imported then unless ``skip_bad``; InputError for a file that
    is no log of events, and where nobody can tell whether its ranks start at 0 or 1.
    """
    path, start = Path(path), time.perf_counter()
    workspace.begin_writing()
    faults, salt = Faults(path=path), Salt.open(workspace.events)
    incoming = _read(workspace, path, salt, faults)
    log = faults.log
    if log.num_faults and not skip_bad:
        raise ImportFaults(log, hint="mend the file, or leave the bad rows out: --skip-bad")
    tables: dict[Kind, pa.Table] = {"impressions": incoming.impressions, "events": incoming.events}
    changes = enter(workspace.events, tables, known=read_events(event_folder(workspace)))
    num_old = enforce_retention(workspace)
    return Imported(
        changes=changes,
        notes=(*incoming.notes, *([f"{num_old} records older than events.keep_days were removed"] if num_old else [])),
        num_skipped=len(faults.rows),
        faults=tuple(log.kept),
        num_faults=log.num_faults,
        apart=_apart(workspace, incoming),
        duration_s=time.perf_counter() - start,
        counts=workspace.collection.counts(),
        splits=workspace.collection.splits(),
    )


def _read(workspace: Workspace, path: Path, salt: Salt, faults: Faults) -> Incoming:
    recipe = workspace.recipe.events
    if path.suffix.lower() in _JSON_LINES and path.is_file() and is_ubi(path):
        return read_ubi(path, first_rank=recipe.first_rank, hashed=salt.hashed, faults=faults)
    if not path.is_file():
        read_table(path)  # says so
    names = {str(ours): theirs for ours, theirs in recipe.columns.items()}
    return read_click_table(path, names=names, first_rank=recipe.first_rank, hashed=salt.hashed, faults=faults)


def _apart(workspace: Workspace, incoming: Incoming) -> dict[str, int]:
    """How many events of a file are kept apart, by reason, beside all that is there now."""
    log = read_log(workspace.events, doc_ids=workspace.collection.document_hashes())
    is_ours_E = rows_of(log.logged.events["event_id"], incoming.events["event_id"]) >= 0
    return log.sifted.counts(np.asarray(is_ours_E, bool))
