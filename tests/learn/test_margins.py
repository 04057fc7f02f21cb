"""Margins on synthetic vectors of which the true positives are known."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.sections import MiningRecipe
from nearer.learn.candidates import Candidates, sift
from nearer.learn.examples import Example, text_key
from nearer.learn.margins import below_margin, choose_margin
from nearer.learn.negatives import choose
from nearer.vectors.topk import top_k


def candidates_of(scores, positives):
    scores_QK = np.asarray(scores, np.float32)
    rows_QK = np.broadcast_to(np.arange(scores_QK.shape[1]), scores_QK.shape)
    return Candidates(
        texts=[f"text {row}" for row in range(scores_QK.shape[1])],
        rows_QK=rows_QK,
        scores_QK=scores_QK,
        positive_scores_Q=np.asarray(positives, np.float32),
    )


@dataclass
class Catalogue:
    """Queries with two known positives each, over documents that lie as close together as ``spread`` says."""

    examples: list
    candidates: Candidates


def catalogue(*, spread, num_queries=120, num_others=300, dimension=64, seed=0):
    """Every query and its two positives point the same way, but for noise; so do all texts, the less the spread."""
    rng = np.random.default_rng(seed)

    def unit(emb):
        return (emb / np.linalg.norm(emb, axis=-1, keepdims=True)).astype(np.float32)

    centre = unit(rng.standard_normal(dimension))
    topics = unit(rng.standard_normal((num_queries, dimension)))
    around = np.concatenate([np.repeat(topics, 2, axis=0), unit(rng.standard_normal((num_others, dimension)))])
    noise = unit(rng.standard_normal(around.shape))
    documents = unit(centre + spread * (around + 0.8 * noise))
    queries = unit(centre + spread * (topics + 0.8 * unit(rng.standard_normal(topics.shape))))
    texts = [f"text {row}" for row in range(len(documents))]
    examples = [
        Example(
            anchor=f"query {row // 2}",
            positive=texts[row],
            spared=frozenset({text_key(texts[row]), text_key(texts[row ^ 1])}),
        )
        for row in range(2 * num_queries)
    ]
    ranked = top_k(queries, documents, k=12)
    of_pair = np.repeat(np.arange(num_queries), 2)
    return Catalogue(
        examples=examples,
        candidates=Candidates(
            texts=texts,
            rows_QK=ranked.rows_QK[of_pair],
            scores_QK=ranked.scores_QK[of_pair],
            positive_scores_Q=np.einsum("qd,qd->q", queries[of_pair], documents[: 2 * num_queries]),
        ),
    )


def chosen(known, **recipe):
    return choose(known.examples, known.candidates, MiningRecipe(**recipe), num_wanted=1, near_duplicate=1.0)


def test_on_a_dense_catalogue_the_published_margin_rejects_nearly_everything():
    dense, sparse = catalogue(spread=0.2), catalogue(spread=20.0)
    kept_QK, report = chosen(dense, margins=(0.05,))
    assert report.share_with_enough < 0.1
    assert kept_QK.sum() < 0.02 * report.num_candidates
    assert chosen(sparse, margins=(0.05,))[1].share_with_enough > 0.9


@pytest.mark.parametrize("kind", ["relative", "absolute"])
@pytest.mark.parametrize("spread", [0.2, 0.5, 20.0])
def test_a_margin_from_scores_leaves_enough_and_rejects_true_positives_as_wanted_or_more_than_the_list(spread, kind):
    known = catalogue(spread=spread)
    _, listed = chosen(known, margin_kind=kind)
    _, scored = chosen(known, margin_kind=kind, margin_from="scores")
    assert scored.share_with_enough >= 0.8
    assert scored.share_hidden_rejected >= min(0.95, listed.share_hidden_rejected)
    assert (scored.share_hidden_rejected > listed.share_hidden_rejected) == (spread != 0.5)
    assert (scored.num_inside_margin < listed.num_inside_margin) == (spread == 0.5), "it keeps hard ones where it can"
    assert scored.margin == min(scored.margin_wanted, scored.margin_with_enough)
    assert listed.margin_wanted is None


def test_where_positives_agree_the_margin_is_no_stricter_than_they_need():
    """Two positives of a query score alike, and all other texts far below: most candidates stay, hard ones too."""
    scores = np.tile([0.79, 0.6, 0.5], (40, 1))
    known = pairs_of(candidates_of(scores, np.full(40, 0.8)))
    _, report = chosen(known, margin_from="scores", margin_kind="absolute")
    assert (report.margin, report.margin_wanted, report.margin_with_enough) == (0.0101, 0.0101, 0.2999)
    assert report.share_hidden_rejected == 1
    assert report.share_with_enough == 1


def pairs_of(candidates):
    """Two pairs of every query, of which the first candidate is the other positive."""
    examples = []
    for pair in range(len(candidates.rows_QK)):
        own = f"positive {pair // 2} {pair % 2}"
        texts = {text_key(own), text_key("text 0")}
        examples.append(Example(anchor=f"query {pair // 2}", positive=own, spared=frozenset(texts)))
        examples.append(Example(anchor=f"query {pair // 2}", positive="text 0", spared=frozenset(texts)))
    twice = {
        name: np.repeat(getattr(candidates, name), 2, axis=0) for name in ("rows_QK", "scores_QK", "positive_scores_Q")
    }
    twice["rows_QK"] = twice["rows_QK"].copy()
    return Catalogue(examples=examples, candidates=Candidates(texts=candidates.texts, **twice))


def test_with_too_few_known_positives_the_list_says_what_is_wanted():
    known = catalogue(spread=0.5, num_queries=5)
    _, report = chosen(known, margin_from="scores", margins=(0.03, -1.0))
    assert report.num_hidden_positives
    assert report.margin_wanted == 0.03
    assert report.margin == min(0.03, report.margin_with_enough)
    assert chosen(known, margin_from="scores", margins=(-1.0,))[1].margin == -1


def test_a_margin_below_zero_from_scores_lets_candidates_above_the_positive_through():
    known = Catalogue(
        examples=[Example(anchor="a", positive="p", spared=frozenset())],
        candidates=candidates_of([[0.82, 0.81]], [0.8]),
    )
    kept_QK, report = chosen(known, margin_from="scores", margin_kind="absolute")
    assert report.margin == report.margin_with_enough == -0.0101
    assert kept_QK.tolist() == [[False, True]]


def test_kinds_of_margin():
    candidates = candidates_of([[0.77, 0.74, 0.1]], [0.8])
    assert below_margin(candidates, 0.05, "relative").tolist() == [[False, True, True]]
    assert below_margin(candidates, 0.05, "absolute").tolist() == [[False, True, True]]
    assert below_margin(candidates, 0.08, "relative").tolist() == [[False, False, True]]
    assert below_margin(candidates, 0.05, "relative").tolist() != below_margin(candidates, 0.02, "absolute").tolist()
    low = candidates_of([[0.05, -0.1]], [0.08])
    assert below_margin(low, 0.05, "relative").tolist() == [[True, True]]
    assert below_margin(low, 0.05, "absolute").tolist() == [[False, True]]


def test_no_examples_or_too_few_candidates_leave_no_margin():
    empty = Catalogue(examples=[], candidates=candidates_of(np.empty((0, 3)), []))
    assert chosen(empty, margin_from="scores")[1].margin == -1
    one = candidates_of([[0.5]], [0.9])
    known = Catalogue(examples=[Example(anchor="a", positive="p")], candidates=one)
    recipe = MiningRecipe(margin_from="scores")
    _, report = choose(known.examples, one, recipe, num_wanted=2, near_duplicate=1.0)
    assert (report.margin, report.share_with_enough) == (-1, 0.0)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**16),
    num=st.integers(1, 12),
    width=st.integers(1, 6),
    num_wanted=st.integers(1, 3),
    min_share=st.sampled_from([0.1, 0.5, 0.8, 1.0]),
    kind=st.sampled_from(["relative", "absolute"]),
)
def test_the_strictest_margin_leaves_enough_and_a_stricter_one_does_not(seed, num, width, num_wanted, min_share, kind):
    rng = np.random.default_rng(seed)
    candidates = candidates_of(rng.uniform(0.2, 0.99, (num, width)), rng.uniform(0.3, 0.99, num))
    examples = [Example(anchor=f"a {n}", positive=f"p {n}") for n in range(num)]
    recipe = MiningRecipe(margin_from="scores", margin_kind=kind, margins=(1.0,), min_share=min_share)
    sifted = sift(examples, candidates, top_k=10, near_duplicate=1.0)
    margin = choose_margin(candidates, sifted, recipe, num_wanted=num_wanted)

    def share(value):
        return (below_margin(candidates, value, kind).sum(axis=1) >= num_wanted).mean()

    if num_wanted > width:
        assert margin.value == -1
        return
    assert margin.value == margin.with_enough
    assert share(margin.value) >= min_share
    if margin.value > -1:
        assert share(margin.value + 2e-4) < min_share
