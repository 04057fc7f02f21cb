"""What trainings share, of an encoder or a cross-encoder: the trainer's arguments, how it is run, how it went."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from nearer.core.progress import Progress
from nearer.core.results.training import DevPoint, Fit
from nearer.core.sections import RerankerRecipe, TrainRecipe
from nearer.learn.checkpoint import WRITE_FAILURES, BestKeeper, Checkpoints, CheckpointWriter, cannot_write
from nearer.learn.distributed import raising_process_lost
from nearer.learn.precision import matmul_precision, multiplying

WARMUP = 0.1
"""Share of the steps spent warming up. Source: sentence-transformers' examples, for encoders and for MS MARCO."""


def steps_of(num_batches: int, *, epochs: float) -> int:
    """The optimiser steps of a training of so many batches an epoch."""
    return max(1, math.ceil(num_batches * epochs))


def arguments_of(
    kind: Callable[..., TrainingArguments],
    recipe: TrainRecipe | RerankerRecipe,
    checkpoints: Checkpoints,
    *,
    num_steps: int,
    precision: str,
    **own: object,
) -> TrainingArguments:
    """The arguments that every trainer takes alike, and those of one ``kind`` alone.

    They are of the current GPU: else the trainer itself would divide batches among all that there are.
    """
    arguments = kind(
        output_dir=str(checkpoints.scratch),
        max_steps=num_steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=math.ceil(num_steps * WARMUP),
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        save_strategy="no",  # the writer asks for each checkpoint
        eval_strategy="no",
        logging_steps=1,  # so that no checkpoint comes in the middle of a mean
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        **own,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def run(trainer: Trainer, checkpoints: Checkpoints, *, precision: str) -> None:
    """Train, from the checkpoint if there is one. Raises WorkspaceError when one cannot be written, ProcessLost."""
    trainer.remove_callback(PrinterCallback)
    callbacks, start = trainer.callback_handler.callbacks, checkpoints.start
    try:
        with multiplying(matmul_precision(precision)), raising_process_lost():
            trainer.train(resume_from_checkpoint=str(start.folder) if start else None)
    except (*WRITE_FAILURES, RuntimeError) as error:  # the last is what torch.save raises
        if not any(isinstance(each, CheckpointWriter) and each.is_writing for each in callbacks):
            raise
        raise cannot_write(checkpoints.folder, error) from error
    finally:
        _release(trainer.model)
        for each in callbacks:
            if isinstance(each, StepBar):
                each.close()


def as_in_search(model: nn.Module, measure: Callable[[int], DevPoint]) -> Callable[[int], DevPoint]:
    """``measure`` of the model as search runs it, without the lower precision that is put around it in training."""
    own = torch.get_float32_matmul_precision()

    def measured(step: int) -> DevPoint:
        in_training = vars(model).pop("forward", None)
        try:
            with multiplying(own):
                return measure(step)
        finally:
            if in_training is not None:
                model.forward = in_training

    return measured


def _release(model: nn.Module) -> None:
    """Undo what accelerate did to a model, which it does but once: the next training may have another precision."""
    for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
        vars(model).pop(name, None)


def fit_report(trainer: Trainer, keeper: BestKeeper, *, num_examples: int, kept: DevPoint, num_steps: int) -> Fit:
    """How it went; ``kept`` is the measurement of the weights that stand."""
    return Fit(
        num_examples=num_examples,
        num_steps=trainer.state.global_step,
        best_step=kept.step,
        stopped_early=trainer.state.global_step < num_steps,
        fault=keeper.fault,
        dev=tuple(replace(point, queries=()) for point in keeper.points),
        losses=_mean_losses(trainer.state.log_history, num_steps=num_steps),
    )


class StepBar(TrainerCallback):  # type: ignore[misc]
    """Moves a progress bar at every step."""

    def __init__(self, progress: Progress, *, label: str, total: int) -> None:
        self._steps = progress.track(range(total), label=label, total=total)
        next(self._steps, None)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step further."""
        next(self._steps, None)

    def close(self) -> None:
        """Take the bar away, wherever training stopped."""
        self._steps.close()


def _mean_losses(log: Sequence[Mapping[str, Any]], *, num_steps: int) -> tuple[float, ...]:
    """Means over stretches of a twentieth of the training each, from the loss of every step."""
    losses = [entry["loss"] for entry in log if math.isfinite(entry.get("loss", math.nan))]
    size = max(1, num_steps // 20)
    return tuple(math.fsum(losses[end - size : end]) / size for end in range(size, len(losses) + 1, size))
