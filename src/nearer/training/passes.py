"""The passes of a training: mine, fit, keep."""

from collections.abc import Sequence

from nearer.core.results.training import Alarm, MiningReport, Pass
from nearer.learn.examples import Example
from nearer.learn.fit import fit
from nearer.learn.margins import NO_MARGIN
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
        alarms = alarms_of(passes, job.examples, job.monitor, dimension=job.encoder.dimension)
    return (*job.warm_start.passes, *passes), alarms


def run_passes(job: TrainingJob) -> list[Pass]:
    """Train the model in place; every pass but number 1 mines anew before it, where its loss has use for that.

    What a run has kept stays done. No pass but the first is begun when the time is over.
    """
    recipe, encoder, run = job.workspace.recipe.train, job.encoder, job.run
    passes: list[Pass] = []
    for number in job.passes:
        if passes and job.deadline.is_over() and not run.is_done(number):
            job.progress.say(f"the time is over before pass {number}")
            break
        mined, mining = list(job.examples), None
        if job.mines_before(number):
            mined, mining = _mined(job, number=number)
        kept = run.result(number, encoder.model)
        if kept is None:
            report = fit(
                encoder.model,
                mined,
                recipe=recipe.model_copy(update={"seed": recipe.seed + number}),
                sides=job.sides,
                measure=job.deadline.timed(lambda step: job.monitor.point(encoder, step)),
                checkpoints=run.checkpoints(number),
                progress=job.progress,
                is_over=job.deadline.is_over,
            )
            kept = Pass(number=number, fit=report, mining=mining)
            _refuse_diverged(job, [*job.warm_start.passes, *passes, kept])
            run.keep_result(encoder.model, kept)
        passes.append(kept)
        job.progress.say(_summary(kept))
    return passes


def _refuse_diverged(job: TrainingJob, passes: Sequence[Pass]) -> None:
    """Raise Diverged, and forget the run, when a pass broke down before any pass found something better."""
    fault = passes[-1].fit.fault
    if fault and not any(each.fit.best_step for each in passes):
        job.run.remove()
        raise Diverged(
            f"training broke down in pass {passes[-1].number}, before dev saw anything better: {fault}",
            hint=f"lower train.learning_rate (it is {job.workspace.recipe.train.learning_rate:g}), then train again",
        )


def _mined(job: TrainingJob, *, number: int) -> tuple[list[Example], MiningReport]:
    """What the run kept of mining for this pass, else mined now and kept."""
    kept = job.run.mined(number)
    if kept is None:
        workspace, corpus, examples, progress = job.workspace, job.corpus, job.examples, job.progress
        kept = mine_negatives(workspace, job.miner(number), corpus, examples, progress=progress)
        kept = teach(workspace, corpus, examples, *kept, progress=progress)
        job.run.keep_mined(number, *kept)
    return kept


def _summary(kept: Pass) -> str:
    """How a pass went, for people: what dev saw, then the loss and the negatives in lines of their own."""
    report, mining = kept.fit, kept.mining
    lines = [f"pass {kept.number}: {DEV_MEASURE} on dev {report.dev[0].value:.3f} -> {report.kept.value:.3f}"]
    lines[0] += f" (step {report.best_step} of {report.num_steps})"
    if report.fault:
        lines[0] += f"; ended there, for {report.fault}"
    if report.out_of_time:
        lines[0] += f"; the time was over after step {report.num_steps}"
    lines.append(f"loss {report.loss} ({report.why}), {report.num_negatives:.0f} negatives a query")
    if report.share_masked is not None:
        lines[-1] += f", {report.share_masked:.1%} masked by the guide"
    if mining:
        text = "no margin" if mining.margin <= NO_MARGIN else f"margin {mining.margin:g}"
        lines.append(f"mined: {text}, {mining.share_with_enough:.0%} of pairs have enough")
        for each in mining.false_negatives:
            share = f"{each.value:.1%} [{each.low:.1%}, {each.high:.1%}]"
            lines.append(f"false negatives by {each.method}: {share}")
        if mining.is_excluded:
            lines.append("so none of them is learned from")
    return "\n  ".join(lines)
