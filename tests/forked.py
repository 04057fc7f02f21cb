"""Functions in processes of their own, that kill themselves at a failpoint or are killed from here."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from nearer.core import failpoints

SERVER = multiprocessing.get_context("forkserver")
"""Forks processes from one that never ran anything, but has loaded what takes seconds.

That is lance_namespace of what lancedb loads: lancedb itself begins threads, which do not survive a fork.
"""
SERVER.set_forkserver_preload(
    [
        "torch",
        "datasets",
        "sentence_transformers",
        "transformers.models.bert.modeling_bert",
        "lance_namespace",
        "sqlalchemy.dialects.sqlite",
        "nearer.cli",
        "nearer.store.workspace",
        "nearer.flows.promote",
        "nearer.flows.train",
        "frozen",
    ]
)


def arm(where: str) -> None:
    """Have this process kill itself at a failpoint, or with ``name:3`` at its third time."""
    wanted, _, number = where.partition(":")
    left = iter(range(int(number or 1) - 1, -1, -1))

    def handler(name: str) -> None:
        if name == wanted and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.handler = handler


def die_at(failpoint: str, work: Callable[..., Any], *arguments: Any) -> None:
    """Run ``work`` in a copy of this process, which must end by SIGKILL there. It must share no open database."""
    process = os.fork()
    if process == 0:
        try:
            arm(failpoint)
            work(*arguments)
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status), f"{failpoint} was not reached"
    assert os.WTERMSIG(status) == signal.SIGKILL


def die_apart_at(failpoint: str, work: Callable[..., Any], *arguments: Any) -> None:
    """As ``die_at``, in a process that shares nothing with this one: for work with libraries that have threads."""
    process: BaseProcess = SERVER.Process(target=_work_until, args=(failpoint, work, arguments))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, f"{failpoint} was not reached"


def _work_until(failpoint: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    arm(failpoint)
    work(*arguments)
