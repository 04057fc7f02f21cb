"""Train a candidate: pass 1 on positives and in-batch negatives, later passes on negatives the last model mined.

Arrays: P passages, D dimensions.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from nearer.core.failpoints import failpoint
from nearer.core.ids import content_id
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import Recipe
from nearer.encode.corpus import embed_corpus, read_corpus
from nearer.encode.encoder import Encoder, model_id_of
from nearer.encode.paired import paired_id
from nearer.evaluation.splits import ensure_splits
from nearer.learn.batch_sampler import Source, sources_of
from nearer.learn.dev_score import dev_score
from nearer.measure.alarms import raised_in
from nearer.store.registry import Model
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LocalSystem, open_local
from nearer.training.dev_set import DEV_MEASURE, build_dev_set
from nearer.training.examples import find_excluded, read_examples
from nearer.training.feasible import refuse_hopeless
from nearer.training.guiding import guide_of
from nearer.training.job import TrainingJob
from nearer.training.models import keep_model
from nearer.training.monitor import build_monitor
from nearer.training.passes import run_monitored, run_passes
from nearer.training.query_side import learner
from nearer.training.run import TrainingRun, what_decides
from nearer.training.select import NOTHING_MORE, TrainingRequest, deadline_of, select_training
from nearer.training.unfinished import find_run


def train(
    workspace: Workspace,
    start: str = BASE,
    *,
    asked: TrainingRequest = NOTHING_MORE,
    resume: str | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Train ``start`` further and register the weights that stand; ``start`` itself when dev saw nothing better.

    The base begins with a pass on in-batch negatives; a model that was trained before goes on with mined ones, so
    that two calls of one pass give what one call of two gives. Training queries and pairs that leak into dev or
    test are left out and counted. A run that was cut short goes on from what it kept. ``asked`` fits the training
    into a time, or has several trained from the same start, of which dev chooses one.
    ``resume`` names an unfinished run, or ``newest``, whose recipe, start and request stand in place of these.

    Raises RecipeError for settings or data that cannot work, InputError for what cannot be asked, NotFound or Conflict
    for a run that cannot go on, WorkspaceBusy while another process is at it, WorkspaceError when the disk refuses.
    """
    if resume:
        resume, request = (found := find_run(workspace, resume, verb="train")).run_id, found.record["request"]
        workspace = workspace.with_recipe(Recipe.model_validate(request["recipe"]))
        start, asked = request["start"], TrainingRequest(**request["asked"])
    asked.refuse_nonsense()
    progress = progress or Silent()
    began = clock()
    ensure_splits(workspace)
    excluded = find_excluded(workspace)
    workspace.begin_writing()
    with ExitStack() as held:
        revision = workspace.collection.revision()
        base = open_local(workspace, BASE)
        parent = base if start == BASE else open_local(workspace, start)
        corpus = read_corpus(workspace, base.encoder)
        passage_emb_PD, _ = embed_corpus(workspace, base.encoder, corpus, progress)
        dev = build_dev_set(
            workspace, base.encoder, corpus, passage_emb_PD, excluded=excluded.query_ids, progress=progress
        )
        examples = read_examples(workspace, base.encoder, corpus, passage_emb_PD, excluded=excluded, progress=progress)
        refuse_hopeless(workspace, parent.encoder, num_examples=len(examples), num_dev_queries=len(dev.queries))
        monitor = build_monitor(
            workspace, base.encoder, corpus, passage_emb_PD, dev=dev, examples=examples, progress=progress
        )
        decides = what_decides(workspace, base=base, start=parent, examples=examples, monitor=monitor, corpus=corpus)
        request = {"verb": "train", "recipe": workspace.recipe.model_dump(mode="json", exclude_unset=True)}
        run = TrainingRun.open(
            workspace,
            {**decides, **asdict(asked)},
            request={**request, "start": start, "asked": asdict(asked)},
            revision=revision,
            held=held,
            say=progress.say,
            resume=resume,
        )
        is_base = parent.model.model_id == base.model.model_id
        job = TrainingJob(
            workspace=workspace,
            run=run,
            encoder=learner(workspace, parent.encoder, examples, corpus.passages, *monitor.passages, progress=progress),
            corpus=corpus,
            examples=examples,
            monitor=monitor,
            first=1 if is_base else 2,
            deadline=deadline_of(run, asked.budget_s, began=began, clock=clock),
            guide=guide_of(workspace, progress=progress),
            progress=progress,
        )
        if len(sources := sources_of(examples, workspace.recipe.train.source_weights)) > 1:
            progress.say(_told_sources(sources))
        job, chosen = select_training(job, asked, run_passes=run_passes, clock=clock)
        passes, alarms = run_monitored(job)
        drawn = _drawn(sources_of(job.examples, workspace.recipe.train.source_weights))
        training = {
            "recipe": job.workspace.recipe.model_dump(mode="json"),
            "data": {
                "num_pairs": len(job.examples),
                "pairs_id": content_id("pairs", [(e.anchor, e.positive) for e in job.examples]),
                **drawn,
                **run.data_read(workspace),
            },
            "passes": passes,
            "alarms": alarms,
            **chosen,
            "duration_s": None if run.is_resumed else round(clock() - began, 1),
        }
        improved = any(each["fit"]["best_step"] for each in passes)
        model = _register(workspace, parent, training=training) if improved else parent.model
        raised = [alarm["name"] for alarm in raised_in(training)]
        _record(workspace, run, detail={"model_id": model.model_id, "improved": improved, "alarms": raised})
        run.remove()
    return {
        "model_id": model.model_id,
        "encoder_id": model.encoder_id,
        "space_id": model.space_id,
        "improved": improved,
        "passes": passes,
        "alarms": alarms,
        **chosen,
        "dev": {
            "metric": str(DEV_MEASURE),
            "num_queries": len(dev.queries),
            "num_documents": len(dev.starts_N),
            "start": passes[0]["fit"]["dev"][0]["value"],
            "best": dev_score(passes),
        },
        "num_pairs": len(job.examples),
        "dimensions": list(workspace.recipe.train.matryoshka_dims),
        **drawn,
        "num_excluded": {"queries": len(excluded.query_ids), "pairs": len(excluded.pairs)},
        "duration_s": round(clock() - began, 1),
    }


