"""Which examples each batch of an epoch holds: sources by their weights, mixed or apart.

Arrays: E examples, S of one source, N rows of an epoch, in which an example may come several times or not at all.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nearer.core.arrays import Ints
from nearer.core.results.training import SourceDraw
from nearer.core.sections import TrainRecipe
from nearer.learn.examples import Example

_NUM_SHOWN = 8  # batches that stand for all


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """The examples of one source, by their rows, and how often an epoch has each: ``weight`` times as a mean."""

    name: str
    rows_S: Ints
    weight: float

    @property
    def described(self) -> SourceDraw:
        """What is written down of it."""
        number = len(self.rows_S)
        return SourceDraw(source=self.name, num_pairs=number, weight=self.weight, num_drawn=self.num_drawn)

    @property
    def num_drawn(self) -> int:
        """How many examples an epoch draws of it, one at least unless the weight is 0."""
        return max(math.floor(self.weight * len(self.rows_S) + 0.5), int(self.weight > 0))

    def times(self, generator: torch.Generator) -> Ints:
        """How often an epoch has each of its examples, shape (S,): all equally often, but for a draw of some."""
        whole, rest = divmod(self.num_drawn, len(self.rows_S))
        times_S = np.full(len(self.rows_S), whole, np.int64)
        if rest:
            times_S[_shuffled(len(self.rows_S), generator)[:rest]] += 1
        return times_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchOrder:
    """The batches of every epoch, each a function of seed and epoch alone."""

    sources: tuple[Source, ...]
    batch_size: int
    seed: int
    is_mixed: bool = True

    @classmethod
    def of(cls, examples: Sequence[Example], recipe: TrainRecipe) -> "BatchOrder":
        """The order of these examples."""
        return cls(
            sources=sources_of(examples, recipe.source_weights),
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            is_mixed=recipe.batches == "mixed",
        )

    @property
    def num_batches(self) -> int:
        """Of an epoch. The last of them, or the last of each source, may be smaller."""
        drawn = [source.num_drawn for source in self.sources]
        return sum(math.ceil(number / self.batch_size) for number in ([sum(drawn)] if self.is_mixed else drawn))

    def batches(self, epoch: int) -> list[list[int]]:
        """The rows of the examples of each batch."""
        generator = torch.Generator().manual_seed(self.seed + epoch)
        drawn = [np.repeat(source.rows_S, source.times(generator)) for source in self.sources]
        groups = [np.sort(np.concatenate([*drawn, []]).astype(np.int64))] if self.is_mixed else drawn
        made = []
        for rows_N in groups:
            shuffled_N = rows_N[_shuffled(len(rows_N), generator)]
            made += [shuffled_N[first : first + self.batch_size] for first in range(0, len(rows_N), self.batch_size)]
        if len(groups) > 1:
            made = [made[place] for place in _shuffled(len(made), generator)]
        return [rows.tolist() for rows in made]

    def some_batches(self) -> list[list[int]]:
        """A few batches of the first epoch, from its beginning to its end."""
        made = self.batches(0)
        return [made[place] for place in np.unique(np.linspace(0, len(made) - 1, _NUM_SHOWN).astype(np.int64))]


class BatchSampler:
    """The batches of an order, as a data loader takes them: an epoch a time, and which one it is told."""

    def __init__(self, order: BatchOrder) -> None:
        self._order = order
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch that is iterated next."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._order.batches(self._epoch))

    def __len__(self) -> int:
        return self._order.num_batches


def sources_of(examples: Sequence[Example], weights: Mapping[str, float]) -> tuple[Source, ...]:
    """The sources of examples, by name; the weight of one that is not named is 1."""
    rows: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        rows.setdefault(example.source_name, []).append(row)
    return tuple(
        Source(name=name, rows_S=np.array(rows[name], np.int64), weight=weights.get(name, 1.0)) for name in sorted(rows)
    )


def _shuffled(number: int, generator: torch.Generator) -> Ints:
    """The numbers below it in a random order. The same draw as that of torch's own sampler."""
    return torch.randperm(number, generator=generator).numpy()
