import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.results.training import MiningReport
from nearer.core.sections import MiningRecipe
from nearer.learn.candidates import Candidates, sift
from nearer.learn.examples import Example, text_key
from nearer.learn.negatives import NUM_SAMPLES, choose, mine

TEXTS = [f"document number {n} says {n * 'x'} about topic {chr(97 + n)}" for n in range(12)]
SOURCES = ("dense", "bm25", "words")


def example(positive=0, *, anchor="anchor", others=(), negatives=()):
    keys = frozenset(text_key(text) for text in (anchor, *(TEXTS[row] for row in (positive, *others))))
    return Example(anchor=anchor, positive=TEXTS[positive], masked=keys, negatives=negatives)


def proposed(*lines_by_source, scores=None, positive=0.9):
    """Candidates of examples, each a list of rows by source; the higher the row, the lower the score."""
    widths = [max(1, *(len(line[at]) for line in lines_by_source)) for at in range(len(lines_by_source[0]))]
    rows = [
        [row for part, width in zip(line, widths, strict=True) for row in [*part, *[-1] * (width - len(part))]]
        for line in lines_by_source
    ]
    rows_QK = np.asarray(rows, np.int64).reshape(len(lines_by_source), -1)
    return Candidates(
        texts=TEXTS,
        rows_QK=rows_QK,
        scores_QK=np.where(rows_QK < 0, -np.inf, 0.8 - 0.05 * rows_QK).astype(np.float32),
        positive_scores_Q=np.full(len(rows_QK), positive, np.float32),
        sources_K=tuple(source for source, width in zip(SOURCES, widths, strict=False) for _ in range(width)),
    )


def test_a_candidate_of_several_sources_counts_once_and_for_each_of_them():
    candidates = proposed([[1, 2, 3], [3, 4, 1], [3]])
    sifted = sift([example()], candidates, top_k=10, near_duplicate=0.8)
    assert sifted.allowed_QK.tolist() == [[True, True, True, False, True, False, False]]
    assert sifted.proposers_QK.tolist() == [[0b011, 0b001, 0b111, 0, 0b010, 0, 0]]
    assert sifted.num_proposed == (3, 3, 1)
    _, report = choose([example()], candidates, MiningRecipe(), num_wanted=1, near_duplicate=0.8)
    assert report.num_candidates == 4


def test_every_source_has_its_own_best():
    candidates = proposed([[1, 2, 3], [3, 2, 5], []])
    sifted = sift([example(others=[1])], candidates, top_k=1, near_duplicate=0.8)
    assert sifted.allowed_QK.tolist() == [[False, True, False, True, False, False, False]], (
        "2 is dense's best, 3 is bm25's"
    )
    assert sifted.proposers_QK.tolist() == [[0b01, 0b01, 0, 0b10, 0, 0, 0]]
    assert sifted.num_proposed == (2, 1, 0), "with the known one that is looked at"


def test_the_report_says_how_many_of_the_drawn_each_source_proposed():
    examples = [example(anchor=f"anchor {n}") for n in range(3)]
    candidates = proposed([[1], [2], []], [[3], [3], []], [[], [5], [5]])
    mined, report = mine(examples, candidates, MiningRecipe(num_negatives=2), near_duplicate=0.8, seed=0)
    wanted = ({TEXTS[1], TEXTS[2]}, {TEXTS[3]}, {TEXTS[5]})
    assert all(set(each.negatives) >= texts for each, texts in zip(mined, wanted, strict=True))
    assert [(each.source, each.num_proposed, each.num_drawn) for each in report.sources] == [
        ("dense", 2, 2),
        ("bm25", 3, 3),
        ("words", 1, 1),
    ]
    assert report.num_filled_at_random == 2


