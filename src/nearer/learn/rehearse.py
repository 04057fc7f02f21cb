"""How long a training step takes here: a few real ones, after which the model is as it was."""

import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from nearer.core.progress import Silent
from nearer.core.results.training import DevPoint
from nearer.core.sections import TrainRecipe
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.examples import Example
from nearer.learn.fit import Sides, fit

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

NUM_STEPS = 4
"""The first is not counted: it sets up what the others have."""


def rehearse(
    model: "SentenceTransformer",
    examples: Sequence[Example],
    *,
    recipe: TrainRecipe,
    sides: Sides,
    clock: Callable[[], float],
) -> float:
    """The median seconds of a step on these examples, which should fill ``NUM_STEPS`` batches, as they come.

    Dev stands for nothing here, so that step 0 is the best, and the model keeps its weights to the bit. The loss is the
    one that any examples will do for: in the time of a step the losses hardly differ.
    """
    ended_at: list[float] = []

    def step_ended() -> bool:
        ended_at.append(clock())
        return len(ended_at) == NUM_STEPS

    once = {"evals_per_pass": 1, "patience": 1, "checkpoint_steps": None, "loss": "mnrl"}
    plain = {"source_weights": {}, "batches": "mixed"}
    num_epochs = NUM_STEPS * recipe.batch_size / len(examples)
    with tempfile.TemporaryDirectory(prefix="nearer-") as scratch:
        fit(
            model,
            examples,
            recipe=recipe.model_copy(update={**once, **plain, "epochs": max(1.0, num_epochs)}),
            sides=sides,
            measure=lambda step: DevPoint(step=step, value=-float(step)),
            checkpoints=Checkpoints(Path(scratch), start=None),
            progress=Silent(),
            is_over=step_ended,
        )
    return median(after - before for before, after in pairwise(ended_at))
