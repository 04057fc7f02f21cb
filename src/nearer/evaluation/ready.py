"""What a verb needs of the data, refused in a second where it is not there: no model is opened, nothing is encoded."""

from nearer.core.errors import InputError, RecipeError
from nearer.evaluation.grades import scale_of
from nearer.evaluation.splits import FEW_QUERIES, ensure_splits, few_queries
from nearer.store.collection import SYNTHETIC
from nearer.store.workspace import Workspace

JUDGE = "write a sheet to fill in: nearer judge-sheet QUERIES.txt; or import them: nearer add judgments FILE"
"""How judgments come about."""
_ADD = {
    "documents": "add documents: nearer add corpus FILE",
    "queries": JUDGE,
    "judgments": JUDGE,
}


def refuse_without(workspace: Workspace, *kinds: str, outcome: str) -> None:
    """Raise InputError where the workspace has no documents, queries or judgments; ``outcome`` ends the sentence."""
    counts = workspace.collection.counts()
    missing = [kind for kind in kinds if not counts[kind]]
    if missing:
        raise InputError(f"no {' and no '.join(missing)}, so {outcome}", hint=_ADD[missing[0]])


def ready_to_measure(workspace: Workspace) -> None:
    """Raise InputError without judged documents; else give every query its side."""
    refuse_without(workspace, "documents", "queries", "judgments", outcome="nothing can be measured")
    ensure_splits(workspace)


def ready_to_train(workspace: Workspace, *, outcome: str = "nothing can be trained") -> None:
    """Raise RecipeError without anything to learn from, InputError without a judged dev query to choose by.

    Counted before a model is opened; what leaks is not looked at yet.
    """
    collection = workspace.collection
    refuse_without(workspace, "documents", outcome=outcome)
    counts = collection.counts()
    if not counts["judgments"]:
        raise InputError(f"no judgments, so {outcome}: dev queries choose the checkpoint", hint=JUDGE)
    ensure_splits(workspace)
    positive_from = scale_of(workspace).positive_from
    has_pairs = counts["pairs"] or any(each.grade >= positive_from for each in collection.judgments("train"))
    if not has_pairs:
        raise RecipeError(f"{_why_no_pairs(workspace)}, so {outcome}", hint=JUDGE)
    if not any(each.grade > 0 for each in collection.judgments(choosing_split(workspace))):
        raise InputError(
            f"no dev query has a document of a grade above 0, so {outcome}: dev chooses the checkpoint",
            hint="add judgments of dev queries, or raise split.dev_fraction",
        )


def choosing_split(workspace: Workspace) -> str:
    """The split that chooses a checkpoint: dev, or written queries where no query of dev is judged."""
    collection = workspace.collection
    if SYNTHETIC not in collection.splits() or any(each.grade > 0 for each in collection.judgments("dev")):
        return "dev"
    return SYNTHETIC


def _why_no_pairs(workspace: Workspace) -> str:
    number = few_queries(workspace)
    if number is None:
        return "no training pairs: no training query has a document of the positive grade"
    return waiting(number)


def waiting(number: int) -> str:
    """That training waits for more judged queries."""
    return (
        f"only {number} judged queries: all of them measure, and training waits for {FEW_QUERIES - number} more "
        f"({FEW_QUERIES} in all)"
    )


def refuse_unjudged(workspace: Workspace, split: str) -> None:
    """Raise InputError where a split has no query with a gain, naming the splits there are."""
    if not any(each.grade > 0 for each in workspace.collection.judgments(split)):
        known = ", ".join(f"{name} ({count})" for name, count in workspace.collection.splits().items()) or "none"
        raise InputError(
            f"split {split!r} has no query with a document of a grade above 0; splits: {known}",
            hint=f"name another with --split, or {JUDGE}",
        )
