"""Shorter and smaller vectors: what each size costs in quality, bytes and time, and a model of fewer dimensions.

Shapes: Q queries, P passages, N documents, D dimensions, K ranked documents.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, get_args

import numpy as np

from nearer.core.errors import InputError
from nearer.core.progress import Progress, Silent
from nearer.core.steps import reached
from nearer.encode.shortened import ShortenedEncoder, shortened
from nearer.flows.embedding import (
    Corpus,
    Floats,
    Ints,
    embed_corpus,
    embed_queries,
    own_documents,
    read_corpus,
    refuse_other_documents,
)
from nearer.flows.evaluate import compare_measured, with_adjusted_p
from nearer.flows.measuring.judged_split import JudgedSplit, read_judged_split
from nearer.flows.measuring.ranking import Measured
from nearer.flows.splits import ensure_splits
from nearer.flows.systems import System, open_system, spent
from nearer.measure.metrics import Measure, score
from nearer.measure.quantise import STORED, Precision, Quantised, quantise, search, stored_bytes
from nearer.measure.significance import mean_intervals
from nearer.store.registry import Model, Registry
from nearer.store.workspace import Workspace

MEASURE = Measure.parse("nDCG@10")
"""What sizes are compared by."""
_K = 10
_FULL: Precision = "float32"


def shorten(workspace: Workspace, system: str, *, dimension: int) -> dict[str, Any]:
    """Register the model whose vectors are the first ``dimension`` values of a system's, of length 1 again.

    It keeps no weights: those of the model that it shortens serve it. Its space is its own.

    Raises InputError for a dimension that is not below the system's, and for a system of more than a model.
    """
    opened = _open(workspace, system)
    encoder = ShortenedEncoder(opened.encoder, dimension)
    record = Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=opened.model.source,
        encoder={"shortened": {"dimension": dimension}, "space_id": encoder.space_id},
        parent_model_id=opened.model.model_id,
    )
    with workspace.writer("shorten"):
        model = Registry(workspace.database).add_model(record)
    return {
        "model_id": model.model_id,
        "encoder_id": model.encoder_id,
        "space_id": model.space_id,
        "parent_model_id": model.parent_model_id,
        "dimension": dimension,
        "full_dimension": opened.encoder.dimension,
        **spent([opened]),
    }


def shortening_curve(
    workspace: Workspace,
    system: str,
    *,
    split: str = "dev",
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Measure a system's vectors at every dimension and precision of ``shorten``, and propose the smallest that do.

    Each is compared query by query with the full float32 vectors, over the whole corpus. Search times are of one query
    at a time, in NumPy, beside those of the full vectors in the same minute. A test split is a look in the ledger.

    Raises InputError when the split has no judged queries, and for a system of more than a model.
    """
    progress = progress or Silent()
    ensure_splits(workspace)
    opened, judged = _open(workspace, system), read_judged_split(workspace, split)
    ground = _Ground.read(workspace, opened, judged, progress=progress)
    settings = _settings(workspace, opened.encoder.dimension)
    full, *others = [
        ground.measured(workspace, opened, judged, *each, clock=clock)
        for each in progress.track(settings, label="search each size", total=len(settings))
    ]
    rows = _rows(workspace, judged, full, others, ground.corpus)
    with workspace.writer("shorten"):
        registry = Registry(workspace.database)
        result = {
            "system": system,
            "model_id": opened.model.model_id,
            "split": judged.split,
            "metric": str(MEASURE),
            "num_queries": len(judged.queries),
            "num_groups": len(set(judged.groups)) if judged.groups else None,
            "num_documents": len(ground.corpus.documents),
            "num_passages": len(ground.corpus.passages),
            "settings": workspace.recipe.shorten.model_dump(mode="json"),
            "rows": rows,
            "proposal": (proposal := proposed(rows)),
            "next": _next(workspace, opened, proposal, rows[0]),
            "ledger": registry.look(split=judged.split, systems=[system], purpose="shorten"),
            **spent([opened]),
        }
        registry.record("shorten", detail=result)
        reached("shorten.curve")
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Size:
    """One size of vector: what it ranks, and how long one search takes, its own and that of the full vectors."""

    dimension: int
    precision: Precision
    measured: Measured
    search_s: float
    full_search_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ground:
    """What all sizes are measured on: the full vectors of queries and passages."""

    corpus: Corpus
    query_emb_QD: Floats
    passage_emb_PD: Floats
    excluded: tuple[Ints, Ints]
    rescore: int
    num_timed: int

    @classmethod
    def read(cls, workspace: Workspace, system: System, judged: JudgedSplit, *, progress: Progress) -> "_Ground":
        corpus = read_corpus(workspace, system.encoder, chunk=system.chunk)
        refuse_other_documents(corpus.documents, judged.doc_ids)
        passage_emb_PD, _ = embed_corpus(workspace, system.encoder, corpus, progress)
        recipe = workspace.recipe.shorten
        return cls(
            corpus=corpus,
            query_emb_QD=embed_queries(workspace, system.encoder, judged.queries, progress),
            passage_emb_PD=passage_emb_PD,
            excluded=own_documents(judged.queries, corpus.documents),
            rescore=recipe.rescore,
            num_timed=recipe.num_timed_queries,
        )

    def measured(
        self,
        workspace: Workspace,
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
            excluded=self.excluded,
            rescore=self.rescore,
        )
        full_s = self._time(self.query_emb_QD, quantise(self.passage_emb_PD, _FULL), clock)
        return _Size(
            dimension=dimension,
            precision=precision,
            measured=Measured(
                system=system,
                values={str(MEASURE): score([MEASURE], found.rows_QK, judged.qrels)[MEASURE]},
                rows_QK=found.rows_QK,
            ),
            search_s=self._time(query_emb_QD, quantised, clock),
            full_search_s=full_s,
        )

    def _first(self, emb_ND: Floats, dimension: int) -> Floats:
        return emb_ND if dimension == emb_ND.shape[1] else shortened(emb_ND, dimension)

    def _time(self, query_emb_QD: Floats, kept: Quantised, clock: Callable[[], float]) -> float:
        """The median seconds of one query's search."""
        durations_s = []
        for query_D in query_emb_QD[: self.num_timed]:
            began = clock()
            search(query_D[None], kept, k=_K, starts_N=self.corpus.starts_N, rescore=self.rescore)
            durations_s.append(clock() - began)
        return median(durations_s)


