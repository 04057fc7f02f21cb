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
    from nearer.core.results.signals import ClickFit, ClickJudgments, EventCounts, ForgottenUser, Simulated
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
    from nearer.flows.events import event_counts
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
    from nearer.flows.forget import forget_user
    from nearer.flows.history import history
    from nearer.flows.index import index, index_status
    from nearer.flows.init import init
    from nearer.flows.int8 import compress_int8
    from nearer.flows.judge import JudgeOptions, judge
    from nearer.flows.judge_clicks import judge_clicks
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
    from nearer.flows.simulate import simulate
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

_MODULES = {
    "core.records": "Document GradeScale Judgment Pair Query",
    "core.results.advice": "Advice LearningCurve NextSource ShortAnswer",
    "core.results.base": "Result",
    "core.results.data": "Exported ExportedModel ExportedVectors Imported IndexStatus NewWorkspace Preflight Pruned "
    "Removed StoreCopied WrittenSheet",
    "core.results.doctor": "Checkup",
    "core.results.drift": "Drift",
    "core.results.llm": "ModelJudged Synthesized",
    "core.results.loop": "Cycle CycleList",
    "core.results.measuring": "Diagnosis Evaluation SuiteRun TaskEvaluation",
    "core.results.online": "Agreement Effect ExperimentList ExperimentReport OffPolicy PowerPlan StartedExperiment",
    "core.results.people": "ExchangedLabels LabelPlan LabelStatus RaterAgreement",
    "core.results.releases": "ArmStatus BackedUp Demo History Promotion Restored Rollback WrittenReport",
    "core.results.serving": "Indexed Lineage SearchAnswer",
    "core.results.shadow": "ShadowReport",
    "core.results.signals": "ClickFit ClickJudgments EventCounts ForgottenUser Simulated",
    "core.results.status": "Discarded Status",
    "core.results.training": "Trained TrainedReranker",
    "core.results.vectors": "Compressed CompressionCurve Cost Distilled Int8 Merged Rotated",
    "flows.arm": "arm_status stop_arm",
    "flows.backup": "restore",
    "flows.compress": "compression_curve",
    "flows.cycle": "cycles",
    "flows.events": "event_counts",
    "flows.experiment": "experiment_report experiments plan_experiment start_experiment stop_experiment",
    "flows.forget": "forget_user",
    "flows.index": "index_status",
    "flows.int8": "compress_int8",
    "flows.judge": "JudgeOptions",
    "flows.label": "LabelOptions start_labels",
    "flows.label_exchange": "export_labels import_labels",
    "flows.label_terminal": "label",
    "flows.shadow": "shadow_report start_shadow stop_shadow",
    "flows.synthesize": "SynthesizeOptions",
    "online.compare": "compare_means compare_proportions",
    "online.interleave": "interleaving_preference",
    "serving.searcher": "Searcher",
    "store.workspace": "Workspace",
    "training.unfinished": "discard_run",
}
"""The public names by the module that holds them, but for a verb of the same name as its file in ``flows``."""

_WHERE = {name: f"nearer.{module}" for module, names in _MODULES.items() for name in names.split()}

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
    if name not in __all__:
        raise AttributeError(f"module 'nearer' has no attribute {name!r}")
    return getattr(import_module(_WHERE.get(name, f"nearer.flows.{name}")), name)


def __dir__() -> list[str]:
    """Every public name, loaded or not."""
    return sorted({*globals(), *__all__})
