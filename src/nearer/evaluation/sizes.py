"""What smaller vectors lose: every dimension and precision, measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import get_args

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.results.vectors import SizeDifference, SizeValues
from nearer.encode.compressed import compressed
from nearer.encode.corpus import Corpus
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.comparison import adjusted_p, compare_measured
from nearer.evaluation.exclusions import Exclusions, find_exclusions
from nearer.evaluation.judged_split import JudgedSplit
from nearer.evaluation.ranking import Measured
from nearer.measure.metrics import Measure, score
from nearer.measure.significance import mean_intervals
from nearer.store.workspace import Workspace
from nearer.systems import System
from nearer.vectors.quantise import STORED, Precision, Quantised, quantise, search, stored_bytes

FULL: Precision = "float32"
MEASURE = Measure.parse("nDCG@10")
"""What sizes are compared by."""

_K = 10

_RESCORE = 4
"""Documents that the signs of binary vectors find for each that is wanted; int8 orders them.

Source: Shakir, Aarsen and Lee, Binary and Scalar Embedding Quantization (2024, Hugging Face blog): it keeps 96 %.
"""
NUM_TIMED = 20
"""Queries that are searched one at a time for the search time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Size:
    """One size of vector: what it ranks, and how long one search takes, its own and that of the full vectors."""

    dimension: int
    precision: Precision
    measured: Measured
    search_s: float
    full_search_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredCorpus:
    """What all sizes are measured on: the full vectors of queries and passages."""

    corpus: Corpus
    query_emb_QD: Floats32
    passage_emb_PD: Floats32
    exclusions: Exclusions

    @classmethod
    def of(cls, embedded: EmbeddedCorpus, judged: JudgedSplit) -> "MeasuredCorpus":
        """Embed the queries and passages that all sizes share; both are of one moment."""
        return cls(
            corpus=embedded.corpus,
            passage_emb_PD=embedded.passage_emb_PD,
            query_emb_QD=embedded.embed_queries(judged.queries),
            exclusions=find_exclusions(embedded.workspace, judged.queries, embedded.corpus.documents),
        )

    def measured(
        self,
        system: System,
        judged: JudgedSplit,
        dimension: int,
        precision: Precision,
        *,
        clock: Callable[[], float],
    ) -> _Size:
        """The quality and the time of one size."""
        query_emb_QD, kept = self._first(self.query_emb_QD, dimension), self._first(self.passage_emb_PD, dimension)
        quantised = quantise(kept, precision)
        found = search(
            query_emb_QD,
            quantised,
            k=_K,
            starts_N=self.corpus.starts_N,
            excluded=self.exclusions.pairs,
            rescore=_RESCORE,
        )
        full_s = self._time(self.query_emb_QD, quantise(self.passage_emb_PD, FULL), clock)
        return _Size(
            dimension=dimension,
            precision=precision,
            measured=Measured(
                system=system,
                values={str(MEASURE): score([MEASURE], found.rows_QK, judged.qrels)[MEASURE]},
                rows_QK=found.rows_QK,
                excluded=self.exclusions.counts,
            ),
            search_s=self._time(query_emb_QD, quantised, clock),
            full_search_s=full_s,
        )

    def _first(self, emb_ND: Floats32, dimension: int) -> Floats32:
        return emb_ND if dimension == emb_ND.shape[1] else compressed(emb_ND, dimension)

    def _time(self, query_emb_QD: Floats32, kept: Quantised, clock: Callable[[], float]) -> float:
        """The median seconds of one query's search."""
        durations_s = []
        for query_D in query_emb_QD[:NUM_TIMED]:
            began = clock()
            search(query_D[None], kept, k=_K, starts_N=self.corpus.starts_N, rescore=_RESCORE)
            durations_s.append(clock() - began)
        return median(durations_s)


def proposed(rows: Sequence[SizeValues]) -> SizeValues:
    """The row of the fewest stored bytes whose quality is near enough to that of the first; of equals the fastest."""
    return min((row for row in rows if row.is_within), key=lambda row: (row.bytes_per_document, row.search_time_ratio))


def settings_of(workspace: Workspace, full_dimension: int) -> list[tuple[int, Precision]]:
    """The sizes to measure, from the largest: the full float32 vectors come first."""
    smaller = {each for each in workspace.recipe.compress.dimensions if each < full_dimension}
    dimensions = sorted(smaller | {full_dimension}, reverse=True)
    found = [(dimension, precision) for dimension in dimensions for precision in get_args(Precision)]
    return [(full_dimension, FULL), *(each for each in found if each != (full_dimension, FULL))]


def rows_of(
    workspace: Workspace, judged: JudgedSplit, full: _Size, others: Sequence[_Size], corpus: Corpus
) -> tuple[SizeValues, ...]:
    """Every size, compared with the full one."""
    recipe, metric = workspace.recipe.evaluate, str(MEASURE)
    values_QS = np.stack([each.measured.values[metric] for each in (full, *others)], axis=1)
    intervals = mean_intervals(
        values_QS,
        groups_Q=judged.groups_of(np.arange(len(values_QS))),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )
    found = [
        each
        for other in others
        for each in compare_measured(full.measured, other.measured, metrics=[metric], judged=judged, recipe=recipe)
    ]
    compared = [
        SizeDifference(**each.to_dict(), p_adjusted=p_value)
        for each, p_value in zip(found, adjusted_p(found), strict=True)
    ]
    most_lost = workspace.recipe.compress.max_loss * intervals[0].value
    passages_a_document = len(corpus.passages) / len(corpus.documents)
    return tuple(
        SizeValues(
            **interval.to_dict(),
            dimension=size.dimension,
            precision=size.precision,
            stored=STORED[size.precision],
            bytes_per_document=stored_bytes(size.dimension, size.precision) * passages_a_document,
            difference=difference,
            share_of_full=interval.value / intervals[0].value if intervals[0].value else 1.0,
            is_within=interval.value >= intervals[0].value - most_lost,
            is_proven=difference is None or difference.low >= -most_lost,
            search_ms=1000 * size.search_s,
            full_search_ms=1000 * size.full_search_s,
            search_time_ratio=size.search_s / size.full_search_s,
        )
        for size, interval, difference in zip((full, *others), intervals, [None, *compared], strict=True)
    )
