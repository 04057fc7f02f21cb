"""Other tasks than search, measured on vectors: duplicates, clusters, classes, and items alike.

Each gives a value an item whose mean is the measure, so that intervals and comparisons are those of any measure. Where
a measure is no mean (F1, V-measure) the values are its linear approximation: the measure plus the item's influence on
it. Shapes: N items, D dimensions, P pairs, A anchors (items that pairs are made for), T training items, K neighbours,
Q queries.

Source: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), section 6.1 (the infinitesimal
jackknife).
"""

import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Floats32, Floats64, Ints
from nearer.measure.metrics import Qrels
from nearer.vectors.topk import top_k


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of items: rows of both, whether they are duplicates, and the anchor (from 0) that each was made for."""

    left_P: Ints
    right_P: Ints
    same_P: Bools
    anchors_P: Ints

    @classmethod
    def balanced(cls, anchor_rows_A: Ints, duplicates_A: Ints, others_A: Ints) -> "Pairs":
        """For every anchor one pair with a duplicate and one with an item that is none."""
        num_anchors = len(anchor_rows_A)
        return cls(
            left_P=np.tile(anchor_rows_A, 2),
            right_P=np.concatenate([duplicates_A, others_A]),
            same_P=np.arange(2 * num_anchors) < num_anchors,
            anchors_P=np.tile(np.arange(num_anchors), 2),
        )

    def scores(self, emb_ND: Floats32) -> Floats64:
        """The dot product of each pair (float64, P)."""
        scores: Floats64 = np.einsum("pd,pd->p", emb_ND[self.left_P], emb_ND[self.right_P], dtype=np.float64)
        return scores


def draw_duplicates(labels_N: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Anchors, and for each another item of its label, at random; no pair occurs twice, in either order.

    The items of a label are put in a random circle, and each is paired with the next: so each is in two pairs at most.
    """
    anchors, partners = [], []
    for label in np.unique(labels_N):
        members = rng.permutation(np.flatnonzero(labels_N == label))
        if len(members) == 1:
            continue
        circle = members[:1] if len(members) == 2 else members
        anchors.append(circle)
        partners.append(np.roll(members, -1)[: len(circle)])
    if not anchors:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rows_A, partners_A = np.concatenate(anchors), np.concatenate(partners)
    order_A = np.argsort(rows_A)
    return rows_A[order_A], partners_A[order_A]


def draw_others(anchor_rows_A: Ints, labels_N: Ints, rng: np.random.Generator, *, number: int) -> Ints:
    """For every anchor so many items of another label, drawn with replacement, each as likely (A x number)."""
    assert len(np.unique(labels_N)) > 1, "there is another label"
    others = rng.integers(0, len(labels_N), (len(anchor_rows_A), number))
    while (again := labels_N[others] == labels_N[anchor_rows_A][:, None]).any():
        others[again] = rng.integers(0, len(labels_N), int(again.sum()))
    return others


