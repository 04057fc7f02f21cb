"""Ranking under filters: every query over the documents that pass its own condition, exactly.

Shapes: Q queries, G queries of one condition, P passages, N documents, M passing documents, D dimensions, K ranked
documents, E excluded pairs.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Bools, Floats32, Ints
from nearer.core.errors import InputError
from nearer.core.filters import Filter
from nearer.core.records import Metadata
from nearer.retrieval.lexical import LexicalIndex
from nearer.retrieval.rules import Pairs, passing
from nearer.vectors.topk import NO_ROW, Exclusions, TopK, top_k


def top_k_where(
    query_emb_QD: Floats32,
    passage_emb_PD: Floats32,
    *,
    k: int,
    starts_N: ArrayLike | None = None,
    conditions: Sequence[Filter | None],
    documents: Sequence[Metadata],
    excluded: tuple[ArrayLike, ArrayLike] | None = None,
) -> TopK:
    """What ``top_k`` returns when each query is asked only of the documents that pass its condition; None is all.

    Queries of equal conditions are ranked together, over a copy of the vectors that pass: memory is at most that of
    the passages once more, however many pairs are filtered out.

    Raises InputError as ``top_k`` and ``passing`` do, and for another number of conditions or documents.
    """
    top_k(query_emb_QD[:0], passage_emb_PD, k=k, starts_N=starts_N)  # raises for what cannot be ranked
    starts_N = np.arange(len(passage_emb_PD)) if starts_N is None else np.asarray(starts_N, dtype=np.int64)
    sizes_N = np.diff(starts_N, append=len(passage_emb_PD))

    def ranked(queries_G: Ints, passing_N: Bools | None, excluded_G: Pairs) -> TopK:
        if passing_N is None:
            return top_k(query_emb_QD[queries_G], passage_emb_PD, k=k, starts_N=starts_N, excluded=excluded_G)
        rows_M = np.flatnonzero(passing_N)
        queries_E, documents_E = excluded_G
        kept_E = passing_N[documents_E]
        found = top_k(
            query_emb_QD[queries_G],
            passage_emb_PD[np.repeat(passing_N, sizes_N)],
            k=k,
            starts_N=np.cumsum(sizes_N[rows_M]) - sizes_N[rows_M],
            excluded=(queries_E[kept_E], np.searchsorted(rows_M, documents_E[kept_E])),
        )
        rows_GK = np.append(rows_M, NO_ROW)[found.rows_QK]  # NO_ROW is the last place
        return TopK(rows_QK=rows_GK, scores_QK=found.scores_QK)

    _refuse_other_numbers(len(query_emb_QD), conditions, len(sizes_N), documents)
    return _by_condition(ranked, k=k, conditions=conditions, documents=documents, excluded=excluded)


def search_where(
    index: LexicalIndex,
    queries: Sequence[str],
    *,
    k: int,
    conditions: Sequence[Filter | None],
    documents: Sequence[Metadata],
    excluded: tuple[ArrayLike, ArrayLike] | None = None,
) -> TopK:
    """What ``index.search`` returns when each query is asked only of the documents that pass its condition.

    How rare a term is stays that of the whole corpus, as in Lucene.

    Raises InputError as ``index.search`` and ``passing`` do, and for another number of conditions or documents.
    """

    def ranked(queries_G: Ints, passing_N: Bools | None, excluded_G: Pairs) -> TopK:
        return index.search([queries[row] for row in queries_G], k=k, excluded=excluded_G, passing_N=passing_N)

    _refuse_other_numbers(len(queries), conditions, index.num_documents, documents)
    return _by_condition(ranked, k=k, conditions=conditions, documents=documents, excluded=excluded)


def _refuse_other_numbers(
    num_queries: int, conditions: Sequence[Filter | None], num_documents: int, documents: Sequence[Metadata]
) -> None:
    if len(conditions) != num_queries:
        raise InputError(f"{num_queries} queries have {len(conditions)} conditions", hint="give one a query, or None")
    if len(documents) != num_documents:
        raise InputError(f"{num_documents} documents have {len(documents)} metadata", hint="give one a document")


def _by_condition(
    ranked: Callable[[Ints, Bools | None, Pairs], TopK],
    *,
    k: int,
    conditions: Sequence[Filter | None],
    documents: Sequence[Metadata],
    excluded: tuple[ArrayLike, ArrayLike] | None,
) -> TopK:
    """Each query's line from the ranking of all queries that have its condition."""
    if k < 1:
        raise InputError(f"k is {k}", hint="ask for at least 1 document")
    exclusions = Exclusions.build(excluded, num_queries=len(conditions), num_documents=len(documents))
    groups: dict[Filter | None, list[int]] = {}
    for row, condition in enumerate(conditions):
        groups.setdefault(condition, []).append(row)
    rows_QK = np.full((len(conditions), k), NO_ROW, np.int64)
    scores_QK = np.full((len(conditions), k), -np.inf, np.float32)
    for condition, members in groups.items():
        queries_G = np.array(members)
        here_E = np.isin(exclusions.queries_E, queries_G)
        excluded_G = np.searchsorted(queries_G, exclusions.queries_E[here_E]), exclusions.documents_E[here_E]
        found = ranked(queries_G, None if condition is None else passing(condition, documents), excluded_G)
        rows_QK[queries_G], scores_QK[queries_G] = found.rows_QK, found.scores_QK
    return TopK(rows_QK=rows_QK, scores_QK=scores_QK)
