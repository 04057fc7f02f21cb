"""The command line in a process of its own, to be killed, starved or crowded; forked from one that has torch loaded."""

import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from forked import SERVER, arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended: its exit code, or minus the signal that killed it, and all it printed."""

    code: int
    printed: str

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it, as failpoints do."""
        return self.code == -signal.SIGKILL

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object that it printed, after what it said of its progress."""
        value = json.loads(self.printed.splitlines()[-1])
        assert isinstance(value, dict)
        return value


class Running:
    """A verb at work in another process."""

    def __init__(
        self,
        *arguments: object,
        die_at: str | None = None,
        max_file_bytes: int | None = None,
        unprivileged: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        handle, name = tempfile.mkstemp(prefix="nearer-verb-")
        os.close(handle)
        self._output = Path(name)
        self._process: BaseProcess = SERVER.Process(
            target=_work,
            args=(
                [str(each) for each in arguments],
                name,
                die_at,
                max_file_bytes,
                unprivileged,
                dict(environment or {}),
            ),
        )
        self._process.start()

    def kill(self, *, after_s: float) -> "Ended":
        """Kill it after so many seconds, if it is still at work then."""
        self._process.join(after_s)
        self._process.kill()
        return self.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def printed(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(errors="replace")

    def wait(self, timeout_s: float = 120) -> "Ended":
        """Wait until it has ended."""
        self._process.join(timeout_s)
        assert self._process.exitcode is not None, "still running"
        printed = self.printed() if self._output.exists() else ""
        self._output.unlink(missing_ok=True)
        return Ended(code=self._process.exitcode, printed=printed)


def run(*arguments: object, **circumstances: Any) -> Ended:
    """One verb from beginning to end, wherever that is; the circumstances are those of ``Running``."""
    return Running(*arguments, **circumstances).wait()


def _work(
    arguments: list[str],
    output: str,
    die_at: str | None,
    max_file_bytes: int | None,
    unprivileged: bool,
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)
    descriptor = os.open(output, os.O_WRONLY | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, buffering=1)
    if die_at:
        arm(die_at)
    if max_file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    if unprivileged:
        _give_up_root()
    from nearer.cli import main

    main(arguments)


def _give_up_root() -> None:
    """Let the permissions of files bind this process, though it may be root's: drop all capabilities (capset(2))."""
    version_3 = 0x20080522
    header = (ctypes.c_uint32 * 2)(version_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    failed = ctypes.CDLL(None, use_errno=True).capset(header, nothing)
    assert not failed, os.strerror(ctypes.get_errno())
