"""Nearer: search that understands what relevant means in your own domain.

The verbs of the command line are plain functions here:

    >>> import nearer
    >>> workspace = nearer.Workspace.init("shop")  # doctest: +SKIP
    >>> nearer.add(workspace, "beir", Path("data"))  # doctest: +SKIP
    >>> nearer.train(workspace)  # doctest: +SKIP
    >>> nearer.promote(workspace)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearer.core.records import Document, GradeScale, Judgment, Pair, Query
    from nearer.core.results.advice import Advice, LearningCurve, ShortAnswer
    from nearer.core.results.base import Result
    from nearer.core.results.data import Exported, IndexStatus, Preflight
    from nearer.core.results.measuring import Diagnosis, Evaluation, SuiteRun, TaskEvaluation
    from nearer.core.results.online import Effect
    from nearer.core.results.releases import Demo, History, Promotion, Rollback, WrittenReport
    from nearer.core.results.signals import ClickFit
    from nearer.flows.adapt import adapt
    from nearer.flows.add import add, remove
    from nearer.flows.advise import advise
    from nearer.flows.check import check
    from nearer.flows.compress import compress, compression_curve
    from nearer.flows.cost import cost
    from nearer.flows.diagnose import diagnose
    from nearer.flows.evaluate import evaluate
    from nearer.flows.evaluate_task import evaluate_task
    from nearer.flows.export import export
    from nearer.flows.fit_clicks import fit_clicks
    from nearer.flows.history import history
    from nearer.flows.index import index
    from nearer.flows.learning_curve import learning_curve
    from nearer.flows.lineage import lineage
    from nearer.flows.merge import merge
    from nearer.flows.promote import promote
    from nearer.flows.prune import prune
    from nearer.flows.report import report
    from nearer.flows.rollback import rollback
    from nearer.flows.rotate import rotate
    from nearer.flows.search import search
    from nearer.flows.should_finetune import should_finetune
    from nearer.flows.status import status
    from nearer.flows.suite import suite
    from nearer.flows.train import train
    from nearer.flows.train_reranker import train_reranker
    from nearer.online.compare import compare_means, compare_proportions
    from nearer.online.interleave import interleaving_preference
    from nearer.store.workspace import Workspace

_WHERE = {
    "Advice": "nearer.core.results.advice",
    "Demo": "nearer.core.results.releases",
    "Diagnosis": "nearer.core.results.measuring",
    "Evaluation": "nearer.core.results.measuring",
    "Exported": "nearer.core.results.data",
    "History": "nearer.core.results.releases",
    "IndexStatus": "nearer.core.results.data",
    "LearningCurve": "nearer.core.results.advice",
    "Preflight": "nearer.core.results.data",
    "Promotion": "nearer.core.results.releases",
    "Result": "nearer.core.results.base",
    "Rollback": "nearer.core.results.releases",
    "ShortAnswer": "nearer.core.results.advice",
    "SuiteRun": "nearer.core.results.measuring",
    "TaskEvaluation": "nearer.core.results.measuring",
    "WrittenReport": "nearer.core.results.releases",
    "Document": "nearer.core.records",
    "GradeScale": "nearer.core.records",
    "Judgment": "nearer.core.records",
    "Pair": "nearer.core.records",
    "Query": "nearer.core.records",
    "Workspace": "nearer.store.workspace",
    "adapt": "nearer.flows.adapt",
    "add": "nearer.flows.add",
    "advise": "nearer.flows.advise",
    "check": "nearer.flows.check",
    "cost": "nearer.flows.cost",
    "diagnose": "nearer.flows.diagnose",
    "evaluate": "nearer.flows.evaluate",
    "evaluate_task": "nearer.flows.evaluate_task",
    "export": "nearer.flows.export",
    "fit_clicks": "nearer.flows.fit_clicks",
    "ClickFit": "nearer.core.results.signals",
    "history": "nearer.flows.history",
    "index": "nearer.flows.index",
    "learning_curve": "nearer.flows.learning_curve",
    "lineage": "nearer.flows.lineage",
    "merge": "nearer.flows.merge",
    "promote": "nearer.flows.promote",
    "remove": "nearer.flows.add",
    "prune": "nearer.flows.prune",
    "report": "nearer.flows.report",
    "rollback": "nearer.flows.rollback",
    "search": "nearer.flows.search",
    "compress": "nearer.flows.compress",
    "compression_curve": "nearer.flows.compress",
    "should_finetune": "nearer.flows.should_finetune",
    "status": "nearer.flows.status",
    "suite": "nearer.flows.suite",
    "train": "nearer.flows.train",
    "train_reranker": "nearer.flows.train_reranker",
    "rotate": "nearer.flows.rotate",
    "Effect": "nearer.core.results.online",
    "compare_means": "nearer.online.compare",
    "compare_proportions": "nearer.online.compare",
    "interleaving_preference": "nearer.online.interleave",
}

__all__ = [
    "Advice",
    "ClickFit",
    "Demo",
    "Diagnosis",
    "Document",
    "Effect",
    "Evaluation",
    "Exported",
    "GradeScale",
    "History",
    "IndexStatus",
    "Judgment",
    "LearningCurve",
    "Pair",
    "Preflight",
    "Promotion",
    "Query",
    "Result",
    "Rollback",
    "ShortAnswer",
    "SuiteRun",
    "TaskEvaluation",
    "Workspace",
    "WrittenReport",
    "adapt",
    "add",
    "advise",
    "check",
    "compare_means",
    "compare_proportions",
    "compress",
    "compression_curve",
    "cost",
    "diagnose",
    "evaluate",
    "evaluate_task",
    "export",
    "fit_clicks",
    "history",
    "index",
    "interleaving_preference",
    "learning_curve",
    "lineage",
    "merge",
    "promote",
    "prune",
    "remove",
    "report",
    "rollback",
    "rotate",
    "search",
    "should_finetune",
    "status",
    "suite",
    "train",
    "train_reranker",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first used, so that importing Nearer stays quick and loads no model library."""
    if name not in _WHERE:
        raise AttributeError(f"module 'nearer' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    """Every public name, loaded or not."""
    return sorted({*globals(), *__all__})
