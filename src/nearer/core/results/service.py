"""The keys and the jobs of a service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nearer.core.results.base import OMITTED, Result

JobState = Literal["queued", "running", "done", "failed", "lost"]
"""Lost: its process ended without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry(Result):
    """A key as it may be shown; ``per_minute`` requests in a minute, or any number."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    per_minute: int | None
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange(Result):
    """A key that was added or removed; ``token`` is what a client sends, and is told this once."""

    action: Literal["added", "removed"]
    key: KeyEntry
    token: str | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList(Result):
    """The keys of a workspace's service, oldest first."""

    entries: tuple[KeyEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEntry(Result):
    """A job: a verb with its arguments, and what became of it; a failed one's result is ``{"error": {...}}``."""

    job_id: str
    verb: str
    arguments: Mapping[str, Any]
    state: JobState
    result: Mapping[str, Any] | None
    created_at: str
    started_at: str | None
    ended_at: str | None
