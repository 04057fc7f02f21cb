"""One file with all of a workspace, made while others work in it; and a workspace made of such a file."""

from contextlib import suppress
from pathlib import Path

from nearer.core.errors import Conflict, InputError, NearerError, NotFound, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.releases import BackedUp, Restored
from nearer.retrieval.index import open_index
from nearer.retrieval.manifest import HOLDER, LOCK, MANIFEST, Manifest, read_manifest
from nearer.store.backup import BackupContent, link, link_tree, read_archive, snapshot_state, write_archive
from nearer.store.events.sharing import event_folder
from nearer.store.files import inside, move_into_place, scratch_folder
from nearer.store.jobs import Jobs
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace, is_workspace

_TRIES = 10


def backup(workspace: Workspace, file: Path | str, *, progress: Progress | None = None) -> BackedUp:
    """Write everything of a workspace into one file: documents, judgments, models, indexes, releases, what is live.

    Others may go on writing and serving: it is a workspace as it was at one moment. Left out are unfinished trainings
    and what is made again by itself. It holds the documents and the keys' hashes: only its owner may read it.

    Raises InputError where the file is there already or cannot be written, Conflict where the workspace was changed
    again and again meanwhile.
    """
    file = Path(file)
    if file.exists():
        raise InputError(f"{file} is there already", hint="name another file")
    if workspace.state.resolve() in file.resolve().parents:
        raise InputError(f"{file} is in the workspace itself", hint="name a file elsewhere, best on another disk")
    workspace.begin_writing()
    event_folder(workspace)
    try:
        with scratch_folder(workspace.state) as folder:
            made_at = utc_now()
            release_id, left_out = _snapshot(workspace, folder)
            content = write_archive(folder, file, made_at=made_at, release_id=release_id, progress=progress or Silent())
    except OSError as error:
        raise InputError(
            f"{error.filename or file}: cannot be copied or written: {error.strerror}",
            hint="check the path, and that the disk has room",
        ) from error
    return BackedUp(
        file=str(file),
        made_at=content.made_at,
        release_id=release_id,
        num_files=len(content.files),
        num_bytes=file.stat().st_size,
        indexes_left_out=left_out,
    )


def restore(file: Path | str, folder: Path | str, *, progress: Progress | None = None) -> Restored:
    """Make a workspace of a backup, in a folder that is not there yet or empty; what was live is live.

    Every file is compared with its checksum, the database is checked, and the live index is opened, before the folder
    gets its name. Jobs that had not ended when the backup was made are lost.

    Raises InputError for a file that is no backup or is damaged, and for a folder that holds something.
    """
    file, folder = Path(file), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty", hint="name a folder that is not there yet")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder.absolute().parent) as scratch:
            content = read_archive(file, scratch, progress=progress or Silent())
            restored = _checked(scratch, folder, content, file)
            failpoint("restore.checked")
            with suppress(FileNotFoundError):
                folder.rmdir()
            move_into_place(scratch, folder)
    except OSError as error:
        raise InputError(
            f"{error.filename or folder}: cannot be read or written: {error.strerror}",
            hint="check the paths, and that the disk has room",
        ) from error
    return restored


def _snapshot(workspace: Workspace, folder: Path) -> tuple[str | None, tuple[str, ...]]:
    """The workspace in another folder as it is now, the live release of it, and the indexes that cannot be read.

    Indexes come first, so that none knows of documents that the database does not.
    """
    for _ in range(_TRIES):
        with scratch_folder(folder) as attempt:
            left_out = _link_indexes(workspace, attempt)
            snapshot_state(workspace, attempt)
            link_tree(workspace.models, attempt / workspace.state.name / "models")
            release_id, is_whole = _whole(attempt, left_out)
            if is_whole:
                for path in list(attempt.iterdir()):
                    path.rename(folder / path.name)
                return release_id, left_out
    raise Conflict("models or indexes came and went while they were copied", hint="repeat the command")


def _link_indexes(workspace: Workspace, attempt: Path) -> tuple[str, ...]:
    """Link what is current of each index; the spaces of those that are damaged are returned."""
    left_out = []
    target = attempt / workspace.state.name / "indexes"
    target.mkdir(parents=True)
    folders = sorted(workspace.indexes.iterdir()) if workspace.indexes.is_dir() else []
    for source in folders:
        if (source / MANIFEST).is_file() and not _link_index(source, inside(target, source.name)):
            left_out.append(source.name)
    return tuple(left_out)


def _link_index(source: Path, target: Path) -> bool:
    """Link the files that the manifest names; again, where it was replaced meanwhile. Whether they are whole."""
    space_id, before = source.name, None
    while True:
        try:
            manifest = read_manifest(source, space_id=space_id)
        except NearerError:
            return False
        if manifest == before or manifest.server:  # what is in PostgreSQL is made again from cached vectors
            return False
        before = manifest
        if _is_linked(source, target, manifest):
            return True


def _is_linked(source: Path, target: Path, manifest: Manifest) -> bool:
    with scratch_folder(target.parent) as scratch:
        try:
            link(source / MANIFEST, scratch / MANIFEST)
            for name in manifest.names - {MANIFEST, LOCK, HOLDER}:
                path = inside(source, name)
                if path.is_dir():
                    link_tree(path, scratch / name)
                else:
                    link(path, scratch / name)
            opened = open_index(scratch, space_id=source.name)
            if opened.manifest != manifest or opened.damage():
                return False
        except (FileNotFoundError, NearerError):
            return False
        scratch.rename(target)
        return True


def _whole(attempt: Path, left_out: tuple[str, ...]) -> tuple[str | None, bool]:
    """What is live in a snapshot, and whether its index and all models that were made here are there."""
    with Workspace.open(attempt) as workspace:
        live = workspace.registry.live()
        registry = workspace.registry
        sources = [*(each.source for each in registry.models()), *(each.source for each in registry.rerankers())]
        has_models = all((workspace.state / each).exists() for each in sources if each.startswith("models/"))
        has_index = live is None or live.space_id in left_out or (workspace.indexes / live.space_id).is_dir()
    return live.release_id if live else None, has_models and has_index


def _checked(scratch: Path, folder: Path, content: BackupContent, file: Path) -> Restored:
    """What is in a restored workspace. Raises InputError where it is not what the backup says."""
    if not is_workspace(scratch):
        raise InputError(f"{file}: holds no workspace", hint="take an earlier backup")
    with Workspace.open(scratch) as workspace:
        Jobs(workspace).lose_unended()
        live = workspace.registry.live()
        if (live.release_id if live else None) != content.release_id:
            raise WorkspaceError(f"{file}: another release is live in it than it says", hint="take an earlier backup")
        faults: tuple[str, ...] = ()
        if live:
            try:
                faults = open_index(workspace.indexes / live.space_id, space_id=live.space_id).damage()
            except NotFound as error:
                faults = (error.message,)
        return Restored(
            workspace=str(folder),
            made_at=content.made_at,
            release_id=content.release_id,
            num_documents=workspace.collection.counts()["documents"],
            num_files=len(content.files),
            faults=faults,
        )
