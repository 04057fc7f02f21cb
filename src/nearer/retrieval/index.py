"""The index of a space: what searching needs of it, and how it is opened, built and updated whatever its kind."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Protocol

from nearer.core.arrays import Floats32
from nearer.core.errors import Conflict, NearerError, WorkspaceError
from nearer.core.extras import extra
from nearer.core.filters import Filter
from nearer.core.results.serving import Recall
from nearer.retrieval.entries import Entries, Ranking, Stored, joined
from nearer.retrieval.exact import ExactIndex, build_exact, update_exact
from nearer.retrieval.index_policy import IndexPolicy
from nearer.retrieval.lance import LanceIndex
from nearer.retrieval.lance_table import forget_tables as forget_lance_tables
from nearer.retrieval.lance_writer import build_lance, update_lance
from nearer.retrieval.manifest import LOCK, Kind, Manifest, Spec, read_manifest
from nearer.retrieval.pg import PgIndex
from nearer.retrieval.pg_server import require_postgres
from nearer.retrieval.pg_writer import build_pg, update_pg
from nearer.retrieval.pg_writer import forget_tables as forget_pg_tables
from nearer.store.files import remove_tree
from nearer.store.leases import lease


class Index(Protocol):
    """An open index: it goes on with what was current when it was opened."""

    @property
    def manifest(self) -> Manifest:
        """What it is."""
        ...

    def search(self, query_emb_QD: Floats32, *, space_id: str, k: int, where: Filter | None = None) -> list[Ranking]:
        """The ``k`` best documents of each query that pass ``where``; a document scores its best passage."""
        ...

    def stored(self, doc_ids: Sequence[str]) -> dict[str, Stored]:
        """What each document was made of, and its passages' vectors; those that are not in it are left out."""
        ...

    def hashes(self) -> dict[str, str]:
        """What each document was made of, by id."""
        ...

    def damage(self) -> tuple[str, ...]:
        """What is not as it was written, after reading everything."""
        ...

    def recall(self, query_emb_QD: Floats32) -> Recall | None:
        """How much of what exact search finds these queries find; None where search is exact."""
        ...


def open_index(folder: Path, *, space_id: str) -> Index:
    """Open what is current in ``folder``.

    Raises NotFound when nothing was built, SpaceMismatch when it holds another space, WorkspaceError when it is
    damaged or of a newer format.
    """
    manifest = read_manifest(folder, space_id=space_id)
    try:
        return _opened(folder, manifest)
    except WorkspaceError:
        newer = read_manifest(folder, space_id=space_id)
        if newer == manifest:
            raise
        return _opened(folder, newer)  # rebuilt while it was being read


def build_index(
    folder: Path,
    *,
    spec: Spec,
    batches: Iterable[Entries],
    policy: IndexPolicy,
    revision: int,
) -> Index:
    """Build anew, beside what is current, and make it current.

    There must be a document. Batches are held in memory only up to the size of an exact index.

    Raises WorkspaceBusy when another process is writing, WorkspaceError for a vector that is zero or not finite.
    """
    _require(policy.kind_for(0))
    folder.mkdir(parents=True, exist_ok=True)
    with _writing(folder):
        before, coming = _current(folder, spec), iter(batches)
        held: list[Entries] = []
        num_passages = 0
        while policy.kind_for(num_passages) == "exact" and (entries := next(coming, None)):
            held.append(entries)
            num_passages += len(entries.vectors_PD)
        kind = policy.kind_for(num_passages)
        _require(kind)
        made: Index
        if kind == "exact":
            made = build_exact(folder, spec=spec, content=joined(held), revision=revision, before=before)
        else:
            build = build_pg if kind == "pgvector" else build_lance
            everything = chain(held, coming)
            made = build(folder, spec=spec, batches=everything, policy=policy, revision=revision, before=before)
        _forget(folder, before, made.manifest)
        return made


def update_index(
    folder: Path,
    index: Index,
    *,
    removed: Collection[str],
    changed: Iterable[Entries],
    policy: IndexPolicy,
    revision: int,
) -> Index:
    """Make an index current that differs from ``index`` in the documents removed and changed (or added).

    Raises WorkspaceBusy when another process is writing, Conflict when ``index`` is no longer current, WorkspaceError
    for a vector that is zero or not finite.
    """
    with _writing(folder):
        if read_manifest(folder, space_id=index.manifest.spec.space_id) != index.manifest:
            raise Conflict(f"{folder}: the index was changed while it was being read", hint="repeat the command")
        made: Index
        if isinstance(index, ExactIndex):
            made = update_exact(folder, index, removed=removed, changed=changed, revision=revision)
        elif isinstance(index, PgIndex):
            made = update_pg(folder, index, removed=removed, changed=changed, policy=policy, revision=revision)
        else:
            assert isinstance(index, LanceIndex)
            made = update_lance(folder, index, removed=removed, changed=changed, policy=policy, revision=revision)
        _forget(folder, index.manifest, made.manifest)
        return made


def differences(indexed: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, ...]:
    """How an index differs from the documents, given what each was made of by id; empty when it follows them.

    >>> differences({"a": "1", "b": "1"}, {"b": "2", "c": "1"})[0]
    '1 documents not in the index'
    """
    changed = sum(indexed[doc_id] != current[doc_id] for doc_id in indexed.keys() & current.keys())
    counts = {
        "not in the index": len(current.keys() - indexed.keys()),
        "in the index but removed": len(indexed.keys() - current.keys()),
        "indexed as they were before an edit": changed,
    }
    return tuple(f"{count} documents {what}" for what, count in counts.items() if count)


def _opened(folder: Path, manifest: Manifest) -> Index:
    _require(manifest.kind)
    if manifest.kind == "exact":
        return ExactIndex.open(folder, manifest)
    return PgIndex.open(folder, manifest) if manifest.kind == "pgvector" else LanceIndex.open(folder, manifest)


def remove_index(folder: Path, *, space_id: str) -> None:
    """Remove an index, and its tables in PostgreSQL or object storage where that can be asked. Raises OSError."""
    with suppress(NearerError):
        _forget(folder, read_manifest(folder, space_id=space_id), None)
    remove_tree(folder)


def _forget(folder: Path, before: Manifest | None, kept: Manifest | None) -> None:
    """Drop what is elsewhere and nobody holds any more: whatever kind it is now, it may have been another before."""
    places = {each.place for each in before.versions} if before else set()
    if before and "postgres" in places:
        require_postgres()
        forget_pg_tables(folder, before, kept)
    if before and "objects" in places:
        forget_lance_tables(folder, before, kept)


def _require(kind: Kind) -> None:
    """Raises InputError where the extra of a kind is not installed."""
    if kind == "pgvector":
        require_postgres()
    elif kind == "lancedb":
        with extra("lance", used_for="an index of kind lancedb"):
            import lancedb  # noqa: F401


def _current(folder: Path, spec: Spec) -> Manifest | None:
    """What a new index replaces, if it can be read."""
    try:
        return read_manifest(folder, space_id=spec.space_id)
    except NearerError:
        return None


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    with lease(folder / LOCK, holder="nearer index"):
        yield
