"""Time, memory, bytes and recall of an index by its kind and size: built, searched, filtered, and 1 % of it changed.

    python benchmarks/scale.py --work /tmp/scale --kinds exact,lancedb,pgvector --sizes 10000,100000,1000000
    python benchmarks/scale.py --work /tmp/scale --show        # the table of what was measured so far

Each kind and size is measured once, in a process of its own, and kept in WORK/KIND-SIZE.json: a run that was cut short
goes on with those that are missing. pgvector's server is NEARER_POSTGRES_URL, or one of its own below WORK.

Vectors have 64 intrinsic dimensions and lie in clusters, which is easier than real text; every document is one passage.
Encoding is left out. Recall is of the exact 10 best over all vectors, by ``vectors.topk``.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.filters import Comparison
from nearer.retrieval.entries import Entries
from nearer.retrieval.index import Index, build_index, open_index, update_index
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import Kind, Spec
from nearer.retrieval.pg_server import HERE, start_here
from nearer.vectors.topk import top_k

SPACE, DIMENSION, INTRINSIC, BATCH, K = "enc-synthetic", 384, 64, 1024, 10
SPEC = Spec(space_id=SPACE, chunking="whole documents", fields={"percent": "integer"})
ONE_PERCENT = Comparison(type="eq", key="percent", value=7)


class Corpus:
    """Seeded documents, made a batch at a time; the time that takes is kept apart."""

    def __init__(self, num_documents: int, *, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.num_documents, self.seconds = num_documents, 0.0
        self._basis = rng.normal(size=(INTRINSIC, DIMENSION)).astype(np.float32)
        self._centres = rng.normal(size=(max(1, num_documents // 100), INTRINSIC)).astype(np.float32)

    def vectors(self, num: int, *, seed: int) -> Floats32:
        """Unit vectors, shape (num, DIMENSION)."""
        rng = np.random.default_rng(seed)
        points = self._centres[rng.integers(0, len(self._centres), num)] + 0.7 * rng.normal(size=(num, INTRINSIC))
        made = (points @ self._basis + 0.3 * rng.normal(size=(num, DIMENSION))).astype(np.float32)
        unit: Floats32 = made / np.linalg.norm(made, axis=1, keepdims=True)
        return unit

    def batches(self, numbers: Ints, *, seed: int) -> Iterator[Entries]:
        """The documents of these numbers, as version ``seed`` of them."""
        for start in range(0, len(numbers), BATCH):
            began = time.perf_counter()
            part = numbers[start : start + BATCH]
            made = Entries(
                doc_ids=tuple(f"doc-{number}" for number in part),
                hashes=(f"{seed:032d}",) * len(part),
                starts_N=np.arange(len(part)),
                vectors_PD=self.vectors(len(part), seed=seed + start),
                values={"percent": tuple(int(number) % 100 for number in part)},
            )
            self.seconds += time.perf_counter() - began
            yield made

    def exact(self, queries_QD: Floats32, *, wanted: Callable[[int], bool] = lambda _: True) -> list[set[str]]:
        """The ids of the 10 nearest documents of each query whose number is wanted."""
        best: list[dict[str, float]] = [{} for _ in queries_QD]
        for each in self.batches(np.arange(self.num_documents), seed=1):
            rows = [row for row, name in enumerate(each.doc_ids) if wanted(int(name.removeprefix("doc-")))]
            if rows:
                found = top_k(queries_QD, each.vectors_PD[rows], k=K)
                for kept, places, scores in zip(best, found.rows_QK.tolist(), found.scores_QK.tolist(), strict=True):
                    kept.update(
                        {each.doc_ids[rows[row]]: score for row, score in zip(places, scores, strict=True) if row >= 0}
                    )
        return [set(sorted(kept, key=lambda name: -kept[name])[:K]) for kept in best]


def measure(
    kind: Kind, num_documents: int, *, seed: int, folder: Path, num_queries: int, exact_up_to: int
) -> dict[str, Any]:
    """Build, search, update; seconds are wall time, and ``peak_memory_mb`` is this process's alone."""
    corpus = Corpus(num_documents, seed=seed)
    queries_QD = corpus.vectors(num_queries, seed=10**9)
    policy = IndexPolicy(kind=kind, url=HERE, exact_up_to=exact_up_to, queries=lambda: queries_QD)
    everything = np.arange(num_documents)
    build_s, index = _timed(
        corpus,
        lambda: build_index(folder, spec=SPEC, batches=corpus.batches(everything, seed=1), policy=policy, revision=1),
    )
    searched = _searched(index, queries_QD, corpus.exact(queries_QD), where=None)
    filtered = _searched(
        index, queries_QD, corpus.exact(queries_QD, wanted=lambda number: number % 100 == 7), where=ONE_PERCENT
    )
    changed = np.arange(0, num_documents, 100)
    update_s, updated = _timed(
        corpus,
        lambda: update_index(
            folder,
            open_index(folder, space_id=SPACE),
            removed=[],
            changed=corpus.batches(changed, seed=10**7),
            policy=policy,
            revision=2,
        ),
    )
    verify_s, damage = _timed(corpus, updated.damage)
    return {
        "kind": kind,
        "num_documents": num_documents,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "build_s": build_s,
        "search": searched,
        "filter_1_percent": filtered,
        "update_1_percent_s": update_s,
        "update_share": update_s / build_s,
        "verify_s": verify_s,
        "damage": damage,
        "built": index.manifest.summary.to_dict(),
        "disk_bytes": _disk_bytes(updated, folder),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def _searched(
    index: Index, queries_QD: Floats32, exact: list[set[str]], *, where: Comparison | None
) -> dict[str, float]:
    """Milliseconds of one query at a time, and recall against the exact best."""
    took, shares = [], []
    for query_D, truth in zip(queries_QD, exact, strict=True):
        began = time.perf_counter()
        [found] = index.search(query_D[None], space_id=SPACE, k=K, where=where)
        took.append(1000 * (time.perf_counter() - began))
        shares.append(len(truth & {doc_id for doc_id, _ in found}) / max(1, len(truth)))
    return {
        "p50_ms": float(np.percentile(took, 50)),
        "p95_ms": float(np.percentile(took, 95)),
        "recall_at_10": float(np.mean(shares)),
    }


def _disk_bytes(index: Index, folder: Path) -> int:
    """Bytes of the files, or of the table with its indexes."""
    manifest = index.manifest
    if manifest.kind != "pgvector":
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    from nearer.retrieval.pg import PgIndex

    assert isinstance(index, PgIndex)
    with index.server.transaction() as connection:
        [(size,)] = connection.execute("SELECT pg_total_relation_size(to_regclass(%s))", (index.table,)).fetchall()
    return int(size)


def _timed(corpus: Corpus, work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of ``work`` less those of making documents, and what it returned."""
    corpus.seconds, began = 0.0, time.perf_counter()
    made = work()
    return time.perf_counter() - began - corpus.seconds, made


def table(work: Path) -> str:
    """What was measured, as Markdown."""
    cells = [json.loads(path.read_text()) for path in work.glob("*-*.json")]
    lines = [
        "| kind | vectors | build s | bytes a vector | p50 / p95 ms | recall@10 | 1 % filter p50 / p95 ms | its recall "
        "| 1 % changed s | of a build | peak MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in sorted(cells, key=lambda cell: (cell["kind"], cell["num_documents"])):
        plain, narrow = each["search"], each["filter_1_percent"]
        lines.append(
            f"| {each['kind']} | {each['num_documents']:,} | {each['build_s']:.1f} "
            f"| {each['disk_bytes'] / each['num_documents']:,.0f} | {plain['p50_ms']:.1f} / {plain['p95_ms']:.1f} "
            f"| {plain['recall_at_10']:.3f} | {narrow['p50_ms']:.1f} / {narrow['p95_ms']:.1f} "
            f"| {narrow['recall_at_10']:.3f} | {each['update_1_percent_s']:.2f} | {each['update_share']:.1%} "
            f"| {each['peak_memory_mb']:,.0f} |"
        )
    return "\n".join(lines)


def _cell(arguments: argparse.Namespace, kind: Kind, size: int) -> None:
    """Measure one kind and size here, and keep it."""
    folder = arguments.work / "state" / "indexes" / f"{kind}-{size}"
    if kind == "pgvector":
        start_here(folder.resolve().parent.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = measure(
        kind,
        size,
        seed=arguments.seed,
        folder=folder,
        num_queries=arguments.queries,
        exact_up_to=arguments.exact_up_to,
    )
    (arguments.work / f"{kind}-{size}.json").write_text(json.dumps(made, indent=2) + "\n")


def main() -> None:
    """Measure what is missing, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where cells and indexes are kept")
    parser.add_argument("--kinds", default="exact,lancedb,pgvector")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--exact-up-to", type=int, default=50_000, help="vectors without a vector index")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="measure nothing")
    parser.add_argument("--cell", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.cell:
        _cell(arguments, arguments.cell[0], int(arguments.cell[1]))
        return
    wanted = [(size, kind) for size in arguments.sizes.split(",") for kind in arguments.kinds.split(",")]
    for size, kind in [] if arguments.show else wanted:
        if not (arguments.work / f"{kind}-{size}.json").exists():
            own = [f"--work={arguments.work}", f"--queries={arguments.queries}", f"--seed={arguments.seed}"]
            own.append(f"--exact-up-to={arguments.exact_up_to}")
            subprocess.run([sys.executable, __file__, *own, "--cell", kind, size], check=True)
    print(table(arguments.work))


if __name__ == "__main__":
    main()
