"""The embedded index: passages in a LanceDB table, found through a vector index and by filters.

    <folder>/passages-<n>.lance/   a table; the manifest names the one that is current, and its version

With ``store.files`` tables are in object storage instead, named by chance; the manifest stays in the folder.

A reader keeps the version it opened, whatever is written meanwhile.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.filters import Filter
from nearer.core.results.serving import Probes, Recall
from nearer.retrieval.entries import Ranking, Stored, checked_queries
from nearer.retrieval.lance_table import (
    CHECK,
    DOC_ID,
    HASH,
    KEY,
    ORDINAL,
    VECTOR,
    checks,
    compiled,
    explained,
    open_table,
    place_of,
    vectors_in,
)
from nearer.retrieval.manifest import Manifest, damaged, same_space
from nearer.retrieval.ranked import first_limit, ranked
from nearer.retrieval.recall import K, exact_best, mean_recall

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.expr import Expr
    from lancedb.table import Table

EXACT_MATCHES = 50_000
"""Up to so many passages that pass a filter are compared one by one: docs/adr/0005."""
BLOCK_ROWS = 8192
"""Rows read at once when a whole table is read."""


class LanceIndex:
    """An open index: one version of one table."""

    def __init__(self, place: Path | str, manifest: Manifest, table: "Table") -> None:
        self.manifest = manifest
        self.table = table
        self._path = place

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> "LanceIndex":
        """Open the version that ``manifest`` names. Raises WorkspaceError when it is missing or damaged."""
        assert manifest.current
        table, place = open_table(folder, manifest.current), place_of(folder, manifest.current)
        with explained(place):
            table.checkout(manifest.current.version)
            if table.count_rows() != manifest.num_passages:
                raise damaged(place, "holds other rows than were written")
        return cls(place, manifest, table)

    def search(self, query_emb_QD: Floats32, *, space_id: str, k: int, where: Filter | None = None) -> list[Ranking]:
        """The ``k`` best documents of each query that pass ``where``; a document scores its best passage.

        Raises SpaceMismatch when the queries' vectors belong to another space, InputError when they are near nothing.
        """
        same_space(self.manifest.spec, space_id)
        queries_QD = checked_queries(query_emb_QD, dimension=self._dimension, k=k)
        condition = self._condition(where)
        with explained(self._path):
            probes = None if self._is_small(condition) else self.manifest.probes
            return [self._nearest(query_D, k=k, condition=condition, probes=probes) for query_D in queries_QD]

    def stored(self, doc_ids: Sequence[str]) -> dict[str, Stored]:
        """What each document was made of, and its passages' vectors; those that are not in it are left out."""
        from lancedb.expr import col

        if not doc_ids:
            return {}
        with explained(self._path):
            among = self.table.search().where(col(DOC_ID).isin(tuple(doc_ids)))
            rows = among.select([DOC_ID, ORDINAL, HASH, VECTOR]).to_arrow().sort_by(ORDINAL)
        places: dict[str, list[int]] = {}
        for place, doc_id in enumerate(rows[DOC_ID].to_pylist()):
            places.setdefault(doc_id, []).append(place)
        if not places:
            return {}
        vectors_PD, hashes = vectors_in(rows.combine_chunks().to_batches()[0]), rows[HASH].to_pylist()
        return {doc_id: Stored(hash=hashes[here[0]], emb_PD=vectors_PD[here]) for doc_id, here in places.items()}

    def hashes(self) -> dict[str, str]:
        """What each document was made of, by id."""
        from lancedb.expr import col, lit

        found: dict[str, str] = {}
        with explained(self._path):
            firsts = self.table.search().where(col(ORDINAL) == lit(0)).select([DOC_ID, HASH])
            for batch in firsts.to_batches(BLOCK_ROWS):
                found.update(zip(batch[DOC_ID].to_pylist(), batch[HASH].to_pylist(), strict=True))
        return found

    def blocks(self, columns: list[str]) -> "Iterator[pa.RecordBatch]":
        """The whole table, a block of rows at a time."""
        with explained(self._path):
            yield from self.table.search().select(columns).to_batches(BLOCK_ROWS)

    def damage(self) -> tuple[str, ...]:
        """What is not as it was written, after reading every row: keys that are there twice, counts, vectors."""
        import pyarrow as pa
        import pyarrow.compute as pc

        keys, num_documents, num_broken = [], 0, 0
        for batch in self.blocks(self.table.schema.names):
            keys.append(batch[KEY])
            num_documents += pc.sum(pc.equal(batch[ORDINAL], 0)).as_py() or 0
            num_broken += int((np.asarray(checks(vectors_in(batch))) != batch[CHECK].to_numpy()).sum())
        num_rows = sum(map(len, keys))
        num_twice = num_rows - (pc.count_distinct(pa.chunked_array(keys)).as_py() if keys else 0)
        expected = (self.manifest.num_passages, self.manifest.num_documents)
        faults = {
            f"{num_twice} passages are in the index twice": num_twice,
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
        blocks = ((batch[DOC_ID].to_pylist(), vectors_in(batch)) for batch in self.blocks([DOC_ID, VECTOR]))
        found = self.search(query_emb_QD, space_id=self.manifest.spec.space_id, k=K)
        value = mean_recall(found, exact_best(blocks, query_emb_QD))
        return Recall(value=value, k=K, num_queries=len(query_emb_QD), measured_on="queries")

    @property
    def _dimension(self) -> int:
        return int(self.table.schema.field(VECTOR).type.list_size)

    def _condition(self, where: Filter | None) -> "Expr | None":
        return None if where is None else compiled(where, self.manifest.spec.fields)

    def _is_small(self, condition: "Expr | None") -> bool:
        """Whether so few passages pass that each is compared: approximate search finds too little behind a filter."""
        if condition is None or self.manifest.probes is None:
            return False
        return bool(self.table.count_rows(condition.to_sql()) <= EXACT_MATCHES)

    def _nearest(self, query_D: Floats32, *, k: int, condition: "Expr | None", probes: Probes | None) -> Ranking:
        """One query's ranking. Without ``probes`` every passage that passes is compared."""

        def fetch(limit: int) -> tuple[list[str], list[float]]:
            search = self.table.search(query_D, vector_column_name=VECTOR).distance_type("dot")
            search = (
                search.nprobes(probes.nprobes).refine_factor(probes.refine) if probes else search.bypass_vector_index()
            )
            found = _passing(search, condition).limit(limit).select([DOC_ID, "_distance"]).to_arrow()
            return found[DOC_ID].to_pylist(), (1 - found["_distance"].to_numpy()).tolist()

        wanted = min(k, self.manifest.num_documents)
        if not wanted:
            return []
        limit = first_limit(
            max(wanted, K),  # no fewer candidates than when recall was measured
            num_passages=self.manifest.num_passages,
            num_documents=self.manifest.num_documents,
        )
        ranking = ranked(fetch, k=wanted, limit=limit)
        if probes and len(ranking) < wanted:  # the partitions that were probed hold too few
            return self._nearest(query_D, k=k, condition=condition, probes=None)
        return ranking


def _passing(search: Any, condition: "Expr | None") -> Any:
    """The search among the rows that pass, chosen before anything is ranked."""
    return search if condition is None else search.where(condition, prefilter=True)
