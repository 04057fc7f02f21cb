"""A function in a copy of this process that is to kill itself at a named step."""

import os
import signal
from collections.abc import Callable
from typing import Any

from nearer.core.steps import DIE_AT


def die_at(step: str, work: Callable[..., Any], *arguments: Any) -> None:
    """Run ``work`` in a forked process, which must end by SIGKILL at ``step``. It must share no open database."""
    process = os.fork()
    if process == 0:
        os.environ[DIE_AT] = step
        try:
            work(*arguments)
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status), f"{step} was not reached"
    assert os.WTERMSIG(status) == signal.SIGKILL
