"""One training pass: the transformers trainer with our objective, the best weights kept, and checkpoints."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from nearer.core.arrays import Floats32
from nearer.core.errors import RecipeError
from nearer.core.progress import Progress
from nearer.core.results.training import DevPoint, Fit
from nearer.core.sections import LossName, TrainRecipe
from nearer.learn.batch_sampler import BatchOrder, BatchSampler
from nearer.learn.checkpoint import BestKeeper, Checkpoints, CheckpointWriter, weights_of
from nearer.learn.distributed import WorkerGroup, distributed, num_processes
from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import Example
from nearer.learn.lora import with_lora
from nearer.learn.losses import CONTRASTIVE, LIKENESS, LOSSES, Loss, choose_loss
from nearer.learn.lower_layers import Activations, frozen, layers_of
from nearer.learn.merge import Weights
from nearer.learn.objective import Batch, Collator, Objective
from nearer.learn.tokens import MinibatchSize, Tokens
from nearer.learn.trainer import StepBar, arguments_of, as_in_search, fit_report, on_one_device, run, steps_of
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

    Raises WorkspaceError when a checkpoint cannot be written, InputError when dev is not a number at the start,
    RecipeError when the examples are not what the loss learns from, or none has a negative.
    """
    assert (sides.vectors is None) == (recipe.sides == "both")
    loss, why = choose_loss(recipe.loss, examples)
    order = BatchOrder.of(examples, recipe)
    table, num_negatives = _table(examples, order, loss=loss)
    num_steps, start = steps_of(order.num_batches, epochs=recipe.epochs), checkpoints.start
    interval = math.ceil(num_steps / recipe.most_evals)
    keeper = BestKeeper(
        model,
        as_in_search(model, measure),
        interval=interval,
        patience=recipe.patience,
        is_over=timing.is_over,
        start=timing.start,
    )
    writer = CheckpointWriter(checkpoints, keeper, every=recipe.checkpoint_steps)
    if start:
        keeper.go_on_from(start)
    bar = StepBar(
        progress, label=f"train on {len(examples)} pairs, steps", total=num_steps - (start.step if start else 0)
    )
    with distributed(model, recipe) as team, as_in_training(model, recipe, sides.activations):
        collator = _collator(model, table, sides)
        fixed_TD = sides.vectors(table.texts) if sides.vectors else None
        trainer = _Trainer(
            model=model,
            args=on_one_device(
                TrainingArguments(
                    **arguments_of(recipe, checkpoints, num_steps=num_steps, precision=recipe.precision),
                    remove_unused_columns=False,
                )
            ),
            train_dataset=range(len(examples)),
            data_collator=collator,
            callbacks=[keeper, writer, bar],
        )
        trainer.order = order
        trainer.objective = _objective(model, table, examples, LOSSES[loss], recipe=recipe)
        if recipe.l2_sp:
            start_weights = weights_of(model) if sides.start is None else sides.start
            trainer.objective.start = {name: each.to(model.device) for name, each in start_weights.items()}
        if fixed_TD is not None:
            trainer.objective.text_TD = torch.from_numpy(fixed_TD).to(model.device)
        if team:
            trainer.objective.embed = team.embed
        trainer.team = team
        run(trainer, checkpoints, writer, precision=recipe.precision)
        kept = keeper.settle()
    report = fit_report(trainer, keeper, num_examples=len(examples), kept=kept, num_steps=num_steps)
    return replace(
        report,
        loss=loss,
        why=why,
        num_negatives=num_negatives,
        out_of_time=keeper.out_of_time,
    )


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
    objective: Objective
    team: WorkerGroup | None

    def get_train_dataloader(self) -> Any:
        """Batches in the order, instead of all examples shuffled."""
        sampler, pinned = BatchSampler(self.order), self.args.dataloader_pin_memory
        loader = DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=self.data_collator, pin_memory=pinned)
        return self.accelerator.prepare(loader)

    def training_step(self, *args: Any, **options: Any) -> Any:
        """A step of training, in which the processes of a team take part."""
        if self.team:
            self.team.step = self.state.global_step
        loss = super().training_step(*args, **options)
        densify(self.model)
        if self.team:
            self.team.collect(self.model)
        return loss

    def compute_loss(self, model: Any, inputs: dict[str, Batch], *_: Any, **__: Any) -> Any:
        """The loss of a batch."""
        return self.objective(model, inputs["batch"])


def _collator(model: "SentenceTransformer", table: ExampleTable, sides: Sides) -> Collator:
    return Collator(
        table=table,
        anchors=Tokens(model, table.anchors, prompt=sides.query),
        texts=None if sides.vectors else Tokens(model, table.texts, prompt=sides.document),
        size=MinibatchSize.on(model.device),
        num_processes=num_processes(),
    )


def _objective(
    model: "SentenceTransformer",
    table: ExampleTable,
    examples: Sequence[Example],
    loss: Loss,
    *,
    recipe: TrainRecipe,
) -> Objective:
    sizes = (
        sorted({*recipe.matryoshka_dims, model.get_embedding_dimension()}, reverse=True)
        if recipe.matryoshka_dims
        else ()
    )
    return Objective(
        table=table,
        recipe=recipe,
        loss=loss,
        score_E=[example.weight if example.score is None else example.score for example in examples],
        teacher_E=[example.scores for example in examples],
        dimensions=sizes,
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
