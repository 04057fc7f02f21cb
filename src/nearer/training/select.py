"""Which training is kept: the one asked for, fitted to a time, or of several, from the same start, the best on dev."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nearer.core.results.training_plan import Budget, Seeds, Settings, Trial
from nearer.store.workspace import Workspace
from nearer.training.budget import Planning, refuse_short
from nearer.training.deadline import Deadline
from nearer.training.job import TrainingJob
from nearer.training.run import KeptBudget, TrainingRun
from nearer.training.search import suggest
from nearer.training.trials import RunPasses, run_trials, spread
from nearer.training.unfinished import TrainingRequest

_SEARCHED_EPOCHS = 2
"""Up to so many times the recipe's epochs are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How the training that is kept was chosen: fitted to a time, of several settings, of several seeds."""

    budget: Budget | None = None
    trials: tuple[Trial, ...] | None = None
    seeds: Seeds | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitting:
    """What was planned for a time; ``planning`` is what made it, none where an earlier process did."""

    budget: Budget
    planning: Planning | None


def deadline_of(run: TrainingRun, budget_s: float | None, *, began: float, clock: Callable[[], float]) -> Deadline:
    """The end of the time, or of what a process before this one left of it; what is left is kept with the run."""
    if budget_s is None:
        return Deadline.never(clock)
    kept = run.budget()
    return Deadline(began + (kept.left_s if kept else budget_s), clock=clock, kept=run.keep_left)


def select_training(
    job: TrainingJob,
    asked: TrainingRequest,
    *,
    fitting: Fitting | None,
    run_passes: RunPasses,
    clock: Callable[[], float],
) -> tuple[TrainingJob, Selection]:
    """The training that is kept, begun, and how it was chosen; of several its passes are done.

    Raises RecipeError when the time is too short for any, or every one of several broke down.
    """
    own, chosen = job.workspace.recipe.train.epochs, Selection()
    longest = longest_epochs(job.workspace, asked)
    if fitting:
        job, budget = _fitted(job.under({"train.epochs": longest}), fitting, number=asked.num_trials or 1)
        longest = job.workspace.recipe.train.epochs
        chosen = Selection(budget=budget)
    else:
        job = job.begin()
    job = job.under({"train.epochs": min(own, longest)})
    if asked.num_trials:
        job, trials = _search(job, asked.num_trials, longest, run_passes=run_passes, clock=clock)
        chosen = replace(chosen, trials=tuple(trials))
    elif asked.num_seeds > 1:
        job, trained = _seeds(job, asked.num_seeds, run_passes=run_passes, clock=clock)
        chosen = replace(chosen, seeds=trained)
    return job, chosen


def longest_epochs(workspace: Workspace, asked: TrainingRequest) -> float:
    """The most epochs that a training of these may have."""
    return workspace.recipe.train.epochs * (_SEARCHED_EPOCHS if asked.num_trials else 1)


def _fitted(job: TrainingJob, fitting: Fitting, *, number: int) -> tuple[TrainingJob, Budget]:
    """The training as it is planned, begun; the run keeps the plan.

    Only now is it known whether pass 1 has mined negatives, and takes longer by them.
    """
    budget = fitting.budget
    job = job.under(budget.plan.savings).begin()
    if fitting.planning:
        if job.warm_start.mapped:
            left_s = job.deadline.left_s / number
            again = fitting.planning.plan(left_s, savings=budget.plan.savings, mapped=job.map_mines)
            refuse_short(again, budget.costs, budget_s=budget.budget_s, left_s=left_s)
            reasons = (*budget.plan.reasons[:-1], again.reasons[-1])
            budget = replace(budget, plan=replace(again, reasons=reasons))
        kept = job.run.budget() or KeptBudget(left_s=job.deadline.left_s)
        job.run.keep_budget(replace(kept, left_s=job.deadline.left_s, budget=budget))
    plan = budget.plan
    for reason in plan.reasons:
        job.progress.say(f"the time decides: {reason}")
    job.progress.say(f"expects to train for {plan.estimate_s:.0f} s" + (" each time" if number > 1 else ""))
    job.deadline.expects(dev_s=plan.dev_tokens * budget.costs.encode_s / budget.dev.evals_per_pass)
    return job.planned(plan), budget


def _search(
    job: TrainingJob, number: int, longest: float, *, run_passes: RunPasses, clock: Callable[[], float]
) -> tuple[TrainingJob, list[Trial]]:
    """The best of several settings, the recipe's own among them."""
    recipe = job.workspace.recipe

    def settings_of(finished: Sequence[Trial]) -> Settings:
        return suggest(
            recipe,
            finished,
            longest=longest,
            num_examples=len(job.examples),
            mines=job.mines,
        )

    return run_trials(job, number, settings_of=settings_of, run_passes=run_passes, clock=clock, shares_time=True)


def _seeds(
    job: TrainingJob, number: int, *, run_passes: RunPasses, clock: Callable[[], float]
) -> tuple[TrainingJob, Seeds]:
    """The best of several seeds on dev, and how far they lie apart."""
    first = job.workspace.recipe.train.seed
    best, finished = run_trials(
        job,
        number,
        settings_of=lambda finished: {"train.seed": first + len(finished)},
        run_passes=run_passes,
        clock=clock,
        shares_time=False,
    )
    return best, spread(finished)
