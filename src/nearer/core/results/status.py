"""What is live and what there is: releases, models, unfinished trainings, and what services were asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from nearer.core.results.base import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatus(Result):
    """A release: its model, its stages, and the documents that it answers from."""

    release_id: str
    model_id: str
    space_id: str
    is_unmeasured: bool
    stages: tuple[str, ...]
    num_documents: int
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus(Result):
    """A model that the workspace knows, and what it was made from."""

    model_id: str
    parent_model_id: str | None
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankerStatus(Result):
    """A reranker that was trained here, and what it was made from."""

    reranker_id: str
    parent_id: str | None
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiTotal(Result):
    """All that a model of a service was ever asked; the cost is None where part of it is unknown."""

    endpoint: str
    model: str
    num_requests: int
    num_tokens: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRun(Result):
    """A training that did not end; ``num_bytes`` is its size on disk."""

    run_id: str
    verb: str
    started_at: str
    is_running: bool
    num_passes_done: int
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded(Result):
    """An unfinished training that was given up."""

    discarded: UnfinishedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Result):
    """What is live, what a rollback would return to, and what there is; ``bytes`` are by kind."""

    live: ReleaseStatus | None
    previous: ReleaseStatus | None
    models: tuple[ModelStatus, ...]
    rerankers: tuple[RerankerStatus, ...]
    unfinished: tuple[UnfinishedRun, ...]
    bytes: Mapping[str, int]
    api: tuple[ApiTotal, ...]
