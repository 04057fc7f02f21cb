"""Other processes beside this one, as torchrun would start them: this is the first, they train with it."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch.distributed as dist

import processes
from forked import SERVER


def environment(rank: int, port: int, *, number: int = 2) -> dict[str, str]:
    """What torchrun puts into the environment of a process."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return dict(zip(names, map(str, (rank, rank, number, number, "127.0.0.1", port)), strict=True))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Together:
    """A verb in two processes, but without torchrun, so that nobody ends one of them when the other has ended.

    The second is told of a workspace that is not there: it needs none.
    """

    def __init__(self, *arguments: object, die_at: str | None = None) -> None:
        port = free_port()
        given = [str(each) for each in arguments], [str(arguments[0]), "--dir", "/nowhere", "--json"]
        self._outputs = [tempfile.mkstemp(prefix="nearer-verb-")[1] for _ in given]
        self.processes = [
            SERVER.Process(target=_work, args=(given[rank], self._outputs[rank], die_at, environment(rank, port)))
            for rank in range(2)
        ]
        for each in self.processes:
            each.start()

    def wait(self) -> tuple[list[int | None], list[str]]:
        """How they ended, which both must: the exit codes, and what each printed."""
        for each in self.processes:
            each.join(90)
        codes = [each.exitcode for each in self.processes]
        assert None not in codes, "still running"
        return codes, [Path(name).read_text() for name in self._outputs]


def _work(arguments: list[str], output: str, die_at: str | None, environment: dict[str, str]) -> None:
    import torch

    torch.set_num_threads(1)
    processes._work(arguments, output, die_at, None, False, environment)


@contextmanager
def other_processes(number: int = 2) -> Iterator[list[BaseProcess]]:
    """This process and others joined, so many in all; they must end well when this one leaves without an exception."""
    from nearer.learn.worker import joined

    port = free_port()
    others = [
        SERVER.Process(target=_serve, args=(environment(rank, port, number=number),)) for rank in range(1, number)
    ]
    for each in others:
        each.start()
    os.environ.update(environment(0, port, number=number))
    try:
        with joined() as is_first:
            assert is_first
            yield others
        for each in others:
            each.join(60)
            assert each.exitcode == 0
    finally:
        if dist.is_initialized():  # an exception came by, after which this process would end, and by that the others
            dist.destroy_process_group()
        for each in others:
            each.kill()


def _serve(variables: dict[str, str]) -> None:
    import torch

    from nearer.learn.worker import joined

    torch.set_num_threads(1)
    os.environ.update(variables)
    with joined() as is_first:
        assert not is_first
