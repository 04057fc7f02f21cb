"""Give space back: what no release, no lineage and no unfinished training needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearer.core.errors import InputError
from nearer.core.results.data import Pruned, PrunedItem
from nearer.retrieval.index import remove_index
from nearer.store.cycles import Cycles
from nearer.store.files import bytes_in, remove_tree
from nearer.store.leases import is_held
from nearer.store.objects import remove_remote_model
from nearer.store.registered import Model, Reranker
from nearer.store.shadows import Shadows
from nearer.store.workspace import Workspace
from nearer.training.unfinished import unfinished_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """Something that may go: a folder or a file, if it has one, and the id under which the registry knows it."""

    kind: str
    path: Path | None
    part_id: str = ""


def prune(workspace: Workspace, *, keep: int = 3, dry_run: bool = False) -> Pruned:
    """Remove models that were never released, their indexes and cached vectors, and old reports.

    The ``keep`` newest models, rerankers and reports stay, and so does what they, the releases and the unfinished
    trainings came from. With ``dry_run`` it only says what would go. Models that go here go from object storage too.
    Raises InputError for a negative number, WorkspaceError when the disk refuses, ServiceError when that does.
    """
    if keep < 0:
        raise InputError(f"--keep {keep} is below 0", hint="for example: nearer prune --keep 3")
    workspace.begin_writing()
    items = list(_items(workspace, keep=keep))
    paths = {item.path: item.kind for item in items if item.path and item.path.exists()}
    removed = tuple(PrunedItem(kind=kind, name=path.name, num_bytes=bytes_in(path)) for path, kind in paths.items())
    if not dry_run:
        # the registry first: what it names is there
        workspace.registry.forget([item.part_id for item in items if item.part_id])
        for path in paths:
            if path.parent == workspace.indexes:
                remove_index(path, space_id=path.name)
            else:
                remove_tree(path)
                if path.parent == workspace.models:
                    remove_remote_model(workspace, path.name)
    num_bytes = sum(each.num_bytes for each in removed)
    return Pruned(dry_run=dry_run, keep=keep, removed=removed, num_bytes=num_bytes)


def _items(workspace: Workspace, *, keep: int) -> Iterator[_Item]:
    registry = workspace.registry
    parts: dict[str, Model | Reranker] = {each.model_id: each for each in registry.models()}
    parts |= {each.reranker_id: each for each in registry.rerankers()}
    kept = _kept(workspace, parts, keep=keep)
    gone = {part_id: part for part_id, part in parts.items() if part_id not in kept and _is_made_here(part)}
    sources = {part.source for part_id, part in parts.items() if part_id not in gone}
    for part_id, part in gone.items():
        path = None if part.source in sources else workspace.state / part.source  # smaller vectors have no weights
        yield _Item(kind="models", path=path, part_id=part_id)
    spaces = {part.space_id for part_id, part in parts.items() if isinstance(part, Model) and part_id not in gone}
    encoders = {part.encoder_id for part_id, part in parts.items() if isinstance(part, Model) and part_id not in gone}
    lost = {part.encoder_id for part in gone.values() if isinstance(part, Model)}
    for folder in _below(workspace.indexes):
        name = folder.name.partition(".")[0]
        if name in lost and name not in spaces and not is_held(folder / "writer.lock"):
            yield _Item(kind="indexes", path=folder)
    for file in _below(workspace.embeddings):
        if (name := file.name.partition(".")[0]) in lost and name not in encoders:
            yield _Item(kind="embeddings", path=file)
    reports = sorted(_below(workspace.reports), key=lambda path: path.stat().st_mtime, reverse=True)
    for file in reports[keep:]:
        yield _Item(kind="reports", path=file)


def _kept(workspace: Workspace, parts: dict[str, Model | Reranker], *, keep: int) -> set[str]:
    """The ids of what releases, unfinished trainings and the newest of each kind need, and what those came from."""
    wanted = set(workspace.registry.released_parts())
    wanted |= {run.record.request.start for run in unfinished_runs(workspace) if run.record}
    wanted |= Shadows(workspace.database).used_parts() | Cycles(workspace.database).used_parts()
    for kind in (Model, Reranker):
        made = [part_id for part_id, part in parts.items() if isinstance(part, kind) and _is_made_here(part)]
        wanted |= set(made[len(made) - keep :] if keep else [])
    kept: set[str] = set()
    while wanted:
        part_id = wanted.pop()
        if part_id in parts and part_id not in kept:
            kept.add(part_id)
            part = parts[part_id]
            parent = part.parent_model_id if isinstance(part, Model) else part.parent_id
            wanted |= {parent} if parent else set()
    return kept


def _is_made_here(part: Model | Reranker) -> bool:
    """Whether it was trained, merged or mapped in this workspace, not brought from elsewhere."""
    return part.source.startswith("models/") or (isinstance(part, Model) and part.parent_model_id is not None)


def _below(folder: Path) -> list[Path]:
    """What lies in a folder, but for links and what is not finished."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and not path.is_symlink()]
