"""Preflight: what would spoil training or measuring, found before either begins."""

from nearer.core.progress import Progress, Silent
from nearer.core.results.data import Preflight, QueryLeak
from nearer.core.text import clusters, near_duplicates, normalise
from nearer.encode.corpus import count_truncated, read_corpus
from nearer.evaluation.grades import scale_of
from nearer.evaluation.splits import Leak, drop_leaks, ensure_splits, leaks_of
from nearer.store.collection import Collection
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_system

FEW_TEST_QUERIES = 50
_SHOWN = 10


def check(workspace: Workspace, *, drop: bool = False, progress: Progress | None = None) -> Preflight:
    """Prove that no query leaks between splits, and count duplicates, truncation and what is missing.

    ``faults`` make the verdict "faults"; ``notes`` do not. With ``drop`` the leaking queries are set aside first.
    """
    progress = progress or Silent()
    ensure_splits(workspace)
    leaks = leaks_of(workspace)
    num_dropped = 0
    if drop and leaks:
        num_dropped = drop_leaks(workspace, leaks)
        leaks = leaks_of(workspace)
    collection = workspace.collection
    truncation = _truncation(workspace)
    faults = [*_leak_faults(leaks), *_missing(collection)]
    return Preflight(
        verdict="faults" if faults else "ok",
        faults=tuple(faults),
        notes=(*_notes(workspace, truncation), *_duplicates(collection)),
        leaks=tuple(
            QueryLeak(kind=each.kind, query_id=each.set_aside, leaks_into=each.kept) for each in leaks[:_SHOWN]
        ),
        num_leaks=len(leaks),
        num_dropped=num_dropped,
        counts=collection.counts(),
        splits=collection.splits(),
        **truncation,
    )


def _leak_faults(leaks: list[Leak]) -> list[str]:
    counts: dict[str, int] = {}
    for leak in leaks:
        counts[leak.kind] = counts.get(leak.kind, 0) + 1
    return [
        f"{count} leaks between splits ({kind}); training leaves the earlier side's queries out; "
        "take them out of their split: nearer check --drop-leaks"
        for kind, count in counts.items()
    ]


def _missing(collection: Collection) -> list[str]:
    counts, splits = collection.counts(), collection.splits()
    faults = []
    if not counts["documents"]:
        faults.append("no documents: nearer add corpus FILE")
    if not counts["judgments"]:
        faults.append("no judgments: nearer add judgments FILE")
    elif not any(split.startswith("test") for split in splits):
        faults.append("no test split, so nothing can be judged: add judgments, or raise split.test_fraction")
    elif "dev" not in splits:
        faults.append("no dev split, so no checkpoint can be chosen: add judgments, or raise split.dev_fraction")
    return faults


def _notes(workspace: Workspace, truncation: dict[str, int]) -> list[str]:
    collection, notes = workspace.collection, []
    scale = scale_of(workspace)
    num_pairs = (
        sum(j.grade >= scale.positive_from for j in collection.judgments("train")) + collection.counts()["pairs"]
    )
    few = workspace.recipe.advise.min_pairs
    if num_pairs < few:
        notes.append(f"only {num_pairs} training pairs; below about {few} fine-tuning seldom pays")
    for split, number in collection.splits().items():
        if split.startswith("test") and number < FEW_TEST_QUERIES:
            notes.append(f"split {split} has only {number} queries: intervals will be wide")
    if truncation["num_truncated"]:
        share = truncation["num_truncated"] / truncation["num_passages"]
        notes.append(
            f"{truncation['num_truncated']} of {truncation['num_passages']} passages ({share:.0%}) are longer than the "
            "encoder reads; their ends are never seen (set chunk.enabled = true)"
        )
    return notes


def _duplicates(collection: Collection) -> list[str]:
    texts = [normalise(document.full_text) for document in collection.documents()]
    first = clusters(len(texts), near_duplicates(texts))
    num_same = len(texts) - len(set(texts))
    num_near = sum(root != row for row, root in enumerate(first)) - num_same
    counted = ((num_same, "repeat another's text"), (num_near, "nearly repeat another"))
    return [f"{count} documents {what}" for count, what in counted if count > 0]


def _truncation(workspace: Workspace) -> dict[str, int]:
    if not workspace.collection.counts()["documents"]:
        return {"num_passages": 0, "num_truncated": 0}
    encoder = open_system(workspace, BASE).encoder
    corpus = read_corpus(workspace, encoder)
    return {"num_passages": len(corpus.passages), "num_truncated": count_truncated(corpus, encoder)}
