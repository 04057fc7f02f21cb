"""Vectors made smaller, rotated, merged; and what any would cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nearer.core.results.base import JSON, OMITTED, Result
from nearer.core.results.measuring import ApiUse, Comparison, Interval, Ledger
from nearer.core.results.training import MergedWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed(Result):
    """A model whose vectors are the first ``dimension`` values of its parent's ``full_dimension``."""

    model_id: str
    encoder_id: str
    space_id: str
    parent_model_id: str
    dimension: int
    full_dimension: int
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeDifference(Comparison):
    """A size minus the full vectors, with Holm's p-value over all sizes."""

    p_adjusted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeValues(Interval):
    """A size of vectors: its quality, its bytes, and the time of one search beside that of the full vectors.

    ``is_within`` says that no more is lost than ``compress.max_loss`` allows, ``is_proven`` that the interval says so.
    ``difference`` is None for the full vectors themselves.
    """

    dimension: int
    precision: str
    stored: str
    bytes_per_document: float
    difference: SizeDifference | None
    share_of_full: float
    is_within: bool
    is_proven: bool
    search_ms: float
    full_search_ms: float
    search_time_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionCurve(Result):
    """A system's vectors at every dimension and precision, the full ones first; ``next`` are the commands that follow.

    ``proposal`` is the smallest of ``rows`` that is near enough. ``settings`` are the recipe's, of [compress].
    """

    system: str
    model_id: str
    split: str
    metric: str
    num_queries: int
    num_groups: int | None
    num_documents: int
    num_passages: int
    settings: JSON
    rows: tuple[SizeValues, ...]
    proposal: SizeValues
    next: tuple[str, ...]
    ledger: Ledger
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedBeside(Result):
    """A smaller model beside the full one, in turns with the same number of threads: all passages, one query at a time.

    ``ratio`` is of passages a second; ``mean_cosine`` is between the vectors of the passages.
    """

    num_threads: int
    num_passages: int
    passages_per_second: float
    full_passages_per_second: float
    ratio: float
    query_ms: float
    full_query_ms: float
    mean_cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityBeside(Result):
    """A smaller model beside the full one on the whole corpus; ``difference`` is the smaller one's minus the full's."""

    split: str
    metric: str
    num_queries: int
    value: float
    full_value: float
    difference: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8(Result):
    """Whether a model of int8 weights is worth it on this machine; without a model where it is "not offered".

    ``num_bytes`` are those of its weights. ``quality`` is None where the speed settled it.
    """

    verdict: Literal["offered", "not offered"]
    reasons: tuple[str, ...]
    model_id: str | None
    encoder_id: str | None
    parent_model_id: str
    quantisation: str
    num_bytes: int
    speed: SpeedBeside
    quality: QualityBeside | None
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled(Result):
    """A model of some of its parent's layers, which learned to give the vectors of ``teacher``, and both beside it.

    ``layers`` are the places of those that were kept, of ``num_layers``. ``is_within`` says that it is as fast, and
    loses as little, as makes a second index worth it; ``reasons`` say why not. ``speed`` is beside the parent,
    ``quality`` beside the teacher.
    """

    model_id: str
    encoder_id: str
    space_id: str
    parent_model_id: str
    teacher: str
    layers: tuple[int, ...]
    num_layers: int
    num_queries: int
    num_passages: int
    num_steps: int
    losses: tuple[float, ...]
    is_within: bool
    reasons: tuple[str, ...]
    speed: SpeedBeside
    quality: QualityBeside
    duration_s: float
    ledger: Ledger
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated(Result):
    """A model whose vectors are its parent's, rotated by the pairs of train."""

    model_id: str
    encoder_id: str
    space_id: str
    parent_model_id: str
    num_pairs: int
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged(Result):
    """The model between two, at ``weight`` of the first of ``parents``; at an end it is one of them.

    ``broken`` are the names of the suite's cases that newly fail beside the second.
    """

    model_id: str
    is_new: bool
    system: str
    other: str
    parents: tuple[str, str]
    weight: float
    metric: str
    num_queries: int
    points: tuple[MergedWeight, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingRate(Result):
    """How fast documents are encoded: as given, or measured on a sample, which the other keys describe."""

    origin: str
    documents_per_second: tuple[float, ...]
    texts: str | None = field(default=None, metadata=OMITTED)
    model: str | None = field(default=None, metadata=OMITTED)
    dims: int | None = field(default=None, metadata=OMITTED)
    device: str | None = field(default=None, metadata=OMITTED)
    num_texts: int | None = field(default=None, metadata=OMITTED)
    duration_s: float | None = field(default=None, metadata=OMITTED)
    sample_passages_per_document: float | None = field(default=None, metadata=OMITTED)
    sample_tokens_per_document: float | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices(Result):
    """US dollars; None where the recipe has no price. ``storage_month`` is by kind of index."""

    reembedding: float | None
    storage_month: Mapping[str, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow(Result):
    """What vectors of these dimensions and this precision take; ``hours_origin`` says where the hours are from."""

    dims: int
    precision: str
    raw_bytes: int
    index_bytes: Mapping[str, int]
    reembedding_hours: float
    hours_origin: str
    relative_search_cost: float
    usd: Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCostBaseline(Result):
    """What the relative costs of a search are beside."""

    dims: int
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(Result):
    """What vectors of so many documents would take, a row for every size."""

    num_documents: int
    passages_per_document: float
    num_vectors: int
    throughput: EncodingRate
    search_cost_baseline: SearchCostBaseline
    rows: tuple[CostRow, ...]
    api_usd: float | None
    notes: tuple[str, ...]
