"""Train a candidate: pass 1 on positives and in-batch negatives, later passes on negatives the last model mined."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from nearer.core.durations import TimeLimit
from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent, phase
from nearer.core.recipe import Recipe
from nearer.core.results.training import DevValues, Trained, TrainingRecord
from nearer.encode.engine import LOCAL, encoding_by
from nearer.evaluation.ready import ready_to_train
from nearer.store.registered import Model, Training
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_local
from nearer.training.dev_set import DEV_MEASURE, DevSet
from nearer.training.examples import Excluded, find_excluded
from nearer.training.models import keep_trained
from nearer.training.passes import run_monitored, run_passes
from nearer.training.prepare import Preparing
from nearer.training.run import TrainingRun, what_decides
from nearer.training.select import deadline_of, select_training
from nearer.training.sources import refuse_absent, with_sources
from nearer.training.training_data import data_of, say_sources
from nearer.training.unfinished import TrainingRequest, refuse_nonsense, request_of


def train(  # noqa: PLR0913 (what one training is asked, and its clock)
    workspace: Workspace,
    start: str = BASE,
    *,
    sources: str = "",
    budget: str | float | TimeLimit | None = None,
    search: int = 0,
    seeds: int = 1,
    resume: str | None = None,
    engine: str = LOCAL,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Trained:
    """Train ``start`` further and register the weights that stand; ``start`` itself when dev saw nothing better.

    The base begins with a pass on in-batch negatives; a model that was trained before goes on with mined ones, so
    that two calls of one pass give what one call of two gives. Training queries and pairs that leak into dev or
    test are left out and counted. A run that was cut short goes on from what it kept. ``budget``, in seconds or as in
    "20m", is the time that the training is fitted into. So many settings as ``search`` says, or so many ``seeds``, are
    trained from the same start, of which dev chooses one.
    ``sources`` names whose judgments are learned from, instead of ``train.judged_by``: "human,clicks".
    ``resume`` names an unfinished run, or ``newest``, whose recipe, start and request stand in place of these.
    With "ray" as ``engine`` a Ray cluster encodes documents and what is mined with.

    Raises RecipeError for settings or data that cannot work, InputError for what cannot be asked, NotFound or Conflict
    for a run that cannot go on, WorkspaceBusy while another process is at it, WorkspaceError when the disk refuses.
    """
    limit, began = TimeLimit.of(budget), clock()
    if limit and limit.began is not None:
        began = limit.began
    if resume and sources:
        raise InputError("--sources with --resume", hint="a run goes on with the judgments that it began with")
    workspace = with_sources(workspace, sources)
    if resume:
        resume, request = request_of(workspace, resume, verb="train")
        workspace = workspace.with_recipe(Recipe.model_validate(request.recipe))
    else:
        request = TrainingRequest(
            verb="train",
            recipe=workspace.recipe.model_dump(mode="json", exclude_unset=True),
            start=start,
            budget_s=limit.seconds if limit else None,
            num_trials=search,
            num_seeds=seeds,
        )
    refuse_nonsense(request)
    progress = progress or Silent()
    refuse_absent(workspace)
    ready_to_train(workspace)
    with phase(progress, "look for leaks"):
        excluded = find_excluded(workspace)
    workspace.begin_writing()
    with ExitStack() as held:
        held.enter_context(encoding_by(engine, progress))
        preparing = _preparing(
            workspace,
            request,
            excluded=excluded,
            held=held,
            resume=resume,
            progress=progress,
            clock=clock,
            began=began,
        )
        job, fitting = preparing.prepared()
        run, parent, dev = preparing.run, preparing.parent, job.monitor.dev
        say_sources(job.examples, workspace.recipe.train.source_weights, progress)
        job, chosen = select_training(job, request, fitting=fitting, run_passes=run_passes, clock=clock)
        passes, alarms = run_monitored(job)
        training = TrainingRecord(
            recipe=job.workspace.recipe.model_dump(mode="json"),
            data=data_of(job.examples, job.workspace, run.revision, at_end=run.revision_at_end(job.workspace)),
            passes=passes,
            alarms=alarms,
            budget=chosen.budget,
            trials=chosen.trials,
            seeds=chosen.seeds,
            duration_s=None if run.is_resumed else round(clock() - began, 1),
        )
        improved = any(each.fit.best_step for each in passes)
        made = keep_trained(workspace, parent, training) if improved else None
        model = made or parent.model
        part_id, started_at = model.model_id, run.started_at
        entry = Training(verb="train", part_id=part_id, is_improved=improved, record=training, started_at=started_at)
        workspace.registry.add_training(entry, made=made, parent=parent.model)
        failpoint("train.registered")
        run.remove()
    return _answer(
        workspace, model, training, improved=improved, dev=dev, excluded=excluded, duration_s=clock() - began
    )


def _preparing(
    workspace: Workspace,
    request: TrainingRequest,
    *,
    excluded: Excluded,
    held: ExitStack,
    resume: str | None,
    progress: Progress,
    clock: Callable[[], float],
    began: float,
) -> Preparing:
    """The run, begun or gone on with, and what is known before anything is cut or encoded."""
    with phase(progress, "read models and documents"):
        revision, documents = workspace.collection.snapshot()
        base = open_local(workspace, BASE)
        parent = base if request.start == BASE else open_local(workspace, request.start)
    decides = what_decides(workspace, base=base, start=parent, documents=documents, excluded=excluded)
    run = TrainingRun.open(
        workspace,
        {**decides, **request.besides},
        request=request,
        revision=revision,
        held=held,
        say=progress.say,
        resume=resume,
    )
    return Preparing(
        workspace=workspace,
        run=run,
        base=base,
        parent=parent,
        documents=documents,
        excluded=excluded,
        deadline=deadline_of(run, request.budget_s, began=began, clock=clock),
        asked=request,
        progress=progress,
        clock=clock,
    )


def _answer(
    workspace: Workspace,
    model: Model,
    training: TrainingRecord,
    *,
    improved: bool,
    dev: DevSet,
    excluded: Excluded,
    duration_s: float,
) -> Trained:
    """The same as it is answered."""
    data, passes = training.data, training.passes
    assert data is not None
    return Trained(
        model_id=model.model_id,
        encoder_id=model.encoder_id,
        space_id=model.space_id,
        improved=improved,
        passes=passes,
        alarms=training.alarms,
        budget=training.budget,
        trials=training.trials,
        seeds=training.seeds,
        dev=DevValues(
            metric=str(DEV_MEASURE),
            num_queries=len(dev.queries),
            num_documents=len(dev.starts_N),
            start=passes[0].fit.dev[0].value,
            best=passes[-1].fit.kept.value,
        ),
        num_pairs=data.num_pairs,
        dimensions=tuple(workspace.recipe.train.matryoshka_dims),
        num_sources=data.num_sources,
        sources=data.sources,
        num_excluded=excluded.counted,
        duration_s=round(duration_s, 1),
    )
