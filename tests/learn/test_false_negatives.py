"""The estimates against synthetic sets in which it is known which of the drawn negatives are false."""

import numpy as np
import pytest

from nearer.core.sections import MiningRecipe
from nearer.learn.candidates import Candidates
from nearer.learn.examples import Example, text_key
from nearer.learn.false_negatives import HiddenPositives, by_hidden_positives
from nearer.learn.negatives import choose, mine

NUM_QUERIES, NUM_WRONG, WIDTH = 250, 12, 20


def labelled_in_part(*, num_unlabelled, wrong, seed, margins=(-1.0,)):
    """The estimate, and the share to expect, where queries have 1 to 3 labelled positives and some without a label.

    ``num_unlabelled`` is their mean a query, ``wrong`` the mean score of wrong documents, where positives have 0.7.
    """
    rng = np.random.default_rng(seed)
    texts, examples, rows_QK, scores_QK, positive_scores, unlabelled = [], [], [], [], [], set()
    for query in range(NUM_QUERIES):
        num_known, num_others = rng.integers(1, 4), rng.poisson(num_unlabelled)
        score = np.concatenate([rng.normal(0.7, 0.05, num_known + num_others), rng.normal(wrong, 0.05, NUM_WRONG)])
        first = len(texts)
        texts += [f"text {first + at}" for at in range(len(score))]
        unlabelled |= set(texts[first + num_known : first + num_known + num_others])
        masked = frozenset(text_key(text) for text in texts[first : first + num_known])
        for known in range(num_known):
            examples.append(Example(anchor=f"query {query}", positive=texts[first + known], masked=masked))
            order = np.argsort(-score)
            missing = WIDTH - len(order)
            rows_QK.append(np.pad(first + order, (0, max(0, missing)), constant_values=-1)[:WIDTH])
            scores_QK.append(np.pad(score[order], (0, max(0, missing)), constant_values=-np.inf)[:WIDTH])
            positive_scores.append(score[known])
    candidates = Candidates(
        texts=texts,
        rows_QK=np.asarray(rows_QK),
        scores_QK=np.asarray(scores_QK, np.float32),
        positive_scores_Q=np.asarray(positive_scores, np.float32),
    )
    recipe = MiningRecipe(margins=margins)
    _, report = mine(examples, candidates, recipe, near_duplicate=1.0, seed=seed)
    (estimate,) = report.false_negatives
    kept_QK, _ = choose(examples, candidates, recipe, num_wanted=1, near_duplicate=1.0)
    is_false_QK = np.isin(candidates.rows_QK, [texts.index(text) for text in unlabelled])
    expected_Q = (kept_QK & is_false_QK).sum(axis=1) / kept_QK.sum(axis=1)  # one of the pool is drawn
    return estimate, expected_Q.mean()


@pytest.mark.parametrize("num_unlabelled", [0.5, 2])
@pytest.mark.parametrize("margins", [(-1.0,), (0.02,)])
def test_where_no_wrong_document_outscores_a_positive_it_is_the_share(num_unlabelled, margins):
    found = [
        labelled_in_part(num_unlabelled=num_unlabelled, wrong=0.3, seed=seed, margins=margins) for seed in range(4)
    ]
    values, truths = [estimate.value for estimate, _ in found], [truth for _, truth in found]
    assert np.mean(values) == pytest.approx(np.mean(truths), rel=0.15)
    assert sum(estimate.low <= truth <= estimate.high for estimate, truth in found) >= 3
    assert all(estimate.method == "hidden positives" for estimate, _ in found)


@pytest.mark.parametrize("wrong", [0.6, 0.7])
def test_where_wrong_documents_outscore_positives_it_is_too_high_and_never_too_low(wrong):
    for seed in range(3):
        estimate, truth = labelled_in_part(num_unlabelled=1, wrong=wrong, seed=seed)
        assert truth < estimate.value <= estimate.high <= 1


def test_where_all_is_labelled_it_is_none():
    estimate, truth = labelled_in_part(num_unlabelled=0, wrong=0.3, seed=0)
    assert truth == estimate.value == 0
    assert 0 < NUM_QUERIES - estimate.num_queries < NUM_QUERIES / 2, "those with one positive tell nothing"


def counts(num_queries=10, **changes):
    values = {"unknown_above": 1.0, "known_above": 2.0, "would_draw": 0.2, "drawn": 1.0, **changes}
    return HiddenPositives(
        queries_Q=np.arange(num_queries), **{f"{name}_Q": np.full(num_queries, each) for name, each in values.items()}
    )


def test_the_formula():
    found = by_hidden_positives(counts(), seed=0)
    assert (found.value, found.low, found.high, found.num_queries) == pytest.approx((0.1, 0.1, 0.1, 10))
    assert by_hidden_positives(counts(unknown_above=30.0), seed=0).value == 1.0, "it says nothing"


def test_too_few_queries_or_nothing_to_compare_with_is_no_estimate():
    assert by_hidden_positives(counts(5), seed=0) is None
    assert by_hidden_positives(counts(6), seed=0) is not None
    assert by_hidden_positives(counts(known_above=0.0), seed=0) is None
    assert by_hidden_positives(counts(drawn=0.0), seed=0) is None
    twice = counts(10)
    of_five = HiddenPositives(
        **{name: getattr(twice, name) for name in twice.__slots__} | {"queries_Q": np.arange(10) // 2}
    )
    assert by_hidden_positives(of_five, seed=0) is None


def test_what_was_never_seen_drawn_may_yet_be_drawn():
    found = by_hidden_positives(counts(60, would_draw=0.0), seed=0)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.5 * (1 - 0.025 ** (1 / 60)))
    assert found.high > by_hidden_positives(counts(600, would_draw=0.0), seed=0).high


def test_the_interval_is_wider_where_queries_differ():
    rng = np.random.default_rng(0)
    even = counts(50)
    uneven = HiddenPositives(
        queries_Q=even.queries_Q,
        unknown_above_Q=rng.choice([0.0, 2.0], 50),
        known_above_Q=even.known_above_Q,
        would_draw_Q=even.would_draw_Q,
        drawn_Q=even.drawn_Q,
    )
    found = by_hidden_positives(uneven, seed=0)
    assert found.low < found.value < found.high
    assert found == by_hidden_positives(uneven, seed=0)
