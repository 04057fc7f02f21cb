"""The processes that torchrun started: the first goes about its work, the others train with it when it trains."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from nearer.learn.distributed import FIRST, raising_process_lost, receive, send
from nearer.learn.fit import follow

_PATIENCE = timedelta(days=365)
"""How long a process waits for another that lives: the first may mine for hours."""


@contextmanager
def joined() -> Iterator[bool]:
    """Join the other processes that torchrun started; whether this is the first, which alone has work of its own.

    The others train with it here until it says that all is over. What torchrun put into the environment is taken out of
    it: else the libraries of the first process would divide its other work too. Raises ProcessLost when another process
    ends.
    """
    taken = {name: int(os.environ.pop(name, "0")) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")}
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(taken["LOCAL_RANK"])
    with raising_process_lost():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if has_gpu else "gloo",
            rank=taken["RANK"],
            world_size=taken["WORLD_SIZE"],
            timeout=_PATIENCE,
        )
    if taken["RANK"] == FIRST:
        yield True
        send(None)
    else:
        while (lesson := receive()) is not None:
            follow(lesson)
        yield False
    dist.destroy_process_group()
