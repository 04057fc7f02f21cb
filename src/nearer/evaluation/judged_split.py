"""The judged queries of a split: what systems are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Bools, Ints
from nearer.core.errors import InputError
from nearer.core.records import Query
from nearer.core.types import group_of
from nearer.encode.embedded import Corpora
from nearer.evaluation.grades import scale_of
from nearer.evaluation.slicing import slices_of
from nearer.measure.metrics import Measure, Qrels
from nearer.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSplit:
    """The queries of a split that have a gain, a document of a grade above 0, and how they are judged and sliced.

    ``relevant`` has the ids of each query's relevant documents, none for a query that has only lower grades. Of the
    split's other queries ``num_without_gain`` have only grades of 0, ``num_unjudged`` no judgment.
    """

    split: str
    queries: tuple[Query, ...]
    num_without_gain: int
    num_unjudged: int
    doc_ids: tuple[str, ...]
    revision: int
    relevant: dict[str, tuple[str, ...]]
    qrels: Qrels
    groups: tuple[str, ...] | None
    slices: dict[str, Bools]

    @property
    def has_relevant_Q(self) -> Bools:
        """Which queries have a relevant document."""
        return self.qrels.num_relevant_Q > 0

    def rows_of(self, metric: str, mask_Q: Bools | None = None) -> Ints:
        """The rows of the queries that a measure is taken over, of all or of some."""
        mask_Q = np.ones(len(self.queries), np.bool_) if mask_Q is None else mask_Q
        return np.flatnonzero(mask_Q & self.has_relevant_Q if Measure.parse(metric).needs_relevant else mask_Q)

    def measurable(self, metrics: Sequence[str]) -> list[str]:
        """The measures that some query tells of. Raises InputError where the first, by which slices go, is not."""
        if not len(self.rows_of(metrics[0])):
            raise InputError(
                f"no query of split {self.split!r} has a document of grade {self.qrels.relevant_from} or more, so "
                f"{metrics[0]} says nothing",
                hint="name nDCG@10 first in evaluate.measures, or lower grades.relevant_from",
            )
        return [each for each in metrics if len(self.rows_of(each))]

    def groups_of(self, rows: Ints) -> list[str] | None:
        """The groups to resample whole; none for a slice that is one group, whose queries are all there is to draw."""
        groups = [self.groups[row] for row in rows] if self.groups else []
        return groups if len(set(groups)) > 1 else None


def read_judged_split(
    workspace: Workspace, *splits: str, excluded: frozenset[str] = frozenset(), most: int | None = None
) -> JudgedSplit:
    """The judged queries of a split, or of several; without those ``excluded``, and at most so many, drawn at random.

    Raises InputError, naming the splits there are, when none has a document of a grade above 0.
    """
    collection = workspace.collection
    scale = scale_of(workspace)
    judgments = [judgment for split in splits for judgment in collection.judgments(split)]
    relevant: dict[str, list[str]] = {}
    for judgment in judgments:
        if judgment.grade > 0:
            found = relevant.setdefault(judgment.query_id, [])
            found += [judgment.doc_id] if judgment.grade >= scale.relevant_from else []
    members = [query for split in splits for query in collection.queries(split) if query.query_id not in excluded]
    usable = [query for query in members if query.query_id in relevant]
    queries = tuple(usable if most is None else _drawn(usable, most, seed=workspace.recipe.evaluate.seed))
    split = "+".join(splits)
    if not queries:
        known = ", ".join(f"{name} ({count})" for name, count in collection.splits().items()) or "none"
        raise InputError(
            f"split {split!r} has no query with a document of a grade above 0; splits: {known}",
            hint="name another with --split, or import judgments: nearer add judgments FILE",
        )
    revision, doc_ids = collection.revision(), tuple(collection.document_hashes())
    query_ids = [query.query_id for query in queries]
    without = {judgment.query_id for judgment in judgments} - relevant.keys() - excluded
    qrels = Qrels.build(query_ids, doc_ids, judgments, relevant_from=scale.relevant_from)
    field = workspace.recipe.group_field
    groups = tuple(_group(query, field) for query in queries) if field else None
    return JudgedSplit(
        split=split,
        queries=queries,
        num_without_gain=len(without),
        num_unjudged=len(members) - len(usable) - len(without),
        doc_ids=doc_ids,
        revision=revision,
        relevant={query_id: tuple(found) for query_id, found in relevant.items()},
        qrels=qrels,
        groups=groups,
        slices=slices_of(workspace, queries, relevant, relevant_from=scale.relevant_from),
    )


def read_judged_with(corpora: Corpora, split: str) -> JudgedSplit:
    """The judged queries of a split, read in one transaction with the documents of ``corpora``.

    So what others write meanwhile stops no measurement. Raises what ``read_judged_split`` does.
    """
    with corpora.at_one_moment() as moment:
        return read_judged_split(moment, split)


def _drawn(queries: Sequence[Query], most: int, *, seed: int) -> list[Query]:
    """At most so many queries, in their order."""
    rows = sorted(np.random.default_rng(seed).permutation(len(queries))[:most].tolist())
    return [queries[row] for row in rows]


def _group(query: Query, field: str) -> str:
    """The query's group; a query without one is its own."""
    value = query.metadata.get(field)
    return query.query_id if value is None else group_of(value)
