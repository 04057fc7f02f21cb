"""Small indexes to test with, and what they must answer by brute force."""

from dataclasses import replace

import numpy as np

from nearer.core.errors import Conflict, WorkspaceBusy
from nearer.retrieval.entries import Entries
from nearer.retrieval.index import build_index, open_index, update_index
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.manifest import Spec

DIMENSION = 16
SPACE = "enc-a"
FIELDS = {"year": "integer", "lang": "text", "free": "boolean", "price": "number"}
SPEC = Spec(space_id=SPACE, chunking="whole documents", fields=FIELDS)
POLICIES = {
    "exact": IndexPolicy(kind="exact"),
    "lancedb": IndexPolicy(kind="lancedb"),
    "lancedb with a vector index": IndexPolicy(kind="lancedb", exact_up_to=0, num_recall_queries=12),
    "pgvector": IndexPolicy(kind="pgvector"),
    "pgvector with a vector index": IndexPolicy(kind="pgvector", exact_up_to=0, num_recall_queries=12),
}


def unit(rng, *shape):
    vectors = rng.normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def entries(doc_ids, *, seed=0, vectors=None, sizes=None, **values):
    """Documents with up to three passages of random unit vectors, and values for the four fields, some missing."""
    rng = np.random.default_rng(seed)
    sizes = np.asarray(rng.integers(1, 4, len(doc_ids)) if sizes is None else sizes, dtype=np.int64)
    num = int(sizes.sum())
    made = {
        "year": tuple(None if n % 5 == 0 else 2000 + n % 20 for n in range(len(doc_ids))),
        "lang": tuple(("en", "de", None)[n % 3] for n in range(len(doc_ids))),
        "free": tuple((True, False, None, False)[n % 4] for n in range(len(doc_ids))),
        "price": tuple(n / 4 if n % 7 else None for n in range(len(doc_ids))),
    }
    return Entries(
        doc_ids=tuple(doc_ids),
        hashes=tuple(f"{seed}-{doc_id}" for doc_id in doc_ids),
        starts_N=np.cumsum(sizes) - sizes,
        vectors_PD=unit(rng, num, DIMENSION) if vectors is None else np.asarray(vectors, dtype=np.float32),
        values=made | {name: tuple(each) for name, each in values.items()},
    )


def numbered(num, prefix="d"):
    return [f"{prefix}{n:03}é" for n in range(num)]


def queries(num=3, seed=99):
    return unit(np.random.default_rng(seed), num, DIMENSION)


def build(folder, policy, *parts, spec=SPEC, revision=1):
    return build_index(folder, spec=spec, batches=parts, policy=policy, revision=revision)


def brute_force(parts, query_D, *, k, passes=lambda values: True):
    """The ranking that an index must give; of a document in several parts the last counts."""
    score, values_of = {}, {}
    for part in parts:
        ends = [*part.starts_N[1:], len(part.vectors_PD)]
        for row, (start, end) in enumerate(zip(part.starts_N, ends, strict=True)):
            doc_id = part.doc_ids[row]
            score[doc_id] = float((part.vectors_PD[start:end] @ query_D).max())
            values_of[doc_id] = {name: column[row] for name, column in part.values.items()}
    passing = [(doc_id, each) for doc_id, each in score.items() if passes(values_of[doc_id])]
    return sorted(passing, key=lambda entry: (entry[1], entry[0].encode()), reverse=True)[:k]


def same_ranking(found, expected):
    """The same documents in the same order, and scores that differ only as float32 sums do."""
    if [doc_id for doc_id, _ in found] != [doc_id for doc_id, _ in expected]:
        return False
    return np.allclose([score for _, score in found], [score for _, score in expected], atol=1e-6)


FIRST = entries(numbered(30))
EDITED = [entries([*numbered(30)[5:15], "new"], seed=1), entries(numbered(30)[18:20], seed=2)]
REMOVED = numbered(30)[20:25]
AFTER = [FIRST.take([*range(20), *range(25, 30)]), *EDITED]
SECOND = [entries(numbered(12), seed=3), entries(numbered(12, "e"), seed=4)]
"""What is built first, what an update of it changes, what is there then, and what is built beside it."""


def update(folder, kind):
    index = open_index(folder, space_id=SPACE)
    return update_index(folder, index, removed=REMOVED, changed=EDITED, policy=POLICIES[kind], revision=2)


def build_second(folder, kind, url=None):
    return build(folder, replace(POLICIES[kind], url=url), *SECOND, revision=2)


def write_four_times(folder, seed, begin, outcomes):
    """Edit the same twenty documents, once others are ready to do so too, and tell how it went each time."""
    reported = []
    begin.wait()
    for number in range(4):
        try:
            index = open_index(folder, space_id=SPACE)
            changed = [entries(numbered(20), seed=100 * seed + number)]
            update_index(folder, index, removed=[], changed=changed, policy=POLICIES["lancedb"], revision=number)
            reported.append("written")
        except (WorkspaceBusy, Conflict) as error:
            reported.append(f"{type(error).__name__}: {error.message}")
    outcomes.put(reported)
