"""Building and updating the embedded index: rows in batches, then its indexes, then recall, then the manifest.

Every write makes a new version of the table, which nobody reads before the manifest names it. What a killed writer left
half done is undone by the next one.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.failpoints import failpoint
from nearer.core.results.serving import Probes
from nearer.retrieval.entries import Entries, checked_entries
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.lance import LanceIndex
from nearer.retrieval.lance_table import (
    DOC_ID,
    KEY,
    ORDINAL,
    VECTOR,
    column_of,
    create_table,
    explained,
    open_table,
    rows_of,
    schema_of,
    vectors_in,
)
from nearer.retrieval.manifest import (
    Manifest,
    Spec,
    Version,
    keep_current,
    refresh_manifest,
    still_held,
    write_manifest,
)
from nearer.retrieval.recall import probed
from nearer.store.files import fsync_tree

if TYPE_CHECKING:
    from lancedb.table import Table

LADDER = tuple(Probes(nprobes=10 * 2**step, refine=5 * 2**step) for step in range(5))
"""Tried in order until recall is reached. Source: measured, docs/adr/0005."""

_MOST_DELTAS = 16  # every update adds a part to the vector index, and every search reads all parts
_DELETE = 1000  # ids in one condition
_FOREVER = timedelta(days=36_500)  # the store's own default removes versions after a week, the current one too


def build_lance(
    folder: Path, *, spec: Spec, batches: Iterable[Entries], policy: IndexPolicy, revision: int, before: Manifest | None
) -> LanceIndex:
    """Write a new table and make it current; there must be a document.

    Raises WorkspaceError for a vector that is zero or not finite.
    """
    table = None
    for entries in batches:
        checked_entries(entries)
        with explained(policy.files or folder):
            if table is None:
                schema = schema_of(spec, dimension=entries.vectors_PD.shape[1])
                table = create_table(folder, policy.files, schema)
            table.add(rows_of(entries, table.schema, spec))
        failpoint("index.rows")
    assert table is not None
    return _publish(folder, policy.files, table, spec=spec, policy=policy, revision=revision, before=before)


def update_lance(
    folder: Path,
    index: LanceIndex,
    *,
    removed: Collection[str],
    changed: Iterable[Entries],
    policy: IndexPolicy,
    revision: int,
) -> LanceIndex:
    """Make a version of the table that follows the changes, and make it current.

    Raises WorkspaceError for a vector that is zero or not finite.
    """
    manifest, spec = index.manifest, index.manifest.spec
    assert manifest.current
    address = manifest.server
    place = address or folder
    table = open_table(folder, manifest.current)
    with explained(place):
        if table.version != manifest.current.version:  # a killed writer's
            table.restore(manifest.current.version)
    num_written = len(removed)
    _remove(place, table, removed)
    for entries in changed:
        checked_entries(entries)
        _remove(place, table, entries.doc_ids)
        with explained(place):
            upsert = table.merge_insert(KEY).when_matched_update_all().when_not_matched_insert_all()
            upsert.execute(rows_of(entries, table.schema, spec))
        failpoint("index.rows")
        num_written += len(entries.doc_ids)
    if not num_written and not policy.shortfall(manifest):
        same = refresh_manifest(folder, manifest, revision=revision, current=_version(table, address))
        return LanceIndex.open(folder, same)
    return _publish(folder, address, table, spec=spec, policy=policy, revision=revision, before=manifest)


def _remove(place: Path | str, table: "Table", doc_ids: Collection[str]) -> None:
    from lancedb.expr import col

    ids = list(doc_ids)
    for start in range(0, len(ids), _DELETE):
        with explained(place):
            table.delete(col(DOC_ID).isin(ids[start : start + _DELETE]))
        failpoint("index.rows")


def _publish(
    folder: Path,
    address: str | None,
    table: "Table",
    *,
    spec: Spec,
    policy: IndexPolicy,
    revision: int,
    before: Manifest | None,
) -> LanceIndex:
    """Bring the rows into the indexes, measure recall, and name this version of the table in the manifest."""
    from lancedb.expr import col, lit

    place = address or folder
    with explained(place):
        uses_vector_index = table.count_rows() > policy.exact_up_to
        _index_rows(table, spec, vectors=uses_vector_index)
        num_documents = len(table.search().where(col(ORDINAL) == lit(0)).select([ORDINAL]).to_arrow())
    draft = Manifest(
        kind="lancedb",
        spec=spec,
        num_documents=num_documents,
        num_passages=table.count_rows(),
        revision=revision,
    )
    if uses_vector_index:
        in_use = before.probes if before and before.current and before.current.table == table.name else None
        measured = _measured(place, table, draft, policy, start=in_use)
        if policy.shortfall(measured):
            with explained(place):
                _train(table)
                table.optimize(cleanup_older_than=_FOREVER)
            measured = _measured(place, table, draft, policy)
        draft = measured
    if address is None:
        fsync_tree(folder / f"{table.name}.lance")
    failpoint("index.table")
    current = _version(table, address)
    manifest = replace(draft, current=current, retired=still_held(before, current))
    write_manifest(folder, manifest)
    keep_current(folder, manifest)
    with explained(place):
        _forget_versions(table, manifest)
    failpoint("index.cleanup")
    return LanceIndex.open(folder, manifest)


def _version(table: "Table", address: str | None) -> Version:
    return Version(table=table.name, version=table.version, server=address)


def _index_rows(table: "Table", spec: Spec, *, vectors: bool) -> None:
    """Make the indexes that are missing, and bring the rows that are new into all of them."""
    from lancedb.index import Bitmap, BTree

    if not table.count_rows():
        return
    table.optimize(cleanup_older_than=_FOREVER)
    indexed = {each.columns[0] for each in table.list_indices()}
    wanted: dict[str, Bitmap | BTree] = {}
    for name, field_type in spec.fields.items():
        if field_type != "list":  # whose items are looked through
            wanted[column_of(spec.fields, name)] = Bitmap() if field_type == "boolean" else BTree()
    for column, config in wanted.items():
        if column not in indexed:
            table.create_index(column, config=config)
    if vectors and (VECTOR not in indexed or _num_deltas(table) > _MOST_DELTAS):
        _train(table)
    table.optimize(cleanup_older_than=_FOREVER)


def _num_deltas(table: "Table") -> int:
    statistics = table.index_stats(f"{VECTOR}_idx")
    return (statistics.num_indices or 0) if statistics else 0


def _train(table: "Table") -> None:
    """Make the vector index from all rows; its quantisation needs whole bytes of dimensions."""
    from lancedb.index import IvfFlat, IvfRq

    is_whole = table.schema.field(VECTOR).type.list_size % 8 == 0
    table.create_index(VECTOR, config=IvfRq(distance_type="dot") if is_whole else IvfFlat(distance_type="dot"))


def _measured(
    place: Path | str, table: "Table", draft: Manifest, policy: IndexPolicy, *, start: Probes | None = None
) -> Manifest:
    """The draft with the first probes from ``start`` on that reach the recall wanted, or else the best."""
    index = LanceIndex(place, draft, table)
    blocks = ((batch[DOC_ID].to_pylist(), vectors_in(batch)) for batch in index.blocks([DOC_ID, VECTOR]))
    sample = partial(_vectors_at_even_distances, table)
    return probed(index, draft, blocks, policy=policy, sample=sample, ladder=LADDER, start=start)


def _vectors_at_even_distances(table: "Table", number: int) -> Floats32:
    """Vectors of passages at even distances, to stand in for queries."""
    offsets = np.unique(np.linspace(0, table.count_rows() - 1, number).astype(np.int64))
    rows = table.take_offsets(offsets.tolist()).select([VECTOR]).to_arrow()
    return vectors_in(rows.combine_chunks().to_batches()[0])


def _forget_versions(table: "Table", manifest: Manifest) -> None:
    """Remove the versions that were replaced too long ago for a reader to hold them, and what was never finished."""
    assert manifest.current
    held = {each.version for each in (*manifest.retired, manifest.current) if each.table == table.name}
    written_at = [each["timestamp"] for each in table.list_versions() if each["version"] in held]
    age = datetime.now() - min(written_at) + timedelta(seconds=1)
    table.optimize(cleanup_older_than=age, delete_unverified=True)
