"""The processes that torchrun started: the first goes about its work, the others embed what it gives them.

Arrays: S texts of a share, D dimensions.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from nearer.core.sections import TrainRecipe
from nearer.learn.distributed import FIRST, Share, num_processes, telling_of_loss, trained, unpacked
from nearer.learn.fit import as_in_training
from nearer.learn.objective import embed_all
from nearer.learn.precision import matmul_precision, multiplying
from nearer.learn.word_vectors import densify

_PATIENCE = timedelta(days=365)
"""How long a process waits for another that lives: the first may mine for hours."""
_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@contextmanager
def joined() -> Iterator[bool]:
    """Join the other processes that torchrun started; whether this is the first, which alone has work of its own.

    The others serve it here until it says that all is over. What torchrun put into the environment is taken out of it:
    else the libraries of the first process would divide its work too. Raises ProcessLost when another process ends.
    """
    taken = {name: int(os.environ.pop(name, "0")) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")}
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(taken["LOCAL_RANK"])
    with telling_of_loss():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if has_gpu else "gloo",
            rank=taken["RANK"],
            world_size=taken["WORLD_SIZE"],
            timeout=_PATIENCE,
        )
    if taken["RANK"] == FIRST:
        yield True
        with telling_of_loss():
            dist.broadcast_object_list([None], FIRST)
    else:
        _serve(torch.device("cuda", taken["LOCAL_RANK"]) if has_gpu else torch.device("cpu"))
        yield False
    dist.destroy_process_group()


def _serve(device: torch.device) -> None:
    """Take part in one training after the other, until the first process says that there is none any more."""
    while (packed := _heard()) is not None:
        model, recipe = unpacked(packed, device)
        with multiplying(matmul_precision(recipe.precision)), as_in_training(model, recipe):
            model.train()
            while (share := _own_share()) is not None:
                _work_on(share, model, recipe)


def _work_on(share: Share, model: nn.Module, recipe: TrainRecipe) -> None:
    """One step: make vectors, hear the loss's gradients on them, and give what these are on the weights."""
    with telling_of_loss():
        for each in trained(model):
            dist.broadcast(each.data, FIRST)
    if share.minibatches:
        torch.manual_seed(share.seed)
        device = next(model.parameters()).device
        half = _HALVES.get(recipe.precision)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            own_SD = embed_all(model, share.minibatches, grad_cache=recipe.grad_cache)
        gradient_SD = torch.empty_like(own_SD)
        with telling_of_loss():
            dist.send(own_SD.detach(), FIRST)
            dist.recv(gradient_SD, FIRST)
        torch.autograd.backward(own_SD, gradient_SD)
        densify(model)
    with telling_of_loss():
        for each in trained(model):
            dist.reduce(torch.zeros_like(each) if each.grad is None else each.grad, FIRST)
    model.zero_grad()


def _heard() -> Any:
    """What the first process tells all others."""
    heard: list[Any] = [None]
    with telling_of_loss():
        dist.broadcast_object_list(heard, FIRST)
    return heard[0]


def _own_share() -> Share | None:
    """What the first process tells this one alone."""
    heard: list[Any] = [None]
    with telling_of_loss():
        dist.scatter_object_list(heard, [None] * num_processes(), FIRST)
    share: Share | None = heard[0]
    return share
