"""One writer at a time: a lock on a file, which goes with the process that holds it, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearer.core.errors import WorkspaceBusy, WorkspaceError


@contextmanager
def lease(path: Path, *, holder: str) -> Iterator[None]:
    """Hold the lock on ``path``, a file in the folder that is to be written; ``holder`` is shown to others.

    Raises WorkspaceBusy with the name of who holds it, WorkspaceError when the file cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkspaceError(f"{path}: {error.strerror}", hint="the folder must be writable for this") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            raise WorkspaceBusy(f"{path.parent}: busy with {other}", hint="wait until it has ended") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{holder} (process {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(handle)
