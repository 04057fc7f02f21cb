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
    from nearer.core.results.advice import Advice, LearningCurve, NextSource, ShortAnswer
    from nearer.core.results.base import Result
    from nearer.core.results.data import (
        Exported,
        ExportedModel,
        ExportedVectors,
        Imported,
        IndexStatus,
        NewWorkspace,
        Preflight,
        Pruned,
        Removed,
        StoreCopied,
        WrittenSheet,
    )
    from nearer.core.results.doctor import Checkup
    from nearer.core.results.drift import Drift
    from nearer.core.results.llm import ModelJudged, Synthesized
    from nearer.core.results.loop import Cycle, CycleList
    from nearer.core.results.measuring import Diagnosis, Evaluation, SuiteRun, TaskEvaluation
    from nearer.core.results.online import (
        Agreement,
        Effect,
        ExperimentList,
        ExperimentReport,
        OffPolicy,
        PowerPlan,
        StartedExperiment,
    )
    from nearer.core.results.people import ExchangedLabels, LabelPlan, LabelStatus, RaterAgreement
    from nearer.core.results.releases import (
        ArmStatus,
        BackedUp,
        Demo,
        History,
        Promotion,
        Restored,
        Rollback,
        WrittenReport,
    )
    from nearer.core.results.serving import Indexed, Lineage, SearchAnswer
    from nearer.core.results.shadow import ShadowReport
    from nearer.core.results.signals import ClickFit
    from nearer.core.results.status import Discarded, Status
    from nearer.core.results.training import Trained, TrainedReranker
    from nearer.core.results.vectors import Compressed, CompressionCurve, Cost, Distilled, Int8, Merged, Rotated
    from nearer.flows.adapt import adapt
    from nearer.flows.add import add
    from nearer.flows.advise import advise
    from nearer.flows.agreement import agreement
    from nearer.flows.arm import arm_status, stop_arm
    from nearer.flows.backup import backup, restore
    from nearer.flows.check import check
    from nearer.flows.compress import compress, compression_curve
    from nearer.flows.copy_store import copy_store
    from nearer.flows.cost import cost
    from nearer.flows.cycle import cycle, cycles
    from nearer.flows.diagnose import diagnose
    from nearer.flows.distil import distil
    from nearer.flows.doctor import doctor
    from nearer.flows.drift import drift
    from nearer.flows.evaluate import evaluate
    from nearer.flows.evaluate_task import evaluate_task
    from nearer.flows.experiment import (
        experiment_report,
        experiments,
        plan_experiment,
        start_experiment,
        stop_experiment,
    )
    from nearer.flows.export import export
    from nearer.flows.export_model import export_model
    from nearer.flows.export_vectors import export_vectors
    from nearer.flows.fit_clicks import fit_clicks
    from nearer.flows.history import history
    from nearer.flows.index import index, index_status
    from nearer.flows.init import init
    from nearer.flows.int8 import compress_int8
    from nearer.flows.judge import JudgeOptions, judge
    from nearer.flows.judge_sheet import judge_sheet
    from nearer.flows.label import LabelOptions, start_labels
    from nearer.flows.label_exchange import export_labels, import_labels
    from nearer.flows.label_status import label_status
    from nearer.flows.label_terminal import label
    from nearer.flows.learning_curve import learning_curve
    from nearer.flows.lineage import lineage
    from nearer.flows.merge import merge
    from nearer.flows.next_source import next_source
    from nearer.flows.promote import promote
    from nearer.flows.prune import prune
    from nearer.flows.remove import remove
    from nearer.flows.report import report
    from nearer.flows.rollback import rollback
    from nearer.flows.rotate import rotate
    from nearer.flows.search import search
    from nearer.flows.shadow import shadow_report, start_shadow, stop_shadow
    from nearer.flows.should_finetune import should_finetune
    from nearer.flows.status import status
    from nearer.flows.suite import suite
    from nearer.flows.synthesize import SynthesizeOptions, synthesize
    from nearer.flows.train import train
    from nearer.flows.train_reranker import train_reranker
    from nearer.online.compare import compare_means, compare_proportions
    from nearer.online.interleave import interleaving_preference
    from nearer.serving.searcher import Searcher
    from nearer.store.workspace import Workspace
    from nearer.training.unfinished import discard_run

