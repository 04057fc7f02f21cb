from unittest.mock import patch

import numpy as np
import pytest

from nearer.core.sections import MiningRecipe
from nearer.learn import margins
from nearer.learn.candidates import Candidates
from nearer.learn.examples import Example, text_key
from nearer.learn.margins import below_margin
from nearer.learn.negatives import mine

TEXTS = [f"document number {n} says {n * 'x'} about topic {chr(97 + n)}" for n in range(8)]


def example(positive, *, anchor="anchor", masked=(), negatives=()):
    keys = frozenset(text_key(text) for text in (positive, anchor, *masked))
    return Example(anchor=anchor, positive=positive, masked=keys, negatives=negatives)


def proposed(rows, scores, positive_scores, texts=TEXTS):
    return Candidates(
        texts=texts,
        rows_QK=np.asarray(rows, dtype=np.int64),
        scores_QK=np.asarray(scores, dtype=np.float32),
        positive_scores_Q=np.asarray(positive_scores, dtype=np.float32),
    )


def run(examples, candidates, **changes):
    seed = changes.pop("seed", 0)
    with patch.object(margins, "ENOUGH", changes.pop("enough", 1.0)):
        return mine(examples, candidates, MiningRecipe(**changes), near_duplicate=0.8, seed=seed)


def test_masked_texts_are_never_drawn_nor_filled_in():
    one = example(TEXTS[0], masked=TEXTS[1:7])
    candidates = proposed([[0, 1, 2, 3, 4, 5]], [[0.9, 0.5, 0.4, 0.3, 0.2, 0.1]], [0.9])
    for seed in range(20):
        (mined,), report = run([one], candidates, num_negatives=3, seed=seed)
        assert mined.negatives == (TEXTS[7],)  # all that the collection has
        assert report.num_known_or_own == 6
        assert report.num_filled_at_random == 1


def test_masked_texts_are_known_by_their_text_not_their_row():
    texts = ["The  Answer", "the answer", "something else entirely here"]
    (mined,), report = run([example("the answer")], proposed([[0, 1, 2]], [[0.9, 0.8, 0.1]], [0.9], texts))
    assert mined.negatives == (texts[2],)
    assert report.num_known_or_own == 2


def test_near_duplicates_of_the_positive_are_no_negatives():
    positive = "how to open a savings account at the bank today"
    texts = [positive + " please", "how to close a savings account", positive.upper()]
    (mined,), report = run([example(positive)], proposed([[0, 1, 2]], [[0.5, 0.4, 0.3]], [0.9], texts))
    assert mined.negatives == (texts[1],)
    assert (report.num_near_duplicates, report.num_known_or_own) == (1, 1)


@pytest.mark.parametrize(
    ("scores", "margin", "num_inside"),
    [
        ([[0.94, 0.99]], 0.05, 1),
        ([[0.96, 0.999]], 0.02, 1),
        ([[0.985, 0.999]], 0.0, 0),
        ([[1.0, 1.0]], -1.0, 0),
        ([[1.2, 1.1]], -1.0, 0),
    ],
)
def test_the_strictest_margin_that_leaves_enough_is_taken(scores, margin, num_inside):
    _, report = run([example(TEXTS[0])], proposed([[1, 2]], scores, [1.0]))
    assert report.margin == margin
    assert report.num_inside_margin == num_inside
    assert report.share_with_enough == 1.0


def test_the_share_of_pairs_and_the_number_wanted_decide_what_is_enough():
    examples = [example(TEXTS[0], anchor=f"anchor {n}") for n in range(2)]
    candidates = proposed([[1, 2], [1, 2]], [[0.5, 0.99], [0.99, 0.99]], [1.0, 1.0])
    assert run(examples, candidates, enough=0.5)[1].margin == 0.05
    assert run(examples, candidates, enough=0.6)[1].margin == 0.0
    assert run(examples, candidates, enough=0.5, num_negatives=2)[1].margin == 0.0


def test_without_a_margin_that_suffices_the_loosest_is_used_and_the_rest_is_filled():
    one = example(TEXTS[0])
    (mined,), report = run([one], proposed([[1, 2]], [[0.99, 0.99]], [1.0]), margins=(0.05, 0.02))
    assert (report.margin, report.num_inside_margin, report.share_with_enough) == (0.02, 2, 0.0)
    assert report.num_filled_at_random == 1
    assert len(mined.negatives) == 1
    assert text_key(mined.negatives[0]) not in one.masked


