"""Train a cross-encoder on what a retriever finds, to put the first of it into a better order.

Arrays: P passages, D dimensions.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import Recipe
from nearer.encode.corpus import embed_corpus, read_corpus
from nearer.encode.cross_encoder import CrossEncoder
from nearer.evaluation.splits import ensure_splits
from nearer.store.registry import Reranker
from nearer.store.workspace import Workspace
from nearer.systems import BASE, refuse_stages, spent
from nearer.training.examples import find_excluded, read_examples
from nearer.training.models import keep_model
from nearer.training.rerank_set import build_rerank_dev, mine_ranked_lists
from nearer.training.reranker import (
    RerankerStart,
    as_json,
    decides_reranker,
    dev_values_of,
    fit_lists,
    open_start,
    pairs_id_of,
    refuse_few_lists,
)
from nearer.training.run import TrainingRun
from nearer.training.unfinished import find_run

_VERB = "train --reranker"


def train_reranker(
    workspace: Workspace,
    start: str = BASE,
    *,
    resume: str | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
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
        resume, request = (found := find_run(workspace, resume, verb=_VERB)).run_id, found.record["request"]
        workspace, start = workspace.with_recipe(Recipe.model_validate(request["recipe"])), request["start"]
    refuse_stages(start)
    ensure_splits(workspace)
    excluded = find_excluded(workspace)
    began = clock()
    workspace.begin_writing()
    with ExitStack() as held:
        revision = workspace.collection.revision()
        begin = open_start(workspace, start)
        encoder = begin.retriever.encoder
        corpus = read_corpus(workspace, encoder)
        passage_emb_PD, _ = embed_corpus(workspace, encoder, corpus, progress)
        known = (workspace, encoder, corpus, passage_emb_PD)
        dev = build_rerank_dev(*known, excluded=excluded, progress=progress)
        examples = read_examples(*known, excluded=excluded, progress=progress)
        lists, mining = mine_ranked_lists(*known, examples, excluded=excluded, progress=progress)
        refuse_few_lists(workspace, lists, mining)
        request = {"verb": _VERB, "recipe": workspace.recipe.model_dump(mode="json", exclude_unset=True)}
        run = TrainingRun.open(
            workspace,
            decides_reranker(workspace, begin, lists, dev),
            request={
                "verb": _VERB,
                "recipe": workspace.recipe.model_dump(mode="json", exclude_unset=True),
                "start": start,
            },
            revision=revision,
            held=held,
            say=progress.say,
            resume=resume,
        )
        fit = fit_lists(workspace, run, begin, lists, dev, progress=progress)
        values = dev_values_of(begin, dev, fit)
        improved = values["best"] > max(values["retriever"], values["start"])
        training = {
            "recipe": workspace.recipe.model_dump(mode="json"),
            "data": {"num_pairs": len(lists), "pairs_id": pairs_id_of(lists), **run.data_read(workspace)},
            "start": begin.described,
            "retriever": encoder.model_id,
            "passes": [{"pass": 1, "fit": fit, "mining": as_json(asdict(mining))}],
            "dev": values,
            "duration_s": None if run.is_resumed else round(clock() - began, 1),
        }
        kept = _register(workspace, begin, training=training) if improved else None
        _record(workspace, run, detail={"reranker_id": kept.reranker_id if kept else None, "improved": improved})
        run.remove()
    return {
        "reranker_id": kept.reranker_id if kept else None,
        "cross_encoder_id": kept.cross_encoder_id if kept else None,
        "improved": improved,
        "retriever": encoder.model_id,
        "start": training["start"],
        "passes": training["passes"],
        "fault": fit["fault"],
        "dev": values,
        "num_pairs": len(lists),
        "num_excluded": {"queries": len(excluded.query_ids), "pairs": len(excluded.pairs)},
        "duration_s": round(clock() - began, 1),
        **spent([begin.retriever]),
    }


def _register(workspace: Workspace, begin: RerankerStart, *, training: dict[str, Any]) -> Reranker:
    """Save the trained cross-encoder under its id, then enter it."""
    trained = CrossEncoder(begin.reranker.model, max_length=begin.reranker.max_length)
    source = keep_model(workspace, trained.cross_encoder_id, trained.save)
    failpoint("reranker.model")
    return workspace.registry.add_reranker(
        Reranker(
            reranker_id=trained.reranker_id,
            cross_encoder_id=trained.cross_encoder_id,
            source=source,
            training=training,
            parent_id=begin.parent_id,
        )
    )


def _record(workspace: Workspace, run: TrainingRun, *, detail: dict[str, Any]) -> None:
    """Write the run into the history, once however often it was cut short."""
    registry = workspace.registry
    if not registry.has_training(run.started_at):
        registry.record("train_reranker", detail={**detail, "started_at": run.started_at})
    failpoint("reranker.registered")
