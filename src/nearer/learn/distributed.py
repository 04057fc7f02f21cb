"""Processes that train together, one a device, as torchrun started them: what they tell each other.

Each embeds its share of every batch, gets the vectors of the others, and so has the loss of the whole batch;
DistributedDataParallel adds up what that is on the weights. Workspace, dev and checkpoints are the first process's: it
tells the others what to train on, and after every step whether to go on.

Arrays: S texts of a share, N texts of all, D dimensions.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from transformers import TrainerCallback

from nearer.core.errors import ProcessLost

FIRST = 0


def num_processes() -> int:
    """How many processes train together; 1 unless torchrun started more, and they were joined."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def this_process() -> int:
    """The number of this process among them."""
    return dist.get_rank() if num_processes() > 1 else FIRST


def gathered(own_SD: Tensor, shares: Sequence[int]) -> Tensor:
    """The vectors of all processes, in their order, shape (N, D), of which each has made as many as ``shares`` says.

    The gradients of a process's own vectors are kept, those of the whole batch, since each computes the whole loss.
    DistributedDataParallel takes means over processes where sums are wanted, so they are that many times as large.
    Source: Gao et al. (arXiv 2101.06983), section 3.2, as to gradients by vectors.
    """
    if len(shares) == 1:
        return own_SD
    from sentence_transformers.util import all_gather

    most, number = max(shares), shares[this_process()]
    padded_SD = nn.functional.pad(own_SD[:number], (0, 0, 0, most - number))
    padded_SD.register_hook(lambda gradient_SD: gradient_SD * len(shares))  # type: ignore[no-untyped-call]
    with raising_process_lost():
        all_ND: Tensor = all_gather(padded_SD)
    return all_ND[[most * place + row for place, share in enumerate(shares) for row in range(share)]]


class InStep(TrainerCallback):  # type: ignore[misc]
    """Has the others stop, and save, when the first process does. It comes after all that decide so."""

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Hear what the first process has decided after this step."""
        flags = torch.tensor([control.should_training_stop, control.should_save])
        dist.broadcast(flags, FIRST)
        control.should_training_stop, control.should_save = flags.tolist()
        return control


def send(what: Any) -> None:
    """Give the others, which wait in ``receive``, what they need; None ends them."""
    with raising_process_lost():
        dist.broadcast_object_list([what], FIRST)


def receive() -> Any:
    """What the first process sent."""
    received: list[Any] = [None]
    with raising_process_lost():
        dist.broadcast_object_list(received, FIRST)
    return received[0]


def files_in(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by relative paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Make a folder that holds them."""
    for relative, content in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def seen_by_libraries() -> Iterator[None]:
    """Have accelerate find the processes, as torchrun tells of them: it is to divide nothing but this."""
    number = num_processes()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    local = torch.cuda.current_device() if torch.cuda.is_available() else this_process()
    values = (this_process(), number, local, torch.cuda.device_count() or number)
    if number > 1:
        os.environ.update(zip(names, map(str, values), strict=True))
    try:
        yield
    finally:
        for name in names if number > 1 else ():
            os.environ.pop(name, None)


@contextmanager
def raising_process_lost() -> Iterator[None]:
    """Raises ProcessLost when what is sent and received fails, mostly since another process ended, or memory does."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) and (number := num_processes()) > 1:
            hint = "lower train.batch_size, or set train.grad_cache = true"
            raise ProcessLost(f"no memory on device {this_process() + 1} of {number}: {error}", hint=hint) from error
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():
            raise
        raise ProcessLost(
            f"the connection to another process of this training broke: {str(error).partition('. ')[0]}",
            hint="see what it printed; then repeat the command: training goes on from what was kept",
        ) from error
