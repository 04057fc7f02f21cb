"""What a pass remembers: its dev points, its best weights, and checkpoints from which a killed one goes on.

A checkpoint is a checksummed folder of what the trainer itself saves and restores (weights, optimiser, schedule, random
states, losses), with the dev points and the best weights beside it.
"""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from nearer.core.errors import InputError, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.core.progress import OutOfTime
from nearer.core.results.training import DevPoint
from nearer.measure.significance import compare_all
from nearer.store.checksummed import fault_in, keep_checksummed
from nearer.store.files import remove_tree, unfinished_name

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

WRITE_FAILURES = (OSError, SafetensorError)
"""What writing files and weights raises when the disk refuses."""

_KEPT = 2
_BEST, _POINTS = "best.safetensors", "dev.json"
_UNREAD = ("README.md", "training_args.bin", "rng_state_*.pth")
"""What the trainer saves and nothing reads: a model card, a pickle, and random states of one of several processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint, taken after ``step`` of ``num_steps``."""

    folder: Path
    step: int
    num_steps: int
    dev: tuple[DevPoint, ...]

    @classmethod
    def read(cls, folder: Path) -> "Checkpoint":
        """The checkpoint in a checksummed folder."""
        content = json.loads((folder / _POINTS).read_text(encoding="utf-8"))
        dev = tuple(DevPoint.read(point) for point in content.pop("dev"))
        return cls(folder=folder, dev=dev, **content)


class Checkpoints:
    """The checkpoints of one pass; ``start`` is the one to go on from, none at the beginning.

    The folder must belong to this very pass of this very run: nothing here can tell.
    """

    def __init__(self, folder: Path, *, start: Checkpoint | None) -> None:
        self.folder = folder
        self.start = start

    @classmethod
    def open(cls, folder: Path, *, say: Callable[[str], None]) -> "Checkpoints":
        """Find the newest whole checkpoint; remove what is damaged, and say so."""
        for found in reversed(_by_step(folder)):
            fault = fault_in(found)
            if not fault:
                return cls(folder, start=Checkpoint.read(found))
            say(f"{found} is damaged ({fault}): it is dropped")
            remove_tree(found)
        return cls(folder, start=None)

    @property
    def scratch(self) -> Path:
        """Where the trainer writes."""
        return self.folder / unfinished_name("trainer")

    def keep(self, source_dir: Path, *, step: int) -> None:
        """Seal what was written as the newest checkpoint, and remove all but it and the one before."""
        keep_checksummed(source_dir, self.folder / f"step-{step}")
        failpoint("train.checkpoint")
        for old in _by_step(self.folder)[:-_KEPT]:
            remove_tree(old)

    def remove(self) -> None:
        """Remove them all."""
        for folder in _by_step(self.folder):
            remove_tree(folder)
        shutil.rmtree(self.scratch, ignore_errors=True)


