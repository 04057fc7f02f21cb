import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import homogeneity_completeness_v_measure

from nearer.core.records import Judgment
from nearer.measure.metrics import Measure, Qrels, score
from nearer.measure.significance import compare_all, mean_intervals
from nearer.measure.tasks import (
    Pairs,
    alike_qrels,
    best_threshold,
    classify,
    cluster,
    draw_duplicates,
    draw_others,
    f1_values,
    nearest_others,
    purity_values,
    v_measure_values,
)

LABELS = st.lists(st.integers(0, 6), min_size=4, max_size=60).filter(lambda labels: len(set(labels)) > 1)


def f1_of(same, called):
    """F1 by its definition."""
    hits = np.sum(same & called)
    return 2 * hits / (same.sum() + called.sum()) if hits else 0.0


def unit(emb):
    return (emb / np.linalg.norm(emb, axis=1, keepdims=True)).astype(np.float32)


def mixture(num_labels=6, each=20, noise=0.5, dims=16, seed=0):
    """Items around as many centres as there are labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_labels), each)
    return labels, unit(
        rng.standard_normal((num_labels, dims))[labels] + noise * rng.standard_normal((len(labels), dims))
    )


# Pairs


@settings(max_examples=50, deadline=None)
@given(LABELS, st.integers(0, 5))
def test_pairs_are_what_they_say_and_none_is_drawn_twice(labels, seed):
    labels, rng = np.array(labels), np.random.default_rng(seed)
    anchors, duplicates = draw_duplicates(labels, rng)
    assert (labels[anchors] == labels[duplicates]).all()
    assert (anchors != duplicates).all()
    drawn = {frozenset(pair) for pair in zip(anchors.tolist(), duplicates.tolist(), strict=True)}
    assert len(drawn) == len(anchors) == len(set(duplicates.tolist()))
    sizes = np.bincount(labels)
    assert len(anchors) == sum(0 if size == 1 else 1 if size == 2 else size for size in sizes if size)
    if len(anchors):
        others = draw_others(anchors, labels, rng, number=3)
        assert others.shape == (len(anchors), 3)
        assert (labels[others] != labels[anchors][:, None]).all()


def test_draws_are_the_same_for_the_same_seed():
    labels = np.arange(40) % 7
    first, again, other = (draw_duplicates(labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert (first[1] != other[1]).any()


def test_the_nearest_of_several_is_the_hard_one():
    emb = unit(np.array([[1, 0], [0, 1], [1, 0.1], [-1, 0]]))
    assert nearest_others(np.array([0, 1]), np.array([[1, 2, 3], [3, 0, 2]]), emb).tolist() == [2, 2]


def test_pairs_of_labels_with_one_member_are_none():
    anchors, duplicates = draw_duplicates(np.arange(5), np.random.default_rng(0))
    assert (len(anchors), len(duplicates)) == (0, 0)


# F1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_is_better_than_the_best(rows):
    scores, same = np.array([score for score, _ in rows]), np.array([is_same for _, is_same in rows])
    if not same.any():
        same[0] = True
    best = f1_of(same, scores >= best_threshold(scores, same))
    cuts = sorted({*scores.tolist(), *((low + high) / 2 for low, high in pairwise(sorted(scores.tolist()))), 2.0})
    assert best == pytest.approx(max(f1_of(same, scores >= cut) for cut in cuts))


def noisy_pairs(seed, num_anchors=120, gap=1.0):
    rng = np.random.default_rng(seed)
    rows = np.arange(num_anchors)
    pairs = Pairs.balanced(rows, rows, rows)
    return pairs, rng.normal(0, 1, 2 * num_anchors) + gap * pairs.same_P


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 200), st.floats(-1, 2))
def test_values_of_anchors_have_f1_as_their_mean(seed, threshold):
    pairs, scores = noisy_pairs(seed)
    values, right = f1_values(pairs, scores, threshold=threshold)
    called = scores >= threshold
    assert values.mean() == pytest.approx(f1_of(pairs.same_P, called))
    assert right.sum() == (called == pairs.same_P).sum()


def test_the_interval_of_f1_is_that_of_resampling_anchors_themselves():
    pairs, scores = noisy_pairs(0)
    values, _ = f1_values(pairs, scores, threshold=0.5)
    [found] = mean_intervals(values[:, None], num_resamples=4000)
    rng = np.random.default_rng(1)
    resampled = []
    for _ in range(2000):
        drawn = rng.integers(0, 120, 120)
        rows = np.concatenate([drawn, drawn + 120])
        resampled.append(f1_of(pairs.same_P[rows], scores[rows] >= 0.5))
    assert [found.low, found.high] == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.015)


@pytest.mark.slow
def test_the_interval_covers_the_f1_of_all_items_though_pairs_share_items():
    population, emb = mixture(num_labels=8, each=1500, noise=1.6)
    threshold, rng = 0.3, np.random.default_rng(0)

    def values_of(rows):
        labels = population[rows]
        anchors, duplicates = draw_duplicates(labels, rng)
        pairs = Pairs.balanced(anchors, duplicates, draw_others(anchors, labels, rng, number=1)[:, 0])
        return f1_values(pairs, pairs.scores(emb[rows]), threshold=threshold)[0]

    truth = values_of(np.arange(len(population))).mean()
    hits = 0
    for seed in range(200):
        values = values_of(rng.permutation(len(population))[:200])
        [found] = mean_intervals(values[:, None], num_resamples=300, seed=seed)
        hits += found.low <= truth <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_hard_pairs_of_one_system_flatter_the_other_and_of_both_in_turn_neither():
    labels, rng = np.repeat(np.arange(30), 20), np.random.default_rng(0)
    centres = rng.standard_normal((30, 8))
    one, other = (unit(centres[labels] + 1.5 * rng.standard_normal((600, 8))) for _ in range(2))
    anchors, duplicates = draw_duplicates(labels, rng)
    others = draw_others(anchors, labels, rng, number=10)

    def difference(hard):
        pairs = Pairs.balanced(anchors, duplicates, hard)
        values = [f1_values(pairs, pairs.scores(emb), threshold=0.4)[0][:, None] for emb in (one, other)]
        [found] = compare_all(*values, metrics=["F1"])
        return found

    of_one, of_other = (nearest_others(anchors, others, emb) for emb in (one, other))
    in_turn = np.where(np.arange(len(anchors)) % 2 == 0, of_one, of_other)
    assert difference(of_one).low > 0.05
    assert difference(of_other).high < -0.05
    assert abs(difference(in_turn).difference) < 0.05


# Clusters


@settings(max_examples=50, deadline=None)
@given(LABELS, st.data())
def test_values_of_items_have_the_v_measure_as_their_mean(labels, data):
    clusters = data.draw(st.lists(st.integers(0, 5), min_size=len(labels), max_size=len(labels)))
    expected = homogeneity_completeness_v_measure(labels, clusters)[2]
    assert v_measure_values(np.array(labels), np.array(clusters)).mean() == pytest.approx(expected, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(LABELS, st.data())
def test_purity_counts_the_commonest_label_of_each_cluster(labels, data):
    clusters = data.draw(st.lists(st.integers(0, 5), min_size=len(labels), max_size=len(labels)))
    in_cluster = {each: [la for la, c in zip(labels, clusters, strict=True) if c == each] for each in set(clusters)}
    expected = sum(max(members.count(label) for label in members) for members in in_cluster.values()) / len(labels)
    assert purity_values(np.array(labels), np.array(clusters)).mean() == pytest.approx(expected)


def test_perfect_and_useless_clusters():
    labels = np.arange(30) % 3
    assert v_measure_values(labels, labels + 5) == pytest.approx(np.ones(30))
    assert purity_values(labels, 2 - labels).mean() == 1
    assert v_measure_values(labels, np.zeros(30, int)).mean() == pytest.approx(0)
    assert purity_values(labels, np.zeros(30, int)).mean() == pytest.approx(1 / 3)


def test_influence_is_how_the_v_measure_moves_when_an_item_weighs_a_little_more():
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(0, 4, 80), rng.integers(0, 5, 80)
    clusters[:50] = labels[:50]
    values = v_measure_values(labels, clusters)
    heavy = 2000  # copies of all items, so that one more of item 3 is a small step
    moved = v_measure_values(
        np.append(np.tile(labels, heavy), labels[3]), np.append(np.tile(clusters, heavy), clusters[3])
    )
    step = 1 / (80 * heavy + 1)
    assert (moved.mean() - values.mean()) / step == pytest.approx(values[3] - values.mean(), rel=1e-2)


def test_clear_clusters_are_found_and_a_seed_fixes_them():
    labels, emb = mixture(noise=0.1)
    found = cluster(emb, num_clusters=6, seed=3)
    assert (found == cluster(emb, num_clusters=6, seed=3)).all()
    assert max(v_measure_values(labels, cluster(emb, num_clusters=6, seed=seed)).mean() for seed in range(5)) > 0.99


def test_fewer_distinct_vectors_than_clusters_are_no_failure():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cluster(unit(np.array([[1, 0], [1, 0], [0, 1], [0, 1.0]])), num_clusters=3, seed=0)
    assert len(set(found.tolist())) == 2


# Classes


def test_the_commonest_label_of_the_neighbours_wins_then_the_nearer():
    train = unit(np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1]]))
    labels = np.array([0, 1, 1, 2, 2])
    item = unit(np.array([[1, 0.0]]))
    assert classify(item, train, labels, num_neighbours=1).tolist() == [0]
    assert classify(item, train, labels, num_neighbours=2).tolist() == [0]
    assert classify(item, train, labels, num_neighbours=3).tolist() == [1]
    assert classify(item, train, labels, num_neighbours=99).tolist() == [1]


def test_classes_agree_with_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    labels, emb = mixture(noise=0.8, seed=4)
    rows = np.random.default_rng(0).permutation(len(labels))
    train, test = rows[:80], rows[80:]
    oracle = KNeighborsClassifier(1, algorithm="brute", metric="cosine").fit(emb[train], labels[train])
    assert (classify(emb[test], emb[train], labels[train], num_neighbours=1) == oracle.predict(emb[test])).all()


# Items alike


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_alike_judgments_score_as_if_all_were_listed(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 25)
    seeds = rng.permutation(25)[:8]
    rows = np.array([rng.permutation(np.delete(np.arange(25), row))[:10] for row in seeds])
    listed = [
        Judgment(query_id=f"q{number:02}", doc_id=f"d{row:02}", grade=1)
        for number, asked in enumerate(seeds)
        for row in range(25)
        if row != asked and labels[row] == labels[asked]
    ]
    full = Qrels.build([f"q{n:02}" for n in range(8)], [f"d{n:02}" for n in range(25)], listed, relevant_from=1)
    short = alike_qrels(
        labels[rows] == labels[seeds][:, None], rows, np.bincount(labels)[labels[seeds]] - 1, num_documents=25
    )
    measures = [Measure.parse(name) for name in ("nDCG@10", "Recall@10", "Recall@3", "nDCG@5", "Precision@10")]
    for name, values in score(measures, rows, full).items():
        assert score(measures, rows, short)[name] == pytest.approx(values), name