def test_a_margin_of_a_positive_below_zero_does_not_turn_around():
    candidates = proposed([[1, 2]], [[-0.5, 0.1]], [-0.4])
    assert below_margin(candidates, 0.05).tolist() == [[True, False]]
    assert below_margin(candidates, -1.0).all()


def test_only_the_top_k_unknown_candidates_are_looked_at():
    one = example(TEXTS[0], masked=TEXTS[1:3])
    candidates = proposed([[0, 1, 3, 2, 4, 5]], [[0.9, 0.5, 0.4, 0.35, 0.3, 0.2]], [1.0])
    found = {run([one], candidates, top_k=2, seed=seed)[0][0].negatives[0] for seed in range(30)}
    assert found == {TEXTS[3], TEXTS[4]}
    assert run([one], candidates, top_k=2)[1].num_candidates == 5


def test_places_without_a_candidate_are_skipped():
    (mined,), report = run([example(TEXTS[0])], proposed([[-1, 3, -1]], [[9.0, 0.1, 9.0]], [1.0]))
    assert mined.negatives == (TEXTS[3],)
    assert report.num_candidates == 1


def test_own_negatives_come_first_and_no_text_comes_twice():
    texts = [*TEXTS[:3], TEXTS[1]]  # one text under two rows
    one = example(TEXTS[0], negatives=(TEXTS[1],))
    for seed in range(10):
        (mined,), _ = run([one], proposed([[1, 2, 3]], [[0.5, 0.4, 0.5]], [1.0], texts), num_negatives=3, seed=seed)
        assert mined.negatives == (TEXTS[1], TEXTS[2])


def test_a_seed_gives_the_same_negatives_and_another_others():
    rows = [list(range(1, 8))] * 6
    scores = [[0.5] * 7] * 6
    examples = [example(TEXTS[0], anchor=f"anchor {n}") for n in range(6)]
    drawn = [run(examples, proposed(rows, scores, [1.0] * 6), seed=seed)[0] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_no_examples():
    mined, report = run([], proposed(np.empty((0, 3)), np.empty((0, 3)), np.empty(0)))
    assert (mined, report.num_examples, report.share_with_enough) == ([], 0, 0.0)


class Sparse:
    """Twelve topics of ten documents; all answer the query of their topic, and two of them are labelled so."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.texts = [f"{'pqrstuvwxyza'[n // 10] * 5} part {n % 10} of {n // 10}" for n in range(120)]
        rows, scores, positives = [], [], []
        self.examples = []
        for topic in range(12):
            labelled = [self.texts[10 * topic + k] for k in (0, 1)]
            own = 0.8 + 0.1 * rng.random(10)
            for k, positive in enumerate(labelled):
                self.examples.append(example(positive, anchor=f"query {topic}", masked=labelled))
                rows.append(range(10 * topic, 10 * topic + 10))
                scores.append(own)
                positives.append(own[k])
        self.candidates = proposed(rows, scores, positives, self.texts)

    def share_of_own_topic(self, mined):
        """How many negatives answer the query."""
        return np.mean([text.split()[0] == each.positive.split()[0] for each in mined for text in each.negatives])


def test_where_most_negatives_seem_to_be_positives_none_is_used():
    sparse = Sparse()
    mined, report = run(sparse.examples, sparse.candidates, margins=(-1.0,))
    assert report.false_negatives[0].low > 0.5
    assert report.is_excluded
    assert (report.num_filled_at_random, report.sources[0].num_drawn) == (0, 0)
    assert mined == sparse.examples
    assert len(report.samples) == 10, "to look at"


@pytest.mark.parametrize("settings", [{"max_false": 1.0}, {"reranker": "that will tell"}])
def test_they_are_used_where_that_is_asked_or_a_reranker_will_tell(settings):
    sparse = Sparse()
    mined, report = run(sparse.examples, sparse.candidates, margins=(-1.0,), **settings)
    assert not report.is_excluded
    assert sparse.share_of_own_topic(mined) == 1