def _register(workspace: Workspace, parent: LocalSystem, *, training: dict[str, Any]) -> Model:
    """Save the trained encoder under its id, then enter it.

    Trained for queries alone it is a pair with the parent, whose space it searches.
    """
    encoder = Encoder(parent.encoder.model, settings=parent.encoder.settings, batch_size=parent.encoder.batch_size)
    encoder_id, settings = encoder.encoder_id, asdict(encoder.settings)
    if workspace.recipe.train.sides == "query":
        encoder_id = paired_id(encoder_id, parent.model.encoder_id)
        settings = {"queries": settings, "space_id": parent.model.space_id}
    source = keep_model(workspace, encoder_id, encoder.save)
    failpoint("train.model")
    record = Model(
        model_id=model_id_of(encoder_id),
        encoder_id=encoder_id,
        source=source,
        encoder=settings,
        parent_model_id=parent.model.model_id,
        training=training,
    )
    return workspace.registry.add_model(record)


def _record(workspace: Workspace, run: TrainingRun, *, detail: dict[str, Any]) -> None:
    """Write the run into the history, once however often it was cut short."""
    registry = workspace.registry
    if not registry.has_training(run.started_at):
        registry.record("train", detail={**detail, "started_at": run.started_at})
    failpoint("train.registered")


_NUM_RECORDED, _NUM_TOLD = 50, 8
"""Sources that are written down, and summary: a field may have a value for every query."""


def _drawn(sources: Sequence[Source]) -> dict[str, Any]:
    """What an epoch draws of each source, most first, as it is written down."""
    largest = sorted(sources, key=lambda source: -source.num_drawn)[:_NUM_RECORDED]
    return {"num_sources": len(sources), "sources": [source.described for source in largest]}


def _told_sources(sources: Sequence[Source]) -> str:
    """The same for people."""
    largest = sorted(sources, key=lambda source: -source.num_drawn)[:_NUM_TOLD]
    summary = [f"{each.num_drawn} of {each.name} ({len(each.rows_S)} pairs x {each.weight:g})" for each in largest]
    more = [f"and {len(sources) - len(summary)} more sources"] if len(sources) > len(summary) else []
    return f"an epoch draws {', '.join([*summary, *more])}"
