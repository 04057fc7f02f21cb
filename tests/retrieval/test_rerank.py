import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import InputError
from nearer.retrieval.rerank import rerank
from retrieval.runs import ranking, run

NUM_ROWS = 8
SCORES = st.sampled_from([-2.0, -1.0, 0.0, -0.0, 0.5, 1.0, 3.0])
LINES = st.dictionaries(st.integers(0, NUM_ROWS - 1), SCORES, max_size=NUM_ROWS)


def by(table):
    """A scorer that looks pairs up, and the pairs that it was asked for."""
    asked = []

    def score(pairs):
        asked.extend(pairs)
        return np.array([table[pair] for pair in pairs], np.float32)

    return score, asked


def test_the_first_are_ordered_by_the_scorer_and_the_rest_follow():
    score, asked = by({(0, 3): 0.1, (0, 1): 0.9, (1, 2): -5.0})
    found = rerank(run({3: 9.0, 1: 8.0, 5: 7.0, 4: 6.0}, {2: 1.0}), score, depth=2)
    assert ranking(found) == [[1, 3, 5, 4], [2]]
    assert asked == [(0, 3), (0, 1), (1, 2)]
    assert found.scores_QK[0, :2].tolist() == pytest.approx([0.9, 0.1])
    assert found.scores_QK[1].tolist() == [-5.0, *[-np.inf] * 3]
    assert (found.rows_QK.dtype, found.scores_QK.dtype) == (np.int64, np.float32)


def test_scores_of_the_rest_stay_where_they_are_below_already():
    score, _ = by({(0, 3): 20.0, (0, 1): 30.0})
    found = rerank(run({3: 9.0, 1: 8.0, 5: 7.0, 4: 7.0, 0: 1.0}), score, depth=2)
    assert found.scores_QK.tolist() == [[30.0, 20.0, 7.0, 7.0, 1.0]]


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=3), depth=st.integers(1, 10), data=st.data())
def test_equals_sorting_by_hand(lines, depth, data):
    given_run = run(*lines)
    table = {(query, row): data.draw(SCORES) for query, line in enumerate(lines) for row in line}
    score, asked = by(table)
    found = rerank(given_run, score, depth=depth)
    wanted = [
        sorted(line[:depth], key=lambda row, query=query: (table[query, row], row), reverse=True) + line[depth:]
        for query, line in enumerate(ranking(given_run))
    ]
    assert ranking(found) == wanted
    assert sorted(asked) == [
        (query, row) for query, line in enumerate(ranking(given_run)) for row in sorted(line[:depth])
    ]
    for line, before, scores in zip(wanted, ranking(given_run), found.scores_QK.tolist(), strict=True):
        # Whoever sorts by score, and by row where scores are equal, finds the same order.
        assert sorted(zip(scores, line, strict=False), reverse=True) == list(zip(scores, line, strict=False))
        assert all(np.isfinite(scores[: len(line)]))
        assert set(line) == set(before)


@settings(max_examples=50, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=3), depth=st.integers(1, 10))
def test_a_scorer_that_agrees_changes_no_order(lines, depth):
    given_run = run(*lines)
    agreeing, _ = by({(query, row): score for query, line in enumerate(lines) for row, score in line.items()})
    assert ranking(rerank(given_run, agreeing, depth=depth)) == ranking(given_run)


def test_without_documents_nothing_is_asked():
    def never(pairs):
        raise AssertionError("there was nothing to score")

    assert ranking(rerank(run({}, {}), never)) == [[], []]
    assert rerank(run(), never).rows_QK.shape == (0, 1)


@pytest.mark.parametrize(
    ("scores", "reported"),
    [
        ([1.0], r"2 pairs got scores of shape \(1,\)"),
        ([[1.0, 2.0]], r"2 pairs got scores of shape \(1, 2\)"),
        ([1.0, np.nan], "score of 1 of 2 pairs is not a finite number, first of query row 0 and document row 1"),
        ([np.inf, 1.0], "first of query row 0 and document row 3"),
        ([1e300, 1.0], "not a finite number"),
    ],
)
def test_a_scorer_that_answers_nonsense_is_refused(scores, reported):
    with pytest.raises(InputError, match=reported) as caught:
        rerank(run({3: 9.0, 1: 8.0}), lambda pairs: np.array(scores))
    assert caught.value.hint


def test_at_least_one_document_is_reranked():
    with pytest.raises(InputError, match="the depth is 0"):
        rerank(run({1: 1.0}), len, depth=0)


def test_a_real_reranker_puts_the_right_topic_first(topic_cross_encoder_folder):
    from nearer.encode.cross_encoder import CrossEncoder

    encoder = CrossEncoder.load(str(topic_cross_encoder_folder))
    queries, texts = ["the law of", "music and"], ["on music", "for the law", "football", "church and law"]
    found = rerank(
        run(*[{row: float(9 - row) for row in range(4)}] * 2),
        lambda pairs: encoder.scores([(queries[query], texts[row]) for query, row in pairs]),
        depth=3,
    )
    assert [line[0] for line in ranking(found)] == [1, 0]
    assert [line[3] for line in ranking(found)] == [3, 3]
