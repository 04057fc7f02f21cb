"""Other tasks than search: duplicates, clusters, classes, recommendations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nearer.core.arrays import Floats32, Floats64, Ints
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.encode.corpus import embed_queries, refuse_other_documents
from nearer.encode.embedded import Corpora
from nearer.evaluation.exclusions import same_text_pairs
from nearer.evaluation.items import MAX_ITEMS, Items, Seeds, check_size, encode_labels, read_items, read_seeds, twins
from nearer.measure.metrics import Measure, score
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
from nearer.store.workspace import Workspace
from nearer.systems import System
from nearer.vectors.geometry import of_length_1
from nearer.vectors.topk import NO_ROW, top_k

Embed = Callable[[Sequence[Query]], Floats32]

DEV = "dev"
TRAIN = "train"
ALIKE_MEASURES = (Measure.parse("nDCG@10"), Measure.parse("Recall@10"))
HARD_OF = 10
"""A hard pair's other item is the nearest of so many drawn at random: the hardest tenth. Our rule.

The nearest of all would say nothing: on banking77 it is nearer than a random duplicate, and calling all pairs
duplicates is then best.
"""
NUM_NEIGHBOURS = 5
"""Labelled neighbours that vote on the class of an item."""

NUM_CLUSTERINGS = 5
"""Clusterings, each from another seed, whose values are averaged."""

_CHANCE_DIMS = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Value:
    """A measure of one system: values a unit whose mean it is, and by what a unit is won or lost."""

    values: Floats64
    judged: Floats64
    detail: Mapping[str, float] = field(default_factory=dict)


Values = dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a task gave: values by measure for every system, and last for random vectors."""

    values: list[Values]
    groups: Sequence[str] | None
    counts: dict[str, int]
    notes: tuple[str, ...] = ()


def dedup(workspace: Workspace, systems: Sequence[System], label: str, split: str, progress: Progress) -> Outcome:
    """F1 on pairs of the split, with the threshold that was best on pairs of dev, made alike."""
    items = _items(workspace, split, label)
    dev = items if split == DEV else _items(workspace, DEV, label, besides=items)
    vectors = {each.split: _vectors(workspace, systems, each, progress) for each in (dev, items)}
    dev_pairs, pairs = (_pairs(each, vectors[each.split][:-1], workspace) for each in (dev, items))
    found: list[Values] = []
    for dev_ND, emb_ND in zip(vectors[DEV], vectors[split], strict=True):
        values: Values = {}
        for name in pairs:
            threshold = best_threshold(dev_pairs[name].scores(dev_ND), dev_pairs[name].same_P)
            of_anchors, right = f1_values(pairs[name], pairs[name].scores(emb_ND), threshold=threshold)
            values[name] = Value(values=of_anchors, judged=right, detail={"threshold": threshold})
        found.append(values)
    num_anchors = len(pairs["F1"].same_P) // 2
    anchors = pairs["F1"].left_P[:num_anchors]
    notes = [
        f"F1 tells duplicates from as many random others, F1_hard from as many that are the nearest of {HARD_OF}; "
        "calling every pair a duplicate gives 0.667"
    ]
    if split == DEV:
        notes.append("the threshold was chosen on these same pairs, which flatters a little; test judges")
    if len(systems) > 1:
        notes.append("each system chose as many of the hard others, so F1_hard differs with the systems compared")
    return Outcome(
        values=found,
        groups=[items.groups[row] for row in anchors] if items.groups else None,
        counts={**_counts(items), "num_pairs": 2 * num_anchors, "num_dev_pairs": len(dev_pairs["F1"].same_P)},
        notes=tuple(notes),
    )


