"""Train a cross-encoder on what a retriever finds, to put the first of it into a better order."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import Recipe
from nearer.core.results.training import TrainedReranker, TrainingData, TrainingRecord
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.ready import ready_to_train
from nearer.store.registered import Reranker, Training
from nearer.store.workspace import Workspace
from nearer.systems import BASE, api_use, refuse_stages
from nearer.training.examples import find_excluded, read_examples
from nearer.training.models import keep_model
from nearer.training.rerank_set import build_rerank_dev, mine_ranked_lists
from nearer.training.reranker import (
    RerankerStart,
    decides_reranker,
    dev_values_of,
    fit_lists,
    open_start,
    pairs_id_of,
    refuse_few_lists,
)
from nearer.training.run import TrainingRun
from nearer.training.unfinished import TrainingRequest, request_of

_VERB = "train --reranker"


def train_reranker(
    workspace: Workspace,
    start: str = BASE,
    *,
    resume: str | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainedReranker:
    """Train a cross-encoder and register what was best on dev, if that is better than leaving it.

    ``start`` is ``base`` or a model's id, whose transformer gets a fresh head and which finds what is ranked; or a
    cross-encoder (the id of one trained here, a folder, a Hub name), which ranks what the base finds. It learns from
    the pairs of ``train``, each in a list with what the retriever wrongly finds. Better means than the retriever's own
    order of dev's queries, and than the cross-encoder that it began with. A run that was cut short goes on from what it
    kept; ``resume`` names one, or ``newest``, whose recipe and start stand in place of these.

    Raises RecipeError for settings or data that cannot work, NotFound or ModelRefused for a start that cannot be had,
    WorkspaceError when the disk refuses.
    """
    progress = progress or Silent()
    if resume:
        resume, request = request_of(workspace, resume, verb=_VERB)
        workspace = workspace.with_recipe(Recipe.model_validate(request.recipe))
    else:
        recipe = workspace.recipe.model_dump(mode="json", exclude_unset=True)
        request = TrainingRequest(verb=_VERB, recipe=recipe, start=start)
    refuse_stages(request.start)
    ready_to_train(workspace)
    excluded = find_excluded(workspace)
    began = clock()
    workspace.begin_writing()
    with ExitStack() as held:
        revision = workspace.collection.revision()
        begin = open_start(workspace, request.start)
        encoder = begin.retriever.encoder
        embedded = EmbeddedCorpus.read(workspace, encoder, progress=progress)
        dev = build_rerank_dev(embedded, excluded=excluded)
        examples = read_examples(embedded, excluded=excluded)
        lists, mining = mine_ranked_lists(embedded, examples, excluded=excluded)
        refuse_few_lists(workspace, lists, mining)
        run = TrainingRun.open(
            workspace,
            decides_reranker(workspace, begin, lists, dev),
            request=request,
            revision=revision,
            held=held,
            say=progress.say,
            resume=resume,
        )
        fitted = fit_lists(workspace, run, begin, lists, dev, mining=mining, progress=progress)
        values = dev_values_of(dev, fitted.fit)
        improved = values.best > max(dev.as_found(), values.start)
        training = TrainingRecord(
            recipe=workspace.recipe.model_dump(mode="json"),
            data=TrainingData(
                num_pairs=len(lists),
                pairs_id=pairs_id_of(lists),
                revision=run.revision,
                revision_at_end=run.revision_at_end(workspace),
            ),
            start=begin.described,
            retriever=encoder.model_id,
            passes=(fitted,),
            dev=values,
            duration_s=None if run.is_resumed else round(clock() - began, 1),
        )
        kept = _kept(workspace, begin) if improved else None
        entry = Training(
            verb="train_reranker",
            part_id=kept.reranker_id if kept else None,
            is_improved=improved,
            record=training,
            started_at=run.started_at,
        )
        workspace.registry.add_training(entry, made=kept, parent=begin.retriever.model)
        failpoint("reranker.registered")
        run.remove()
    return TrainedReranker(
        reranker_id=kept.reranker_id if kept else None,
        cross_encoder_id=kept.cross_encoder_id if kept else None,
        improved=improved,
        retriever=encoder.model_id,
        start=begin.described,
        passes=training.passes,
        fault=fitted.fit.fault,
        dev=values,
        num_pairs=len(lists),
        num_excluded=excluded.counted,
        duration_s=round(clock() - began, 1),
        api=api_use([begin.retriever]),
    )


def _kept(workspace: Workspace, begin: RerankerStart) -> Reranker:
    """The trained cross-encoder, saved under its id."""
    trained = CrossEncoder(begin.reranker.model, max_length=begin.reranker.max_length)
    source = keep_model(workspace, trained.cross_encoder_id, trained.save)
    failpoint("reranker.model")
    return Reranker(
        reranker_id=trained.reranker_id,
        cross_encoder_id=trained.cross_encoder_id,
        source=source,
        parent_id=begin.parent_id,
    )
