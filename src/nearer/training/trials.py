"""Several trainings of one run, from the same start, each judged on dev."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nearer.core.errors import RecipeError
from nearer.learn.checkpoint import weights_of
from nearer.learn.dev_score import dev_score
from nearer.training.deadline import Deadline
from nearer.training.job import Diverged, TrainingJob

JSON = Mapping[str, Any]
RunPasses = Callable[[TrainingJob], Sequence[JSON]]
Settings = Callable[[Sequence[JSON]], Mapping[str, Any]]


def run_trials(
    job: TrainingJob,
    number: int,
    *,
    settings_of: Settings,
    run_passes: RunPasses,
    clock: Callable[[], float],
    shares_time: bool,
) -> tuple[TrainingJob, list[dict[str, Any]]]:
    """Train ``number`` times, or as often as there is time for, once at least; the best, and what came of each.

    ``settings_of`` gives the recipe's values of the next, from those that are finished. Where they share the time,
    each has a part of it; else each has what it needs. The weights of the best alone are kept. The model is left as
    it was; the passes of the job that is returned are done. Raises RecipeError when every training broke down.
    """
    start = weights_of(job.encoder.model)
    finished = [dict(each) for each in job.run.parts()]
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
        result["duration_s"] = None if part.run.is_resumed else round(clock() - began, 1)
        finished = [*finished, result]
        job.run.keep_parts(finished, best=_best(finished))
        job.progress.say(f"training {len(finished)} of {number}: {_summary(result)}")
    job.encoder.model.load_state_dict(start)
    best = finished[_best(finished)]
    if best["value"] is None:
        job.run.remove()
        raise RecipeError(f"every training broke down; the first: {finished[0]['fault']}", hint=finished[0]["hint"])
    chosen = {**best["settings"], "train.passes": best["num_passes"]}
    return job.part(_best(finished), chosen, deadline=Deadline.never(clock)), finished


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and standard deviation of a sample; of one value there is no deviation.

    >>> spread([0.5, 0.6])
    {'mean': 0.55, 'standard_deviation': 0.07071067811865474}
    """
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "standard_deviation": deviation}


def _needed_s(job: TrainingJob, finished: Sequence[JSON]) -> float:
    """What another training needs: as much as the longest took, or what was planned where a process did not see one."""
    took = [each["duration_s"] for each in finished if each["duration_s"] is not None]
    budget = job.run.budget()
    return float(max(took, default=budget["plan"]["estimate_s"] if budget else 0.0))


def _result(part: TrainingJob, settings: JSON, run_passes: RunPasses) -> dict[str, Any]:
    from torch import OutOfMemoryError

    try:
        passes = run_passes(part)
    except Diverged as error:
        return _broken(settings, error.message, error.hint)
    except OutOfMemoryError as error:
        return _broken(settings, f"no memory: {error}", "lower train.batch_size, or set train.grad_cache = true")
    points = [point["value"] for each in passes for point in each["fit"]["dev"]]
    return {
        "settings": dict(settings),
        "value": dev_score(passes),
        "points": points,
        "num_passes": len(passes),
        "out_of_time": any(each["fit"]["out_of_time"] for each in passes),
        "fault": next((each["fit"]["fault"] for each in passes if each["fit"]["fault"]), ""),
        "hint": "",
    }


def _broken(settings: JSON, fault: str, hint: str) -> dict[str, Any]:
    summary = {"out_of_time": False, "fault": fault, "hint": hint}
    return {"settings": dict(settings), "value": None, "points": [], "num_passes": 0, **summary}


def _best(finished: Sequence[JSON]) -> int:
    """The first of the best."""
    values = [-1.0 if each["value"] is None else each["value"] for each in finished]
    return values.index(max(values))


def _summary(result: JSON) -> str:
    settings = ", ".join(
        f"{key} {value:.3g}" for key, value in result["settings"].items() if not isinstance(value, list)
    )
    value = "broke down" if result["value"] is None else f"{result['value']:.3f} on dev"
    return f"{value} ({settings})"
