"""How much of what exact search finds an approximate index finds too.

Q queries, P passages of a block, D dimensions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from heapq import nlargest
from typing import Protocol

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.results.serving import Probes, Recall
from nearer.retrieval.entries import Ranking
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import Manifest
from nearer.vectors.topk import top_k

K = 10
"""Recall is measured at so many documents."""

_TIED = 1e-5  # two ways to add up one dot product in float32 differ by less


def exact_best(blocks: Iterable[tuple[Sequence[str], Floats32]], query_emb_QD: Floats32) -> list[Ranking]:
    """The best documents of every query, from blocks of (doc_id of each passage, vectors), one block in memory.

    A document's passages may lie in several blocks: its score is its best in any, and in that block it is among the
    best too.
    """
    best: list[dict[str, float]] = [{} for _ in query_emb_QD]
    for doc_ids, vectors_PD in blocks:
        names, starts_N, order = _grouped(doc_ids)
        found = top_k(query_emb_QD, vectors_PD[order], k=K, starts_N=starts_N)
        for mine, rows_K, scores_K in zip(best, found.rows_QK.tolist(), found.scores_QK.tolist(), strict=True):
            for row, score in zip(rows_K, scores_K, strict=True):
                if row >= 0:
                    mine[names[row]] = max(score, mine.get(names[row], score))
        best = [dict(nlargest(K, mine.items(), key=lambda entry: entry[1])) for mine in best]
    return [sorted(mine.items(), key=lambda entry: entry[1], reverse=True) for mine in best]


class Probing(Protocol):
    """An approximate index that is searched as its manifest says, which may be another for a while."""

    manifest: Manifest

    def search(self, query_emb_QD: Floats32, *, space_id: str, k: int) -> list[Ranking]:
        """The best documents of every query."""
        ...


def probed(
    index: Probing,
    draft: Manifest,
    blocks: Iterable[tuple[Sequence[str], Floats32]],
    *,
    policy: IndexPolicy,
    sample: Callable[[int], Floats32],
    ladder: Sequence[Probes],
    start: Probes | None,
) -> Manifest:
    """The draft with the first probes of ``ladder``, from ``start`` on, that reach the recall wanted, and that recall.

    The best of them where none does. Recall is measured on the queries of ``policy``; where it has none, on as many
    vectors of passages as ``sample`` draws.
    """
    query_emb_QD, measured_on = policy.queries(), "queries"
    if query_emb_QD is None:
        query_emb_QD, measured_on = sample(policy.num_recall_queries), "passages"
    exact = exact_best(blocks, query_emb_QD)
    tried: list[tuple[float, Probes]] = []
    for probes in ladder[ladder.index(start) if start in ladder else 0 :]:
        index.manifest = replace(draft, probes=probes)
        found = index.search(query_emb_QD, space_id=draft.spec.space_id, k=K)
        tried.append((mean_recall(found, exact), probes))
        if tried[-1][0] >= policy.min_recall:
            break
    value, probes = max(tried, key=lambda each: each[0])
    recall = Recall(value=value, k=K, num_queries=len(query_emb_QD), measured_on=measured_on)
    return replace(draft, probes=probes, recall=recall)


def mean_recall(found: Sequence[Ranking], exact: Sequence[Ranking]) -> float:
    """The mean share of the exact best that was found; a document tied with the last of them counts as one.

    Source: Aumüller et al., ANN-Benchmarks (2020), section 2.1: recall by distance threshold.

    >>> mean_recall([[("a", 1.0), ("c", 0.4)]], [[("a", 1.0), ("b", 0.5)]])
    0.5
    """
    shares = [
        sum(score >= truth[-1][1] - _TIED for _, score in ranking[: len(truth)]) / len(truth)
        for ranking, truth in zip(found, exact, strict=True)
        if truth
    ]
    return float(np.mean(shares)) if shares else 1.0


def _grouped(doc_ids: Sequence[str]) -> tuple[list[str], Ints, Ints]:
    """The documents of a block, the first passage of each, and the order of passages that brings them together."""
    names, codes = np.unique(np.asarray(doc_ids, dtype=object), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts_N = np.searchsorted(codes[order], np.arange(len(names)))
    return names.tolist(), starts_N, order
