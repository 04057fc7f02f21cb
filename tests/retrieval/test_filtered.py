import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.core.filters import Comparison, Compound, matches
from nearer.retrieval.filtered import search_where, top_k_where
from nearer.retrieval.lexical import LexicalIndex
from nearer.vectors.topk import top_k

NUM_DOCUMENTS, DIMENSION = 12, 3
EN = Comparison(type="eq", key="lang", value="en")
NEW = Comparison(type="gte", key="year", value=2010)
NOWHERE = Comparison(type="eq", key="lang", value="xx")
CONDITIONS = st.sampled_from([None, EN, NEW, Compound(type="and", filters=(EN, NEW)), NOWHERE])
DOCUMENTS = [{"lang": ("en", "de", None)[n % 3], "year": 2000 + 2 * n} for n in range(NUM_DOCUMENTS)]


def excluded_by_hand(conditions, pairs):
    """Every pair that does not pass, as exclusions: what must not be needed and must come out the same."""
    pairs = set(pairs)
    for query, condition in enumerate(conditions):
        if condition is not None:
            pairs |= {(query, row) for row, each in enumerate(DOCUMENTS) if not matches(condition, each)}
    return as_arrays(pairs)


def as_arrays(pairs):
    return tuple(np.array([pair[side] for pair in sorted(pairs, reverse=True)], np.int64) for side in (0, 1))


@pytest.mark.parametrize("folded", [False, True])
@settings(max_examples=60, deadline=None)
@given(
    conditions=st.lists(CONDITIONS, min_size=1, max_size=6),
    k=st.integers(1, 14),
    data=st.data(),
)
def test_equals_ranking_with_every_other_pair_excluded(folded, conditions, k, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    num_passages = 30 if folded else NUM_DOCUMENTS
    starts = np.sort(rng.choice(np.arange(1, num_passages), NUM_DOCUMENTS - 1, replace=False)) if folded else None
    starts = np.insert(starts, 0, 0) if folded else None
    queries = rng.integers(-2, 3, (len(conditions), DIMENSION)).astype(np.float32)
    passages = rng.integers(-2, 3, (num_passages, DIMENSION)).astype(np.float32)
    pairs = data.draw(st.sets(st.tuples(st.integers(0, len(conditions) - 1), st.integers(0, NUM_DOCUMENTS - 1))))
    options = {"conditions": conditions, "documents": DOCUMENTS}
    found = top_k_where(queries, passages, k=k, starts_N=starts, excluded=as_arrays(pairs), **options)
    wanted = top_k(queries, passages, k=k, starts_N=starts, excluded=excluded_by_hand(conditions, pairs))
    np.testing.assert_array_equal(found.rows_QK, wanted.rows_QK)
    np.testing.assert_array_equal(found.scores_QK, wanted.scores_QK)


@settings(max_examples=40, deadline=None)
@given(conditions=st.lists(CONDITIONS, min_size=1, max_size=5), k=st.integers(1, 14), data=st.data())
def test_lexical_search_filters_as_exclusions_do(conditions, k, data):
    index = LexicalIndex([" ".join(("red", "hen", "fox")[: 1 + n % 3] * (1 + n % 2)) for n in range(NUM_DOCUMENTS)])
    queries = [data.draw(st.sampled_from(["red", "hen fox", "unknown"])) for _ in conditions]
    pairs = data.draw(st.sets(st.tuples(st.integers(0, len(conditions) - 1), st.integers(0, NUM_DOCUMENTS - 1))))
    options = {"conditions": conditions, "documents": DOCUMENTS}
    found = search_where(index, queries, k=k, excluded=as_arrays(pairs), **options)
    wanted = index.search(queries, k=k, excluded=excluded_by_hand(conditions, pairs))
    np.testing.assert_array_equal(found.rows_QK, wanted.rows_QK)
    np.testing.assert_array_equal(found.scores_QK, wanted.scores_QK)


def test_a_mask_is_of_all_queries_of_a_search():
    index = LexicalIndex(["red", "red hen", "red fox"])
    found = index.search(["red", "fox"], k=2, passing_N=np.array([True, False, True]))
    assert found.rows_QK.tolist() == [[0, 2], [2, -1]]
    with pytest.raises(InputError, match="3 documents have a mask of shape"):
        index.search(["red"], k=1, passing_N=np.array([True]))


def test_nobody_asking_and_nothing_there():
    none = top_k_where(np.ones((0, 2)), np.ones((1, 2)), k=2, conditions=[], documents=[{}])
    assert none.rows_QK.shape == (0, 2)
    empty = top_k_where(np.ones((1, 2)), np.ones((0, 2)), k=2, starts_N=[], conditions=[EN], documents=[])
    assert empty.rows_QK.tolist() == [[-1, -1]]


ONES = np.ones((1, 2), np.float32)


@pytest.mark.parametrize(
    ("changed", "reported"),
    [
        ({"conditions": []}, "1 queries have 0 conditions"),
        ({"documents": []}, "1 documents have 0 metadata"),
        ({"k": 0}, "k is 0"),
        ({"starts_N": [0, 1]}, "do not divide"),
        ({"excluded": ([0], [1])}, "excluded document row"),
        ({"excluded": ([1], [0])}, "excluded query row"),
        ({"documents": [{"year": "soon"}]}, "cannot be compared"),
    ],
)
def test_refuses(changed, reported):
    options = {"k": 1, "conditions": [NEW], "documents": [{}], **changed}
    with pytest.raises(InputError, match=reported):
        top_k_where(ONES, ONES, **options)


@pytest.mark.parametrize(
    ("changed", "reported"), [({"conditions": []}, "1 queries"), ({"documents": []}, "1 documents")]
)
def test_lexical_search_refuses(changed, reported):
    with pytest.raises(InputError, match=reported):
        search_where(LexicalIndex(["red"]), ["red"], **{"k": 1, "conditions": [NEW], "documents": [{}], **changed})
