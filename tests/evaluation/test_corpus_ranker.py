from dataclasses import replace

import numpy as np
import pytest

from nearer.core.errors import Conflict
from nearer.core.filters import Comparison
from nearer.core.records import Document, Query
from nearer.encode.corpus import Corpus
from nearer.evaluation.corpus_ranker import CorpusRanker
from nearer.retrieval.lexical import LexicalIndex
from nearer.systems.lexical import Bm25
from nearer.vectors.topk import top_k

TEXTS = ("rain in spring", "rain and music", "water music", "garden water", "garden in spring")
DOCUMENTS = tuple(Document(doc_id=f"d{n}", text=text, metadata={"odd": bool(n % 2)}) for n, text in enumerate(TEXTS))
CORPUS = Corpus(documents=DOCUMENTS, passages=TEXTS, starts_N=np.arange(5), chunking="whole documents")
WORDS = Bm25(doc_ids=CORPUS.doc_ids, index=LexicalIndex(TEXTS))
ODD = Comparison(type="eq", key="odd", value=True)


@pytest.fixture
def ranker():
    """Three queries, of which the last may not find the last document."""
    queries = [Query(query_id=f"q{n}", text=text) for n, text in enumerate(("rain", "music", "garden"))]
    return CorpusRanker(queries=queries, corpus=CORPUS, k=3, excluded=(np.array([2]), np.array([4])))


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=(5, 8)).astype(np.float32)


def test_without_conditions_it_is_the_exact_ranking(ranker, vectors):
    exact = top_k(*vectors, k=3, excluded=ranker.excluded)
    found = ranker.by_vectors(*vectors)
    assert (found.rows_QK.tolist(), found.scores_QK.tolist()) == (exact.rows_QK.tolist(), exact.scores_QK.tolist())
    assert ranker.by_bm25(WORDS).rows_QK.tolist() == [[1, 0, -1], [2, 1, -1], [3, -1, -1]]


def test_each_query_has_its_own_condition(ranker, vectors):
    filtered = replace(ranker, conditions=[ODD, None, ODD])
    rows_QK = filtered.by_vectors(*vectors).rows_QK
    assert set(rows_QK[0].tolist()) == set(rows_QK[2].tolist()) == {1, 3, -1}
    assert rows_QK[1].tolist() == ranker.by_vectors(*vectors).rows_QK[1].tolist()
    assert filtered.by_bm25(WORDS).rows_QK.tolist() == [[1, -1, -1], [2, 1, -1], [3, -1, -1]]


@pytest.mark.parametrize("conditions", [None, [ODD, None, ODD]])
@pytest.mark.parametrize("rows", [[2], [0, 2], [1, 0], []])
def test_some_queries_are_answered_as_among_all(ranker, vectors, conditions, rows):
    whole, rows_S = replace(ranker, conditions=conditions), np.array(rows, np.int64)
    few = whole.some(rows_S)
    assert [query.query_id for query in few.queries] == [f"q{row}" for row in rows]
    assert np.array_equal(
        few.by_vectors(vectors[0][rows_S], vectors[1]).rows_QK, whole.by_vectors(*vectors).rows_QK[rows_S]
    )
    assert np.array_equal(few.by_bm25(WORDS).rows_QK, whole.by_bm25(WORDS).rows_QK[rows_S])


def test_words_of_other_documents_are_refused(ranker):
    with pytest.raises(Conflict, match="documents were added or removed"):
        ranker.by_bm25(Bm25(doc_ids=CORPUS.doc_ids[1:], index=WORDS.index))
