"""Distillation: a model learns to give the vectors that a teacher gives.

Arrays: N texts x D dimensions, E those of the teacher's own vectors.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.sections import TrainRecipe
from nearer.learn.fit import as_in_training
from nearer.learn.objective import embed_all
from nearer.learn.tokens import MinibatchSize, Tokens
from nearer.learn.trainer import WARMUP

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = 32
"""Texts a step. Our rule: on a CPU more small steps learn more in a time than fewer large ones."""
LEARNING_RATE = 3e-4
"""Of AdamW at its peak. sentence-transformers' model_distillation.py has 1e-4 for millions of texts; we have few."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught:
    """The texts of a side, what is put before each, and the vectors (N, D), of length 1, that they are to have."""

    texts: Sequence[str]
    prompt: str
    emb_ND: Floats32


def distil(
    model: "SentenceTransformer", sides: Sequence[Taught], *, num_steps: int, recipe: TrainRecipe, progress: Progress
) -> tuple[float, ...]:
    """Train ``model`` in place on as many texts of each side a step; the loss of each step.

    The loss is the squared distance of two vectors of length 1. Word vectors stay, nothing drops out. The rate warms
    up, then falls to 0 at the last step.

    Raises InputError when the loss is not a number.

    Source: sentence-transformers, examples/sentence_transformer/training/distillation/model_distillation.py: a student
    of some of the teacher's layers, and the mean squared error of their vectors.
    """
    recipe = recipe.model_copy(
        update={"dropout": 0.0, "freeze_embeddings": True, "freeze_layers": 0, "lora_rank": 0, "max_seq_length": None}
    )
    torch.manual_seed(recipe.seed)
    losses = []
    with as_in_training(model, recipe):
        model.train()
        lessons = [_Lesson.of(model, side, number=max(1, BATCH // len(sides)), seed=recipe.seed) for side in sides]
        weights = [each for each in model.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE)
        for step in progress.track(range(num_steps), label="distil, steps", total=num_steps):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * _rate((step + 0.5) / num_steps)
            optimizer.zero_grad()
            loss = torch.stack([lesson.loss(model) for lesson in lessons]).mean()
            if not math.isfinite(loss.item()):
                raise InputError(
                    f"distillation broke down at step {step}: the loss is not a number",
                    hint="take another teacher, or fewer layers out",
                )
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            losses.append(loss.item())
        optimizer.zero_grad(set_to_none=True)
        model.eval()
    return tuple(losses)


def means(losses: Sequence[float]) -> tuple[float, ...]:
    """The means of stretches of a twentieth of the losses each.

    >>> means([4.0, 2.0])
    (4.0, 2.0)
    """
    size = max(1, len(losses) // 20)
    return tuple(math.fsum(losses[end - size : end]) / size for end in range(size, len(losses) + 1, size))


def map_onto(teacher_NE: Floats32, own_ND: Floats32) -> Floats32:
    """The map (E, D) that brings a teacher's vectors of some texts as near to a model's own as a rotation can.

    Where D is at least E it changes no cosine; where D is less, it keeps what the model's own vectors have most of.
    Source: Schönemann, A Generalized Solution of the Orthogonal Procrustes Problem (1966).
    """
    left, _, right = np.linalg.svd(teacher_NE.T.astype(np.float64) @ own_ND, full_matrices=False)
    return np.asarray(left @ right, np.float32)


def _rate(done: float) -> float:
    """The share of the peak rate when so much is done."""
    return min(done / WARMUP, (1 - done) / (1 - WARMUP))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lesson:
    """A side as it is learned: its tokens, what they are to become, and the rows of each step, all in turn."""

    tokens: Tokens
    emb_ND: torch.Tensor
    rows: Iterator[list[int]]
    size: MinibatchSize

    @classmethod
    def of(cls, model: "SentenceTransformer", side: Taught, *, number: int, seed: int) -> "_Lesson":
        return cls(
            tokens=Tokens(model, side.texts, prompt=side.prompt),
            emb_ND=torch.from_numpy(side.emb_ND).to(model.device),
            rows=_in_turn(len(side.texts), number=number, seed=seed),
            size=MinibatchSize.on(model.device),
        )

    def loss(self, model: nn.Module) -> torch.Tensor:
        groups = self.tokens.groups(next(self.rows), self.size)
        made_ND = embed_all(model, [self.tokens.features(group) for group in groups], grad_cache=False)
        wanted_ND = self.emb_ND[[row for group in groups for row in group]]
        return (nn.functional.normalize(made_ND, dim=1) - wanted_ND).square().sum(1).mean()


def _in_turn(total: int, *, number: int, seed: int) -> Iterator[list[int]]:
    """So many rows at a time, each of them once before any comes again, in an order that is drawn anew."""
    rng, waiting = np.random.default_rng(seed), deque[int]()
    while True:
        while len(waiting) < min(number, total):
            waiting.extend(rng.permutation(total).tolist())
        yield [waiting.popleft() for _ in range(min(number, total))]
