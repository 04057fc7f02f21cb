"""What an index is made of: batches of documents as passages and vectors.

Arrays: N documents, P passages, Q queries, D dimensions.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Floats32, Ints
from nearer.core.errors import InputError, WorkspaceError
from nearer.retrieval.fields import Kept

Ranking = list[tuple[str, float]]
"""Documents and their scores, best first; equal scores go by doc_id descending, as trec_eval sorts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entries:
    """N documents: what each was made of, its first passage, the P passages' vectors, and what may filter it.

    ``hashes`` change when a document must be written again.
    """

    doc_ids: tuple[str, ...]
    hashes: tuple[str, ...]
    starts_N: Ints
    vectors_PD: Floats32
    values: Mapping[str, tuple[Kept | None, ...]] = field(default_factory=dict)

    @property
    def sizes_N(self) -> Ints:
        """How many passages each document has."""
        return np.diff(self.starts_N, append=len(self.vectors_PD))

    def passages_of(self, rows_N: Sequence[int] | Ints) -> Ints:
        """The passage rows of the documents of ``rows_N``, in that order."""
        sizes_N, starts_N = self.sizes_N, self.starts_N
        spans = [np.arange(starts_N[row], starts_N[row] + sizes_N[row]) for row in rows_N]
        return np.concatenate([np.empty(0, np.int64), *spans])

    def take(self, rows_N: Sequence[int] | Ints) -> "Entries":
        """The documents of ``rows_N``, in that order."""
        passages = self.passages_of(rows_N)
        taken_N = self.sizes_N[np.asarray(rows_N, dtype=np.int64)]
        return Entries(
            doc_ids=tuple(self.doc_ids[row] for row in rows_N),
            hashes=tuple(self.hashes[row] for row in rows_N),
            starts_N=np.cumsum(taken_N) - taken_N,
            vectors_PD=self.vectors_PD[passages],
            values={name: tuple(values[row] for row in rows_N) for name, values in self.values.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """One document as an index holds it: what it was made of, and its passages' vectors in order (P x D)."""

    hash: str
    emb_PD: Floats32


def joined(parts: Sequence[Entries]) -> Entries:
    """Several batches as one, in id order; of a document that is in several the last counts."""
    sizes_N = np.concatenate([part.sizes_N for part in parts])
    together = Entries(
        doc_ids=tuple(doc_id for part in parts for doc_id in part.doc_ids),
        hashes=tuple(each for part in parts for each in part.hashes),
        starts_N=np.cumsum(sizes_N) - sizes_N,
        vectors_PD=np.concatenate([part.vectors_PD for part in parts]),
        values={name: tuple(v for part in parts for v in part.values[name]) for name in parts[-1].values},
    )
    last = {doc_id: row for row, doc_id in enumerate(together.doc_ids)}
    return together.take([last[doc_id] for doc_id in sorted(last, key=str.encode)])


def without(entries: Entries, doc_ids: Collection[str]) -> Entries:
    """The entries less the documents of ``doc_ids``."""
    gone = set(doc_ids)
    return entries.take([row for row, doc_id in enumerate(entries.doc_ids) if doc_id not in gone])


def checked_entries(entries: Entries) -> Entries:
    """The entries themselves. Raises WorkspaceError for a vector that is not finite, or zero and so near nothing."""
    if row := _first_bad(entries.vectors_PD):
        number = int(np.searchsorted(entries.starts_N, row - 1, side="right")) - 1
        raise WorkspaceError(
            f"a vector of document {entries.doc_ids[number]!r} is zero or not finite",
            hint="look at its text; half precision overflows on some models, try precision float32",
        )
    return entries


def checked_queries(query_emb_QD: ArrayLike, *, dimension: int, k: int) -> Floats32:
    """Query vectors as float32, shape (Q, D).

    Raises InputError for another shape, for what is near nothing, and for ``k`` below 1.

    An embedded store answers a query that is zero or not a number with no rows, and no error.
    """
    if k < 1:
        raise InputError(f"k is {k}", hint="ask for at least 1 document")
    query_emb_QD = np.asarray(query_emb_QD, dtype=np.float32)
    if query_emb_QD.ndim != 2 or query_emb_QD.shape[1] != dimension:
        raise InputError(
            f"query vectors have shape {query_emb_QD.shape}, the index has {dimension} dimensions",
            hint="encode queries with the encoder of the index's space, one row a query",
        )
    if row := _first_bad(query_emb_QD):
        raise InputError(f"query vector {row - 1} is zero or not finite", hint="encode the query again")
    return query_emb_QD


def _first_bad(emb: Floats32) -> int:
    """The first row that is zero or not finite, counted from 1; 0 when there is none."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.einsum("ij,ij->i", emb, emb)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    return int(bad[0]) + 1 if len(bad) else 0
