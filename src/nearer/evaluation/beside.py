"""A smaller model beside the full one: how fast both encode here, and what the smaller one loses.

Arrays: N texts x D dimensions.
"""

import random
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.results.vectors import QualityBeside, SpeedBeside
from nearer.encode.corpus import Corpus, cut, window_of
from nearer.encode.embedded import Corpora
from nearer.encode.encoder import TextEncoder
from nearer.evaluation.comparison import compare_measured
from nearer.evaluation.judged_split import JudgedSplit
from nearer.evaluation.ranking import Measured
from nearer.evaluation.sizes import FULL, MEASURE, MeasuredCorpus
from nearer.systems import System

NUM_QUERIES = 20
_NUM_TIMED, _RUNS = 48, 3


def timed_sample(corpora: Corpora, system: System) -> Corpus:
    """Some of the documents, always the same, cut for a system: what encoding is timed on."""
    documents = corpora.documents
    some = random.Random(0).sample(documents, min(_NUM_TIMED, len(documents)))
    return cut(some, system.encoder, window_of(system.chunk, system.encoder))


def speed_beside(
    full: TextEncoder, small: TextEncoder, sample: Corpus, queries: Sequence[str], *, clock: Callable[[], float]
) -> SpeedBeside:
    """Both encoders in turns: the least time of all passages of the sample, the median time of one query."""
    import torch

    passages, queries = list(sample.passages), list(queries[:NUM_QUERIES])
    made: dict[str, Floats32] = {}
    documents_s: dict[str, list[float]] = {"full": [], "small": []}
    queries_s: dict[str, list[float]] = {"full": [], "small": []}
    sides: tuple[tuple[str, TextEncoder], ...] = (("full", full), ("small", small))
    for _ in range(_RUNS):
        for name, encoder in sides:
            began = clock()
            made[name] = encoder.encode_documents(passages)
            documents_s[name].append(clock() - began)
        for query in queries:
            for name, encoder in sides:
                began = clock()
                encoder.encode_queries([query])
                queries_s[name].append(clock() - began)
    full_s, small_s = min(documents_s["full"]), min(documents_s["small"])
    return SpeedBeside(
        num_threads=torch.get_num_threads(),
        num_passages=len(passages),
        passages_per_second=len(passages) / small_s,
        full_passages_per_second=len(passages) / full_s,
        ratio=full_s / small_s,
        query_ms=1000 * median(queries_s["small"]),
        full_query_ms=1000 * median(queries_s["full"]),
        mean_cosine=float(np.einsum("nd,nd->n", made["full"], made["small"]).mean()),
    )


def quality_beside(corpora: Corpora, full: System, small: System, judged: JudgedSplit) -> QualityBeside:
    """Both encoders on the whole corpus."""
    of_full, of_small = (_measured(corpora, each, judged) for each in (full, small))
    metric = str(MEASURE)
    recipe = corpora.workspace.recipe.evaluate
    [difference] = compare_measured(of_full, of_small, metrics=[metric], judged=judged, recipe=recipe)
    return QualityBeside(
        split=judged.split,
        metric=metric,
        num_queries=len(judged.queries),
        value=float(of_small.values[metric].mean()),
        full_value=float(of_full.values[metric].mean()),
        difference=difference,
    )


def shortcomings(
    speed: SpeedBeside, quality: QualityBeside | None, *, least_speedup: float, most_lost: float
) -> tuple[str, ...]:
    """Why the smaller model is not worth a second index; empty where it is. ``most_lost`` is of the metric."""
    reasons = []
    if speed.ratio < least_speedup:
        reasons.append(f"it encodes {speed.ratio:.2f} times the passages a second, below {least_speedup}")
    if quality is not None and quality.value < quality.full_value - most_lost:
        lost = quality.full_value - quality.value
        reasons.append(f"it loses {lost:.4f} of {quality.metric} on {quality.split}, more than {most_lost}")
    return tuple(reasons)


def _measured(corpora: Corpora, system: System, judged: JudgedSplit) -> Measured:
    corpus = MeasuredCorpus.of(corpora.embedded(system.encoder, chunk=system.chunk), judged)
    size = corpus.measured(system, judged, system.encoder.dimension, FULL, clock=time.perf_counter)
    return size.measured
