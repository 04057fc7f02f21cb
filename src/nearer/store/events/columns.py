"""Columns of the event log as numbers.

Arrays: S documents that were shown, one after the other over all impressions.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.arrays import Bools, Floats64, Ints

SECOND = 1_000_000
"""In microseconds."""
NO_TIME = -(2**62)


def rows_of(keys: pa.ChunkedArray, among: pa.ChunkedArray | pa.Array) -> Ints:
    """The row in ``among`` of every key, -1 for none."""
    there = among.combine_chunks() if isinstance(among, pa.ChunkedArray) else among
    found = pc.index_in(keys, value_set=there).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def codes(*columns: pa.ChunkedArray | pa.Array) -> Ints:
    """A number from 0 for each row, equal where all columns are."""
    joined: Ints = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        each = (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).dictionary_encode()
        number_E = each.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
        joined = np.unique(joined * (len(each.dictionary) + 1) + number_E, return_inverse=True)[1]
    return joined


def named_codes(column: pa.ChunkedArray) -> Ints:
    """The same of texts, with -1 for the empty one."""
    return np.where(equal(column, ""), -1, codes(column))


def equal(column: pa.ChunkedArray, text: str) -> Bools:
    """Which rows are that text."""
    return np.asarray(pc.equal(column, text).to_numpy(zero_copy_only=False), bool)


def microseconds(times: pa.ChunkedArray) -> Ints:
    """Times as microseconds since 1970; ``NO_TIME`` where none is known."""
    return np.asarray(pc.fill_null(times.cast(pa.int64()), NO_TIME).to_numpy(zero_copy_only=False), np.int64)


def seconds(times: pa.ChunkedArray) -> Floats64:
    """Times as seconds since 1970, nan where none is known."""
    return np.asarray(times.cast(pa.int64()).to_numpy(zero_copy_only=False), np.float64) / SECOND


def floats(column: pa.ChunkedArray) -> Floats64:
    """Numbers, nan where there is none."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def persons(rows: pa.Table) -> pa.ChunkedArray:
    """The user, or the session where no user is known; empty where neither is."""
    return pc.if_else(pc.equal(rows["user"], ""), rows["session"], rows["user"])


def flat_documents(impressions: pa.Table) -> tuple[pa.Array, Ints]:
    """All documents that were shown, S of them, and the row of the impression of each."""
    lists = impressions["doc_ids"].combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], impressions["doc_ids"].type)
    rows_S = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    return lists.flatten(), rows_S


def document_codes(shown: pa.Array, done: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """Documents that were shown, and those that something was done with, by the same numbers from 0."""
    both = pa.chunked_array([shown.cast(pa.string()), done.combine_chunks().cast(pa.string())])
    found = codes(both)
    return found[: len(shown)], found[len(shown) :]
