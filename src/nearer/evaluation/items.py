"""What the other tasks than search are measured on: labelled queries of a split, and labelled documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nearer.core.arrays import Ints
from nearer.core.errors import InputError
from nearer.core.near_duplicates import resembling
from nearer.core.records import Document, Metadata, Query
from nearer.core.text import normalise
from nearer.core.types import item_text
from nearer.evaluation.grades import scale_of
from nearer.measure.significance import min_units
from nearer.store.workspace import Workspace

NO_LABEL = -1
MAX_ITEMS = 2000
"""Items of a split that are measured; beyond that a seeded draw. Clustering takes the square of them in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The labelled queries of a split, each text once; ``num_items`` of them before any were drawn or set aside.

    ``groups`` are resampled whole, as in `nearer evaluate`.
    """

    split: str
    queries: tuple[Query, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...] | None
    num_unlabelled: int
    num_same_text: int
    num_items: int

    def without(self, query_ids: frozenset[str]) -> "Items":
        """The items but for these."""
        kept = [row for row, query in enumerate(self.queries) if query.query_id not in query_ids]
        return self._rows(kept)

    def draw(self, max_items: int, *, seed: int) -> "Items":
        """At most so many items, drawn at random."""
        if len(self.queries) <= max_items:
            return self
        drawn = np.random.default_rng(seed).permutation(len(self.queries))[:max_items]
        return self._rows(np.sort(drawn).tolist())

    def _rows(self, rows: Sequence[int]) -> "Items":
        return replace(
            self,
            queries=tuple(self.queries[row] for row in rows),
            labels=tuple(self.labels[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows) if self.groups else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seeds:
    """Documents whose likes are looked for among all (rows of the corpus), and the label of every document (N).

    ``num_seen`` of the seeds are relevant to training queries too.
    """

    documents: tuple[Document, ...]
    rows_Q: Ints
    labels_N: Ints
    num_items: int
    num_seen: int
    num_unlabelled: int


def read_items(workspace: Workspace, split: str, field: str) -> Items:
    """The queries of a split that have a value in the metadata ``field``, in the order of their ids.

    Of queries with one text the first stays, so that no item is its own duplicate. Raises InputError when the split has
    no queries, none has the field, or a value is no single label.
    """
    collection = workspace.collection
    members = collection.queries(split)
    if not members:
        known = ", ".join(f"{name} ({count})" for name, count in collection.splits().items()) or "none"
        raise InputError(f"split {split!r} has no queries; splits: {known}", hint="name another with --split")
    _check_field([query.metadata for query in members], field, f"query of {split}")
    labelled = [query for query in members if label_of(query.metadata, field) is not None]
    first_of = {normalise(query.text): query for query in reversed(labelled)}
    queries = tuple(sorted(first_of.values(), key=lambda query: query.query_id.encode()))
    group_field = workspace.recipe.group_field
    return Items(
        split=split,
        queries=queries,
        labels=tuple(str(label_of(query.metadata, field)) for query in queries),
        groups=tuple(label_of(query.metadata, group_field) or query.query_id for query in queries)
        if group_field
        else None,
        num_unlabelled=len(members) - len(labelled),
        num_same_text=len(labelled) - len(queries),
        num_items=len(queries),
    )


def read_seeds(workspace: Workspace, split: str, field: str, documents: Sequence[Document]) -> Seeds:
    """The documents relevant to queries of a split, in so far as another document has their label in ``field``.

    Raises InputError when there are too few of them, or all documents have one label or none.
    """
    _check_field([document.metadata for document in documents], field, "document")
    labels = [label_of(document.metadata, field) for document in documents]
    labels_N = encode_labels(labels)
    relevant, seen = _relevant(workspace, split), _relevant(workspace, "train")
    sizes = np.bincount(labels_N[labels_N != NO_LABEL])
    rows = [
        row
        for row, document in enumerate(documents)
        if document.doc_id in relevant and labels_N[row] != NO_LABEL and sizes[labels_N[row]] > 1
    ]
    what = f"documents relevant to queries of {split} whose label another document shares"
    known = [label for label in labels if label is not None]
    check_size(len(rows), known, what=what, confidence=workspace.recipe.evaluate.confidence)
    drawn = rows
    if len(rows) > MAX_ITEMS:
        order = np.random.default_rng(workspace.recipe.evaluate.seed).permutation(len(rows))
        drawn = [rows[each] for each in sorted(order[:MAX_ITEMS].tolist())]
    return Seeds(
        documents=tuple(documents[row] for row in drawn),
        rows_Q=np.asarray(drawn, dtype=np.int64),
        labels_N=labels_N,
        num_items=len(rows),
        num_seen=sum(documents[row].doc_id in seen for row in drawn) if split != "train" else len(drawn),
        num_unlabelled=int((labels_N == NO_LABEL).sum()),
    )


def check_size(num_items: int, labels: Sequence[object], *, what: str, confidence: float) -> None:
    """Raise InputError where a number would mean nothing: too few items, or a single label. ``what`` names them."""
    least = min_units(confidence)
    if num_items < least:
        raise InputError(
            f"{what}: {num_items} are too few to measure; at least {least} are needed",
            hint="name a larger split with --split, or import more queries: nearer add queries FILE",
        )
    if len(set(labels)) < 2:
        raise InputError(
            f"{what}: all {num_items} have the label {str(labels[0])!r}",
            hint="name a field with --label that tells items apart",
        )


def twins(items: Items, of: Items) -> frozenset[str]:
    """The ids of items that are in ``of`` too, or whose text nearly repeats one there."""
    known = {query.query_id for query in of.queries}
    near = resembling([query.text for query in items.queries], [query.text for query in of.queries])
    return frozenset(
        query.query_id for query, is_near in zip(items.queries, near, strict=True) if is_near or query.query_id in known
    )


def encode_labels(labels: Sequence[str | None]) -> Ints:
    """Labels as numbers from 0 in sorted order; -1 where there is none."""
    numbers: Mapping[str, int] = {
        label: number for number, label in enumerate(sorted({each for each in labels if each is not None}))
    }
    return np.array([NO_LABEL if label is None else numbers[label] for label in labels], np.int64)


def label_of(metadata: Metadata, field: str) -> str | None:
    """A field's value as a label; none where it is absent, null, NaN or empty.

    Raises InputError for lists and other values that are no single label.
    """
    match metadata.get(field):
        case None | "":
            return None
        case str() | int() | float() as value:
            return None if value != value else item_text(value)
        case value:
            raise InputError(
                f"field {field!r} holds a {type(value).__name__}, and an item has one label",
                hint="name a field of text, numbers or true/false with --label",
            )


def _check_field(metadata: Sequence[Metadata], field: str, what: str) -> None:
    if all(label_of(each, field) is None for each in metadata):
        known = ", ".join(sorted({name for each in metadata for name in each})) or "none"
        raise InputError(f"no {what} has the field {field!r}; fields: {known}", hint="name another with --label")


def _relevant(workspace: Workspace, split: str) -> frozenset[str]:
    relevant_from = scale_of(workspace).relevant_from
    judgments = workspace.collection.judgments(split)
    return frozenset(each.doc_id for each in judgments if each.grade >= relevant_from)
