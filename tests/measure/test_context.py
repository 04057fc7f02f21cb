import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.measure.context import Prompts, score_prompts
from nearer.measure.metrics import Measure


def prompts(tokens, relevant, relevant_tokens):
    return Prompts(
        tokens_QK=np.array(tokens, np.int64),
        relevant_QK=np.array(relevant, np.bool_),
        relevant_tokens_Q=np.array(relevant_tokens, np.int64),
    )


def measured(filled, budget):
    names = [f"{name}@{budget}" for name in ("ContextRecall", "ContextPrecision")]
    found = score_prompts(map(Measure.parse, names), filled)
    return [found[Measure.parse(name)].tolist() for name in names]


def oracle(tokens, relevant, total, budget):
    """Token by token."""
    prompt = [is_relevant for length, is_relevant in zip(tokens, relevant, strict=True) for _ in range(length)][:budget]
    reachable = min(total, budget)
    return sum(prompt) / reachable if reachable else 0.0, sum(prompt) / len(prompt) if prompt else 0.0


RANKING = st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=8)


@settings(max_examples=200, deadline=None)
@given(RANKING, st.integers(0, 40), st.integers(1, 120))
def test_equals_a_prompt_filled_token_by_token(ranking, num_unranked, budget):
    tokens, relevant = [list(column) for column in zip(*ranking, strict=True)] if ranking else ([], [])
    total = sum(length for length, is_relevant in ranking if is_relevant) + num_unranked
    [recall], [precision] = measured(prompts([tokens], [relevant], [total]), budget)
    assert (recall, precision) == pytest.approx(oracle(tokens, relevant, total, budget))
    assert 0 <= recall <= 1
    assert 0 <= precision <= 1


@settings(max_examples=100, deadline=None)
@given(RANKING.filter(bool), st.integers(1, 120))
def test_a_perfect_ranking_of_whole_texts_reaches_all_that_fits(ranking, budget):
    best = sorted(ranking, key=lambda each: not each[1])
    total = sum(length for length, is_relevant in best if is_relevant)
    tokens, relevant = zip(*best, strict=True)
    [recall], [precision] = measured(prompts([tokens], [relevant], [total]), budget)
    assert recall == (1.0 if total else 0.0)
    as_given = zip(*ranking, strict=True)
    assert precision >= measured(prompts(*([each] for each in as_given), [total]), budget)[1][0]


def test_the_last_text_is_cut():
    filled = prompts([[60, 60], [60, 60]], [[False, True], [True, False]], [60, 60])
    assert measured(filled, 100) == [[40 / 60, 1.0], [0.4, 0.6]]
    assert measured(filled, 60) == [[0.0, 1.0], [0.0, 1.0]]
    assert measured(filled, 999_999) == [[1.0, 1.0], [0.5, 0.5]]


def test_more_relevant_text_than_fits_is_capped_at_the_budget():
    assert measured(prompts([[500, 500]], [[True, True]], [1000]), 100) == [[1.0], [1.0]]


def test_a_passage_of_a_long_document_leaves_the_rest_out():
    assert measured(prompts([[50]], [[True]], [200]), 100) == [[0.5], [1.0]]


def test_nothing_ranked_nothing_relevant_nothing_asked():
    filled = prompts([[0, 0], [9, 0], [0, 0]], [[False, False], [False, False], [True, False]], [10, 0, 0])
    assert measured(filled, 100) == [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert measured(prompts(np.zeros((0, 3)), np.zeros((0, 3)), []), 10) == [[], []]
    assert measured(prompts(np.zeros((1, 0)), np.zeros((1, 0)), [5]), 10) == [[0.0], [0.0]]
