"""Measure systems on a split: every metric with an interval, by slice, and compared pair by pair."""

from collections.abc import Sequence
from os import PathLike

from nearer.core.judging import named_sources
from nearer.core.progress import Progress, Silent
from nearer.core.results.measuring import Evaluation
from nearer.encode.embedded import Corpora
from nearer.evaluation.comparison import summarise
from nearer.evaluation.judged_split import read_judged_with
from nearer.evaluation.ranking import measure, measure_run
from nearer.evaluation.ready import ready_to_measure
from nearer.evaluation.runs import is_run
from nearer.store.workspace import Workspace
from nearer.systems import open_system, refuse_unknown
from nearer.systems.names import named_systems


def evaluate(
    workspace: Workspace,
    systems: Sequence[str | PathLike[str]] = ("base",),
    *,
    split: str = "dev",
    judgments: str = "human,import",
    progress: Progress | None = None,
    purpose: str = "evaluate",
) -> Evaluation:
    """Measure ``systems`` on ``split`` and compare each with the first.

    A system is ``base``, ``live``, a model's id, folder or Hub name, or ``run:FILE``, another engine's TREC run.
    ``judgments`` names the sources whose judgments count; the result says so.

    Raises InputError for a source that is none, when the split has no judged queries, a field cannot be sliced by or a
    run has faults, NotFound for an unknown system, ModelRefused for what is no model that may be loaded, WorkspaceError
    where the result could not be kept.
    """
    progress = progress or Silent()
    wanted = named_systems(systems)
    workspace.database.refuse_read_only()
    workspace = workspace.measured_by(named_sources(judgments, option="--judgments"))
    ready_to_measure(workspace)
    models = [name for name in wanted if not is_run(name)]
    refuse_unknown(workspace, models)
    corpora = Corpora(workspace, progress)
    judged = read_judged_with(corpora, split)
    runs = {name: measure_run(corpora, name, judged) for name in wanted if is_run(name)}
    opened = {name: open_system(workspace, name) for name in models}
    measured = [runs.get(name) or measure(corpora, opened[name], judged) for name in wanted]
    names = [each.system.name for each in measured]
    ledger = workspace.registry.use_test_split(split=judged.split, systems=names, purpose=purpose)
    result = summarise(corpora, judged, measured, ledger=ledger)
    model_ids = [each.model_id for each in result.results]
    workspace.results.keep("evaluate", result, split=split, model_ids=model_ids)
    return result