def _pairs(items: Items, vectors: Sequence[Floats32], workspace: Workspace) -> dict[str, Pairs]:
    """Duplicates of a split with random others, and with hard ones, chosen by each system in turn.

    Were they chosen by one system, they would be its own worst mistakes, and any other would seem better.
    """
    labels_N = encode_labels(items.labels)
    rng = np.random.default_rng(workspace.recipe.evaluate.seed)
    anchors_A, duplicates_A = draw_duplicates(labels_N, rng)
    confidence = workspace.recipe.evaluate.confidence
    check_size(len(anchors_A), items.labels, what=f"pairs of one label in {items.split}", confidence=confidence)
    others = draw_others(anchors_A, labels_N, rng, number=HARD_OF)
    hard_A = np.empty(len(anchors_A), np.int64)
    for turn, emb_ND in enumerate(vectors):
        chosen = slice(turn, None, len(vectors))
        hard_A[chosen] = nearest_others(anchors_A[chosen], others[chosen], emb_ND)
    return {
        "F1": Pairs.balanced(anchors_A, duplicates_A, others[:, 0]),
        "F1_hard": Pairs.balanced(anchors_A, duplicates_A, hard_A),
    }


def clustering(workspace: Workspace, systems: Sequence[System], label: str, split: str, progress: Progress) -> Outcome:
    """V-measure and purity of as many clusters as there are labels, averaged over clusterings of several seeds."""
    items, seed = _items(workspace, split, label), workspace.recipe.evaluate.seed
    labels_N = encode_labels(items.labels)
    num_labels = len(set(items.labels))
    if num_labels == len(items.labels):
        raise InputError(
            f"no two of {num_labels} labelled queries of {split} share a label, so there is nothing to cluster",
            hint="name a field with --label whose values items share",
        )
    found: list[Values] = []
    for emb_ND in _vectors(workspace, systems, items, progress):
        runs = [cluster(emb_ND, num_clusters=num_labels, seed=seed + run) for run in range(NUM_CLUSTERINGS)]
        v_values = [v_measure_values(labels_N, clusters_N) for clusters_N in runs]
        pure = np.mean([purity_values(labels_N, clusters_N) for clusters_N in runs], axis=0)
        spread = {"lowest_run": min(map(_mean, v_values)), "highest_run": max(map(_mean, v_values))}
        found.append(
            {
                "V-measure": Value(values=np.mean(v_values, axis=0), judged=pure, detail=spread),
                "Purity": Value(values=pure, judged=pure),
            }
        )
    note = "an item is won where more of the clusterings put it where its own label leads"
    return Outcome(values=found, groups=items.groups, counts=_counts(items), notes=(note,) if len(systems) > 1 else ())


def classification(
    workspace: Workspace, systems: Sequence[System], label: str, split: str, progress: Progress
) -> Outcome:
    """Accuracy of the labels that the nearest training queries have."""
    if split == TRAIN:
        raise InputError("the items of train are what the others are classified by", hint="name another with --split")
    items = _items(workspace, split, label)
    everything = read_items(workspace, TRAIN, label)
    train = everything.without(twins(everything, items))
    known = sorted({*items.labels, *train.labels})
    number = {name: row for row, name in enumerate(known)}
    labels_N, labels_T = (np.array([number[each] for each in side.labels], np.int64) for side in (items, train))
    unseen_N = ~np.isin(labels_N, labels_T)
    if unseen_N.all():
        raise InputError(
            f"no label of split {split!r} occurs in train, so no item can be classified",
            hint="name another with --split, or --task clustering, which needs no training items",
        )
    vectors = _vectors(workspace, systems, items, progress)
    train_vectors = _vectors(workspace, systems, train, progress)
    found: list[Values] = []
    for emb_ND, emb_TD in zip(vectors, train_vectors, strict=True):
        right = (classify(emb_ND, emb_TD, labels_T, num_neighbours=NUM_NEIGHBOURS) == labels_N).astype(np.float64)
        found.append({"Accuracy": Value(values=right, judged=right)})
    num_twins = len(everything.queries) - len(train.queries)
    counts = {"num_train_items": len(train.queries), "num_train_excluded": num_twins, "num_unseen": int(unseen_N.sum())}
    note = f"{counts['num_unseen']} items have a label that train lacks, and count as wrong"
    return Outcome(
        values=found,
        groups=items.groups,
        counts={**_counts(items), **counts},
        notes=(note,) if counts["num_unseen"] else (),
    )