def test_a_hidden_positive_is_a_known_one_that_would_be_a_candidate():
    examples = [example(0, others=[1, 2]), example(1, others=[0, 2])]  # 2 is masked, and nobody's positive
    sifted = sift(examples, proposed([[1, 2, 3, 4]], [[3, 4, 0, 5]]), top_k=2, near_duplicate=0.8)
    assert sifted.hidden_QK.tolist() == [[True, False, False, False], [False, False, False, False]], "0 comes third"
    assert sifted.allowed_QK.tolist() == [[False, False, True, True], [True, True, False, False]]
    assert sifted.has_others_Q.tolist() == [True, True]
    assert sifted.queries_Q.tolist() == [0, 0]


def test_a_hidden_positive_of_two_sources_is_one():
    examples = [example(0, others=[1]), example(1, others=[0])]
    sifted = sift(examples, proposed([[3, 4, 1], [1]], [[], []]), top_k=2, near_duplicate=0.8)
    assert sifted.hidden_QK.tolist() == [[False, False, False, True], [False] * 4], "only bm25 has it among its best"


def test_samples_are_the_drawn_negatives_nearest_to_their_positives():
    examples = [example(anchor=f"anchor {n // 2}") for n in range(30)]  # of every query two pairs
    candidates = proposed(*([[1 + n // 2 % 10], [1 + n // 2 % 10]] for n in range(30)), positive=0.7)
    _, report = mine(examples, candidates, MiningRecipe(margins=(-1.0,)), near_duplicate=0.8, seed=0)
    assert len(report.samples) == NUM_SAMPLES
    gaps = [each.positive_score - each.negative_score for each in report.samples]
    assert gaps == sorted(gaps)
    assert gaps[0] == pytest.approx(-0.05)
    assert {(each.query, each.negative) for each in report.samples[:2]} == {
        ("anchor 0", TEXTS[1]),
        ("anchor 10", TEXTS[1]),
    }
    assert report.samples[0].sources == ("dense", "bm25")
    assert report.samples[0].positive == TEXTS[0]


def test_long_texts_of_samples_are_cut_and_say_so():
    long = Example(anchor="q" * 3000, positive="short", masked=frozenset({"short"}))
    _, report = mine([long], proposed([[1], []]), MiningRecipe(), near_duplicate=0.8, seed=0)
    assert report.samples[0].query == "q" * 2000 + " …"
    assert report.samples[0].positive == "short"


def test_a_report_is_read_back_from_its_record():
    examples = [example(n % 2, anchor=f"anchor {n // 2}", others=[0, 1]) for n in range(20)]
    candidates = proposed(*([[1 - n % 2, 3, 4], [4]] for n in range(20)), positive=0.7)
    _, report = mine(examples, candidates, MiningRecipe(margins=(-1.0,)), near_duplicate=0.8, seed=0)
    assert report.false_negatives
    assert report.samples
    assert MiningReport.read(json.loads(json.dumps(asdict(report)))) == report


@st.composite
def _lists(draw):
    lists = st.lists(st.integers(0, len(TEXTS) - 1), unique=True, max_size=6)
    num_sources = draw(st.integers(1, 3))
    return draw(st.lists(st.lists(lists, min_size=num_sources, max_size=num_sources), min_size=1, max_size=4))


@settings(deadline=None, max_examples=150)
@given(lines=_lists(), top_k=st.integers(1, 6))
def test_what_is_allowed_is_the_union_of_the_best_unknown_of_each_source(lines, top_k):
    examples = [example(0, anchor=f"anchor {n}", others=[1]) for n in range(len(lines))]
    candidates = proposed(*lines)
    sifted = sift(examples, candidates, top_k=top_k, near_duplicate=1.0)
    for rows_K, allowed_K, bits_K, line in zip(
        candidates.rows_QK, sifted.allowed_QK, sifted.proposers_QK, lines, strict=True
    ):
        best = [[row for row in part if row > 1][:top_k] for part in line]
        assert sorted(rows_K[allowed_K].tolist()) == sorted({row for part in best for row in part})
        for row, bits in zip(rows_K[allowed_K].tolist(), bits_K[allowed_K].tolist(), strict=True):
            assert bits == sum((row in part) << at for at, part in enumerate(best))
