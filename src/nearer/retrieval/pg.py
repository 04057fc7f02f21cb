"""The index in PostgreSQL: passages in a table with pgvector, found through a vector index and by filters.

A row says from which version of the index to which it holds, so that a reader keeps the version that it opened,
whatever is written meanwhile. The manifest names the table and the version that is current.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.filters import Filter
from nearer.core.results.serving import Probes, Recall
from nearer.retrieval.entries import Ranking, Stored, checked_queries
from nearer.retrieval.lance_table import checks
from nearer.retrieval.manifest import Manifest, damaged, same_space
from nearer.retrieval.pg_server import Server
from nearer.retrieval.pg_table import Condition, compiled, half, key_of, own_prefix, table_of
from nearer.retrieval.ranked import first_limit, ranked
from nearer.retrieval.recall import K, exact_best, mean_recall

EXACT_MATCHES = 50_000
"""Up to so many passages that pass a filter are compared one by one: docs/adr/0005."""
BLOCK_ROWS = 8192
_VISIBLE = "since <= %s AND (until IS NULL OR until > %s)"


class PgIndex:
    """An open index: one version of one table."""

    def __init__(self, folder: Path, manifest: Manifest, server: Server, *, dimension: int) -> None:
        assert manifest.current
        self.manifest = manifest
        self.server = server
        self.dimension = dimension
        self._folder = folder
        self.table, self.version = manifest.current.table, manifest.current.version

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> "PgIndex":
        """Open the version that ``manifest`` names.

        Raises WorkspaceError when it is missing or damaged, or the server cannot be asked.
        """
        assert manifest.current
        assert manifest.server
        server = Server(folder, manifest.server)
        with server.transaction() as connection:
            statement = "SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'embedding'"
            found = connection.execute(statement, (manifest.current.table,)).fetchone()
        if found is None:
            raise damaged(folder, f"its table {manifest.current.table} is gone")
        index = cls(folder, manifest, server, dimension=found[0])
        [(num_passages,)] = index.rows("count(*)")
        if num_passages != manifest.num_passages:
            raise damaged(folder, "its table holds other rows than were written")
        return index

    def search(self, query_emb_QD: Floats32, *, space_id: str, k: int, where: Filter | None = None) -> list[Ranking]:
        """The ``k`` best documents of each query that pass ``where``; a document scores its best passage.

        Raises SpaceMismatch when the queries' vectors belong to another space, InputError when they are near nothing.
        """
        same_space(self.manifest.spec, space_id)
        queries_QD = checked_queries(query_emb_QD, dimension=self.dimension, k=k)
        condition = None if where is None else compiled(where, self.manifest.spec.fields)
        probes = None if self._is_small(condition) else self.manifest.probes
        return [self._nearest(query_D, k=k, condition=condition, probes=probes) for query_D in queries_QD]

    def stored(self, doc_ids: Sequence[str]) -> dict[str, Stored]:
        """What each document was made of, and its passages' vectors; those that are not in it are left out."""
        if not doc_ids:
            return {}
        keys = [key_of(doc_id) for doc_id in doc_ids]
        rows = self.rows("doc_id, hash, embedding", "AND doc_key = ANY(%s) ORDER BY doc_key, ordinal", [keys])
        found: dict[str, tuple[str, list[Floats32]]] = {}
        for doc_id, hash_, vector in rows:
            found.setdefault(bytes(doc_id).decode(), (bytes(hash_).decode(), []))[1].append(vector.to_numpy())
        return {doc_id: Stored(hash=hash_, emb_PD=np.stack(vectors)) for doc_id, (hash_, vectors) in found.items()}

    def hashes(self) -> dict[str, str]:
        """What each document was made of, by id."""
        rows = (row for block in self.blocks("doc_id, hash", "AND ordinal = 0") for row in block)
        return {bytes(doc_id).decode(): bytes(hash_).decode() for doc_id, hash_ in rows}

    def damage(self) -> tuple[str, ...]:
        """What is not as it was written, after reading every row: counts, vectors; or that it is another folder's."""
        if not self.table.startswith(own_prefix(self._folder)):
            return (f"its table {self.table} is another folder's, of which this is a copy",)
        num_rows, num_documents, num_broken = 0, 0, 0
        for block in self.blocks("ordinal, embedding, crc"):
            ordinals, vectors, crcs = zip(*block, strict=True)
            num_rows += len(ordinals)
            num_documents += ordinals.count(0)
            found = checks(np.stack([each.to_numpy() for each in vectors]))
            num_broken += sum(one != other for one, other in zip(found, crcs, strict=True))
        expected = (self.manifest.num_passages, self.manifest.num_documents)
        faults = {
            f"{num_broken} vectors are not what was written": num_broken,
            f"{num_rows} passages of {num_documents} documents, expected {expected[0]} of {expected[1]}": (
                (num_rows, num_documents) != expected
            ),
        }
        return tuple(fault for fault, is_so in faults.items() if is_so)

    def recall(self, query_emb_QD: Floats32) -> Recall | None:
        """How much of what exact search finds these queries find, every vector read; None where search is exact."""
        if self.manifest.probes is None:
            return None
        found = self.search(query_emb_QD, space_id=self.manifest.spec.space_id, k=K)
        value = mean_recall(found, exact_best(self.vectors(), query_emb_QD))
        return Recall(value=value, k=K, num_queries=len(query_emb_QD), measured_on="queries")

    def vectors(self) -> Iterator[tuple[list[str], Floats32]]:
        """Every passage's document and vector, a block at a time."""
        for block in self.blocks("doc_id, embedding"):
            yield [bytes(doc_id).decode() for doc_id, _ in block], np.stack([each.to_numpy() for _, each in block])

    def rows(self, columns: str, rest: str = "", values: Sequence[Any] = ()) -> list[Any]:
        """Columns of the rows of this version. Raises WorkspaceError."""
        from psycopg.sql import SQL

        statement = SQL(f"SELECT {columns} FROM {{}} WHERE {_VISIBLE} {rest}").format(table_of(self.table))
        with self.server.transaction() as connection:
            cursor = connection.cursor(binary=True)
            return cursor.execute(statement, [self.version, self.version, *values]).fetchall()

    def blocks(self, columns: str, rest: str = "") -> Iterator[list[Any]]:
        """The same, a block of rows at a time."""
        from psycopg.sql import SQL

        statement = SQL(f"SELECT {columns} FROM {{}} WHERE {_VISIBLE} {rest}").format(table_of(self.table))
        with self.server.transaction() as connection, connection.cursor("nearer_blocks", binary=True) as cursor:
            cursor.execute(statement, [self.version, self.version])
            while block := cursor.fetchmany(BLOCK_ROWS):
                yield block

    def _is_small(self, condition: Condition | None) -> bool:
        """Whether so few passages pass that each is compared: approximate search finds too little behind a filter."""
        if condition is None or self.manifest.probes is None:
            return False
        from psycopg.sql import SQL

        part, values = condition
        statement = SQL(f"SELECT count(*) FROM (SELECT FROM {{}} WHERE {_VISIBLE} AND {{}} LIMIT %s) AS passing")
        with self.server.transaction() as connection:
            asked = statement.format(table_of(self.table), part)
            rows = connection.execute(asked, [self.version, self.version, *values, EXACT_MATCHES + 1]).fetchall()
        return bool(rows[0][0] <= EXACT_MATCHES)

    def _nearest(self, query_D: Floats32, *, k: int, condition: Condition | None, probes: Probes | None) -> Ranking:
        """One query's ranking. Without ``probes`` every passage that passes is compared."""
        wanted = min(k, self.manifest.num_documents)
        if not wanted:
            return []

        def fetch(limit: int) -> tuple[list[str], list[float]]:
            rows = self._passages(query_D, condition, limit=limit, probes=probes)
            return [bytes(doc_id).decode() for doc_id, _ in rows], [-distance for _, distance in rows]

        limit = first_limit(
            max(wanted, K),  # no fewer candidates than when recall was measured
            num_passages=self.manifest.num_passages,
            num_documents=self.manifest.num_documents,
        )
        ranking = ranked(fetch, k=wanted, limit=limit)
        if probes and len(ranking) < wanted:  # the vector index gave too few rows
            return self._nearest(query_D, k=k, condition=condition, probes=None)
        return ranking

    def _passages(
        self, query_D: Floats32, condition: Condition | None, *, limit: int, probes: Probes | None
    ) -> list[Any]:
        """Documents and negative scores of the best passages, compared in full precision."""
        from psycopg.sql import SQL

        part, values = condition or (SQL("true"), [])
        visible = [self.version, self.version, *values]
        exact = "ORDER BY embedding <#> %s LIMIT %s"
        if probes is None:
            statement = SQL(f"SELECT doc_id, embedding <#> %s FROM {{}} WHERE {_VISIBLE} AND {{}} {exact}")
            given = [query_D, *visible, query_D, limit]
        else:
            near = f"ORDER BY {half(self.dimension)} <#> %s::halfvec({self.dimension}) LIMIT %s"
            statement = SQL(
                f"SELECT doc_id, embedding <#> %s FROM (SELECT doc_id, embedding FROM {{}} WHERE {_VISIBLE} AND {{}} "
                f"{near}) AS near {exact}"
            )
            given = [query_D, *visible, query_D, limit * probes.refine, query_D, limit]
        with self.server.transaction() as connection:
            if probes is not None:
                connection.execute(f"SET LOCAL hnsw.ef_search = {probes.nprobes:d}")
            cursor = connection.cursor(binary=True)
            return cursor.execute(statement.format(table_of(self.table), part), given).fetchall()
