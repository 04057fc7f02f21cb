"""Train a cross-encoder: the sentence-transformers trainer with a listwise loss, the best weights kept, checkpoints.

Shapes: B lists in a batch, U pairs of all of them together.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nearer.core.progress import Progress
from nearer.core.results.training import DevPoint, Fit
from nearer.core.sections import RerankerRecipe
from nearer.learn.checkpoint import BestKeeper, Checkpoints, CheckpointWriter
from nearer.learn.listwise import RankedList
from nearer.learn.trainer import StepBar, arguments_of, as_in_search, fit_report, run, steps_of

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import CrossEncoder

EVALS = 6
"""Dev measurements, beside that of the start."""
PATIENCE = 3
"""Measurements without a new best before training ends. As those of an encoder's training."""


class ListwiseLoss(nn.Module):
    """Softmax cross-entropy between the scores of a list and its targets.

    It depends only on differences of scores within a list, as a ranking does.

    Source: Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach (ICML 2007), section 5; with one
    positive and the retriever's own mistakes it is the loss of Gao et al. (arXiv 2101.08751), section 3.
    """

    def __init__(self, model: "CrossEncoder") -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Sequence[Sequence[Any]], labels: Sequence[Tensor], **_: Any) -> Tensor:
        """The loss of a batch: B anchors and their B lists of texts, labelled with their targets."""
        anchors, lists = inputs
        pairs = [(anchor, text) for anchor, texts in zip(anchors, lists, strict=True) for text in texts]
        scores_by_list = torch.split(self._scores(pairs), [len(texts) for texts in lists])
        losses_B = [
            -(targets.to(scores) * scores.log_softmax(dim=0)).sum()
            for scores, targets in zip(scores_by_list, labels, strict=True)
        ]
        weight = torch.cat(list(labels)).sum()
        return torch.stack(losses_B).sum() / weight.clamp_min(1e-6).to(losses_B[0])

    def get_config_dict(self) -> dict[str, object]:
        """What the trainer writes down of this loss."""
        return {}

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """The scores of pairs, shape (U,), with the prompt that the model puts before queries in search."""
        from sentence_transformers.util import batch_to_device

        prompt = self.model.prompts.get(self.model.default_prompt_name or "")
        features = batch_to_device(self.model.preprocess(list(pairs), prompt=prompt), self.model.device)
        scores: Tensor = self.model(features)["scores"]
        return scores.view(-1).float()


def fit_reranker(
    model: "CrossEncoder",
    lists: Sequence[RankedList],
    *,
    recipe: RerankerRecipe,
    precision: str,
    checkpoint_steps: int | None,
    measure: Callable[[int], DevPoint],
    checkpoints: Checkpoints,
    progress: Progress,
) -> Fit:
    """Train ``model`` in place and leave it with the weights that were best on dev.

    ``measure`` measures the model as it is, at a step: before the first, and ``EVALS`` times after that. Training ends
    early when ``PATIENCE`` measurements in a row bring no new best, or a loss or measurement is not a number. From a
    checkpoint of this training it goes on to the same weights, on a CPU to the bit.

    Raises WorkspaceError when a checkpoint cannot be written, InputError when dev is not a number at the start.
    """
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments

    num_steps = steps_of(math.ceil(len(lists) / recipe.batch_size), epochs=recipe.epochs)
    start = checkpoints.start
    interval = math.ceil(num_steps / EVALS)
    keeper = BestKeeper(model, as_in_search(model, measure), interval=interval, patience=PATIENCE)
    writer = CheckpointWriter(checkpoints, keeper, every=checkpoint_steps)
    if start:
        keeper.go_on_from(start)
    bar = StepBar(progress, label=f"train on {len(lists)} lists, steps", total=num_steps - (start.step if start else 0))
    model.model_card_data.widget = [{}]  # else the trainer draws examples for a model card that nobody reads
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments_of(CrossEncoderTrainingArguments, recipe, checkpoints, num_steps=num_steps, precision=precision),
        train_dataset=_dataset(lists),
        loss=ListwiseLoss(model),
        callbacks=[keeper, writer, bar],
    )
    run(trainer, checkpoints, precision=precision)
    kept = keeper.settle()
    return fit_report(trainer, keeper, num_examples=len(lists), kept=kept, num_steps=num_steps)


def _dataset(lists: Sequence[RankedList]) -> "Dataset":
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "anchor": [each.anchor for each in lists],
            "texts": [list(each.texts) for each in lists],
            "label": [list(each.targets) for each in lists],
        }
    )
