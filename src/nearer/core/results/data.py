"""What comes in and goes out: imports, removals, preflight, exports, pruning; and whether indexes follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nearer.core.errors import Fault
from nearer.core.results.base import OMITTED, Result
from nearer.core.results.changes import Changes
from nearer.core.results.measuring import ApiUse, ExcludedDocuments


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported(Result):
    """What an import changed, by kind of record, and what is there now.

    ``notes`` say how files were taken where that is not word for word what they hold. Rows that were set aside are
    counted by ``num_skipped``; ``faults`` are the first of ``num_faults``. ``apart`` counts events that are kept apart,
    by reason.
    """

    changes: Mapping[str, Changes]
    notes: tuple[str, ...]
    num_skipped: int
    faults: tuple[Fault, ...]
    num_faults: int
    duration_s: float
    counts: Mapping[str, int]
    splits: Mapping[str, int]
    apart: Mapping[str, int] | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkspace(Result):
    """Where a workspace was made, and the address of the PostgreSQL of its own, where it has one."""

    workspace: str
    postgres: str | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLeak(Result):
    """A query that two splits share, by its ``kind`` of likeness."""

    kind: str
    query_id: str
    leaks_into: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight(Result):
    """What would spoil training or measuring: ``faults`` make the verdict, ``notes`` do not.

    ``leaks`` are the first of ``num_leaks``. ``unknown_tokens`` has the share of the tokens of documents and of queries
    that the base's tokenizer does not know; it is empty where the tokenizer is not here.
    """

    verdict: Literal["ok", "faults"]
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    leaks: tuple[QueryLeak, ...]
    num_leaks: int
    num_dropped: int
    counts: Mapping[str, int]
    splits: Mapping[str, int]
    num_passages: int
    num_truncated: int
    unknown_tokens: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Result):
    """A file that was written for other tools; ``excluded`` says of a run what its rankings do not hold."""

    kind: str
    split: str
    file: str
    num_lines: int
    excluded: ExcludedDocuments | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedVectors(Result):
    """A file with the vectors of a system's passages for another store; queries of another space may not meet them."""

    file: str
    store: str
    space_id: str
    model_id: str
    dimension: int
    num_documents: int
    num_vectors: int
    api: ApiUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel(Result):
    """A folder that sentence-transformers reads, and what was compared there.

    ``sha256`` are of its weights, by file. Of ``num_compared`` texts no number of a vector differs by more than
    ``max_difference``. ``is_routed`` where queries and documents take different ways through it. ``measured_on`` are
    the splits whose figures its card has; ``url`` is that of the commit, where it was pushed.
    """

    folder: str
    model_id: str
    encoder_id: str
    space_id: str
    dimension: int
    num_bytes: int
    sha256: Mapping[str, str]
    num_compared: int
    max_difference: float
    is_routed: bool
    measured_on: tuple[str, ...]
    url: str | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSheet(Result):
    """A judge sheet: a row a query and pooled document; the grades of ``num_judged`` rows are known already."""

    file: str
    systems: tuple[str, ...]
    num_queries: int
    num_rows: int
    num_judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus(Result):
    """The faults of each system's index; the verdict is "faults" where there is one."""

    verdict: Literal["ok", "faults"]
    faults: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(Result):
    """How many documents were removed, and what the workspace holds now."""

    num_removed: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedItem(Result):
    """A folder or file that nothing needs."""

    kind: str
    name: str
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned(Result):
    """What was removed, or with ``dry_run`` would be, and the bytes of all of it."""

    dry_run: bool
    keep: int
    removed: tuple[PrunedItem, ...]
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTable(Result):
    """A table that is the same in two databases: its rows, and the sum of their SHA-256."""

    num_rows: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCopied(Result):
    """A database that was copied into another, table by table, and whether the recipe names the copy now."""

    source: str
    target: str
    tables: Mapping[str, CopiedTable]
    num_rows: int
    is_in_recipe: bool
    duration_s: float
