"""Writes that a killed process cannot leave half done.

Names such as ``.tmp-TOKEN-x`` are unfinished work of the process with that token: nobody reads them, and they may be
removed once it has ended.
"""

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nearer.core.errors import WorkspaceError

_UNFINISHED = ".tmp-"
_token = uuid.uuid4().hex
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,250}")


def process_token() -> str:
    """What tells this process from every other, now and later; a forked one has another."""
    return _token


def _renew_token() -> None:
    global _token
    _token = uuid.uuid4().hex


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_token)


def is_writable(path: Path) -> bool:
    """Whether a file, and what lies beside it, may be written."""
    return all(os.access(each, os.W_OK, effective_ids=True) for each in (path.parent, path))


def unfinished_name(name: str) -> str:
    """What unfinished work of this process is called."""
    return f"{_UNFINISHED}{_token}-{name}"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent`` to write into before it gets its name; gone after the block if it got none.

    Raises OSError.
    """
    scratch = Path(tempfile.mkdtemp(dir=parent, prefix=unfinished_name("")))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def inside(folder: Path, name: object) -> Path:
    """The path in ``folder`` of a name that was read: from a manifest, or from a row of the database.

    Raises WorkspaceError for anything but a plain name, and for a link: either could lead out of the folder.
    """
    if not isinstance(name, str) or _PLAIN_NAME.fullmatch(name) is None:
        raise WorkspaceError(
            f"{folder}: {name!r:.100} is no name of its own", hint="restore the workspace from a backup"
        )
    path = folder / name
    if path.is_symlink():
        raise WorkspaceError(f"{path}: a link", hint="put what it points to in its place")
    return path


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace the content of ``path`` in one step; text is written as UTF-8.

    Raises OSError; then the temporary file is gone, and a reader finds the old content or the new, never a mixture.
    """
    temporary = _temporary_beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A path to write a file at, which gets the name ``path`` after the block; gone where that fails.

    Raises OSError.
    """
    unfinished = path.parent / unfinished_name(path.name)
    try:
        yield unfinished
        sync(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


def fsync_tree(folder: Path) -> None:
    """Bring every file and folder below ``folder``, and itself, safely to the disk.

    Raises OSError.
    """
    for parent, _, names in os.walk(folder, topdown=False, onerror=_raise):
        for name in names:
            if not Path(parent, name).is_symlink():
                sync(Path(parent, name))
        sync(Path(parent))


def move_into_place(source_dir: Path, target_dir: Path) -> None:
    """Give a finished folder its final name in one step.

    Names come from content, so a target that exists holds the same: it stays, and the source is removed.

    Raises OSError; then the source is still where it was.
    """
    fsync_tree(source_dir)
    try:
        source_dir.rename(target_dir)
    except OSError:
        if not target_dir.is_dir():
            raise
        remove_tree(source_dir)
    sync(target_dir.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, or a file; nothing happens when it is absent.

    It first loses its name, so that no half-removed folder is ever taken for a whole one.

    Raises OSError.
    """
    doomed = _temporary_beside(path)
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    _remove(doomed)


def bytes_in(path: Path) -> int:
    """The bytes of all files below a folder, or of a file; 0 when it is absent."""
    files = [path, *path.rglob("*")]
    return sum(each.lstat().st_size for each in files if each.is_file() and not each.is_symlink())


def remove_unfinished(folder: Path, *, is_live: Callable[[str], bool]) -> None:
    """Remove what was left half done anywhere below ``folder``, unless the process of that token lives.

    Links are not followed. Raises OSError.
    """
    for parent, folders, files in os.walk(folder, onerror=_raise_unless_gone):
        for name in [*folders, *files]:
            if name.startswith(_UNFINISHED) and not is_live(name.removeprefix(_UNFINISHED).partition("-")[0]):
                _remove(Path(parent, name))
        folders[:] = [name for name in folders if not name.startswith(_UNFINISHED)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _temporary_beside(path: Path) -> Path:
    return path.parent / unfinished_name(uuid.uuid4().hex)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, safely to the disk. Raises OSError."""
    if os.name == "nt":  # Windows syncs only what is open for writing, and no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> None:
    raise error


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # another process removes what it no longer needs
        raise error