def nearest_others(anchor_rows_A: Ints, others: Ints, emb_ND: Floats32) -> Ints:
    """For every anchor, of its others (A x any) the one with the highest dot product."""
    anchors_AD = emb_ND[anchor_rows_A]
    scores = np.stack([np.einsum("ad,ad->a", anchors_AD, emb_ND[column]) for column in others.T], axis=1)
    nearest: Ints = np.take_along_axis(others, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    return nearest


def best_threshold(scores_P: Floats64, same_P: Bools) -> float:
    """The score from which pairs are best called duplicates, by F1: midway to the next lower score.

    Of several that are equally good, the highest.

    >>> best_threshold(np.array([0.9, 0.7, 0.5, 0.1]), np.array([True, True, False, False]))
    0.6
    """
    assert same_P.any(), "there is a duplicate to find"
    order_P = np.argsort(-scores_P, kind="stable")
    ranked_P = scores_P[order_P]
    f1_P = 2 * same_P[order_P].cumsum() / (np.arange(len(ranked_P)) + 1 + same_P.sum())
    f1_P[:-1][ranked_P[:-1] == ranked_P[1:]] = -1  # a threshold cannot part equal scores
    best = int(f1_P.argmax())
    below = ranked_P[best + 1] if best + 1 < len(ranked_P) else ranked_P[best]
    return float((ranked_P[best] + below) / 2)


def f1_values(pairs: Pairs, scores_P: Floats64, *, threshold: float) -> tuple[Floats64, Floats64]:
    """Values an anchor whose mean is the F1 of calling pairs from ``threshold`` duplicates; and its pairs judged right.

    An anchor's value is F1 + (its 2 TP - F1 x its (2 TP + FP + FN)) / the mean of the latter (both float64, A).
    """
    called_P = scores_P >= threshold
    num_anchors = int(pairs.anchors_P.max()) + 1

    def count(chosen_P: Bools) -> Floats64:
        return np.bincount(pairs.anchors_P[chosen_P], minlength=num_anchors).astype(np.float64)

    found_A, wrong_A = 2 * count(called_P & pairs.same_P), count(called_P != pairs.same_P)
    reach_A = found_A + wrong_A
    f1 = found_A.sum() / reach_A.sum()
    return f1 + (found_A - f1 * reach_A) / reach_A.mean(), count(called_P == pairs.same_P)


def cluster(emb_ND: Floats32, *, num_clusters: int, seed: int) -> Ints:
    """The cluster of every item by k-means on its unit vectors, where nearer is more alike by cosine.

    Source: Lloyd's algorithm from k-means++ (Arthur and Vassilvitskii, 2007), as scikit-learn runs it.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct vectors than clusters: some stay empty
        found = KMeans(n_clusters=num_clusters, n_init=1, random_state=seed).fit_predict(emb_ND)
    return np.asarray(found, dtype=np.int64)


def purity_values(labels_N: Ints, clusters_N: Ints) -> Floats64:
    """1 for every item whose label is the commonest of its cluster, else 0 (float64, N); the mean is the purity.

    Of several commonest labels the lowest counts. Source: Manning, Raghavan and Schütze, Introduction to Information
    Retrieval (2008), section 16.3.
    """
    table_CK, rows_N, columns_N = _contingency(labels_N, clusters_N)
    right: Floats64 = (table_CK.argmax(axis=0)[columns_N] == rows_N).astype(np.float64)
    return right


def v_measure_values(labels_N: Ints, clusters_N: Ints) -> Floats64:
    """Values an item whose mean is the V-measure of the clusters, taken as given (float64, N).

    V = 2 I / (H(labels) + H(clusters)), the harmonic mean of homogeneity and completeness; -log p less the entropy is
    an item's influence on an entropy. Source: Rosenberg and Hirschberg, V-Measure (2007), section 2, with beta 1.
    """
    table_CK, rows_N, columns_N = _contingency(labels_N, clusters_N)
    p_CK = table_CK / table_CK.sum()
    label_N, cluster_N = -np.log(p_CK.sum(axis=1)[rows_N]), -np.log(p_CK.sum(axis=0)[columns_N])
    joint_N = -np.log(p_CK[rows_N, columns_N])
    shared_N, both_N = label_N + cluster_N - joint_N, label_N + cluster_N
    assert both_N.mean() > 0, "there is more than one label"
    v = 2 * shared_N.mean() / both_N.mean()
    values: Floats64 = v + (2 * (shared_N - shared_N.mean()) - v * (both_N - both_N.mean())) / both_N.mean()
    return values


def _contingency(labels_N: Ints, clusters_N: Ints) -> tuple[Floats64, Ints, Ints]:
    """How many items each label and cluster share, and the row and column of every item."""
    (labels, rows_N), (clusters, columns_N) = (np.unique(each, return_inverse=True) for each in (labels_N, clusters_N))
    table_CK = np.zeros((len(labels), len(clusters)))
    np.add.at(table_CK, (rows_N, columns_N), 1)
    return table_CK, rows_N, columns_N


def classify(emb_ND: Floats32, train_emb_TD: Floats32, train_labels_T: Ints, *, num_neighbours: int) -> Ints:
    """The commonest label among the nearest training items of each item (int64, N).

    Of labels with as many votes the one whose neighbours are more alike in sum counts, then the lowest.
    """
    ranked = top_k(emb_ND, train_emb_TD, k=min(num_neighbours, len(train_emb_TD)))
    return np.array(
        [
            _vote(train_labels_T[rows_K].tolist(), scores_K.tolist())
            for rows_K, scores_K in zip(ranked.rows_QK, ranked.scores_QK, strict=True)
        ],
        np.int64,
    )


def _vote(labels: list[int], scores: list[float]) -> int:
    votes, likeness = Counter(labels), dict.fromkeys(labels, 0.0)
    for label, score in zip(labels, scores, strict=True):
        likeness[label] += score
    return max(votes, key=lambda label: (votes[label], likeness[label], -label))


def alike_qrels(alike_QK: Bools, rows_QK: Ints, num_alike_Q: Ints, *, num_documents: int) -> Qrels:
    """Judgments for rankings of which it is known what is alike, enough for any measure cut at K or before.

    ``alike_QK`` says it of the documents ranked, and ``num_alike_Q`` how many there are in all, found or not: listing
    all of them could take more memory than the vectors do.
    """
    queries_J, columns_J = np.nonzero(alike_QK)
    keys_J = np.sort(queries_J * num_documents + rows_QK[queries_J, columns_J])
    reachable_Q = np.minimum(num_alike_Q, rows_QK.shape[1])
    gain_queries_J = np.repeat(np.arange(len(rows_QK)), reachable_Q)
    firsts_Q = np.cumsum(reachable_Q) - reachable_Q
    return Qrels(
        num_queries=len(rows_QK),
        num_documents=num_documents,
        relevant_from=1,
        keys_J=keys_J,
        grades_J=np.ones(len(keys_J), np.int64),
        gains_J=np.ones(len(gain_queries_J), np.int64),
        gain_queries_J=gain_queries_J,
        gain_ranks_J=np.arange(len(gain_queries_J)) - firsts_Q[gain_queries_J],
        num_relevant_Q=num_alike_Q,
    )
