"""The judged queries of a split: what systems are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import InputError
from nearer.core.records import Query
from nearer.evaluation.grades import scale_of
from nearer.evaluation.slicing import slices_of
from nearer.measure.metrics import Qrels
from nearer.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSplit:
    """The queries of a split that have a relevant document, and how they are judged, grouped and sliced."""

    split: str
    queries: tuple[Query, ...]
    num_without_relevant: int
    doc_ids: tuple[str, ...]
    revision: int
    relevant: dict[str, tuple[str, ...]]
    qrels: Qrels
    groups: tuple[str, ...] | None
    slices: dict[str, Bools]

    def groups_of(self, rows: Ints) -> list[str] | None:
        """The groups to resample whole; none for a slice that is one group, whose queries are all there is to draw."""
        groups = [self.groups[row] for row in rows] if self.groups else []
        return groups if len(set(groups)) > 1 else None


def read_judged_split(
    workspace: Workspace, *splits: str, excluded: frozenset[str] = frozenset(), most: int | None = None
) -> JudgedSplit:
    """The judged queries of a split, or of several; without those ``excluded``, and at most so many, drawn at random.

    Raises InputError, naming the splits there are, when there is none.
    """
    collection = workspace.collection
    scale = scale_of(workspace)
    judgments = [judgment for split in splits for judgment in collection.judgments(split)]
    relevant: dict[str, list[str]] = {}
    for judgment in judgments:
        if judgment.grade >= scale.relevant_from:
            relevant.setdefault(judgment.query_id, []).append(judgment.doc_id)
    members = [query for split in splits for query in collection.queries(split) if query.query_id not in excluded]
    usable = [query for query in members if query.query_id in relevant]
    queries = tuple(usable if most is None else _drawn(usable, most, seed=workspace.recipe.advise.seed))
    split = "+".join(splits)
    if not queries:
        known = ", ".join(f"{name} ({count})" for name, count in collection.splits().items()) or "none"
        raise InputError(
            f"split {split!r} has no query with a relevant document; splits: {known}",
            hint="name another with --split, or import judgments: nearer add judgments FILE",
        )
    revision, doc_ids = collection.revision(), tuple(collection.document_hashes())
    query_ids = [query.query_id for query in queries]
    qrels = Qrels.build(query_ids, doc_ids, judgments, relevant_from=scale.relevant_from)
    field = workspace.recipe.group_field
    groups = tuple(_group(query, field) for query in queries) if field else None
    return JudgedSplit(
        split=split,
        queries=queries,
        num_without_relevant=len(members) - len(usable),
        doc_ids=doc_ids,
        revision=revision,
        relevant={query_id: tuple(found) for query_id, found in relevant.items()},
        qrels=qrels,
        groups=groups,
        slices=slices_of(workspace, queries, relevant, relevant_from=scale.relevant_from),
    )


def _drawn(queries: Sequence[Query], most: int, *, seed: int) -> list[Query]:
    """At most so many queries, in their order."""
    rows = sorted(np.random.default_rng(seed).permutation(len(queries))[:most].tolist())
    return [queries[row] for row in rows]


def _group(query: Query, field: str) -> str:
    """The query's group; a query without one is its own."""
    value = query.metadata.get(field)
    return query.query_id if value is None else str(value)
