"""What is current in the folder of an index: one small file, replaced last and at once.

<folder>/manifest.json   this
<folder>/writer.lock     held by who changes the index
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from nearer.core.errors import NotFound, SpaceMismatch, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.core.results.base import OMITTED, Result
from nearer.core.results.serving import IndexSummary, Probes, Recall
from nearer.core.types import FieldType
from nearer.store.files import remove_tree, write_atomic

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
LOCK, HOLDER = "writer.lock", "writer.holder"
HELD = timedelta(hours=1)
"""How long a reader may go on with what it opened, after it was replaced."""

Kind = Literal["exact", "lancedb", "pgvector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(Result):
    """What cannot change without building anew: the space, how passages are cut, and what may filter.

    ``fields`` are typed, and in the order of the store's columns.
    """

    space_id: str
    chunking: str
    fields: Mapping[str, FieldType] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Result):
    """A file of an exact index and the SHA-256 of its content."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Result):
    """One version of a table, and since when it is no longer current (UTC); readers may still hold it for a while.

    ``server`` is the address of the PostgreSQL that has the table, without a password, or of LanceDB's tables in object
    storage; None of those in the folder.
    """

    table: str
    version: int
    retired_at: str | None = None
    server: str | None = field(default=None, metadata=OMITTED)

    @property
    def place(self) -> Literal["folder", "objects", "postgres"]:
        """What has the table."""
        if self.server is None:
            return "folder"
        return "objects" if self.server.startswith("s3://") else "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Result):
    """The current index of a space.

    ``revision`` is the documents' when it was built. An exact index has ``files``; LanceDB's and PostgreSQL's have
    ``current``, the versions ``retired`` lately, and, with a vector index, the ``probes`` it uses and the ``recall``
    measured with them.
    """

    kind: Kind
    spec: Spec
    num_documents: int
    num_passages: int
    revision: int
    files: Mapping[str, File] = field(default_factory=dict)
    current: Version | None = None
    retired: tuple[Version, ...] = ()
    probes: Probes | None = None
    recall: Recall | None = None

    @property
    def versions(self) -> tuple[Version, ...]:
        """The version that is current, and those that a reader may still hold."""
        return (*self.retired, *((self.current,) if self.current else ()))

    @property
    def server(self) -> str | None:
        """The address of what has it elsewhere, without a password; None of what is in the folder."""
        return self.current.server if self.current else None

    @property
    def names(self) -> set[str]:
        """The files and tables that are current, or that a reader may still hold."""
        tables = {f"{each.table}.lance" for each in self.versions if each.server is None}
        return {file.name for file in self.files.values()} | tables

    @property
    def summary(self) -> IndexSummary:
        """How queries are answered, as a release tells it: kind, what is probed, and the recall measured."""
        return IndexSummary(kind=self.kind, probes=self.probes, recall=self.recall)


def read_manifest(folder: Path, *, space_id: str) -> Manifest:
    """What is current in ``folder``.

    Raises NotFound when nothing was built, SpaceMismatch when it holds another space, WorkspaceError when it is
    damaged or of a newer format.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"no index of space {space_id}", hint="build it: nearer index") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path) from error
    if not isinstance(content, dict) or not isinstance(content.get("format_version"), int):
        raise damaged(path)
    if content["format_version"] > FORMAT_VERSION:
        raise WorkspaceError(
            f"{folder}: index format {content['format_version']}, this program reads {FORMAT_VERSION}",
            hint="rebuild: nearer index",
        )
    try:
        manifest = Manifest.read(content)
    except ValueError as error:
        raise damaged(path) from error
    if (manifest.kind == "exact") is (manifest.current is not None):
        raise damaged(path)
    if manifest.spec.space_id != space_id:
        raise SpaceMismatch(
            f"{folder} holds space {manifest.spec.space_id}, not {space_id}", hint="rebuild: nearer index"
        )
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make ``manifest`` what is current."""
    content = {"format_version": FORMAT_VERSION, **manifest.to_dict()}
    write_atomic(folder / MANIFEST, json.dumps(content, indent=2) + "\n")
    failpoint("index.manifest")


def refresh_manifest(folder: Path, manifest: Manifest, *, revision: int, current: Version | None = None) -> Manifest:
    """Note that nothing had to change up to ``revision``, and remove what nobody holds any more."""
    current = current or manifest.current
    fresh = replace(manifest, revision=revision, current=current, retired=still_held(manifest, current))
    if fresh != manifest:
        write_manifest(folder, fresh)
    keep_current(folder, fresh)
    return fresh


def keep_current(folder: Path, manifest: Manifest) -> None:
    """Remove what is not current, and what no reader can hold any more."""
    for path in folder.iterdir():
        if path.name not in {MANIFEST, LOCK, HOLDER, *manifest.names}:
            remove_tree(path)


def still_held(before: Manifest | None, current: Version | None) -> tuple[Version, ...]:
    """The table versions that readers may hold once ``current`` replaces what ``before`` names."""
    if before is None:
        return ()
    now = datetime.now(UTC)
    held = [each for each in before.retired if now - datetime.fromisoformat(each.retired_at or "") < HELD]
    if before.current and before.current != current:
        held.append(replace(before.current, retired_at=now.isoformat()))
    return tuple(held)


def damaged(path: Path | str, reason: str = "missing or damaged") -> WorkspaceError:
    """The error for a file or table that is not what was written."""
    return WorkspaceError(f"{path}: {reason}", hint="rebuild: nearer index")


def same_space(spec: Spec, space_id: str) -> None:
    """Raises SpaceMismatch when queries' vectors belong to another space than the index."""
    if space_id != spec.space_id:
        raise SpaceMismatch(
            f"a query of space {space_id} met an index of space {spec.space_id}",
            hint="search with the release's own model",
        )