class BestKeeper(TrainerCallback):  # type: ignore[misc]
    """Measures dev at step 0 and every ``interval`` steps, keeps the best weights, and stops when none come.

    Of a training that went to its end, or that of its time, the last weights stand, unless dev proves the best ones
    better: the rate has fallen by then, and which of two points is the higher on some hundred queries is mostly chance.

    What ``start`` says of step 0 is not measured again. It also stops when ``is_over``, asked after every step, says
    that the time is, having measured where that left it, unless that raises OutOfTime; and when the loss or a
    measurement is not a number: ``fault`` then says which, and at what step.
    """

    def __init__(
        self,
        model: "Module",
        measure: Callable[[int], DevPoint],
        *,
        interval: int,
        patience: int,
        is_over: Callable[[], bool] = lambda: False,
        start: DevPoint | None = None,
    ) -> None:
        self._model = model
        self._measure_at = measure
        self._start = start
        self._interval = interval
        self._patience = patience
        self._is_over = is_over
        self._weights: dict[str, Tensor] = {}
        self.points: list[DevPoint] = []
        self.fault = ""
        self.out_of_time = False
        self.has_lost_patience = False
        self.is_unmeasured = False

    @property
    def best(self) -> DevPoint:
        """The first of the best measurements."""
        return max(self.points, key=lambda point: point.value)

    def go_on_from(self, checkpoint: Checkpoint) -> None:
        """Take over what was measured before, and the weights that were best."""
        self.points = list(checkpoint.dev)
        self._weights = load_file(checkpoint.folder / _BEST)

    def save(self, folder: Path, *, num_steps: int, step: int) -> None:
        """Write what ``go_on_from`` and ``Checkpoint.read`` read."""
        save_file(self._weights, folder / _BEST)
        content = {"step": step, "num_steps": num_steps, "dev": [asdict(point) for point in self.points]}
        (folder / _POINTS).write_text(json.dumps(content), encoding="utf-8")

    def settle(self) -> DevPoint:
        """Leave the model, which is as training left it, with the weights that stand; what dev said of them."""
        best, last = self.best, self.points[-1]
        was_broken_off = self.fault or self.has_lost_patience or self.is_unmeasured
        is_better = last.value > self.points[0].value
        if is_better and not was_broken_off and not _is_proven_better(best, last):
            return last
        self._model.load_state_dict(self._weights)
        return best

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Step 0 is a candidate. Raises InputError when even that is not a number."""
        if not self.points:
            self._measure(0, control)
        if self.fault:
            raise InputError(self.fault, hint="the model itself is broken: choose another")
        return control

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Measure, and stop when patience or the time is over."""
        is_last = state.global_step == state.max_steps
        self.out_of_time = self._is_over() and not is_last
        if state.global_step % self._interval == 0 or is_last or self.out_of_time:
            self._measure(state.global_step, control)
            without_best = sum(point.step > self.best.step for point in self.points)
            self.has_lost_patience = without_best >= self._patience and not is_last
            control.should_training_stop |= self.out_of_time or self.has_lost_patience
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> Any:
        """Stop when the loss of this step was not a number, and let no checkpoint be made of that."""
        if not math.isfinite(logs.get("loss", 0.0)):
            self._stop(f"the loss was not a number at step {state.global_step}", control)
        return control

    def _measure(self, step: int, control: Any) -> None:
        training = self._model.training
        try:
            point = self._start if step == 0 and self._start else self._measure_at(step)
        except OutOfTime:
            self.out_of_time = self.is_unmeasured = control.should_training_stop = True
            return
        finally:
            self._model.train(training)
        if point.fault:
            self._stop(f"{point.fault} was not a number at step {step}", control)
            return
        self.points.append(point)
        if self.best is point:
            self._weights = weights_of(self._model)

    def _stop(self, fault: str, control: Any) -> None:
        self.fault = self.fault or fault
        control.should_training_stop = True
        control.should_save = False


class CheckpointWriter(TrainerCallback):  # type: ignore[misc]
    """Has the trainer save at every dev measurement, and every ``every`` steps, and seals what it saved.

    There is none at the end of a pass, which is kept as a whole.
    """

    def __init__(self, checkpoints: Checkpoints, keeper: BestKeeper, *, every: int | None) -> None:
        self._checkpoints = checkpoints
        self._keeper = keeper
        self._every = every
        self.is_writing = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Ask for a checkpoint when one is due. It comes after the keeper, and the trainer saves after logging."""
        step = state.global_step
        is_due = self._keeper.points[-1].step == step or (self._every is not None and step % self._every == 0)
        self.is_writing = control.should_save = is_due and not control.should_training_stop
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Put the keeper's part beside the trainer's, and write down their checksums."""
        written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for name in _UNREAD:
            for path in written.glob(name):
                path.unlink()
        self._keeper.save(written, step=state.global_step, num_steps=state.max_steps)
        self._checkpoints.keep(written, step=state.global_step)
        self.is_writing = False


def weights_of(model: "Module") -> "dict[str, Tensor]":
    """A copy of the weights, in main memory."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}


def cannot_write(folder: Path, error: Exception) -> WorkspaceError:
    """The error to raise when the disk refuses."""
    return WorkspaceError(
        f"{folder}: cannot be written: {error}",
        hint="see that the disk has room, then repeat: training goes on from what was kept",
    )


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))


def _is_proven_better(best: DevPoint, other: DevPoint) -> bool:
    """Whether it is, by the 95% interval of the difference; without what queries said any difference is."""
    if not (best.queries and other.queries):
        return best.value > other.value
    other_Q1, best_Q1 = np.array([other.queries, best.queries])[:, :, None]
    [gain] = compare_all(other_Q1, best_Q1, metrics=["dev"])
    return gain.low > 0
