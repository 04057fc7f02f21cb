"""Time, memory and recall of the LanceDB index on synthetic clustered vectors: build, search, and 1 % changed.

    python benchmarks/index.py --num-documents 100000

Vectors have 64 intrinsic dimensions and lie in clusters, which is easier than real text; every document is one passage.
Encoding is left out.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.filters import Comparison
from nearer.retrieval.entries import Entries
from nearer.retrieval.index import build_index, open_index, update_index
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import Spec

SPACE, DIMENSION, INTRINSIC, NUM_QUERIES, BATCH, K = "enc-synthetic", 384, 64, 200, 1024, 10
SPEC = Spec(space_id=SPACE, chunking="whole documents", fields={"percent": "integer"})


class Corpus:
    """Seeded documents, made a batch at a time; the time that takes is kept apart."""

    def __init__(self, num_documents: int, *, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.seconds = 0.0
        self._basis = rng.normal(size=(INTRINSIC, DIMENSION)).astype(np.float32)
        self._centres = rng.normal(size=(num_documents // 100, INTRINSIC)).astype(np.float32)

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


def measure(num_documents: int, *, seed: int, folder: Path) -> dict[str, Any]:
    """Build, search, update; seconds are wall time."""
    corpus = Corpus(num_documents, seed=seed)
    queries_QD = corpus.vectors(NUM_QUERIES, seed=10**9)
    policy = IndexPolicy(kind="lancedb", queries=lambda: queries_QD)
    build_s, index = _timed(
        corpus,
        lambda: build_index(
            folder, spec=SPEC, batches=corpus.batches(np.arange(num_documents), seed=1), policy=policy, revision=1
        ),
    )
    one_percent = Comparison(type="eq", key="percent", value=7)
    result = {
        "build_s": build_s,
        "search_ms": _each_ms(lambda q: index.search(queries_QD[q : q + 1], space_id=SPACE, k=K)),
        "search_1_percent_ms": _each_ms(
            lambda q: index.search(queries_QD[q : q + 1], space_id=SPACE, k=K, where=one_percent)
        ),
        "built": index.manifest.summary,
    }
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
    return result | {
        "update_1_percent_s": update_s,
        "updated": updated.manifest.summary,
        "verify_s": verify_s,
        "damage": damage,
        "disk_mb": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def _timed(corpus: Corpus, work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of ``work`` less those of making documents, and what it returned."""
    corpus.seconds, began = 0.0, time.perf_counter()
    made = work()
    return time.perf_counter() - began - corpus.seconds, made


def _each_ms(query: Callable[[int], Any]) -> float:
    began = time.perf_counter()
    for number in range(NUM_QUERIES):
        query(number)
    return (time.perf_counter() - began) / NUM_QUERIES * 1000


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder unless given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(json.dumps(measure(arguments.num_documents, seed=arguments.seed, folder=Path(folder)), indent=2))


if __name__ == "__main__":
    main()
