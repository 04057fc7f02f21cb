"""From a batch to its loss: every distinct text is embedded once, in mini-batches of like length, then compared.

Of several processes each embeds its share of the texts, and compares all of them.

Arrays: B examples of the batch, A distinct anchors, X distinct texts, S texts of this process, D dimensions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nearer.core.sections import TrainRecipe
from nearer.learn.distributed import gathered
from nearer.learn.example_table import ExampleTable
from nearer.learn.losses import TRIPLET_MARGIN, Loss, Similarities
from nearer.learn.tokens import Features, MinibatchSize, Tokens


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """The distinct texts of one side of a batch: their rows in the table, in the order of their vectors.

    ``minibatches`` are those that this process embeds; ``shares`` says how many of the texts each process does.
    """

    rows: tuple[int, ...]
    minibatches: tuple[Features, ...] = ()
    shares: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Some examples, by their rows in the table, and the texts to be embedded for them."""

    rows: tuple[int, ...]
    anchors: Side
    texts: Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collator:
    """Makes a batch of the rows of examples, under a name, since the trainer wants one.

    ``texts`` is None when the objective knows their vectors, so that nothing of them is embedded. Every process makes
    the same batches, with the mini-batches of its own.
    """

    table: ExampleTable
    anchors: Tokens
    texts: Tokens | None
    size: MinibatchSize
    num_processes: int = 1
    process: int = 0

    def __call__(self, rows: Sequence[int]) -> dict[str, Batch]:
        """The batch of these examples."""
        anchors = dict.fromkeys(int(self.table.anchor_E[row]) for row in rows)
        texts = dict.fromkeys(text for row in rows for text in self.table.candidates[row])
        sides = {"anchors": self._side(self.anchors, list(anchors)), "texts": self._side(self.texts, list(texts))}
        return {"batch": Batch(rows=tuple(rows), **sides)}

    def _side(self, tokens: Tokens | None, rows: Sequence[int]) -> Side:
        """A process without any texts embeds those of another, and takes none: all take part in what weights learn."""
        if tokens is None:
            return Side(rows=tuple(rows))
        most = math.ceil(int(tokens.lengths_T[list(rows)].sum()) / self.num_processes)
        size = replace(self.size, most_tokens=min(self.size.most_tokens, most)) if self.num_processes > 1 else self.size
        groups = tokens.groups(rows, size)
        shares: list[list[list[int]]] = [[] for _ in range(self.num_processes)]
        costs = [0] * self.num_processes
        for group in groups:  # to the process that has least to do so far
            least = costs.index(min(costs))
            shares[least].append(group)
            costs[least] += int(tokens.lengths_T[group].sum())
        return Side(
            rows=tuple(row for share in shares for group in share for row in group),
            minibatches=tuple(tokens.features(group) for group in shares[self.process] or groups[:1]),
            shares=tuple(sum(map(len, share)) for share in shares),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class Objective:
    """The loss of a batch, with the table it was made from.

    With ``dimensions`` it is the mean over vectors cut to each (Matryoshka); ``start`` are the weights it pulls to;
    ``text_TD`` the vectors of all texts of the table, when these are fixed and only anchors are embedded.
    Source: Kusupati et al., Matryoshka Representation Learning (arXiv 2205.13147), eq. 1.
    """

    table: ExampleTable
    recipe: TrainRecipe
    loss: Loss
    score_E: Sequence[float]
    teacher_E: Sequence[Sequence[float]]
    dimensions: Sequence[int] = ()
    start: Mapping[str, Tensor] = field(default_factory=dict)
    text_TD: Tensor | None = None

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch, ready to be differentiated."""
        anchor_AD = self._embedded(model, batch.anchors)
        known_XD = self._known_texts(batch)
        text_XD = self._embedded(model, batch.texts) if known_XD is None else known_XD
        with torch.autocast(text_XD.device.type, enabled=False):
            loss = self.of(anchor_AD, text_XD, batch)
            return loss + self.recipe.l2_sp * _distance(model, self.start) if self.start else loss

    def _embedded(self, model: nn.Module, side: Side) -> Tensor:
        own_SD = embed_all(model, side.minibatches, grad_cache=self.recipe.grad_cache)
        return gathered(own_SD, side.shares)

    def of(self, anchor_AD: Tensor, text_XD: Tensor, batch: Batch) -> Tensor:
        """The loss, the vectors being given in the order of the batch's sides."""
        place = {row: number for number, row in enumerate(batch.anchors.rows)}
        anchors_B = torch.tensor([place[int(self.table.anchor_E[row])] for row in batch.rows], device=text_XD.device)
        known = self._known(batch, text_XD.device)
        sizes = self.dimensions or (text_XD.shape[1],)
        losses = [
            self.loss(
                replace(known, cosine_BX=_cosine(anchor_AD[:, :size], text_XD[:, :size])[anchors_B]),
                scale=self.recipe.scale,
                margin=TRIPLET_MARGIN,
            )
            for size in sizes
        ]
        return torch.stack(losses).mean()

    def _known_texts(self, batch: Batch) -> Tensor | None:
        """The fixed vectors of a batch's texts, which no gradient reaches."""
        return None if self.text_TD is None else self.text_TD[list(batch.texts.rows)]

    def _known(self, batch: Batch, device: torch.device) -> Similarities:
        """All but the cosines: grades, weights, each example's own columns."""
        place = {row: column for column, row in enumerate(batch.texts.rows)}
        grades_BX = torch.from_numpy(self.table.grades(batch.rows, batch.texts.rows)).to(device)
        return Similarities(
            cosine_BX=grades_BX,
            grades_BX=grades_BX,
            weight_B=torch.from_numpy(self.table.weight_E[list(batch.rows)]).to(device),
            candidates=[[place[text] for text in self.table.candidates[row]] for row in batch.rows],
            score_B=torch.tensor([self.score_E[row] for row in batch.rows], device=device),
            teacher=[self.teacher_E[row] for row in batch.rows],
        )


class Learner(nn.Module):
    """A model with its objective: batches go in, losses come out, so that a step is one forward and one backward.

    DistributedDataParallel, which goes around it, knows of no other step.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of a batch, under the name that the trainer looks for."""
        return {"loss": self._objective(self.model, batch)}


def embed_all(model: nn.Module, minibatches: Sequence[Features], *, grad_cache: bool) -> Tensor:
    """The vectors of all texts of these mini-batches, in their order.

    With ``grad_cache`` no activations are kept: the backward pass makes those of one mini-batch at a time again, with
    the same dropout. Source: Gao et al., Scaling Deep Contrastive Learning Batch MinibatchSize (arXiv 2101.06983).
    """
    if not grad_cache:
        return torch.cat([_vectors(model, features) for features in minibatches])
    return torch.cat([checkpoint(_vectors, model, features, use_reentrant=False) for features in minibatches])


def _vectors(model: nn.Module, features: Features) -> Tensor:
    device = next(model.parameters()).device
    on_device = {name: each.to(device) if isinstance(each, Tensor) else each for name, each in features.items()}
    made: Tensor = model(on_device)["sentence_embedding"]
    return made.float()


def _distance(model: nn.Module, start: Mapping[str, Tensor]) -> Tensor:
    """The sum of squares between the weights that are trained and those at the start."""
    pairs = ((each, start[name]) for name, each in model.named_parameters() if each.requires_grad)
    return torch.stack([(now - before.to(now)).square().sum() for now, before in pairs]).sum()


def _cosine(left_BD: Tensor, right_XD: Tensor) -> Tensor:
    return nn.functional.normalize(left_BD, dim=-1) @ nn.functional.normalize(right_XD, dim=-1).T
