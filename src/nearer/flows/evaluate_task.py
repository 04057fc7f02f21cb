"""Measure systems on other tasks than search: finding duplicates, clustering, classifying, recommending alike items.

Arrays: N items or documents, D dimensions, A anchors, Q seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike

import numpy as np

from nearer.core.errors import InputError
from nearer.core.progress import Progress, Silent
from nearer.core.results.measuring import Compared, Comparison, Interval, TaskEvaluation, TaskValues
from nearer.core.sections import EvaluateRecipe
from nearer.evaluation.comparison import adjusted_p
from nearer.evaluation.splits import ensure_splits
from nearer.evaluation.tasks import (
    DEV,
    Outcome,
    Values,
    classification,
    clustering,
    dedup,
    groups_or_none,
    recommendation,
)
from nearer.measure.significance import compare_all, mean_intervals
from nearer.store.workspace import Workspace
from nearer.systems import System, open_system, refuse_unknown
from nearer.systems.names import named_systems


def evaluate_task(
    workspace: Workspace,
    systems: Sequence[str | PathLike[str]] = ("base",),
    *,
    task: str,
    label: str,
    split: str = DEV,
    progress: Progress | None = None,
) -> TaskEvaluation:
    """Measure ``systems`` in ``task`` (dedup, clustering, classification, recommendation); compare with the first.

    ``label`` names the metadata field that says what belongs together: of the queries of ``split``, or for
    recommendation of the documents. ``label_*`` fields are welcome, since they only judge.

    Raises InputError for a task or field that does not exist, and where there is too little to measure; NotFound for an
    unknown system, WorkspaceError where a look at a test split could not be entered.
    """
    wanted = named_systems(systems)
    if task not in TASKS:
        raise InputError(f"no task is called {task!r}", hint=f"the tasks are: {', '.join(TASKS)}")
    workspace.registry.refuse_look(split)
    ensure_splits(workspace)
    refuse_unknown(workspace, wanted)
    opened = [open_system(workspace, name) for name in wanted]
    outcome = TASKS[task](workspace, opened, label, split, progress or Silent())
    recipe = workspace.recipe
    *measured, chance = outcome.values
    results = tuple(
        _result(system, values, outcome, recipe.evaluate) for system, values in zip(opened, measured, strict=True)
    )
    compared = [
        (system.name, comparison)
        for system, values in zip(opened[1:], measured[1:], strict=True)
        for comparison in _compare(measured[0], values, outcome.groups, recipe.evaluate)
    ]
    p_adjusted = adjusted_p([each for _, each in compared])
    names = [system.name for system in opened]
    return TaskEvaluation(
        task=task,
        label=label,
        split=split,
        counts=outcome.counts,
        settings=recipe.evaluate.model_dump(mode="json"),
        results=results,
        chance={name: float(value.values.mean()) for name, value in chance.items()},
        comparisons=tuple(
            Compared(baseline=names[0], candidate=name, **each.to_dict(), p_adjusted=p_value)
            for (name, each), p_value in zip(compared, p_adjusted, strict=True)
        ),
        notes=tuple(outcome.notes),
        ledger=workspace.registry.use_test_split(split=split, systems=names, purpose=f"evaluate {task}"),
    )


TASKS: Mapping[str, Callable[[Workspace, Sequence[System], str, str, Progress], Outcome]] = {
    "dedup": dedup,
    "clustering": clustering,
    "classification": classification,
    "recommendation": recommendation,
}


def _result(system: System, values: Values, outcome: Outcome, recipe: EvaluateRecipe) -> TaskValues:
    intervals = mean_intervals(
        np.stack([value.values for value in values.values()], axis=1),
        groups_Q=groups_or_none(outcome.groups),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )
    return TaskValues(
        system=system.name,
        model_id=system.model.model_id,
        encoder_id=system.model.encoder_id,
        space_id=system.model.space_id,
        metrics={
            name: Interval(value=each.value, low=max(0.0, each.low), high=min(1.0, each.high))
            for name, each in zip(values, intervals, strict=True)
        },
        details={name: dict(value.detail) for name, value in values.items() if value.detail},
    )


def _compare(
    baseline: Values, candidate: Values, groups: Sequence[str] | None, recipe: EvaluateRecipe
) -> list[Comparison]:
    """Candidate minus baseline in every measure; units are won by what was judged of them, not by their values."""
    names = list(baseline)
    compared = compare_all(
        np.stack([baseline[name].values for name in names], axis=1),
        np.stack([candidate[name].values for name in names], axis=1),
        metrics=names,
        groups_Q=groups_or_none(groups),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )
    found = []
    for comparison in compared:
        gain = candidate[comparison.metric].judged - baseline[comparison.metric].judged
        num_wins, num_losses = int((gain > 0).sum()), int((gain < 0).sum())
        num_ties = len(gain) - num_wins - num_losses
        found.append(replace(comparison, num_wins=num_wins, num_losses=num_losses, num_ties=num_ties))
    return found