def recommendation(
    workspace: Workspace, systems: Sequence[System], label: str, split: str, progress: Progress
) -> Outcome:
    """For documents relevant to the split's queries the nearest other documents; those of the same label are right."""
    documents = workspace.collection.documents()
    seeds = read_seeds(workspace, split, label, documents)
    as_queries = [Query(query_id=each.doc_id, text=each.full_text) for each in seeds.documents]
    excluded = same_text_pairs(as_queries, documents)
    corpora = Corpora(workspace, progress)
    refuse_other_documents(corpora.documents, [document.doc_id for document in documents])
    embedded = (corpora.embedded(system.encoder, chunk=system.chunk) for system in systems)
    found = [_alike(each.passage_emb_PD, each.corpus.starts_N, seeds, excluded) for each in embedded]
    chance_ND = _random_vectors(len(documents), workspace, of="documents")
    found.append(_alike(chance_ND, np.arange(len(documents)), seeds, excluded))
    note = f"{seeds.num_seen} of the documents are relevant to training queries too"
    return Outcome(
        values=found,
        groups=None,
        counts={
            "num_items": len(seeds.rows_Q),
            "num_items_before_draw": seeds.num_items,
            "num_labels": len(set(seeds.labels_N[seeds.rows_Q].tolist())),
            "num_unlabelled": seeds.num_unlabelled,
            "num_seen": seeds.num_seen,
        },
        notes=(note,) if seeds.num_seen else (),
    )


def _alike(emb_PD: Floats32, starts_N: Ints, seeds: Seeds, excluded: tuple[Ints, Ints]) -> Values:
    """Rank all other documents for the mean of each seed's passages."""
    asked_QD = of_length_1(np.add.reduceat(emb_PD, starts_N, axis=0)[seeds.rows_Q])
    depth = max(measure.cutoff or 1 for measure in ALIKE_MEASURES)
    rows_QK = top_k(asked_QD, emb_PD, k=depth, starts_N=starts_N, excluded=excluded).rows_QK
    own_Q = seeds.labels_N[seeds.rows_Q]
    alike_QK = (seeds.labels_N[rows_QK] == own_Q[:, None]) & (rows_QK != NO_ROW)
    left_out = seeds.labels_N[excluded[1]] == own_Q[excluded[0]]
    num_alike_Q = np.bincount(seeds.labels_N[seeds.labels_N >= 0])[own_Q]
    num_alike_Q = num_alike_Q - np.bincount(excluded[0][left_out], minlength=len(own_Q))
    qrels = alike_qrels(alike_QK, rows_QK, num_alike_Q, num_documents=len(seeds.labels_N))
    values = score(ALIKE_MEASURES, rows_QK, qrels)
    return {str(name): Value(values=each, judged=each) for name, each in values.items()}


def _items(workspace: Workspace, split: str, label: str, *, besides: Items | None = None) -> Items:
    """The items of a split that are measured, those that nearly repeat one of ``besides`` left out."""
    items = read_items(workspace, split, label)
    if besides:
        items = items.without(twins(items, besides))
    items = items.draw(MAX_ITEMS, seed=workspace.recipe.evaluate.seed)
    check_size(len(items.queries), items.labels, what=f"labelled queries of {split}", confidence=_confidence(workspace))
    return items


def _vectors(workspace: Workspace, systems: Sequence[System], items: Items, progress: Progress) -> list[Floats32]:
    """The items' vectors by every system, and random ones last: what no understanding at all gives."""
    made = [embed_queries(workspace, system.encoder, items.queries, progress) for system in systems]
    return [*made, _random_vectors(len(items.queries), workspace, of=items.split)]


def _random_vectors(number: int, workspace: Workspace, *, of: str) -> Floats32:
    rng = np.random.default_rng([workspace.recipe.evaluate.seed, *of.encode()])
    return of_length_1(rng.standard_normal((number, _CHANCE_DIMS))).astype(np.float32)


def _confidence(workspace: Workspace) -> float:
    return workspace.recipe.evaluate.confidence


def _mean(values: Floats64) -> float:
    return float(values.mean())


def _counts(items: Items) -> dict[str, int]:
    return {
        "num_items": len(items.queries),
        "num_items_before_draw": items.num_items,
        "num_labels": len(set(items.labels)),
        "num_unlabelled": items.num_unlabelled,
        "num_same_text": items.num_same_text,
    }


def groups_or_none(groups: Sequence[str] | None) -> Sequence[str] | None:
    """Groups that an interval keeps whole; none where every item is a group of its own."""
    return groups if groups and len(set(groups)) > 1 else None
