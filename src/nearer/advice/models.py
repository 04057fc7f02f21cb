"""The remedies that change vectors: adapters, other passages, other encoders, and fine-tuning."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from nearer.advice.expense import Rate, measure_rate
from nearer.advice.ground import Ground
from nearer.advice.remedies import Remedy, Skipped, lexical_remedies, out_of_fold, whole
from nearer.encode.adapter import Adapter
from nearer.encode.corpus import embed_corpus, embed_queries, read_corpus
from nearer.learn.fit_adapter import AdapterReport
from nearer.training.adapter_set import AdapterSet, read_adapter_set
from nearer.training.adapters import settings_of
from nearer.vectors.topk import TopK

INDEX_WORK = {"query": "none", "shared": "transform"}
"""The sides of a search that an adapter maps, and what becomes of the index."""


def adapter_remedies(ground: Ground) -> Iterator[Remedy | Skipped]:
    """Adapters of queries alone and of both sides, each trained without the queries it is judged on.

    For every fold another one stops the training early, so that neither learning nor stopping sees what judges.
    """
    if ground.num_folds < 3:
        yield Skipped(name="adapter", reason="it learns on some folds, stops on another and is judged on a third")
        return
    known = read_adapter_set(ground.workspace, ground.system, ground.queries, progress=ground.progress)
    if not len(known.pairs.queries_E):
        yield Skipped(name="adapter", reason="no judgment has the positive grade (grades.positive_from)")
        return
    for sides, index_work in INDEX_WORK.items():
        trained = [_train(ground, known, sides, fold) for fold in range(ground.num_folds)]
        adapters = [adapter for adapter, _ in trained]
        if not any(report.best_step for _, report in trained):
            yield Skipped(name=f"adapter:{sides}", reason="in no fold did training gain on the queries that stop it")
            continue
        dense = out_of_fold(ground, partial(_ranked, ground, adapters))
        adapter = adapters[0]
        remedy = whole(
            ground,
            f"adapter:{sides}",
            "adapter",
            dense,
            index_work=index_work,
            work=lambda row, adapter=adapter: adapter.apply_queries(ground.query_emb_QD[[row]]),
        )
        yield remedy
        *_, hybrid = lexical_remedies(ground, dense, ground.lexical, prefix=f"adapter:{sides}")
        yield replace(hybrid, word="adapter", index_work=index_work)


def chunk_remedies(ground: Ground) -> Iterator[Remedy | Skipped]:
    """Documents cut in other ways, as ``advise.chunks`` describes them."""
    recipe = ground.workspace.recipe
    for other in recipe.advise.chunks:
        said = other.model_dump(exclude_unset=True)
        chunk = recipe.chunk.model_copy(update=said)
        changes = {f"chunk.{key}": value for key, value in said.items()}
        name = "chunk:" + ",".join(f"{key}={value}" for key, value in said.items())
        corpus = read_corpus(ground.workspace, ground.system.encoder, chunk=chunk)
        if corpus.passages == ground.corpus.passages:
            yield Skipped(name=name, reason="the passages are the same")
            continue
        passage_emb_PD, _ = embed_corpus(ground.workspace, ground.system.encoder, corpus, ground.progress)
        yield whole(
            ground,
            name,
            "fix_data",
            ground.over(corpus).by_vectors(ground.query_emb_QD, passage_emb_PD),
            changes=changes,
            index_work="re-embed",
            notes=(f"{len(corpus.passages)} passages instead of {len(ground.corpus.passages)}",),
        )


def encoder_remedies(ground: Ground) -> Iterator[tuple[Remedy, Rate]]:
    """Other encoders off the shelf or behind an API, as ``advise.encoders`` describes them, and how fast they are."""
    for name, described in ground.workspace.recipe.other_encoders.items():
        encoder = ground.others[name].encoder
        corpus = read_corpus(ground.workspace, encoder)
        passage_emb_PD, _ = embed_corpus(ground.workspace, encoder, corpus, ground.progress)
        query_emb_QD = embed_queries(ground.workspace, encoder, ground.queries, ground.progress)
        remedy = whole(
            ground,
            name,
            "change_encoder",
            ground.over(corpus).by_vectors(query_emb_QD, passage_emb_PD),
            changes={"encoder": {"model": described.model, **described.model_dump(mode="json", exclude_defaults=True)}},
            index_work="re-embed",
        )
        yield remedy, measure_rate(encoder, corpus)


def _train(ground: Ground, known: AdapterSet, sides: str, fold: int) -> tuple[Adapter, AdapterReport]:
    """The adapter that never saw a fold; the next one chose when to stop."""
    stops = (fold + 1) % ground.num_folds
    return known.fit(
        np.flatnonzero((ground.folds_Q != fold) & (ground.folds_Q != stops)),
        ground.judged_by(stops),
        settings=settings_of(ground.workspace.recipe, sides),
        progress=ground.progress,
    )


def _ranked(ground: Ground, adapters: Sequence[Adapter], fold: int) -> TopK:
    """What the adapter that never saw a fold finds for its queries."""
    rows_S, adapter = ground.judged_by(fold), adapters[fold]
    queries_SD = adapter.apply_queries(ground.query_emb_QD[rows_S])
    return ground.asked.some(rows_S).by_vectors(queries_SD, adapter.apply_documents(ground.passage_emb_PD))
