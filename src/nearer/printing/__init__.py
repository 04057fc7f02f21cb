"""What each verb's result looks like to a person."""

from nearer.printing.advice import advised, costed
from nearer.printing.data import added, checked, exported, removed
from nearer.printing.measuring import diagnosed, evaluated, evaluated_task, suite_run
from nearer.printing.releases import (
    demonstrated,
    discarded,
    found,
    history,
    indexed,
    lineage,
    promoted,
    pruned,
    reported,
    rolled_back,
    status,
    verified,
)
from nearer.printing.training import merged, shortened, shortening, trained, trained_reranker

__all__ = [
    "added",
    "advised",
    "checked",
    "costed",
    "demonstrated",
    "diagnosed",
    "discarded",
    "evaluated",
    "evaluated_task",
    "exported",
    "found",
    "history",
    "indexed",
    "lineage",
    "merged",
    "promoted",
    "pruned",
    "removed",
    "reported",
    "rolled_back",
    "shortened",
    "shortening",
    "status",
    "suite_run",
    "trained",
    "trained_reranker",
    "verified",
]
