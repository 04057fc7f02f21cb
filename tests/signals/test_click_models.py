"""Click models find what simulated users do, and equal their definitions on a log small enough to reckon by hand."""

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from nearer.core.errors import InputError
from nearer.signals.choose import choose_model, fit_model, intervals, propensities
from nearer.signals.click_log import build_log
from nearer.signals.click_models import fit_coec, fit_ctr, fit_pbm, fit_rank_ctr, fit_sdbn, likelihood
from nearer.signals.propensities import find_links
from simulated_clicks import LOOKS, columns, log


def by_hand(rows):
    """A log of rows (session, query, document, rank, clicked)."""
    sessions, queries, documents, ranks, clicked = zip(*rows, strict=True)
    return build_log(sessions, queries, documents, np.array(ranks), np.array(clicked, bool))


SMALL = by_hand(
    [
        ("1", "q", "a", 0, 0), ("1", "q", "b", 1, 1), ("1", "q", "c", 2, 0),
        ("2", "q", "b", 0, 1), ("2", "q", "a", 1, 0), ("2", "q", "c", 2, 1),
        ("3", "q", "a", 0, 0), ("3", "q", "b", 1, 0), ("3", "q", "c", 2, 0),
    ]
)  # fmt: skip
A, B, C = (SMALL.pairs.index(("q", each)) for each in "abc")


def test_sdbn_is_its_closed_form():
    model = fit_sdbn(SMALL)
    # looked at: list 1 down to b, list 2 down to c, list 3 all
    assert model.attraction_P[[A, B, C]] == pytest.approx([1 / 5, 3 / 5, 2 / 4])
    assert model.satisfaction_P[[A, B, C]] == pytest.approx([1 / 2, 2 / 4, 2 / 3])
    assert (model.attraction_P[-1], model.satisfaction_P[-1]) == (0.5, 0.5)


def test_sdbn_chances_follow_the_recursion():
    model = fit_sdbn(SMALL)
    a, b, c = model.attraction_P[[A, B, C]]
    sa, sb, _ = model.satisfaction_P[[A, B, C]]
    order = np.array([[A, B, C]])
    full = model.full(order)[0]
    assert full == pytest.approx([a, (1 - a * sa) * b, (1 - a * sa) * (1 - b * sb) * c])
    above = model.given_above(order, np.array([[False, True, False]]))[0]
    assert above == pytest.approx([a, b, (1 - sb) * c])
    looked = (1 - a) / (1 - a)  # a skip at the top, which was looked at for sure
    assert above[1] == pytest.approx(looked * b)


def test_rates_are_counts_with_a_click_and_a_skip_more():
    cells = SMALL.cells()
    assert fit_ctr(cells, num_pairs=3).attraction_P[[A, B, C]] == pytest.approx([1 / 5, 3 / 5, 2 / 5])
    ranks = fit_rank_ctr(cells, num_pairs=3)
    assert ranks.examination_R == pytest.approx([2 / 5, 2 / 5, 2 / 5])
    coec = fit_coec(cells, num_pairs=3)
    assert coec.attraction_P[[A, B, C]] == pytest.approx([1 / 2.2, 3 / 2.2, 2 / 2.2])


def test_one_step_of_em_is_the_update_rule():
    found = fit_pbm(SMALL.cells(), num_pairs=3, max_steps=1)
    unclicked = 0.5 * 0.5 / (1 - 0.25)  # attracted without a look, or looked at without attraction
    assert found.attraction_P[A] == pytest.approx((3 * unclicked + 1) / 5)
    assert found.attraction_P[B] == pytest.approx((2 + unclicked + 1) / 5)
    assert found.examination_R[0] == pytest.approx((1 + 2 * unclicked + 1) / 5)


def test_perplexity_and_likelihood_are_the_definitions():
    model = fit_rank_ctr(SMALL.cells(), num_pairs=3)
    found = likelihood(model, SMALL.pair_LR, SMALL.clicked_LR)
    at = 2 ** -((math.log2(0.4) + 2 * math.log2(0.6)) / 3)
    assert found.perplexity_at == pytest.approx([at] * 3)
    assert found.perplexity == pytest.approx(at)
    assert found.log_likelihood == pytest.approx((math.log(0.4) + 2 * math.log(0.6)) / 3)


def test_likelihood_is_the_same_in_pieces(monkeypatch):
    model = fit_sdbn(SMALL)
    whole = likelihood(model, SMALL.pair_LR, SMALL.clicked_LR)
    monkeypatch.setattr("nearer.signals.click_models._AT_ONCE", 4)
    parts = likelihood(model, SMALL.pair_LR, SMALL.clicked_LR)
    assert parts.perplexity_at == pytest.approx(whole.perplexity_at, rel=1e-12)
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


def test_a_pair_that_was_never_seen_has_the_prior():
    other = by_hand([("9", "q", "new", 0, 1)])
    numbers = other.numbered_as(SMALL)
    assert numbers.tolist() == [[3]]
    found = likelihood(fit_ctr(SMALL.cells(), num_pairs=3), numbers, other.clicked_LR)
    assert found.perplexity_at == pytest.approx([2.0])


