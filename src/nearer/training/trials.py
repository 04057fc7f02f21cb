"""Several trainings of one run, from the same start, each judged on dev."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from nearer.core.errors import RecipeError
from nearer.core.results.training import Pass
from nearer.core.results.training_plan import Seeds, Settings, Trial
from nearer.learn.checkpoint import weights_of
from nearer.training.deadline import Deadline
from nearer.training.job import Diverged, TrainingJob

RunPasses = Callable[[TrainingJob], Sequence[Pass]]
SettingsOf = Callable[[Sequence[Trial]], Settings]


def run_trials(
    job: TrainingJob,
    number: int,
    *,
    settings_of: SettingsOf,
    run_passes: RunPasses,
    clock: Callable[[], float],
    shares_time: bool,
) -> tuple[TrainingJob, list[Trial]]:
    """Train ``number`` times, or as often as there is time for, once at least; the best, and what came of each.

    ``settings_of`` gives the recipe's values of the next, from those that are finished. Where they share the time,
    each has a part of it; else each has what it needs. The weights of the best alone are kept. The model is left as
    it was; the passes of the job that is returned are done. Raises RecipeError when every training broke down.
    """
    start = weights_of(job.encoder.model)
    finished = job.run.parts()
    while len(finished) < number:
        is_begun = not finished or job.run.part(len(finished)).is_resumed
        if not is_begun and not job.deadline.has(0.0 if shares_time else _needed_s(job, finished)):
            job.progress.say(f"no time for training {len(finished) + 1} of {number}")
            break
        settings = settings_of(finished)
        share = job.deadline.share(number - len(finished) if shares_time else 1)
        part = job.part(len(finished), settings, deadline=share)
        job.encoder.model.load_state_dict(start)
        began = clock()
        result = _result(part, settings, run_passes)
        result = replace(result, duration_s=None if part.run.is_resumed else round(clock() - began, 1))
        finished = [*finished, result]
        job.run.keep_parts(finished, best=_best(finished))
        job.progress.say(f"training {len(finished)} of {number}: {_summary(result)}")
    job.encoder.model.load_state_dict(start)
    best = finished[_best(finished)]
    if best.value is None:
        job.run.remove()
        raise RecipeError(f"every training broke down; the first: {finished[0].fault}", hint=finished[0].hint)
    chosen = {**best.settings, "train.passes": best.num_passes}
    return job.part(_best(finished), chosen, deadline=Deadline.never(clock)), finished


def spread(trainings: Sequence[Trial]) -> Seeds:
    """The mean and the standard deviation of what trainings reached, but for those that broke down."""
    values = [each.value for each in trainings if each.value is not None]
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Seeds(trainings=tuple(trainings), mean=statistics.fmean(values), standard_deviation=deviation)


def _needed_s(job: TrainingJob, finished: Sequence[Trial]) -> float:
    """What another training needs: as much as the longest took, or what was planned where a process did not see one."""
    took = [each.duration_s for each in finished if each.duration_s is not None]
    budget = job.run.budget()
    return float(max(took, default=budget.budget.plan.estimate_s if budget and budget.budget else 0.0))


def _result(part: TrainingJob, settings: Settings, run_passes: RunPasses) -> Trial:
    from torch import OutOfMemoryError

    try:
        passes = run_passes(part)
    except Diverged as error:
        return Trial(settings=dict(settings), value=None, fault=error.message, hint=error.hint)
    except OutOfMemoryError as error:
        hint = "lower train.batch_size, or set train.grad_cache = true"
        return Trial(settings=dict(settings), value=None, fault=f"no memory: {error}", hint=hint)
    return Trial(
        settings=dict(settings),
        value=passes[-1].fit.kept.value,
        points=tuple(point.value for each in passes for point in each.fit.dev),
        num_passes=len(passes),
        out_of_time=any(each.fit.out_of_time for each in passes),
        fault=next((each.fit.fault for each in passes if each.fit.fault), ""),
    )


def _best(finished: Sequence[Trial]) -> int:
    """The first of the best."""
    values = [-1.0 if each.value is None else each.value for each in finished]
    return values.index(max(values))


def _summary(result: Trial) -> str:
    settings = ", ".join(
        f"{key} {value:.3g}" for key, value in result.settings.items() if isinstance(value, int | float)
    )
    value = "broke down" if result.value is None else f"{result.value:.3f} on training dev"
    return f"{value} ({settings})"
