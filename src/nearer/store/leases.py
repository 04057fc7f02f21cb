"""Who is at work: a lock a resource, and one a process; each goes with its process, however that ends.

A process that has a workspace open holds a lock named by its token, and so do the names of what it has not finished
writing. So what a killed process left differs from what a live one is writing.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nearer.core.errors import WorkspaceBusy, WorkspaceError
from nearer.store.files import process_token, remove_unfinished

if TYPE_CHECKING:
    from filelock import FileLock


@contextmanager
def lease(path: Path, *, holder: str) -> Iterator[None]:
    """Hold the lock on ``path``, whose folder is made where there is none; ``holder`` is shown to others.

    Raises WorkspaceBusy with the name of who holds it, be it another thread; WorkspaceError when it cannot be written.
    """
    from filelock import Timeout

    lock, note = _lock(path), path.with_suffix(".holder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise WorkspaceBusy(f"{path}: busy with {holder_in(note)}", hint="wait until it has ended") from error
    except OSError as error:
        raise WorkspaceError(f"{path}: {error.strerror}", hint="the folder must be writable for this") from error
    try:
        with suppress(OSError):  # a name for others to read, no more
            note.write_text(f"{holder} (process {os.getpid()})", encoding="utf-8")
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock on ``path``."""
    if not path.exists():
        return False
    from filelock import Timeout

    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def holder_in(note: Path) -> str:
    """Who holds a lock, as it wrote down itself."""
    try:
        return note.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"


_guard = threading.Lock()
_present: "dict[Path, tuple[FileLock, int]]" = {}


def enter(locks: Path) -> None:
    """Show that this process has the workspace of ``locks`` open, until it has left as often as it entered.

    Raises OSError.
    """
    path = locks.resolve() / _process_lock(process_token())
    with _guard:
        lock, times = _present.get(path, (_lock(path), 0))
        if not times:
            path.parent.mkdir(exist_ok=True)
            lock.acquire()
        _present[path] = (lock, times + 1)


def leave(locks: Path) -> None:
    """Take that back once."""
    path = locks.resolve() / _process_lock(process_token())
    with _guard:
        lock, times = _present.pop(path, (None, 0))
        if lock and times > 1:
            _present[path] = (lock, times - 1)
        elif lock:
            path.unlink(missing_ok=True)
            lock.release()


def num_others(locks: Path) -> int:
    """How many other processes of this machine have the workspace of ``locks`` open."""
    mine = _process_lock(process_token())
    return sum(path.name != mine and is_held(path) for path in locks.glob(_process_lock("*")))


def is_present(locks: Path, token: str) -> bool:
    """Whether the process of that token has the workspace of ``locks`` open."""
    return is_held(locks / _process_lock(token))


def sweep(state: Path, locks: Path) -> None:
    """Remove what killed processes left half written below ``state``. Raises OSError."""
    is_live: dict[str, bool] = {}

    def belongs_to_the_living(token: str) -> bool:
        if token not in is_live:  # asked only now: who began since holds its lock already
            is_live[token] = is_present(locks, token)
        return is_live[token]

    remove_unfinished(state, is_live=belongs_to_the_living)
    for path in locks.glob(_process_lock("*")):
        if not is_held(path):
            path.unlink(missing_ok=True)


def _process_lock(token: str) -> str:
    return f"process-{token}.lock"


def _lock(path: Path) -> "FileLock":
    """A lock of its own, so that two threads exclude each other, which any thread may give back."""
    from filelock import FileLock

    return FileLock(path, thread_local=False, is_singleton=False)
