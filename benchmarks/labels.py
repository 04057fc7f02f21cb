"""Which pairs to label next: how far off each strategy's estimate is at equal budget, over seeds.

``python benchmarks/labels.py graded --data FOLDER --work FOLDER --budget 200 --seeds 5 --dev 200``.
The imported judgments of dev stand for people: a pair without one is grade 0. What base and BM25 find is pooled; a
strategy chooses pairs, and each system's nDCG@10 and their difference are estimated from these, over the queries
that have a gain by then. Printed: the root mean squared error against all judgments, and how it beats random's.
"""

import argparse
import platform
from datetime import date

import numpy as np

from nearer.core.progress import Silent
from nearer.evaluation.pooling import STRATEGIES, Rankings, choose, pool, rank_all
from nearer.measure.metrics import Measure, evaluate_run
from sets import add_size_arguments, open_workspace

NDCG = Measure.parse("nDCG@10")
SYSTEMS = ("base", "bm25")


def estimates(rankings: Rankings, qrels: dict[str, dict[str, int]]) -> np.ndarray:
    """nDCG@10 of each system over the queries with a gain, and their difference."""
    qrels = {query_id: grades for query_id, grades in qrels.items() if max(grades.values()) > 0}
    if not qrels:
        return np.full(len(SYSTEMS) + 1, np.nan)
    means = []
    for system in SYSTEMS:
        run = {q: {d: 1.0 / rank for rank, d in enumerate(rankings[system][q], start=1)} for q in qrels}
        means.append(np.mean(list(evaluate_run(run, qrels, [NDCG])[NDCG].values())))
    return np.array([*means, means[0] - means[1]])


def measure(rankings: Rankings, truth: dict[tuple[str, str], int], *, budget: int, seeds: int) -> dict[str, np.ndarray]:
    """The errors of each strategy, a row a seed."""
    pooled = pool(rankings)
    whole = as_qrels({(e.query_id, e.doc_id): truth.get((e.query_id, e.doc_id), 0) for e in pooled} | truth)
    right = estimates(rankings, whole)
    errors = {}
    for strategy in STRATEGIES:
        rows = []
        for seed in range(seeds):
            chosen = choose(pooled, count=budget, strategy=strategy, judged=(), seed=seed)
            said = {(e.query_id, e.doc_id): truth.get((e.query_id, e.doc_id), 0) for e in chosen}
            rows.append(estimates(rankings, as_qrels(said)) - right)
        errors[strategy] = np.array(rows)
    return errors


def as_qrels(grades: dict[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Grades by query."""
    found: dict[str, dict[str, int]] = {}
    for (query_id, doc_id), grade in grades.items():
        found.setdefault(query_id, {})[doc_id] = grade
    return found


def main() -> None:
    """Pool once, choose by each strategy, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="graded", help="medquad, graded, ...: see sets.py")
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    add_size_arguments(parser, documents=3000, train=100, test=100)
    asked = parser.parse_args()
    where = f"{platform.machine()}, Python {platform.python_version()}, {date.today()}"
    print(f"{asked.name}: {asked.dev} dev queries, {asked.documents} documents, {asked.budget} pairs; {where}")
    with open_workspace(asked.name, asked.work / asked.name, asked) as workspace:
        queries = workspace.collection.queries("dev")
        rankings = rank_all(workspace, SYSTEMS, queries, depth=10, progress=Silent())
        truth = {(j.query_id, j.doc_id): j.grade for j in workspace.collection.judgments("dev")}
    errors = measure(rankings, truth, budget=asked.budget, seeds=asked.seeds)
    of_random = np.sqrt(np.nanmean(errors["random"] ** 2, axis=0))
    for strategy, rows in errors.items():
        error = np.sqrt(np.nanmean(rows**2, axis=0))
        found = zip((*SYSTEMS, "difference"), error, of_random, strict=True)
        told = ", ".join(f"{name} {each:.3f} ({its / each:.2f}x)" for name, each, its in found)
        print(f"{strategy}: root mean squared error of nDCG@10: {told}", flush=True)


if __name__ == "__main__":
    main()
