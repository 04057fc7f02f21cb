"""One training pass: the transformers trainer with our objective, the best weights kept, and checkpoints."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from nearer.core.arrays import Floats32
from nearer.core.errors import RecipeError
from nearer.core.progress import Progress
from nearer.core.results.training import DevPoint, Fit
from nearer.core.sections import LossName, TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.learn.batch_sampler import BatchOrder, BatchSampler
from nearer.learn.checkpoint import BestKeeper, Checkpoint, Checkpoints, CheckpointWriter, weights_of
from nearer.learn.distributed import (
    InStep,
    files_in,
    num_processes,
    seen_by_libraries,
    send,
    this_process,
    write_files,
)
from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import Example
from nearer.learn.lora import with_lora
from nearer.learn.losses import CONTRASTIVE, LIKENESS, LOSSES, choose_loss
from nearer.learn.lower_layers import Activations, frozen, layers_of
from nearer.learn.merge import Weights
from nearer.learn.objective import Collator, Learner, Objective
from nearer.learn.tokens import MinibatchSize, Tokens
from nearer.learn.trainer import StepBar, arguments_of, as_in_search, fit_report, run, steps_of
from nearer.learn.word_vectors import densify, sparse_gradients

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is put before each query, and before each document; or the vectors that documents keep; and what is beside.

    ``vectors`` gives these, shape (N, D), where only queries are trained. ``activations`` keeps what frozen layers make
    of the texts.
    ``start`` are the weights that training began with, which ``train.l2_sp`` pulls to; those of the pass unless given.
    """

    query: str
    document: str
    vectors: Callable[[Sequence[str]], Floats32] | None = None
    activations: Activations | None = None
    start: Weights | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What dev says at step 0, where that is known, and whether the time is over, asked after every step."""

    start: DevPoint | None = None
    is_over: Callable[[], bool] = lambda: False


UNTIMED = Timing()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What is learned, from what; the same in every process. ``text_TD`` are the vectors that documents keep."""

    examples: Sequence[Example]
    recipe: TrainRecipe
    loss: LossName
    prompts: tuple[str, str]
    text_TD: Floats32 | None = None
    start: Weights | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LessonFiles:
    """A lesson with the files of the model as it is now, and of the checkpoint to go on from, by their names."""

    lesson: Lesson
    model: dict[str, bytes]
    checkpoint: dict[str, bytes] | None


def fit(
    model: "SentenceTransformer",
    examples: Sequence[Example],
    *,
    recipe: TrainRecipe,
    sides: Sides,
    measure: Callable[[int], DevPoint],
    checkpoints: Checkpoints,
    progress: Progress,
    timing: Timing = UNTIMED,
) -> Fit:
    """Train ``model`` in place for one pass and leave it with the weights that stand, as ``BestKeeper`` says.

    ``measure`` measures the model as it is, at a step: before the first, unless that is known, and
    ``evals_per_pass`` times after that. The pass ends early when ``patience`` measurements in a row bring no new best,
    when ``timing.is_over`` says after a step that the time is, or when a loss or measurement is not a number. From a
    checkpoint of this pass it goes on to the same weights, on a CPU to the bit.

    The other processes of torchrun, which wait for a lesson, take part in it.

    Raises WorkspaceError when a checkpoint cannot be written, InputError when dev is not a number at the start,
    RecipeError when the examples are not what the loss learns from, or none has a negative; ProcessLost.
    """
    assert (sides.vectors is None) == (recipe.sides == "both")
    loss, why = choose_loss(recipe.loss, examples)
    order = BatchOrder.of(examples, recipe)
    table, num_negatives = _table(examples, order, loss=loss)
    num_steps, start = steps_of(order.num_batches, epochs=recipe.epochs), checkpoints.start
    keeper = BestKeeper(
        model,
        as_in_search(model, measure),
        interval=math.ceil(num_steps / recipe.most_evals),
        patience=recipe.patience,
        is_over=timing.is_over,
        start=timing.start,
    )
    writer = CheckpointWriter(checkpoints, keeper, every=recipe.checkpoint_steps)
    if start:
        keeper.go_on_from(start)
    left = num_steps - (start.step if start else 0)
    bar = StepBar(progress, label=f"train on {len(examples)} pairs, steps", total=left)
    lesson = Lesson(
        examples=examples,
        recipe=recipe,
        loss=loss,
        prompts=(sides.query, sides.document),
        text_TD=sides.vectors(table.texts) if sides.vectors else None,
        start=sides.start,
    )
    if num_processes() > 1:
        send(_lesson_files(lesson, model, checkpoints))
    with as_in_training(model, recipe, sides.activations):
        trainer = _learn(model, lesson, table, checkpoints, callbacks=(keeper, writer, bar))
        kept = keeper.settle()
    report = fit_report(trainer, keeper, num_examples=len(examples), kept=kept, num_steps=num_steps)
    return replace(
        report,
        loss=loss,
        why=why,
        num_negatives=num_negatives,
        out_of_time=keeper.out_of_time,
    )


def follow(files: LessonFiles) -> None:
    """Take part in what the first process fits: train a copy of its model with it, and keep nothing."""
    lesson = files.lesson
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_files(files.model, folder / "model")
        model = Encoder.load(str(folder / "model")).model
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        checkpoints = Checkpoints(folder, start=None)
        if files.checkpoint:
            write_files(files.checkpoint, folder / "start")
            checkpoints = Checkpoints(folder, start=Checkpoint.read(folder / "start"))
        with as_in_training(model, lesson.recipe):
            _learn(model, lesson, ExampleTable.build(lesson.examples), checkpoints)


