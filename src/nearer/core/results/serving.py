"""Indexes, searches, and where things stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearer.core.records import Metadata
from nearer.core.results.base import JSON, OMITTED, Result
from nearer.core.results.measuring import ApiUse
from nearer.core.results.training import DistilledFrom, StartingPoint, TrainingData


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes(Result):
    """How much of a vector index one query reads: so many partitions, and ``refine`` full vectors a result wanted."""

    nprobes: int
    refine: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall(Result):
    """The share of the exact ``k`` best documents that searching found, as a mean over queries.

    ``measured_on`` is "queries", or "passages" where the workspace held no query.
    """

    value: float
    k: int
    num_queries: int
    measured_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSummary(Result):
    """How queries are answered, as a release tells it: kind, what is probed, and the recall measured."""

    kind: str
    probes: Probes | None
    recall: Recall | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIndex(Result):
    """The index of a system's space, up to the documents."""

    system: str
    space_id: str
    num_documents: int
    num_passages: int
    num_encoded: int
    index: IndexSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed(Result):
    """The indexes that were brought up to the documents."""

    indexes: tuple[BuiltIndex, ...]
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPassage(Result):
    """A passage of a document: its number, where it stands in title and text, in characters, and what it says."""

    ordinal: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit(Result):
    """A document that was found: its text with its title before it, and its best passage, where one found it.

    ``identical_ids`` are the documents of the same title and text, which share its rank.
    """

    doc_id: str
    score: float
    title: str
    text: str
    metadata: Metadata
    passage: FoundPassage | None
    identical_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer(Result):
    """What the live release answered; ``stale`` says how its index differs from the documents.

    ``unused_rules`` are the filters that lacked a field of the query.
    """

    release_id: str
    space_id: str
    is_unmeasured: bool
    stale: tuple[str, ...]
    unused_rules: tuple[str, ...]
    results: tuple[SearchHit, ...]
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedShare(Result):
    """The other model of a merge, and the share of the first."""

    model_id: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Result):
    """A model or a reranker, where it came from, and the releases that answer with it.

    A model has ``model_id``, ``encoder_id``, ``encoder`` (its settings), ``merged`` and ``distilled``; a reranker
    ``reranker_id``, ``cross_encoder_id`` and ``start``.
    """

    model_id: str | None = field(default=None, metadata=OMITTED)
    encoder_id: str | None = field(default=None, metadata=OMITTED)
    encoder: JSON | None = field(default=None, metadata=OMITTED)
    merged: MergedShare | None = field(default=None, metadata=OMITTED)
    distilled: DistilledFrom | None = field(default=None, metadata=OMITTED)
    reranker_id: str | None = field(default=None, metadata=OMITTED)
    cross_encoder_id: str | None = field(default=None, metadata=OMITTED)
    start: StartingPoint | None = field(default=None, metadata=OMITTED)
    source: str
    created_at: str
    data: TrainingData | None
    seed: int | None
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedAnswer(Result):
    """An answer that the service gave: to whom is hashed, which release gave it, and what users did with it.

    ``events`` counts what counts of what they did, by action.
    """

    query_id: str
    at: str
    query: str
    arm: str
    release_id: str
    space_id: str
    doc_ids: tuple[str, ...]
    events: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage(Result):
    """Where a model, or a reranker, came from: itself first, its parents after it.

    ``reranker`` tells the same of what ranks anew what is live, where it was trained here. ``answer`` is what was asked
    about, where that was an answer and not a system.
    """

    lineage: tuple[Link, ...]
    reranker: tuple[Link, ...]
    answer: ServedAnswer | None = field(default=None, metadata=OMITTED)
