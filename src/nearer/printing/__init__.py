"""What each verb's result looks like to a person. A module is loaded once a text of it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearer.printing.advice import advised, costed, next_source
    from nearer.printing.data import added, checked, exported, exported_vectors, removed, sheet_written
    from nearer.printing.experiments import experiment_list, experimented, planned, started
    from nearer.printing.llm import model_judged, synthesized
    from nearer.printing.loop import cycled, drifted, looped
    from nearer.printing.measuring import diagnosed, evaluated, evaluated_task, suite_run
    from nearer.printing.people import agreed, label_plan, label_progress, labels_exchanged
    from nearer.printing.releases import (
        arm,
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
    from nearer.printing.serving import backed_up, keys, restored
    from nearer.printing.shadow import shadowed
    from nearer.printing.signals import counted_events, fitted_clicks, forgotten, judged_clicks, simulated
    from nearer.printing.store import store_copied
    from nearer.printing.training import compressed, compression, distilled, int8, merged, trained, trained_reranker

_WHERE = {
    "store_copied": "store",
    "started": "experiments",
    "model_judged": "llm",
    "synthesized": "llm",
    "next_source": "advice",
    "planned": "experiments",
    "experiment_list": "experiments",
    "experimented": "experiments",
    "added": "data",
    "advised": "advice",
    "agreed": "people",
    "arm": "releases",
    "backed_up": "serving",
    "checked": "data",
    "checked_up": "doctor",
    "compressed": "training",
    "compression": "training",
    "costed": "advice",
    "counted_events": "signals",
    "demonstrated": "releases",
    "cycled": "loop",
    "diagnosed": "measuring",
    "drifted": "loop",
    "discarded": "releases",
    "evaluated": "measuring",
    "evaluated_task": "measuring",
    "exported": "data",
    "exported_model": "data",
    "exported_vectors": "data",
    "fitted_clicks": "signals",
    "forgotten": "signals",
    "found": "releases",
    "history": "releases",
    "indexed": "releases",
    "distilled": "training",
    "int8": "training",
    "judged_clicks": "signals",
    "keys": "serving",
    "label_plan": "people",
    "label_progress": "people",
    "labels_exchanged": "people",
    "lineage": "releases",
    "looped": "loop",
    "made_workspace": "data",
    "merged": "training",
    "promoted": "releases",
    "pruned": "releases",
    "removed": "data",
    "reported": "releases",
    "restored": "serving",
    "rolled_back": "releases",
    "shadowed": "shadow",
    "sheet_written": "data",
    "simulated": "signals",
    "status": "releases",
    "suite_run": "measuring",
    "trained": "training",
    "trained_reranker": "training",
    "verified": "releases",
}

__all__ = [
    "added",
    "advised",
    "agreed",
    "arm",
    "backed_up",
    "checked",
    "checked_up",
    "compressed",
    "compression",
    "costed",
    "counted_events",
    "cycled",
    "demonstrated",
    "diagnosed",
    "discarded",
    "distilled",
    "drifted",
    "evaluated",
    "evaluated_task",
    "experiment_list",
    "experimented",
    "exported",
    "exported_model",
    "exported_vectors",
    "fitted_clicks",
    "forgotten",
    "found",
    "history",
    "indexed",
    "int8",
    "judged_clicks",
    "keys",
    "label_plan",
    "label_progress",
    "labels_exchanged",
    "lineage",
    "looped",
    "made_workspace",
    "merged",
    "model_judged",
    "next_source",
    "planned",
    "promoted",
    "pruned",
    "removed",
    "reported",
    "restored",
    "rolled_back",
    "shadowed",
    "sheet_written",
    "simulated",
    "started",
    "status",
    "store_copied",
    "suite_run",
    "synthesized",
    "trained",
    "trained_reranker",
    "verified",
]


def __getattr__(name: str) -> Any:
    """A function of one of the modules. Raises AttributeError for another name."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
