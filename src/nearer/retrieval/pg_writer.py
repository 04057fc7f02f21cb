"""Building and updating the index in PostgreSQL: one transaction of rows, then recall, then the manifest.

Every write makes a new version, which nobody reads before the manifest names it. What a killed writer left is undone by
the next one.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import NearerError
from nearer.core.failpoints import failpoint
from nearer.core.results.serving import Probes
from nearer.retrieval.entries import Entries, checked_entries
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import (
    Manifest,
    Spec,
    Version,
    keep_current,
    refresh_manifest,
    still_held,
    write_manifest,
)
from nearer.retrieval.pg import PgIndex
from nearer.retrieval.pg_server import Server, chosen_server
from nearer.retrieval.pg_table import (
    MOST_HNSW,
    copy_rows,
    create_indexes,
    create_table,
    key_of,
    own_prefix,
    table_names,
    table_of,
)
from nearer.retrieval.recall import probed

if TYPE_CHECKING:
    from psycopg import Connection

LADDER = tuple(Probes(nprobes=nprobes, refine=refine) for nprobes, refine in ((40, 2), (100, 4), (300, 8), (1000, 16)))
"""Tried in order until recall is reached: ``nprobes`` is hnsw.ef_search, of which pgvector takes 1000 at most."""


def build_pg(
    folder: Path, *, spec: Spec, batches: Iterable[Entries], policy: IndexPolicy, revision: int, before: Manifest | None
) -> PgIndex:
    """Write a new table and make it current; there must be a document.

    Raises WorkspaceError for a vector that is zero or not finite, and for a server that refuses.
    """
    server = Server(folder, address := chosen_server(policy.url))
    name, dimension = "", 0
    with server.transaction() as connection:
        for entries in batches:
            checked_entries(entries)
            if not name:
                dimension = entries.vectors_PD.shape[1]
                name = create_table(connection, folder, spec, dimension=dimension)
            copy_rows(connection, name, entries, spec, since=1)
            failpoint("index.rows")
        assert name
        [(num_passages, num_documents)] = _counts(connection, name)
        vectors = num_passages > policy.exact_up_to
        create_indexes(connection, name, spec, dimension=dimension, vectors=vectors)
    draft = Manifest(
        kind="pgvector",
        spec=spec,
        num_documents=num_documents,
        num_passages=num_passages,
        revision=revision,
        current=Version(table=name, version=1, server=address),
    )
    index = PgIndex(folder, draft, server, dimension=dimension)
    return _publish(folder, index, policy=policy, vectors=vectors, before=before)


def update_pg(
    folder: Path,
    index: PgIndex,
    *,
    removed: Collection[str],
    changed: Iterable[Entries],
    policy: IndexPolicy,
    revision: int,
) -> PgIndex:
    """Make a version of the table that follows the changes, and make it current.

    Raises WorkspaceError for a vector that is zero or not finite, and for a server that refuses.
    """
    manifest, spec, server = index.manifest, index.manifest.spec, index.server
    assert manifest.current
    name, version = index.table, index.version + 1
    num_written = len(removed)
    with server.transaction() as connection:
        _undo(connection, name, after=index.version)
        _retire(connection, name, list(removed), version)
        for entries in changed:
            checked_entries(entries)
            _retire(connection, name, entries.doc_ids, version)
            copy_rows(connection, name, entries, spec, since=version)
            failpoint("index.rows")
            num_written += len(entries.doc_ids)
        if num_written:
            [(num_passages, num_documents)] = _counts(connection, name)
            vectors = num_passages > policy.exact_up_to
            create_indexes(connection, name, spec, dimension=index.dimension, vectors=vectors)
    if not num_written and not policy.shortfall(manifest):
        same = refresh_manifest(folder, manifest, revision=revision)
        return PgIndex.open(folder, same)
    if not num_written:
        num_passages, num_documents = manifest.num_passages, manifest.num_documents
        vectors = manifest.probes is not None
    draft = replace(
        manifest,
        num_documents=num_documents,
        num_passages=num_passages,
        revision=revision,
        current=Version(table=name, version=version, server=manifest.server),
        retired=(),
        probes=None,
        recall=None,
    )
    made = PgIndex(folder, draft, server, dimension=index.dimension)
    return _publish(folder, made, policy=policy, vectors=vectors, before=manifest)


def forget_tables(folder: Path, before: Manifest, kept: Manifest | None) -> None:
    """Drop the tables of ``before`` that ``kept`` does not name any more, and rows that are too old for a reader.

    What cannot be done now, for the server is away or a reader is at it, is done after the next change. Only tables of
    this folder go: those of a folder of which it is a copy stay.
    """
    held = kept.versions if kept else ()
    for address in {each.server for each in (*before.versions, *held) if each.place == "postgres"}:
        assert address is not None
        server = Server(folder, address)
        with suppress(NearerError), server.transaction() as connection:
            connection.execute("SET LOCAL lock_timeout = '5s'")
            for name in table_names(connection, own_prefix(folder)):
                versions = [each.version for each in held if each.table == name]
                if versions:
                    connection.execute(_sql("DELETE FROM {} WHERE until <= %s", name), (min(versions),))
                else:
                    connection.execute(_sql("DROP TABLE {}", name))
        server.close()


def _publish(folder: Path, index: PgIndex, *, policy: IndexPolicy, vectors: bool, before: Manifest | None) -> PgIndex:
    """Measure recall where there is a vector index, and name this version of the table in the manifest."""
    draft = index.manifest
    if vectors and index.dimension <= MOST_HNSW:
        in_use = before.probes if before and before.kind == "pgvector" else None
        draft = _measured(index, draft, policy, start=in_use)
    failpoint("index.table")
    manifest = replace(draft, retired=still_held(before, draft.current))
    write_manifest(folder, manifest)
    keep_current(folder, manifest)
    failpoint("index.cleanup")
    return PgIndex(folder, manifest, index.server, dimension=index.dimension)


def _measured(index: PgIndex, draft: Manifest, policy: IndexPolicy, *, start: Probes | None) -> Manifest:
    """The draft with the first probes from ``start`` on that reach the recall wanted, or else the best."""
    sample = partial(_vectors_by_hash, index)
    return probed(index, draft, index.vectors(), policy=policy, sample=sample, ladder=LADDER, start=start)


def _vectors_by_hash(index: PgIndex, number: int) -> Floats32:
    """Vectors of passages, drawn by the hashes of their documents' ids, to stand in for queries."""
    rows = index.rows("embedding", "ORDER BY doc_key, ordinal LIMIT %s", [number])
    return np.stack([vector.to_numpy() for (vector,) in rows])


def _counts(connection: "Connection", name: str) -> list[tuple[int, int]]:
    statement = _sql("SELECT count(*), count(*) FILTER (WHERE ordinal = 0) FROM {} WHERE until IS NULL", name)
    return connection.execute(statement).fetchall()


def _undo(connection: "Connection", name: str, *, after: int) -> None:
    """Take back what a killed writer left: versions that no manifest ever named."""
    connection.execute(_sql("DELETE FROM {} WHERE since > %s", name), (after,))
    connection.execute(_sql("UPDATE {} SET until = NULL WHERE until > %s", name), (after,))


def _retire(connection: "Connection", name: str, doc_ids: Sequence[str], version: int) -> None:
    """Have documents end with the version before; what this very version has of them goes."""
    keys = [key_of(doc_id) for doc_id in doc_ids]
    connection.execute(_sql("DELETE FROM {} WHERE since = %s AND doc_key = ANY(%s)", name), (version, keys))
    statement = _sql("UPDATE {} SET until = %s WHERE until IS NULL AND doc_key = ANY(%s)", name)
    connection.execute(statement, (version, keys))


def _sql(statement: str, name: str) -> Any:
    from psycopg.sql import SQL

    return SQL(statement).format(table_of(name))
