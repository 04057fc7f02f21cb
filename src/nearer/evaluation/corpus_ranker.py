"""Queries asked of a corpus, by vectors that are ready or by words; what ranks the whole corpus ranks it here.

Shapes: Q queries, S some of them, P passages, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.filters import Filter
from nearer.core.records import Query
from nearer.encode.corpus import Corpus, refuse_other_documents
from nearer.retrieval.filtered import search_where, top_k_where
from nearer.retrieval.rules import Pairs
from nearer.systems.lexical import Bm25
from nearer.vectors.topk import TopK


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorpusRanker:
    """Queries that each want the ``k`` best documents of a corpus.

    ``excluded`` pairs are no answers. ``conditions`` are what documents must pass for each query; None is all of them.
    """

    queries: Sequence[Query]
    corpus: Corpus
    k: int
    excluded: Pairs
    conditions: Sequence[Filter | None] | None = None

    def some(self, rows_S: Ints) -> "CorpusRanker":
        """Some of the queries alone."""
        conditions = self.conditions and [self.conditions[row] for row in rows_S]
        excluded = pairs_of(self.excluded, rows_S, num_queries=len(self.queries))
        return replace(self, queries=[self.queries[row] for row in rows_S], excluded=excluded, conditions=conditions)

    def by_vectors(self, query_emb_QD: Floats32, passage_emb_PD: Floats32) -> TopK:
        """What is nearest to the queries' vectors, by the best passage of each document."""
        return top_k_where(
            query_emb_QD,
            passage_emb_PD,
            k=self.k,
            starts_N=self.corpus.starts_N,
            conditions=self.conditions or [None] * len(self.queries),
            documents=[document.metadata for document in self.corpus.documents],
            excluded=self.excluded,
        )

    def by_bm25(self, bm25: Bm25) -> TopK:
        """What BM25 finds. Raises Conflict when the words are those of other documents."""
        refuse_other_documents(self.corpus.documents, bm25.doc_ids)
        return search_where(
            bm25.index,
            [query.text for query in self.queries],
            k=self.k,
            conditions=self.conditions or [None] * len(self.queries),
            documents=[document.metadata for document in self.corpus.documents],
            excluded=self.excluded,
        )


def pairs_of(pairs: Pairs, rows_S: Ints, *, num_queries: int) -> Pairs:
    """Of pairs of a query row and a document row those of some queries, which become places in ``rows_S``.

    >>> queries, documents = pairs_of((np.array([0, 2, 2]), np.array([7, 8, 9])), np.array([2]), num_queries=3)
    >>> queries.tolist(), documents.tolist()
    ([0, 0], [8, 9])
    """
    place_Q = np.full(num_queries, -1)
    place_Q[rows_S] = np.arange(len(rows_S))
    places = place_Q[pairs[0]]
    return places[places >= 0], pairs[1][places >= 0]
