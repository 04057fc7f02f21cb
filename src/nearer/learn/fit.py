"""One training pass: the sentence-transformers trainer with our loss, and the best checkpoint kept."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, TrainerCallback

from nearer.core.progress import Progress
from nearer.core.recipe import TrainRecipe
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
class DevPoint:
    """What dev said after ``step`` optimiser steps; step 0 is the model that the pass began with."""

    step: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """How a pass went. ``best_step`` 0 means that training did not help, and the model is as it was."""

    num_examples: int
    num_steps: int
    best_step: int
    stopped_early: bool
    dev: tuple[DevPoint, ...]
    losses: tuple[float, ...]


def fit(
    model: "SentenceTransformer",
    examples: Sequence[Example],
    *,
    recipe: TrainRecipe,
    prompts: Prompts,
    near_duplicate: float,
    measure_dev: Callable[[], float],
    scratch: Path,
    progress: Progress,
) -> FitReport:
    """Train ``model`` in place for one pass and leave it with the weights that were best on dev.

    ``measure_dev`` measures the model as it is: before the first step, and ``evals_per_pass`` times after that.
    The pass ends early when ``patience`` measurements in a row bring no new best.
    """
    from sentence_transformers import SentenceTransformerTrainer

    loss = MaskedRankingLoss(model, examples=examples, scale=recipe.scale, near_duplicate=near_duplicate)
    num_steps = steps_of(examples, recipe=recipe)
    keeper = _BestKeeper(model, measure_dev, interval=math.ceil(num_steps / recipe.evals_per_pass), recipe=recipe)
    model.model_card_data.widget = [{}]  # else the trainer draws examples for a model card that is never written
    bar = _Bar(progress, label=f"train {len(examples)} pairs", total=num_steps)
    longest, frozen = model.max_seq_length, _frozen_parameters(model, recipe)
    datasets = _datasets(examples)
    try:
        model.max_seq_length = recipe.max_seq_length or longest
        for parameter in frozen:
            parameter.requires_grad_(False)
        trainer = SentenceTransformerTrainer(
            model=model,
            args=_arguments(recipe, scratch, num_steps=num_steps, prompts=prompts.by_column(datasets)),
            train_dataset=datasets,
            loss=loss,
            callbacks=[keeper, bar],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    finally:
        model.max_seq_length = longest
        for parameter in frozen:
            parameter.requires_grad_(True)
    keeper.restore_best()
    return FitReport(
        num_examples=len(examples),
        num_steps=trainer.state.global_step,
        best_step=keeper.best.step,
        stopped_early=trainer.state.global_step < num_steps,
        dev=tuple(keeper.points),
        losses=tuple(entry["loss"] for entry in trainer.state.log_history if "loss" in entry),
    )


def steps_of(examples: Sequence[Example], *, recipe: TrainRecipe) -> int:
    """The optimiser steps of a pass."""
    sizes = _by_num_negatives(examples)
    per_epoch = sum(math.ceil(len(rows) / recipe.batch_size) for rows in sizes.values())
    return max(1, math.ceil(per_epoch * recipe.epochs))


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
    recipe: TrainRecipe, scratch: Path, *, num_steps: int, prompts: dict[str, dict[str, str]]
) -> "SentenceTransformerTrainingArguments":
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments

    return SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
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
        save_strategy="no",
        eval_strategy="no",
        logging_steps=max(1, num_steps // 20),
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _frozen_parameters(model: "SentenceTransformer", recipe: TrainRecipe) -> list[Any]:
    """The word vectors, when the recipe leaves them as they are."""
    transformer = model.transformers_model
    if not recipe.freeze_embeddings or transformer is None:
        return []
    return list(transformer.get_input_embeddings().parameters())


class _BestKeeper(TrainerCallback):  # type: ignore[misc]
    """Measures dev at step 0 and every ``interval`` steps, keeps the best weights, and stops when none come."""

    def __init__(
        self, model: "SentenceTransformer", measure_dev: Callable[[], float], *, interval: int, recipe: TrainRecipe
    ) -> None:
        self._model = model
        self._measure_dev = measure_dev
        self._interval = interval
        self._patience = recipe.patience
        self.points: list[DevPoint] = []
        self.best = DevPoint(step=0, value=-math.inf)
        self._weights: dict[str, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Step 0 is a candidate."""
        self._measure(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Measure, and stop when patience is over."""
        if state.global_step % self._interval == 0 or state.global_step == state.max_steps:
            self._measure(state.global_step)
            without_best = sum(point.step > self.best.step for point in self.points)
            control.should_training_stop |= without_best >= self._patience
        return control

    def restore_best(self) -> None:
        """Load the best weights back into the model."""
        self._model.load_state_dict(self._weights)

    def _measure(self, step: int) -> None:
        training = self._model.training
        point = DevPoint(step=step, value=self._measure_dev())
        self._model.train(training)
        self.points.append(point)
        if point.value > self.best.value:
            self.best = point
            self._weights = copy.deepcopy({k: v.detach().cpu() for k, v in self._model.state_dict().items()})


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
