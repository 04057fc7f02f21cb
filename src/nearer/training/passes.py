"""The passes of a training: mine, fit, keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nearer.core.errors import RecipeError
from nearer.core.progress import OutOfTime, phase
from nearer.core.results.training import Alarm, DevPoint, MiningReport, Pass
from nearer.learn.batch_sampler import BatchOrder
from nearer.learn.examples import Example, limit
from nearer.learn.fit import Timing, fit
from nearer.learn.margins import NO_MARGIN
from nearer.learn.plan import NUM_STEPS
from nearer.learn.trainer import steps_of
from nearer.training.alarms import alarms_of
from nearer.training.dev_set import DEV_MEASURE
from nearer.training.job import Diverged, TrainingJob
from nearer.training.mining import mine_negatives
from nearer.training.relabel import teach


def run_monitored(job: TrainingJob) -> tuple[tuple[Pass, ...], tuple[Alarm, ...]]:
    """The passes, what training began with among them, and the alarms of what was measured, where they are wanted."""
    passes = run_passes(job)
    alarms: tuple[Alarm, ...] = ()
    if job.workspace.recipe.train.alarms:
        with phase(job.progress, "look for pairs that repeat each other"):
            alarms = alarms_of(passes, job.examples, job.monitor, dimension=job.encoder.dimension)
    return (*job.warm_start.passes, *passes), alarms


def run_passes(job: TrainingJob) -> list[Pass]:
    """Train the model in place; every pass but number 1 mines anew before it, where its loss has use for that.

    What a run has kept stays done. No pass but the first is begun when the time is over, nor one for which too few
    steps are left.
    """
    encoder, run, start = job.encoder, job.run, job.start_point
    passes: list[Pass] = []
    for number in job.passes:
        if passes and job.deadline.is_over() and not run.is_done(number):
            job.progress.say(f"the time is over before pass {number}")
            break
        found = _examples_of(job, number, is_first=not passes)
        if found is None:
            break
        kept, stands = run.result(number, encoder.model), None
        if kept is None:
            kept, stands = _fitted(job, number, found, start=start)
            _refuse_diverged(job, [*job.warm_start.passes, *passes, kept])
            run.keep_result(encoder.model, kept)
        start = None if job.workspace.recipe.train.lora_rank else stands  # what LoRA learned is merged after that
        passes.append(kept)
        job.progress.say(_summary(kept))
    return passes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lesson:
    """What a pass learns from, and how its negatives were mined."""

    examples: list[Example]
    mining: MiningReport | None


def _fitted(job: TrainingJob, number: int, lesson: _Lesson, *, start: DevPoint | None) -> tuple[Pass, DevPoint | None]:
    """Train one pass, the time being watched; ``start`` is what dev says before it, where that is known.

    Beside how it went, what dev says of the weights that stand, query by query, where this process measured them.
    """
    recipe, deadline, encoder = job.workspace.recipe.train, job.deadline, job.encoder
    watched = deadline.watching(job.progress, to_the_end=True)
    deadline.begins(step_s=_planned_step_s(job, number))
    points = {} if start is None else {0: replace(start, step=0)}

    def measure(step: int) -> DevPoint:
        points[step] = job.monitor.point(encoder, step, watched)
        return points[step]

    report = fit(
        encoder.model,
        lesson.examples,
        recipe=recipe.model_copy(update={"seed": recipe.seed + number}),
        sides=job.sides,
        measure=deadline.timed(measure),
        checkpoints=job.run.checkpoints(number),
        progress=job.progress,
        timing=Timing(start=points.get(0), is_over=deadline.step_ended),
    )
    return Pass(number=number, fit=report, mining=lesson.mining), points.get(report.best_step)


def _examples_of(job: TrainingJob, number: int, *, is_first: bool) -> _Lesson | None:
    """What a pass learns from; None where there is no time for it. Raises RecipeError when it is the first."""
    found = _Lesson(examples=list(job.examples), mining=None)
    if job.mines_before(number):
        try:
            found = _mined(job, number=number)
        except OutOfTime as error:
            if is_first:
                job.run.remove()
                hint = "give it more time, as in --budget 20m; vectors that were encoded are kept"
                raise RecipeError(f"the time was over before training began: {error}", hint=hint) from error
            job.progress.say(f"the time is over while negatives are mined for pass {number}")
            return None
    if is_first or not job.deadline.is_ever or job.run.is_done(number):
        return found
    fitting = _fitting(job, number, found.examples)
    return replace(found, examples=fitting) if fitting else None


def _fitting(job: TrainingJob, number: int, examples: list[Example]) -> list[Example]:
    """As many examples as a pass has time for, by what steps took so far, which the run keeps; none if too few."""
    recipe, budget = job.workspace.recipe.train, job.run.budget()
    if budget is None or budget.budget is None:
        return examples
    kept: Mapping[str, int] = budget.num_pairs
    if str(number) not in kept:
        steps = steps_of(BatchOrder.of(examples, recipe).num_batches, epochs=recipe.epochs)
        fitting = job.deadline.steps_within(_planned_step_s(job, number))
        share = min(1.0, fitting / steps) if fitting >= min(NUM_STEPS, steps) else 0.0
        kept = {**kept, str(number): int(share * len(examples))}
        job.run.keep_budget(replace(budget, num_pairs=kept, left_s=job.deadline.left_s))
    number_kept = kept[str(number)]
    if not number_kept:
        job.progress.say(f"no time is left for pass {number}")
        return []
    if number_kept < len(examples):
        said = f"{number_kept} of {len(examples)} pairs in pass {number}"
        job.progress.say(f"the time decides: {said}, as steps take {job.deadline.slowdown:.2g} times what was planned")
    return limit(examples, max_pairs=number_kept, seed=recipe.seed)


def _planned_step_s(job: TrainingJob, number: int) -> float:
    """What a step of a pass is planned to take; 0 without a plan."""
    kept = job.run.budget()
    if kept is None or kept.budget is None:
        return 0.0
    plan = kept.budget.plan
    return plan.mined_step_s if job.mines_before(number) else plan.plain_step_s


def _refuse_diverged(job: TrainingJob, passes: Sequence[Pass]) -> None:
    """Raise Diverged, and forget the run, when a pass broke down before any pass found something better."""
    fault = passes[-1].fit.fault
    if fault and not any(each.fit.best_step for each in passes):
        job.run.remove()
        raise Diverged(
            f"training broke down in pass {passes[-1].number}, before dev saw anything better: {fault}",
            hint=f"lower train.learning_rate (it is {job.workspace.recipe.train.learning_rate:g}), then train again",
        )


def _mined(job: TrainingJob, *, number: int) -> _Lesson:
    """What the run kept of mining for this pass, else mined now and kept."""
    kept = job.run.mined(number)
    if kept is None:
        workspace, corpus, examples = job.workspace, job.corpus, job.examples
        progress = job.deadline.watching(job.progress)
        kept = mine_negatives(workspace, job.miner(number), corpus, examples, progress=progress)
        kept = teach(workspace, corpus, examples, *kept, progress=progress)
        job.run.keep_mined(number, *kept)
    examples, mining = kept
    return _Lesson(examples=list(examples), mining=mining)


def _summary(kept: Pass) -> str:
    """How a pass went, for people: what dev saw, then the loss and the negatives in lines of their own."""
    report, mining = kept.fit, kept.mining
    lines = [f"pass {kept.number}: {DEV_MEASURE} on training dev {report.dev[0].value:.3f} -> {report.kept.value:.3f}"]
    lines[0] += f" (step {report.best_step} of {report.num_steps})"
    if report.fault:
        lines[0] += f"; ended there, for {report.fault}"
    if report.out_of_time:
        lines[0] += f"; the time was over after step {report.num_steps}"
    lines.append(f"loss {report.loss} ({report.why}), {report.num_negatives:.0f} negatives a query")
    if mining:
        text = "no margin" if mining.margin <= NO_MARGIN else f"margin {mining.margin:g}"
        lines.append(f"mined: {text}, {mining.share_with_enough:.0%} of pairs have enough")
        for each in mining.false_negatives:
            share = f"{each.value:.1%} [{each.low:.1%}, {each.high:.1%}]"
            lines.append(f"false negatives by {each.method}: {share}")
        if mining.is_excluded:
            lines.append("so none of them is learned from")
    return "\n  ".join(lines)
