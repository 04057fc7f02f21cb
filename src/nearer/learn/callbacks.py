"""What trainings share: a progress bar that the trainer moves, and the losses that it logged."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transformers import TrainerCallback

from nearer.core.progress import Progress


class StepBar(TrainerCallback):  # type: ignore[misc]
    """Moves a progress bar at every step."""

    def __init__(self, progress: Progress, *, label: str, total: int) -> None:
        self._steps: Iterator[int] = progress.track(range(total), label=label, total=total)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step further."""
        next(self._steps, None)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Run the bar out."""
        for _step in self._steps:
            pass


def mean_losses(log: Sequence[Mapping[str, Any]], *, num_steps: int) -> tuple[float, ...]:
    """Means over stretches of a twentieth of the training each, from the loss of every step."""
    losses = [entry["loss"] for entry in log if math.isfinite(entry.get("loss", math.nan))]
    size = max(1, num_steps // 20)
    return tuple(math.fsum(losses[end - size : end]) / size for end in range(size, len(losses) + 1, size))
