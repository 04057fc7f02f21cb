"""Functions in processes of their own, that kill themselves at a named step or are killed from here."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from nearer.core.steps import DIE_AT

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
        "nearer.flows.promote",
        "nearer.flows.train",
        "frozen",
    ]
)


def die_at(step: str, work: Callable[..., Any], *arguments: Any) -> None:
    """Run ``work`` in a copy of this process, which must end by SIGKILL at ``step``. It must share no open database."""
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


def die_apart_at(step: str, work: Callable[..., Any], *arguments: Any) -> None:
    """As ``die_at``, in a process that shares nothing with this one: for work with libraries that have threads."""
    process: BaseProcess = SERVER.Process(target=_work_until, args=(step, work, arguments))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, f"{step} was not reached"


def _work_until(step: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ[DIE_AT] = step
    work(*arguments)
