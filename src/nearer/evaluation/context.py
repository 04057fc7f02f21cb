"""What ranked documents bring into a prompt: the passage that was found, or the whole text where nothing was cut.

Tokens are ``rough_spans`` whatever the system's own tokenizer is: systems are compared on prompts of one length, a run
from elsewhere has no tokenizer, and the one that will read the prompt is the language model's.

Arrays: Q queries, K ranked documents, N documents, P passages.
"""

from collections.abc import Sequence

import numpy as np

from nearer.core.arrays import Ints
from nearer.core.records import Document
from nearer.encode.api import rough_spans
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.judged_split import JudgedSplit
from nearer.measure.context import Prompts
from nearer.measure.metrics import Qrels


def prompts_of(embedded: EmbeddedCorpus, judged: JudgedSplit, rows_QK: Ints) -> Prompts:
    """The prompts that a system's ranking fills: each document brings the passage that is nearest to the query."""
    corpus = embedded.corpus
    passages_QK = embedded.best_passages(embedded.embed_queries(judged.queries), rows_QK) if corpus.is_cut else rows_QK
    tokens_QK = _count(corpus.passages, passages_QK)
    return _prompts(judged, judged.qrels, rows_QK, tokens_QK, corpus.documents)


def prompts_of_run(judged: JudgedSplit, qrels: Qrels, rows_QK: Ints, documents: Sequence[Document]) -> Prompts:
    """The prompts that a run fills: each document brings all its text, and one that the corpus lacks a mean length.

    ``rows_QK`` and ``qrels`` have rows beyond those of ``documents`` for what the corpus lacks. The mean is that of
    the documents which the run ranks.
    """
    known_QK = (rows_QK >= 0) & (rows_QK < len(documents))
    tokens_QK = _count([document.full_text for document in documents], np.where(known_QK, rows_QK, -1))
    mean = round(float(tokens_QK[known_QK].mean())) if known_QK.any() else 0
    tokens_QK = np.where(rows_QK >= len(documents), mean, tokens_QK)
    return _prompts(judged, qrels, rows_QK, tokens_QK, documents)


def _prompts(
    judged: JudgedSplit, qrels: Qrels, rows_QK: Ints, tokens_QK: Ints, documents: Sequence[Document]
) -> Prompts:
    row_of = {doc_id: row for row, doc_id in enumerate(judged.doc_ids)}
    pairs = [
        (query_row, row_of[doc_id])
        for query_row, query in enumerate(judged.queries)
        for doc_id in judged.relevant[query.query_id]
        if doc_id in row_of
    ]
    queries_J, rows_J = np.array(pairs, np.int64).reshape(-1, 2).T
    tokens_J = _count([document.full_text for document in documents], rows_J)
    return Prompts(
        tokens_QK=tokens_QK,
        relevant_QK=qrels.grades(rows_QK) >= qrels.relevant_from,
        relevant_tokens_Q=np.bincount(queries_J, weights=tokens_J, minlength=len(judged.queries)).astype(np.int64),
    )


def _count(texts: Sequence[str], rows: Ints) -> Ints:
    """The tokens of the text in each row, 0 for -1; each text is counted once."""
    distinct, places = np.unique(rows, return_inverse=True)
    counts = [len(rough_spans(texts[row])) if row >= 0 else 0 for row in distinct.tolist()]
    return np.array(counts, np.int64)[places].reshape(rows.shape)
