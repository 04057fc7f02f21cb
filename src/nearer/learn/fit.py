"""One training pass: the sentence-transformers trainer with our loss, the best weights kept, and checkpoints."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, TrainerCallback

from nearer.core.progress import Progress
from nearer.core.sections import TrainRecipe
from nearer.learn.checkpoint import (
    WRITE_FAILURES,
    BestKeeper,
    Checkpoints,
    CheckpointWriter,
    DevPoint,
    cannot_write,
)
from nearer.learn.examples import Example
from nearer.learn.loss import MaskedRankingLoss

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What is put before each anchor, and before each positive and negative."""

    query: str
    document: str

    def by_column(self, datasets: "dict[str, Dataset]") -> dict[str, dict[str, str]]:
        """The prompt of every column of every data set, as the trainer wants them."""
        return {
            name: {
                column: self.query if column == "anchor" else self.document
                for column in dataset.column_names
                if column != "label"
            }
            for name, dataset in datasets.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """How a pass went. ``best_step`` 0 means that training did not help, and the model is as it was.

    ``fault`` says what was not a number, and at which step; the pass ended there, and kept what was best before.
    """

    num_examples: int
    num_steps: int
    best_step: int
    stopped_early: bool
    fault: str
    dev: tuple[DevPoint, ...]
    losses: tuple[float, ...]


def fit(
    model: "SentenceTransformer",
    examples: Sequence[Example],
    *,
    recipe: TrainRecipe,
    prompts: Prompts,
    near_duplicate: float,
    measure: Callable[[int], DevPoint],
    checkpoints: Checkpoints,
    progress: Progress,
) -> FitReport:
    """Train ``model`` in place for one pass and leave it with the weights that were best on dev.

    ``measure`` measures the model as it is, at a step: before the first, and ``evals_per_pass`` times after that.
    The pass ends early when ``patience`` measurements in a row bring no new best, or a loss or measurement is not a
    number. From a checkpoint of this pass it goes on to the same weights, on a CPU to the bit.

    Raises WorkspaceError when a checkpoint cannot be written, InputError when dev is not a number at the start.
    """
    from sentence_transformers import SentenceTransformerTrainer

    num_steps, start = steps_of(examples, recipe=recipe), checkpoints.start
    interval = math.ceil(num_steps / recipe.evals_per_pass)
    keeper = BestKeeper(model, measure, interval=interval, patience=recipe.patience)
    writer = CheckpointWriter(checkpoints, keeper, every=recipe.checkpoint_steps)
    if start:
        keeper.go_on_from(start)
    bar = _Bar(progress, label=f"train {len(examples)} pairs", total=num_steps - (start.step if start else 0))
    model.model_card_data.widget = [{}]  # else the trainer draws examples for a model card that nobody reads
    datasets = _datasets(examples)
    with _as_in_training(model, recipe):
        trainer = SentenceTransformerTrainer(
            model=model,
            args=_arguments(recipe, checkpoints, num_steps=num_steps, prompts=prompts.by_column(datasets)),
            train_dataset=datasets,
            loss=MaskedRankingLoss(model, examples=examples, scale=recipe.scale, near_duplicate=near_duplicate),
            callbacks=[keeper, writer, bar],
        )
        trainer.remove_callback(PrinterCallback)
        try:
            trainer.train(resume_from_checkpoint=str(start.folder) if start else None)
        except (*WRITE_FAILURES, RuntimeError) as error:  # the last is what torch.save raises
            if not writer.is_writing:
                raise
            raise cannot_write(checkpoints.folder, error) from error
    keeper.restore_best()
    return FitReport(
        num_examples=len(examples),
        num_steps=trainer.state.global_step,
        best_step=keeper.best.step,
        stopped_early=trainer.state.global_step < num_steps,
        fault=keeper.fault,
        dev=tuple(keeper.points),
        losses=_mean_losses(trainer.state.log_history, num_steps=num_steps),
    )


def steps_of(examples: Sequence[Example], *, recipe: TrainRecipe) -> int:
    """The optimiser steps of a pass."""
    sizes = _by_num_negatives(examples)
    per_epoch = sum(math.ceil(len(rows) / recipe.batch_size) for rows in sizes.values())
    return max(1, math.ceil(per_epoch * recipe.epochs))


def _mean_losses(log: Sequence[Mapping[str, Any]], *, num_steps: int) -> tuple[float, ...]:
    """Means over stretches of a twentieth of the pass each, from the loss of every step."""
    losses = [entry["loss"] for entry in log if math.isfinite(entry.get("loss", math.nan))]
    size = max(1, num_steps // 20)
    return tuple(math.fsum(losses[end - size : end]) / size for end in range(size, len(losses) + 1, size))


def _by_num_negatives(examples: Sequence[Example]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, example in enumerate(examples):
        rows.setdefault(len(example.negatives), []).append(row)
    return rows


def _datasets(examples: Sequence[Example]) -> "dict[str, Dataset]":
    """One data set for each number of negatives, since a batch is a table; the label is the example's row."""
    from datasets import Dataset

    found = {}
    for count, rows in sorted(_by_num_negatives(examples).items()):
        columns: dict[str, list[Any]] = {
            "anchor": [examples[row].anchor for row in rows],
            "positive": [examples[row].positive for row in rows],
        }
        for number in range(count):
            columns[f"negative_{number}"] = [examples[row].negatives[number] for row in rows]
        found[f"negatives_{count}"] = Dataset.from_dict({**columns, "label": rows})
    return found


def _arguments(
    recipe: TrainRecipe, checkpoints: Checkpoints, *, num_steps: int, prompts: dict[str, dict[str, str]]
) -> "SentenceTransformerTrainingArguments":
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments

    return SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints.scratch),
        max_steps=num_steps,
        prompts=prompts,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=math.ceil(num_steps * recipe.warmup_ratio),
        weight_decay=recipe.weight_decay,
        bf16=recipe.precision == "bfloat16",
        fp16=recipe.precision == "float16",
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        save_strategy="no",  # the writer asks for each checkpoint
        eval_strategy="no",
        logging_steps=1,  # so that no checkpoint comes in the middle of a mean
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


@contextmanager
def _as_in_training(model: "SentenceTransformer", recipe: TrainRecipe) -> Iterator[None]:
    """Give the model its length for training and freeze what the recipe freezes, for as long as it is trained."""
    longest, frozen = model.max_seq_length, _frozen_parameters(model, recipe)
    try:
        model.max_seq_length = recipe.max_seq_length or longest
        for parameter in frozen:
            parameter.requires_grad_(False)
        yield
    finally:
        model.max_seq_length = longest
        for parameter in frozen:
            parameter.requires_grad_(True)


def _frozen_parameters(model: "SentenceTransformer", recipe: TrainRecipe) -> list[Any]:
    """The word vectors, when the recipe leaves them as they are."""
    transformer = model.transformers_model
    if not recipe.freeze_embeddings or transformer is None:
        return []
    return list(transformer.get_input_embeddings().parameters())


class _Bar(TrainerCallback):  # type: ignore[misc]
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
