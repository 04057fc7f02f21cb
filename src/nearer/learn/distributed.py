"""A batch embedded by several processes, one a device: the first trains, the others do their share of its mini-batches.

In a step the first process sends every other one its mini-batches, and the weights as they are; embeds its own
meanwhile; receives the other vectors; computes the loss, which so sees the whole batch; sends each process the loss's
gradients on its vectors; and receives what these are on the weights, added up. Optimiser, schedule and data are
the first one's alone. Source: the gradients on vectors as in Gao et al. (arXiv 2101.06983), section 3.2.

Arrays: S texts of a share, D dimensions.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from nearer.core.errors import NearerError, ProcessLost
from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn.objective import Side, embed_all
from nearer.learn.tokens import Features

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FIRST = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one of the other processes embeds in a step; ``seed`` is of its dropout."""

    minibatches: tuple[Features, ...]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The files of a model as it is now, by their names, and the recipe as JSON."""

    files: Mapping[str, bytes]
    recipe: str


class WorkerGroup:
    """All processes while ``model`` is trained, as the first of them has it. ``step`` is the one that is done now."""

    def __init__(self, model: "SentenceTransformer", recipe: TrainRecipe) -> None:
        self._recipe = recipe
        self._packed: Packed | None = _packed(model, recipe)
        self._is_in_step = False
        self.step = 0

    def embed(self, model: nn.Module, sides: Sequence[Side], *, grad_cache: bool) -> Tensor:
        """The vectors of all texts of these sides, in the order of their mini-batches."""
        minibatches = [each for side in sides for each in side.minibatches]
        sizes = [size for side in sides for size in side.sizes]
        shares = divided([_num_tokens(each) for each in minibatches], num_processes())
        with telling_of_loss():
            self._begin(model, [[minibatches[number] for number in share] for share in shares])
        own_SD = embed_all(model, [minibatches[number] for number in shares[FIRST]], grad_cache=grad_cache)
        counts = [sum(sizes[number] for number in share) for share in shares]
        return _Gathered.apply(own_SD, counts)[_places(shares, sizes)]  # type: ignore[no-any-return, no-untyped-call]

    def collect(self, model: nn.Module) -> None:
        """Add the other processes' gradients of the weights to those that are here, after the backward pass."""
        with telling_of_loss():
            for each in trained(model):
                gradient = torch.zeros_like(each) if each.grad is None else each.grad
                dist.reduce(gradient, FIRST)
                if each.grad is None and gradient.any():  # else nobody used it
                    each.grad = gradient
        self._is_in_step = False

    def end(self) -> None:
        """Say that this model is trained, unless the process broke off in a step, where no other could hear it."""
        if self._packed is None and not self._is_in_step:
            with telling_of_loss():
                dist.scatter_object_list([None], [None] * num_processes(), FIRST)

    def _begin(self, model: nn.Module, minibatches: Sequence[Sequence[Features]]) -> None:
        if self._packed is not None:
            dist.broadcast_object_list([self._packed], FIRST)
            self._packed = None
        self._is_in_step = True
        seeds = np.random.SeedSequence([self._recipe.seed, self.step]).generate_state(len(minibatches))
        shares = [Share(minibatches=tuple(own), seed=int(seed)) for own, seed in zip(minibatches, seeds, strict=True)]
        shares[FIRST] = Share(minibatches=(), seed=0)
        dist.scatter_object_list([None], shares, FIRST)
        for each in trained(model):
            dist.broadcast(each.data, FIRST)


class _Gathered(torch.autograd.Function):
    """The first process's own vectors and those of the others, by process; backward each gets its own gradients."""

    @staticmethod
    def forward(context: Any, own_SD: Tensor, counts: Sequence[int]) -> Tensor:
        context.counts = counts
        parts = [own_SD, *(own_SD.new_empty(count, own_SD.shape[1]) for count in counts[1:])]
        with telling_of_loss():
            for process, part_SD in enumerate(parts):
                if process != FIRST and len(part_SD):
                    dist.recv(part_SD, process)
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        parts = torch.split(gradients[0], context.counts)
        with telling_of_loss():
            for process, part_SD in enumerate(parts):
                if process != FIRST and len(part_SD):
                    dist.send(part_SD.contiguous(), process)
        return parts[FIRST], None


@contextmanager
def distributed(model: "SentenceTransformer", recipe: TrainRecipe) -> Iterator[WorkerGroup | None]:
    """The team that trains ``model``, which is sent as it is now; None where there is but one process.

    Raises ProcessLost when memory runs out in a step, which the others then cannot end.
    """
    if num_processes() == 1:
        yield None
        return
    team = WorkerGroup(model, recipe)
    try:
        yield team
    except torch.OutOfMemoryError as error:
        hint = "lower train.batch_size, or set train.grad_cache = true"
        raise ProcessLost(f"no memory on the first of {num_processes()} devices: {error}", hint=hint) from error
    except NearerError:
        team.end()
        raise
    team.end()


def num_processes() -> int:
    """How many processes train together; 1 unless torchrun started more, and they were joined."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def divided(costs: Sequence[int], number: int) -> list[list[int]]:
    """The items of each of so many shares, the costliest given out first, each to the share that costs least so far.

    The first share is empty only when there are no items. Source: Graham, Bounds on Multiprocessing Timing Anomalies
    (1969), longest processing time first.

    >>> divided([3, 5, 2, 2], 2)
    [[1, 3], [0, 2]]
    """
    shares: list[list[int]] = [[] for _ in range(number)]
    totals = [0] * number
    for item in sorted(range(len(costs)), key=lambda item: -costs[item]):
        least = totals.index(min(totals))
        shares[least].append(item)
        totals[least] += costs[item]
    return shares


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The weights that training changes, in an order that is the same in every process."""
    return [each for each in model.parameters() if each.requires_grad]


@contextmanager
def telling_of_loss() -> Iterator[None]:
    """Around what is sent and received: raises ProcessLost when that fails, mostly since another process has ended."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # what torch.distributed raises
        raise ProcessLost(
            f"the connection to another process of this training broke: {str(error).partition('. ')[0]}",
            hint="see what it printed; then repeat the command: training goes on from what was kept",
        ) from error


def _packed(model: "SentenceTransformer", recipe: TrainRecipe) -> Packed:
    with TemporaryDirectory() as name:
        model.save_pretrained(name, create_model_card=False, safe_serialization=True)
        paths = [path for path in Path(name).rglob("*") if path.is_file()]
        files = {str(path.relative_to(name)): path.read_bytes() for path in paths}
    return Packed(files=files, recipe=recipe.model_dump_json())


def unpacked(packed: Packed, device: torch.device) -> "tuple[SentenceTransformer, TrainRecipe]":
    """The model, on a device, and the recipe; read as any model is, so from safetensors alone."""
    with TemporaryDirectory() as name:
        for relative, content in packed.files.items():
            path = Path(name, relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        model = Encoder.load(name).model
    return model.to(device), TrainRecipe.model_validate_json(packed.recipe)


def _num_tokens(features: Mapping[str, Any]) -> int:
    return max(each.numel() for each in features.values() if isinstance(each, Tensor))


def _places(shares: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[int]:
    """Where each text's vector is among those gathered, for the texts in the order of the mini-batches."""
    begins, place = dict[int, int](), 0
    for number in (number for share in shares for number in share):
        begins[number] = place
        place += sizes[number]
    return [begins[number] + text for number in range(len(sizes)) for text in range(sizes[number])]
