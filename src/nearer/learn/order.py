"""Which examples each batch of an epoch holds: as sources weigh, mixed or apart, easy ones first, like ones together.

Arrays: E examples, S of one source, N rows of an epoch, in which an example may come several times or not at all,
C rows that are clustered at once, A distinct anchors, D dimensions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nearer.core.sections import TrainRecipe
from nearer.learn.examples import Example

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_NUM_STAGES = 4
"""Of an epoch with a curriculum. Our rule: enough to go from easy to hard, few enough to draw batches at random."""
_NUM_SHOWN = 8  # batches that stand for all
_NUM_CLUSTERED = 4096
"""Examples among which like ones are sought: drawn at random where there are more, so that all fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likeness:
    """What tells which anchors are alike: the anchor of each example, and unit vectors."""

    anchor_E: Ints
    anchor_emb_AD: Floats

    def clustered(self, rows_N: Ints, *, size: int, generator: torch.Generator) -> Ints:
        """The same rows in another order, in which clusters of up to ``size`` stand side by side.

        A cluster is a row, drawn, and those whose anchors are nearest to its own of what is left, of each anchor one:
        an anchor's twins are no negatives of each other. Clusters come in random order.
        """
        parts = [rows_N[first : first + _NUM_CLUSTERED] for first in range(0, len(rows_N), _NUM_CLUSTERED)]
        clusters = [part_C[places] for part_C in parts for places in self._clusters(self.anchor_E[part_C], size)]
        return np.concatenate([rows_N[:0], *(clusters[place] for place in _shuffled(len(clusters), generator))])

    def _clusters(self, anchor_C: Ints, size: int) -> Iterator[list[int]]:
        """Places in a part, each once; the first of every cluster is the first that is left."""
        emb_CD, is_left_C = self.anchor_emb_AD[anchor_C], np.ones(len(anchor_C), np.bool_)
        for first in range(len(anchor_C)):
            if not is_left_C[first]:
                continue
            is_left_C[first] = False
            left = np.flatnonzero(is_left_C & (anchor_C != anchor_C[first]))
            nearest = left[np.argsort(-(emb_CD[left] @ emb_CD[first]), kind="stable")]
            _, firsts = np.unique(anchor_C[nearest], return_index=True)
            others = nearest[np.sort(firsts)[: size - 1]]
            is_left_C[others] = False
            yield [first, *others.tolist()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """The examples of one source, by their rows, and how often an epoch has each: ``weight`` times as a mean."""

    name: str
    rows_S: Ints
    weight: float

    @property
    def described(self) -> dict[str, str | int | float]:
        """What is written down of it."""
        number = len(self.rows_S)
        return {"source": self.name, "num_pairs": number, "weight": self.weight, "num_drawn": self.num_drawn}

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
class Order:
    """The batches of every epoch, each a function of seed and epoch alone.

    With ``hardness_E`` an epoch goes from easy to hard in four stages, a quarter of the examples each: within a stage
    the order is random, so that what is equally hard, as one query's twins, does not fill a batch. Unlike in the source
    easy examples do not come again with the hard ones: an epoch stays an epoch.
    Source: Bengio et al., Curriculum Learning (ICML 2009), section 3.

    With ``likeness`` each example stands beside ``cluster_size`` - 1 with like anchors, whose positives are harder
    negatives than those of a draw. Source: Hofstätter et al., Efficiently Teaching an Effective Dense Retriever with
    Balanced Topic Aware Sampling (arXiv 2104.06967), section 3.2, with several clusters a batch instead of one.
    """

    sources: tuple[Source, ...]
    batch_size: int
    seed: int
    is_mixed: bool = True
    hardness_E: Floats | None = None
    cluster_size: int = 1
    likeness: Likeness | None = None

    @classmethod
    def of(cls, examples: Sequence[Example], recipe: TrainRecipe) -> "Order":
        """The order of these examples, without what a model says of them: their hardness, and which are alike."""
        return cls(
            sources=sources_of(examples, recipe.source_weights),
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            is_mixed=recipe.batches == "mixed",
            cluster_size=recipe.cluster_size,
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
        stage_E = self._stages()
        made = []
        for rows_N in groups:
            shuffled_N = rows_N[_shuffled(len(rows_N), generator)]
            stages = [shuffled_N[stage_E[shuffled_N] == stage] for stage in np.unique(stage_E[shuffled_N])]
            ordered_N = np.concatenate([rows_N[:0], *(self._clustered(stage_N, generator) for stage_N in stages)])
            made += [ordered_N[first : first + self.batch_size] for first in range(0, len(rows_N), self.batch_size)]
        if len(groups) > 1:
            made = [made[place] for place in _shuffled(len(made), generator)]
            made.sort(key=lambda rows: float(stage_E[rows].mean()))
        return [rows.tolist() for rows in made]

    def some_batches(self) -> list[list[int]]:
        """A few batches of the first epoch, from its beginning to its end."""
        made = self.batches(0)
        return [made[place] for place in np.unique(np.linspace(0, len(made) - 1, _NUM_SHOWN).astype(np.int64))]

    def _clustered(self, rows_N: Ints, generator: torch.Generator) -> Ints:
        if self.likeness is None:
            return rows_N
        return self.likeness.clustered(rows_N, size=self.cluster_size, generator=generator)

    def _stages(self) -> Ints:
        """The stage of each example, shape (E,); all the same without a curriculum."""
        number = sum(len(source.rows_S) for source in self.sources)
        stage_E = np.zeros(number, np.int64)
        if self.hardness_E is not None:
            stage_E[np.argsort(self.hardness_E, kind="stable")] = np.arange(number) * _NUM_STAGES // max(1, number)
        return stage_E


class BatchSampler:
    """The batches of an order, as a data loader takes them: an epoch a time, and which one it is told."""

    def __init__(self, order: Order) -> None:
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
