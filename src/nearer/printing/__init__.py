"""What each verb's result looks like to a person."""

from nearer.printing.advice import advised, costed
from nearer.printing.data import added, checked, exported, removed, sheet_written
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
from nearer.printing.serving import keys
from nearer.printing.signals import fitted_clicks
from nearer.printing.training import compressed, compression, merged, trained, trained_reranker

__all__ = [
    "added",
    "advised",
    "checked",
    "compressed",
    "compression",
    "costed",
    "demonstrated",
    "diagnosed",
    "discarded",
    "evaluated",
    "evaluated_task",
    "exported",
    "fitted_clicks",
    "found",
    "history",
    "indexed",
    "keys",
    "lineage",
    "merged",
    "promoted",
    "pruned",
    "removed",
    "reported",
    "rolled_back",
    "sheet_written",
    "status",
    "suite_run",
    "trained",
    "trained_reranker",
    "verified",
]
