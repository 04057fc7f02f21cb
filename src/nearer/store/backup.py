"""A backup: one file with everything of a workspace that cannot be made again, each part with its checksum.

FILE is a ZIP archive whose parts are stored as they are:

    nearer.toml, prompts/..., .nearer/...   the files, under their names in the workspace
    backup.json                last: when it was made, what was live, and the SHA-256 of every file
"""

import hashlib
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import RECIPE_FILE
from nearer.core.results.base import Result
from nearer.store.copying import copy_rows
from nearer.store.database import open_database
from nearer.store.database_sqlite import copy_database, is_database
from nearer.store.files import appearing
from nearer.store.recipe_file import set_in_recipe
from nearer.store.workspace import DATABASE, PROMPTS_FOLDER, STATE_FOLDER, Workspace

FORMAT_VERSION = 1
CONTENT = "backup.json"
_CHUNK_BYTES = 2**20
_MADE_AGAIN = frozenset({"locks", "training", "lexical", "indexes", "models", "postgres"})
"""Not copied: who is at work, unfinished trainings, words of documents, what is in PostgreSQL. Indexes and models are
linked, not copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile(Result):
    """A file of a backup."""

    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupContent(Result):
    """What a backup says of itself."""

    format_version: int
    made_at: str
    release_id: str | None
    files: Mapping[str, BackupFile]


def snapshot_state(workspace: Workspace, target: Path) -> None:
    """Copy recipe, prompts, database and all else that changes into ``target``, each file as it was at one moment.

    Databases are copied through SQLite, so that writers go on. Raises OSError.
    """
    state = target / STATE_FOLDER
    state.mkdir(exist_ok=True)
    shutil.copyfile(workspace.folder / RECIPE_FILE, target / RECIPE_FILE)
    if (workspace.folder / PROMPTS_FOLDER).is_dir():
        _copy(workspace.folder / PROMPTS_FOLDER, target / PROMPTS_FOLDER)
    if workspace.recipe.store.url is None:
        copy_database(workspace.state / DATABASE, state / DATABASE)
    else:
        _copy_out(workspace, target)
    for path in sorted(workspace.state.iterdir()):
        if path.name not in _MADE_AGAIN and not path.name.startswith(DATABASE):
            _copy(path, state / path.name)


def _copy_out(workspace: Workspace, target: Path) -> None:
    """What PostgreSQL holds, as one snapshot, into a file; the recipe of the copy names no server."""
    set_in_recipe(target, {"store.url": None})
    copy = open_database(target / STATE_FOLDER / DATABASE)
    with workspace.database.read() as source, copy.write() as connection:
        copy_rows(source, connection, name="the backup", progress=Silent())
    copy.close()


def link_tree(source: Path, target: Path) -> None:
    """Give all files below a folder, which are never written to again, a second name below ``target``.

    What is removed meanwhile is left out. Raises OSError.
    """
    for parent, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".tmp-")]
        below = target / Path(parent).relative_to(source)
        below.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not name.startswith(".tmp-"):
                with suppress(FileNotFoundError):
                    link(Path(parent, name), below / name)


def link(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk cannot, copy it. Raises OSError, FileNotFoundError where it is gone."""
    try:
        os.link(source.resolve(strict=True), target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def write_archive(
    folder: Path, file: Path, *, made_at: str, release_id: str | None, progress: Progress
) -> BackupContent:
    """Write all files below ``folder`` into one, which gets its name when it is whole. Raises OSError."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    sizes = {name: (folder / name).stat().st_size for name in names}
    with appearing(file) as unfinished:
        with unfinished.open("xb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            os.chmod(unfinished, stat.S_IRUSR | stat.S_IWUSR)
            tracked = progress.track(names, label="back up", total=sum(sizes.values()), size=lambda name: sizes[name])
            files = {name: _store(archive, folder / name, name) for name in tracked}
            content = BackupContent(format_version=FORMAT_VERSION, made_at=made_at, release_id=release_id, files=files)
            archive.writestr(CONTENT, json.dumps(content.to_dict(), indent=1))
        failpoint("backup.written")
    failpoint("backup.named")
    return content


def read_archive(file: Path, target: Path, *, progress: Progress) -> BackupContent:
    """Write the files of a backup below ``target``, each compared with its checksum.

    Raises InputError for a file that is none, or is not as it was written.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            content = _content(archive, file)
            total = sum(each.num_bytes for each in content.files.values())
            names = progress.track(
                content.files, label="restore", total=total, size=lambda name: content.files[name].num_bytes
            )
            for name in names:
                _extract(archive, name, target / name, content.files[name], file)
            return content
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise _damaged(file, f"is no backup, or was cut off ({error})") from error


def _copy(source: Path, target: Path) -> None:
    """A copy of a file or folder, each file at one moment; what is removed meanwhile is left out."""
    if source.name.startswith(".tmp-") or source.name.endswith(("-wal", "-shm", ".holder", ".lock")):
        return
    with suppress(FileNotFoundError):
        if source.is_dir():
            target.mkdir(exist_ok=True)
            seen: set[str] = set()
            while new := [path for path in source.iterdir() if path.name not in seen]:  # what takes another's place too
                for path in sorted(new, key=lambda path: (not is_database(path), path.name)):  # before what they name
                    seen.add(path.name)
                    _copy(path, target / path.name)
        elif is_database(source):
            copy_database(source, target)
        else:
            shutil.copyfile(source, target)


def _store(archive: zipfile.ZipFile, path: Path, name: str) -> BackupFile:
    digest = hashlib.sha256()
    num_bytes = 0
    with path.open("rb") as source, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
            num_bytes += len(chunk)
    return BackupFile(num_bytes=num_bytes, sha256=digest.hexdigest())


def _content(archive: zipfile.ZipFile, file: Path) -> BackupContent:
    try:
        plain = json.loads(archive.read(CONTENT))
        version = plain["format_version"]
        if version > FORMAT_VERSION:
            hint = "upgrade: pip install --upgrade nearer"
            raise InputError(f"{file}: a backup of format {version}, this program reads {FORMAT_VERSION}", hint=hint)
        content = BackupContent.read(plain)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(file, "is no backup of a workspace") from error
    names = archive.namelist()
    if sorted(names) != sorted([*content.files, CONTENT]):
        raise _damaged(file, "lacks files, or has others than were written")
    if strange := next((name for name in content.files if not _is_plain(name)), None):
        raise _damaged(file, f"has a file of the name {strange!r:.200}")
    if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
        raise _damaged(file, "is compressed, as no backup is")
    return content


def _is_plain(name: str) -> bool:
    """Whether a name stays in the workspace, on every system."""
    parts = PurePosixPath(name).parts
    is_clean = name.isprintable() and not {"..", "."}.intersection(name.split("/")) and "//" not in name
    is_ours = name == RECIPE_FILE or (len(parts) > 1 and parts[0] in (STATE_FOLDER, PROMPTS_FOLDER))
    return is_clean and is_ours and not name.startswith("/") and "\\" not in name and ":" not in name


def _extract(archive: zipfile.ZipFile, name: str, path: Path, said: BackupFile, file: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, path.open("xb") as target:
        digest = _copied(source, target)
    if path.stat().st_size != said.num_bytes or digest != said.sha256:
        raise _damaged(file, f"{name} is not as it was written")


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _damaged(file: Path, what: str) -> InputError:
    return InputError(f"{file}: {what}", hint="take another copy of it, or an earlier backup")