def _lesson_files(lesson: Lesson, model: "SentenceTransformer", checkpoints: Checkpoints) -> LessonFiles:
    with TemporaryDirectory() as name:
        model.save_pretrained(name, create_model_card=False, safe_serialization=True)
        model_files = files_in(Path(name))
    start = checkpoints.start
    return LessonFiles(lesson=lesson, model=model_files, checkpoint=files_in(start.folder) if start else None)


def _learn(
    model: "SentenceTransformer",
    lesson: Lesson,
    table: ExampleTable,
    checkpoints: Checkpoints,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    """Train ``model``, which is as in training, together with the other processes."""
    recipe, order = lesson.recipe, BatchOrder.of(lesson.examples, lesson.recipe)
    num_steps = steps_of(order.num_batches, epochs=recipe.epochs)
    objective = _objective(model, table, lesson)
    with seen_by_libraries():
        trainer = _Trainer(
            model=Learner(model, objective),
            args=arguments_of(
                TrainingArguments,
                recipe,
                checkpoints,
                num_steps=num_steps,
                precision=recipe.precision,
                remove_unused_columns=False,
            ),
            train_dataset=range(len(lesson.examples)),
            data_collator=_collator(model, table, lesson),
            callbacks=[*callbacks, *([InStep()] if num_processes() > 1 else [])],
        )
        trainer.order = order
        run(trainer, checkpoints, precision=recipe.precision)
    return trainer


def _table(examples: Sequence[Example], order: BatchOrder, *, loss: LossName) -> tuple[ExampleTable, float]:
    """The examples as a table, and how many negatives an example has. Raises RecipeError when there is none."""
    table = ExampleTable.build(examples)
    if loss in LIKENESS:
        return table, 0.0
    batches = order.some_batches() if loss == "mnrl" else [[row] for row in range(len(examples))]
    number = table.num_negatives(batches)
    if not number and loss in CONTRASTIVE and not any(example.grades for example in examples):
        raise RecipeError(
            "no query has a negative: all positives are the same text, or nearly, or answer one and the same query",
            hint="look at what was imported: nearer check; then add judgments, or pairs, of other documents",
        )
    return table, number


class _Trainer(Trainer):  # type: ignore[misc]
    """The trainer below that of sentence-transformers, which embeds columns as they come; the objective sorts texts."""

    order: BatchOrder

    def get_train_dataloader(self) -> Any:
        """Batches in the order, the same whole ones in every process, instead of all examples shuffled."""
        sampler, pinned = BatchSampler(self.order), self.args.dataloader_pin_memory
        loader = DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=self.data_collator, pin_memory=pinned)
        return prepare_data_loader(loader, num_processes=1, process_index=0)

    def training_step(self, *args: Any, **options: Any) -> Any:
        """A step of training; of several processes each drops out by itself, and alike when the step is repeated."""
        if num_processes() > 1:
            source = np.random.SeedSequence([self.args.seed, self.state.global_step, this_process()])
            torch.manual_seed(int(source.generate_state(1)[0]))
        loss = super().training_step(*args, **options)
        densify(self.model)
        return loss


def _collator(model: "SentenceTransformer", table: ExampleTable, lesson: Lesson) -> Collator:
    return Collator(
        table=table,
        anchors=Tokens(model, table.anchors, prompt=lesson.prompts[0]),
        texts=Tokens(model, table.texts, prompt=lesson.prompts[1]) if lesson.text_TD is None else None,
        size=MinibatchSize.on(model.device),
        num_processes=num_processes(),
        process=this_process(),
    )


def _objective(model: "SentenceTransformer", table: ExampleTable, lesson: Lesson) -> Objective:
    recipe, examples = lesson.recipe, lesson.examples
    start = (weights_of(model) if lesson.start is None else lesson.start) if recipe.l2_sp else {}
    cuts = {*recipe.matryoshka_dims, model.get_embedding_dimension()} if recipe.matryoshka_dims else ()
    return Objective(
        table=table,
        recipe=recipe,
        loss=LOSSES[lesson.loss],
        score_E=[example.weight if example.score is None else example.score for example in examples],
        teacher_E=[example.scores for example in examples],
        dimensions=sorted(cuts, reverse=True),
        start={name: each.to(model.device) for name, each in start.items()},
        text_TD=None if lesson.text_TD is None else torch.from_numpy(lesson.text_TD).to(model.device),
    )


@contextmanager
def as_in_training(
    model: "SentenceTransformer", recipe: TrainRecipe, activations: Activations | None = None
) -> Iterator[None]:
    """Give the model its length, dropout and LoRA for training, and freeze what is frozen, while it is trained."""
    longest, transformer = model.max_seq_length, model.transformers_model
    words = list(transformer.get_input_embeddings().parameters()) if recipe.freeze_embeddings and transformer else []
    dropouts = _dropouts(model, recipe)
    try:
        model.max_seq_length = recipe.max_seq_length or longest
        for parameter in words:
            parameter.requires_grad_(False)
        for each in dropouts:
            each.p = float(recipe.dropout)
        with ExitStack() as stack:
            if num_processes() == 1:
                stack.enter_context(sparse_gradients(transformer))
            if recipe.freeze_layers and transformer:
                stack.enter_context(frozen(transformer, recipe.freeze_layers, kept=activations))
            if recipe.lora_rank:
                stack.enter_context(with_lora(model, layers_of(transformer), recipe))
            yield
    finally:
        model.max_seq_length = longest
        for parameter in words:
            parameter.requires_grad_(True)
        for each, own in dropouts.items():
            each.p = own


def _dropouts(model: "SentenceTransformer", recipe: TrainRecipe) -> dict[torch.nn.Dropout, float]:
    """The model's dropouts with their own rates, when the recipe names another."""
    if recipe.dropout == "model":
        return {}
    return {each: each.p for each in model.modules() if isinstance(each, torch.nn.Dropout)}