_WHERE = {
    "Agreement": "nearer.core.results.online",
    "OffPolicy": "nearer.core.results.online",
    "StartedExperiment": "nearer.core.results.online",
    "PowerPlan": "nearer.core.results.online",
    "ExperimentReport": "nearer.core.results.online",
    "ExperimentList": "nearer.core.results.online",
    "stop_experiment": "nearer.flows.experiment",
    "start_experiment": "nearer.flows.experiment",
    "plan_experiment": "nearer.flows.experiment",
    "experiments": "nearer.flows.experiment",
    "experiment_report": "nearer.flows.experiment",
    "ExchangedLabels": "nearer.core.results.people",
    "LabelPlan": "nearer.core.results.people",
    "LabelStatus": "nearer.core.results.people",
    "export_labels": "nearer.flows.label_exchange",
    "import_labels": "nearer.flows.label_exchange",
    "NextSource": "nearer.core.results.advice",
    "next_source": "nearer.flows.next_source",
    "JudgeOptions": "nearer.flows.judge",
    "LabelOptions": "nearer.flows.label",
    "SynthesizeOptions": "nearer.flows.synthesize",
    "label": "nearer.flows.label_terminal",
    "label_status": "nearer.flows.label_status",
    "start_labels": "nearer.flows.label",
    "ModelJudged": "nearer.core.results.llm",
    "Synthesized": "nearer.core.results.llm",
    "judge": "nearer.flows.judge",
    "synthesize": "nearer.flows.synthesize",
    "RaterAgreement": "nearer.core.results.people",
    "agreement": "nearer.flows.agreement",
    "Imported": "nearer.core.results.data",
    "Advice": "nearer.core.results.advice",
    "ArmStatus": "nearer.core.results.releases",
    "BackedUp": "nearer.core.results.releases",
    "Compressed": "nearer.core.results.vectors",
    "CompressionCurve": "nearer.core.results.vectors",
    "Cost": "nearer.core.results.vectors",
    "Cycle": "nearer.core.results.loop",
    "CycleList": "nearer.core.results.loop",
    "Demo": "nearer.core.results.releases",
    "Diagnosis": "nearer.core.results.measuring",
    "Discarded": "nearer.core.results.status",
    "Document": "nearer.core.records",
    "Drift": "nearer.core.results.drift",
    "Evaluation": "nearer.core.results.measuring",
    "Exported": "nearer.core.results.data",
    "ExportedModel": "nearer.core.results.data",
    "ExportedVectors": "nearer.core.results.data",
    "GradeScale": "nearer.core.records",
    "History": "nearer.core.results.releases",
    "IndexStatus": "nearer.core.results.data",
    "Indexed": "nearer.core.results.serving",
    "Judgment": "nearer.core.records",
    "LearningCurve": "nearer.core.results.advice",
    "Lineage": "nearer.core.results.serving",
    "Merged": "nearer.core.results.vectors",
    "Pair": "nearer.core.records",
    "Preflight": "nearer.core.results.data",
    "Promotion": "nearer.core.results.releases",
    "Pruned": "nearer.core.results.data",
    "Query": "nearer.core.records",
    "Removed": "nearer.core.results.data",
    "Restored": "nearer.core.results.releases",
    "Result": "nearer.core.results.base",
    "Rollback": "nearer.core.results.releases",
    "Rotated": "nearer.core.results.vectors",
    "SearchAnswer": "nearer.core.results.serving",
    "Searcher": "nearer.serving.searcher",
    "ShadowReport": "nearer.core.results.shadow",
    "ShortAnswer": "nearer.core.results.advice",
    "Status": "nearer.core.results.status",
    "StoreCopied": "nearer.core.results.data",
    "SuiteRun": "nearer.core.results.measuring",
    "TaskEvaluation": "nearer.core.results.measuring",
    "Trained": "nearer.core.results.training",
    "TrainedReranker": "nearer.core.results.training",
    "Workspace": "nearer.store.workspace",
    "WrittenReport": "nearer.core.results.releases",
    "WrittenSheet": "nearer.core.results.data",
    "adapt": "nearer.flows.adapt",
    "add": "nearer.flows.add",
    "copy_store": "nearer.flows.copy_store",
    "advise": "nearer.flows.advise",
    "arm_status": "nearer.flows.arm",
    "backup": "nearer.flows.backup",
    "check": "nearer.flows.check",
    "compress": "nearer.flows.compress",
    "compression_curve": "nearer.flows.compress",
    "compress_int8": "nearer.flows.int8",
    "Distilled": "nearer.core.results.vectors",
    "Int8": "nearer.core.results.vectors",
    "distil": "nearer.flows.distil",
    "cost": "nearer.flows.cost",
    "Checkup": "nearer.core.results.doctor",
    "cycle": "nearer.flows.cycle",
    "cycles": "nearer.flows.cycle",
    "diagnose": "nearer.flows.diagnose",
    "discard_run": "nearer.training.unfinished",
    "doctor": "nearer.flows.doctor",
    "drift": "nearer.flows.drift",
    "evaluate": "nearer.flows.evaluate",
    "EventCounts": "nearer.core.results.signals",
    "event_counts": "nearer.flows.events",
    "evaluate_task": "nearer.flows.evaluate_task",
    "export": "nearer.flows.export",
    "export_model": "nearer.flows.export_model",
    "export_vectors": "nearer.flows.export_vectors",
    "fit_clicks": "nearer.flows.fit_clicks",
    "ClickFit": "nearer.core.results.signals",
    "ClickJudgments": "nearer.core.results.signals",
    "judge_clicks": "nearer.flows.judge_clicks",
    "judge_sheet": "nearer.flows.judge_sheet",
    "ForgottenUser": "nearer.core.results.signals",
    "forget_user": "nearer.flows.forget",
    "history": "nearer.flows.history",
    "index": "nearer.flows.index",
    "index_status": "nearer.flows.index",
    "init": "nearer.flows.init",
    "NewWorkspace": "nearer.core.results.data",
    "learning_curve": "nearer.flows.learning_curve",
    "lineage": "nearer.flows.lineage",
    "merge": "nearer.flows.merge",
    "promote": "nearer.flows.promote",
    "prune": "nearer.flows.prune",
    "remove": "nearer.flows.remove",
    "report": "nearer.flows.report",
    "restore": "nearer.flows.backup",
    "rollback": "nearer.flows.rollback",
    "rotate": "nearer.flows.rotate",
    "search": "nearer.flows.search",
    "shadow_report": "nearer.flows.shadow",
    "should_finetune": "nearer.flows.should_finetune",
    "start_shadow": "nearer.flows.shadow",
    "Simulated": "nearer.core.results.signals",
    "simulate": "nearer.flows.simulate",
    "status": "nearer.flows.status",
    "stop_arm": "nearer.flows.arm",
    "stop_shadow": "nearer.flows.shadow",
    "suite": "nearer.flows.suite",
    "train": "nearer.flows.train",
    "train_reranker": "nearer.flows.train_reranker",
    "Effect": "nearer.core.results.online",
    "compare_means": "nearer.online.compare",
    "compare_proportions": "nearer.online.compare",
    "interleaving_preference": "nearer.online.interleave",
}