def proposed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of the fewest stored bytes whose quality is near enough to that of the first; of equals the fastest."""
    return min(
        (row for row in rows if row["is_within"]), key=lambda row: (row["bytes_per_document"], row["search_time_ratio"])
    )


def _open(workspace: Workspace, name: str) -> System:
    """The system, which must be a model alone: stages are of its search, not of its vectors."""
    system = open_system(workspace, name)
    if system.stages:
        raise InputError(
            f"{name} is more than a model", hint=f"shorten the model itself: nearer shorten {system.model.model_id}"
        )
    return system


def _settings(workspace: Workspace, full_dimension: int) -> list[tuple[int, Precision]]:
    """The sizes to measure, from the largest: the full float32 vectors come first, whatever the recipe says."""
    recipe = workspace.recipe.shorten
    dimensions = sorted({each for each in recipe.dimensions if each < full_dimension} | {full_dimension}, reverse=True)
    precisions = [each for each in get_args(Precision) if each in recipe.precisions]
    found = [(dimension, precision) for dimension in dimensions for precision in precisions]
    return [(full_dimension, _FULL), *(each for each in found if each != (full_dimension, _FULL))]


def _rows(
    workspace: Workspace, judged: JudgedSplit, full: _Size, others: Sequence[_Size], corpus: Corpus
) -> list[dict[str, Any]]:
    """Every size as JSON, compared with the full one."""
    recipe, metric = workspace.recipe.evaluate, str(MEASURE)
    values_QS = np.stack([each.measured.values[metric] for each in (full, *others)], axis=1)
    intervals = mean_intervals(
        values_QS,
        groups_Q=judged.groups_of(np.arange(len(values_QS))),
        num_resamples=recipe.num_resamples,
        confidence=recipe.confidence,
        seed=recipe.seed,
    )
    compared = with_adjusted_p(
        [
            asdict(each)
            for other in others
            for each in compare_measured(full.measured, other.measured, metrics=[metric], judged=judged, recipe=recipe)
        ]
    )
    most_lost = workspace.recipe.shorten.max_loss * intervals[0].value
    passages_a_document = len(corpus.passages) / len(corpus.documents)
    return [
        {
            "dimension": size.dimension,
            "precision": size.precision,
            "stored": STORED[size.precision],
            "bytes_per_document": stored_bytes(size.dimension, size.precision) * passages_a_document,
            **asdict(interval),
            "difference": difference,
            "share_of_full": interval.value / intervals[0].value if intervals[0].value else 1.0,
            "is_within": interval.value >= intervals[0].value - most_lost,
            "is_proven": difference is None or difference["low"] >= -most_lost,
            "search_ms": 1000 * size.search_s,
            "full_search_ms": 1000 * size.full_search_s,
            "search_time_ratio": size.search_s / size.full_search_s,
        }
        for size, interval, difference in zip((full, *others), intervals, [None, *compared], strict=True)
    ]


def _next(workspace: Workspace, system: System, proposal: dict[str, Any], full: dict[str, Any]) -> list[str]:
    """The commands that make the proposal what is searched; the gate is told how much may be lost."""
    model_id, dimension = system.model.model_id, proposal["dimension"]
    if proposal == full:
        return []
    commands, chosen = [], model_id
    if dimension < full["dimension"]:
        commands.append(f"nearer shorten {model_id} --dimension {dimension}")
        chosen = ShortenedEncoder(system.encoder, dimension).model_id
    allowed = workspace.recipe.shorten.max_loss * full["value"]
    precision = f" --set index.precision={proposal['precision']}" if proposal["precision"] != _FULL else ""
    return [*commands, f"nearer promote {chosen} --set gate.min_gain=-{allowed:.4f}{precision}"]
