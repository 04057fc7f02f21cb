import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.retrieval.recall import K, exact_best, mean_recall
from retrieval.making import brute_force, entries, numbered, queries, same_ranking


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 1000))
def test_the_best_of_blocks_are_the_best_of_all_wherever_a_document_is_cut(num_documents, size, seed):
    part = entries(numbered(num_documents), seed=seed)
    names = np.repeat(np.asarray(part.doc_ids, dtype=object), part.sizes_N)
    order = np.random.default_rng(seed).permutation(len(names))  # a store returns rows in any order
    cut = [order[start : start + size] for start in range(0, len(order), size)]
    blocks = [(names[rows].tolist(), part.vectors_PD[rows]) for rows in cut]
    for found, query_D in zip(exact_best(blocks, queries()), queries(), strict=True):
        assert same_ranking(found, brute_force([part], query_D, k=K))


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([("a", 0.9), ("b", 0.5)], 1.0),
        ([("a", 0.9), ("c", 0.5)], 1.0),  # c is tied with b
        ([("a", 0.9), ("c", 0.4)], 0.5),
        ([("a", 0.9)], 0.5),
        ([], 0.0),
        ([("a", 0.9), ("b", 0.5), ("c", 0.5)], 1.0),
    ],
)
def test_recall_counts_what_is_as_near_as_the_last_of_the_exact_best(found, wanted):
    truth = [("a", 0.9), ("b", 0.5)]
    assert mean_recall([found], [truth]) == wanted
    assert mean_recall([found, truth], [truth, truth]) == pytest.approx((wanted + 1) / 2)