@pytest.mark.parametrize("seed", range(3))
def test_two_rankers_and_em_find_the_propensities(seed):
    made, truth = log(np.random.default_rng(seed), num_lists=50_000, rankers=2)
    cells = made.cells()
    links = find_links(made)
    chosen = choose_model("auto", made, links)
    assert chosen.model in ("pbm", "harvest")
    model = fit_model("pbm", made, cells)
    assert np.abs(np.array(propensities("pbm", model, links)) - LOOKS).max() <= 0.05
    found = [model.attraction_P[made.pairs.index(pair)] for pair in truth]
    baseline = fit_ctr(cells, num_pairs=len(made.pairs))
    raw = [baseline.attraction_P[made.pairs.index(pair)] for pair in truth]
    right = list(truth.values())
    assert kendalltau(found, right).statistic > kendalltau(raw, right).statistic


@pytest.mark.parametrize("seed", range(3))
def test_swaps_of_neighbours_are_harvested(seed):
    made, _ = log(np.random.default_rng(seed), num_lists=50_000, swaps=0.2)
    cells = made.cells()
    links = find_links(made)
    assert choose_model("auto", made, links).model == "harvest"
    errors = np.abs(np.array(propensities("harvest", fit_model("harvest", made, cells), links)) - LOOKS)
    assert errors.mean() <= 0.05
    assert errors.max() <= 0.08


def test_a_rank_that_nobody_looks_at_is_not_looked_at_like_the_first():
    made, _ = log(np.random.default_rng(0), num_lists=5000, swaps=0.5, looks=np.array([1.0] + [0.0] * 9))
    cells = made.cells()
    links = find_links(made)
    assert choose_model("auto", made, links).model == "harvest"
    found = propensities("harvest", fit_model("harvest", made, cells), links)
    assert found[0] == 1
    assert max(found[1:]) < 0.01


def test_a_harvested_model_foresees_other_lists_as_well_as_em():
    rng = np.random.default_rng(0)
    names = columns(rng, num_lists=3000, swaps=0.5, num_queries=100)[0]
    made = build_log(*(each[:20_000] for each in names))
    other = build_log(*(each[20_000:] for each in names))
    cells = made.cells()
    models = [fit_model(name, made, cells) for name in ("harvest", "pbm")]
    numbers = other.numbered_as(made)
    harvested, by_em = (likelihood(each, numbers, other.clicked_LR) for each in models)
    assert models[0].attraction_P.max() < 1
    assert harvested.perplexity < by_em.perplexity + 0.01


@pytest.mark.parametrize("asked", ["auto", "pbm", "harvest"])
def test_one_fixed_ranking_identifies_nothing(asked):
    made, _ = log(np.random.default_rng(0), num_lists=2000)
    chosen = choose_model(asked, made, find_links(made))
    assert chosen.model is None
    assert "two ranks" in chosen.why


@pytest.mark.exhaustive
def test_a_weak_design_has_wide_intervals():
    widths = []
    for swaps in (0.02, 0.5):
        made, _ = log(np.random.default_rng(1), num_lists=20_000, swaps=swaps)
        cells = made.cells()
        links = find_links(made)
        model = fit_model("harvest", made, cells)
        found = intervals("harvest", made, model, links, seed=0)
        widths.append(np.mean([high - low for low, high in filter(None, found[1:])]))
        for value, between in zip(LOOKS, found, strict=True):
            assert between is None or between[0] - 0.1 <= value <= between[1] + 0.1
    assert widths[0] > 2 * widths[1]


def test_a_cascade_is_foreseen_better_by_its_own_model():
    rng = np.random.default_rng(4)
    made, truth = log(rng, num_lists=20_000, rankers=2, model="cascade")
    cells = made.cells()
    sdbn, ctr = fit_sdbn(made), fit_ctr(cells, num_pairs=len(made.pairs))
    likelihoods = [likelihood(model, made.pair_LR, made.clicked_LR).log_likelihood for model in (sdbn, ctr)]
    assert likelihoods[0] > likelihoods[1]
    right = [truth[pair] for pair in made.pairs]
    taus = [kendalltau(model.attraction_P[:-1], right).statistic for model in (sdbn, ctr)]
    assert taus[0] > taus[1]


def test_two_documents_at_one_rank_are_refused():
    with pytest.raises(InputError, match="two documents at rank 0"):
        by_hand([("1", "q", "a", 0, 0), ("1", "q", "b", 0, 1)])


def test_a_row_a_click_counts_once():
    made = by_hand([("1", "q", "a", 0, 0), ("1", "q", "a", 0, 1), ("1", "q", "b", 1, 0)])
    assert (made.num_repeated, made.shown_LR.sum(), made.clicked_LR.sum()) == (1, 2, 1)


def test_shorter_lists_and_gaps_count_where_they_are():
    made = by_hand([("1", "q", "a", 0, 1), ("2", "q", "a", 2, 0), ("2", "q", "b", 0, 0)])
    model = fit_sdbn(made)
    assert model.attraction_P[made.pairs.index(("q", "a"))] == pytest.approx(2 / 4)
    found = likelihood(fit_ctr(made.cells(), num_pairs=2), made.pair_LR, made.clicked_LR)
    assert len(found.perplexity_at) == 2  # nothing ever stood at the second rank


def test_intervals_of_a_log_whose_last_ranks_few_saw():
    rng = np.random.default_rng(0)
    made, _ = columns(rng, num_lists=300, swaps=0.8, num_queries=1, num_ranks=3)
    session, query, doc, rank, clicked = made
    long = build_log([*session, "x"], [*query, "q0"], [*doc, "d9"], np.append(rank, 9), np.append(clicked, False))
    cells = long.cells()
    links = find_links(long)
    found = intervals("pbm", long, fit_model("pbm", long, cells), links, seed=0)
    assert len(found) == 10
    assert found[9] is None
