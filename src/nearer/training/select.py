"""Which training is kept: the one asked for, fitted to a time, or of several the best on dev."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nearer.core.errors import InputError
from nearer.core.extras import extra
from nearer.core.results.training import Budget, Seeds, Settings, Trial
from nearer.training.budget import planned
from nearer.training.deadline import Deadline
from nearer.training.job import TrainingJob
from nearer.training.run import TrainingRun
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


def refuse_nonsense(asked: TrainingRequest) -> None:
    """Raises InputError for numbers that cannot be, and for a search with several seeds."""
    if asked.num_trials < 0 or asked.num_seeds < 1 or (asked.budget_s is not None and asked.budget_s <= 0):
        raise InputError("a time, trials and seeds are above 0", hint="for example: --budget 20m --search 10")
    if asked.num_trials:
        with extra("search", used_for="a search of settings"):
            import optuna  # noqa: F401
    if asked.num_trials and asked.num_seeds > 1:
        hint = "search first, write down what it found, then train that with several seeds"
        raise InputError("a search and several seeds do not go together", hint=hint)


def deadline_of(run: TrainingRun, budget_s: float | None, *, began: float, clock: Callable[[], float]) -> Deadline:
    """The end of the time, or of what a process before this one left of it; what is left is kept with the run."""
    if budget_s is None:
        return Deadline.never(clock)
    kept = run.budget()
    return Deadline(began + (kept.left_s if kept else budget_s), clock=clock, kept=run.keep_left)


def select_training(
    job: TrainingJob, asked: TrainingRequest, *, run_passes: RunPasses, clock: Callable[[], float]
) -> tuple[TrainingJob, Selection]:
    """The training that is kept, begun, and how it was chosen; of several its passes are done.

    Raises RecipeError when the time is too short for any, or every one of several broke down.
    """
    own, chosen = job.workspace.recipe.train.epochs, Selection()
    longest = own * (_SEARCHED_EPOCHS if asked.num_trials else 1)
    if asked.budget_s is not None:
        job, kept = planned(job, number=asked.num_trials or 1, longest=longest, clock=clock)
        longest = job.workspace.recipe.train.epochs
        chosen = Selection(budget=Budget(budget_s=asked.budget_s, plan=kept.plan, pace=kept.pace))
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
