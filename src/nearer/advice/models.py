"""The remedies that change vectors: adapters, other passages, other encoders, and fine-tuning."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from nearer.advice.advice_data import AdviceData
from nearer.advice.expense import Rate, measure_rate
from nearer.advice.remedies import Remedy, lexical_remedies, out_of_fold, whole
from nearer.core.results.advice import SkippedRemedy
from nearer.core.results.training import Fit
from nearer.core.sections import ChunkRecipe
from nearer.encode.adapter import Adapter
from nearer.encode.corpus import count_truncated, room_of
from nearer.evaluation.splits import FEW_QUERIES
from nearer.training.adapter_set import AdapterSet, read_adapter_set
from nearer.training.adapters import settings_of
from nearer.vectors.topk import TopK

INDEX_WORK = {"query": "none", "shared": "transform"}
"""The sides of a search that an adapter maps, and what becomes of the index."""

_MOST_CUT = 5000
"""Passages of a corpus that is cut in other ways unasked: minutes on a processor. Our rule."""


def adapter_remedies(data: AdviceData) -> Iterator[Remedy | SkippedRemedy]:
    """Adapters of queries alone and of both sides, each trained without the queries it is judged on.

    For every fold another one stops the training early, so that neither learning nor stopping sees what judges.
    """
    if data.num_folds < 3:
        yield SkippedRemedy(name="adapter", reason="it learns on some folds, stops on another and is judged on a third")
        return
    known = read_adapter_set(data.workspace, data.system, data.queries, progress=data.progress)
    if not len(known.pairs.queries_E):
        yield SkippedRemedy(name="adapter", reason="no judgment has the positive grade (grades.positive_from)")
        return
    for sides, index_work in INDEX_WORK.items():
        trained = [_train(data, known, sides, fold) for fold in range(data.num_folds)]
        adapters = [adapter for adapter, _ in trained]
        if not any(report.best_step for _, report in trained):
            yield SkippedRemedy(
                name=f"adapter:{sides}", reason="in no fold did training gain on the queries that stop it"
            )
            continue
        dense = out_of_fold(data, partial(_ranked, data, adapters))
        adapter = adapters[0]
        remedy = whole(
            data,
            f"adapter:{sides}",
            "adapter",
            dense,
            index_work=index_work,
            work=lambda row, adapter=adapter: adapter.apply_queries(data.query_emb_QD[[row]]),
        )
        yield remedy
        *_, hybrid = lexical_remedies(data, dense, data.lexical, prefix=f"adapter:{sides}")
        yield replace(hybrid, word="adapter", index_work=index_work)


def chunk_remedies(data: AdviceData) -> Iterator[Remedy | SkippedRemedy]:
    """Documents cut in other ways, as ``advise.chunks`` describes them."""
    recipe = data.workspace.recipe
    tried = cuttings(data)
    if isinstance(tried, SkippedRemedy):
        yield tried
        return
    for described in tried:
        said = described.model_dump(exclude_unset=True)
        chunk = recipe.chunk.model_copy(update=said)
        changes = {f"chunk.{key}": value for key, value in said.items()}
        name = "chunk:" + ",".join(f"{key}={value}" for key, value in said.items())
        other = data.corpora.embedded(data.system.encoder, chunk=chunk)
        if other.corpus.passages == data.corpus.passages:
            yield SkippedRemedy(name=name, reason="the passages are the same")
            continue
        yield whole(
            data,
            name,
            "fix_data",
            data.found_in(other),
            changes=changes,
            index_work="re-embed",
            notes=(f"{len(other.corpus.passages)} passages instead of {len(data.corpus.passages)}",),
        )


def cuttings(data: AdviceData) -> Sequence[ChunkRecipe] | SkippedRemedy:
    """The ways to cut documents that are tried: those that are named, else the default's where they can tell."""
    advise, chunk = data.workspace.recipe.advise, data.workspace.recipe.chunk
    if "chunks" in advise.model_fields_set:
        return advise.chunks
    if reason := _too_dear_to_cut(data):
        return SkippedRemedy(name="chunk", reason=reason)
    if not chunk.enabled:
        return [ChunkRecipe(enabled=True)]
    room = room_of(data.system.encoder)
    others = {each: chunk.model_copy(update=each.model_dump(exclude_unset=True)) for each in advise.chunks}
    return [each for each, other in others.items() if other != chunk and (each.max_tokens or 0) <= room]


def _too_dear_to_cut(data: AdviceData) -> str:
    """Why other cuttings are not tried where nobody named any: each encodes the corpus anew. Empty where they are."""
    number, num_passages = len(data.queries), len(data.corpus.passages)
    is_cut = data.workspace.recipe.chunk.enabled
    if is_cut and num_passages == len(data.corpus.documents):
        return "every document is one passage: the cuttings that are tried unasked would change nothing"
    if not is_cut and not count_truncated(data.corpus.passages, data.system.encoder):
        return "the encoder reads every document whole"
    if number < FEW_QUERIES:
        return (
            f"{number} queries hardly tell cuttings apart, and each encodes the corpus anew; name some: advise.chunks"
        )
    if num_passages > _MOST_CUT:
        return f"each cutting encodes the corpus of {num_passages:,} passages anew; name some: advise.chunks"
    return ""


def encoder_remedies(data: AdviceData) -> Iterator[tuple[Remedy, Rate]]:
    """Other encoders off the shelf or behind an API, as ``advise.encoders`` describes them, and how fast they are."""
    for name, described in data.workspace.recipe.other_encoders.items():
        encoder = data.others[name].encoder
        embedded = data.corpora.embedded(encoder)
        remedy = whole(
            data,
            name,
            "change_encoder",
            data.found_in(embedded),
            changes={"encoder": {"model": described.model, **described.model_dump(mode="json", exclude_defaults=True)}},
            index_work="re-embed",
        )
        yield remedy, measure_rate(encoder, embedded.corpus)


def _train(data: AdviceData, known: AdapterSet, sides: str, fold: int) -> tuple[Adapter, Fit]:
    """The adapter that never saw a fold; the next one chose when to stop."""
    stops = (fold + 1) % data.num_folds
    return known.fit(
        np.flatnonzero((data.folds_Q != fold) & (data.folds_Q != stops)),
        data.judged_by(stops),
        settings=settings_of(data.workspace.recipe, sides),
        progress=data.progress,
    )


def _ranked(data: AdviceData, adapters: Sequence[Adapter], fold: int) -> TopK:
    """What the adapter that never saw a fold finds for its queries."""
    rows_S, adapter = data.judged_by(fold), adapters[fold]
    queries_SD = adapter.apply_queries(data.query_emb_QD[rows_S])
    return data.ranker.some(rows_S).by_vectors(queries_SD, adapter.apply_documents(data.passage_emb_PD))