__all__ = [
    "Advice",
    "Agreement",
    "ArmStatus",
    "BackedUp",
    "Checkup",
    "ClickFit",
    "ClickJudgments",
    "Compressed",
    "CompressionCurve",
    "Cost",
    "Cycle",
    "CycleList",
    "Demo",
    "Diagnosis",
    "Discarded",
    "Distilled",
    "Document",
    "Drift",
    "Effect",
    "Evaluation",
    "EventCounts",
    "ExchangedLabels",
    "ExperimentList",
    "ExperimentReport",
    "Exported",
    "ExportedModel",
    "ExportedVectors",
    "ForgottenUser",
    "GradeScale",
    "History",
    "Imported",
    "IndexStatus",
    "Indexed",
    "Int8",
    "JudgeOptions",
    "Judgment",
    "LabelOptions",
    "LabelPlan",
    "LabelStatus",
    "LearningCurve",
    "Lineage",
    "Merged",
    "ModelJudged",
    "NewWorkspace",
    "NextSource",
    "OffPolicy",
    "Pair",
    "PowerPlan",
    "Preflight",
    "Promotion",
    "Pruned",
    "Query",
    "RaterAgreement",
    "Removed",
    "Restored",
    "Result",
    "Rollback",
    "Rotated",
    "SearchAnswer",
    "Searcher",
    "ShadowReport",
    "ShortAnswer",
    "Simulated",
    "StartedExperiment",
    "Status",
    "StoreCopied",
    "SuiteRun",
    "SynthesizeOptions",
    "Synthesized",
    "TaskEvaluation",
    "Trained",
    "TrainedReranker",
    "Workspace",
    "WrittenReport",
    "WrittenSheet",
    "adapt",
    "add",
    "advise",
    "agreement",
    "arm_status",
    "backup",
    "check",
    "compare_means",
    "compare_proportions",
    "compress",
    "compress_int8",
    "compression_curve",
    "copy_store",
    "cost",
    "cycle",
    "cycles",
    "diagnose",
    "discard_run",
    "distil",
    "doctor",
    "drift",
    "evaluate",
    "evaluate_task",
    "event_counts",
    "experiment_report",
    "experiments",
    "export",
    "export_labels",
    "export_model",
    "export_vectors",
    "fit_clicks",
    "forget_user",
    "history",
    "import_labels",
    "index",
    "index_status",
    "init",
    "interleaving_preference",
    "judge",
    "judge_clicks",
    "judge_sheet",
    "label",
    "label_status",
    "learning_curve",
    "lineage",
    "merge",
    "next_source",
    "plan_experiment",
    "promote",
    "prune",
    "remove",
    "report",
    "restore",
    "rollback",
    "rotate",
    "search",
    "shadow_report",
    "should_finetune",
    "simulate",
    "start_experiment",
    "start_labels",
    "start_shadow",
    "status",
    "stop_arm",
    "stop_experiment",
    "stop_shadow",
    "suite",
    "synthesize",
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
