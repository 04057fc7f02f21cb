"""Training settings that cannot work, found before hours are spent on them."""

from collections.abc import Collection

from nearer.core.recipe import Recipe
from nearer.core.sections import TrainRecipe


def validate_reranker_settings(
    recipe: Recipe, *, num_lists: int, has_negatives: bool, is_excluded: bool, precisions: Collection[str]
) -> list[str]:
    """Each reason why training a cross-encoder with these settings cannot work; empty when it can.

    ``is_excluded`` says that negatives were mined, and seem to be positives.
    """
    faults = []
    if num_lists == 0:
        faults.append("no training pairs: add judgments of at least the positive grade to the train split, or pairs")
    elif not has_negatives and is_excluded:
        faults.append(
            "no pair has a negative: those that were mined seem mostly to be positives, and are left out; add judged "
            "ones, or set mining.max_false = 1 to learn from these all the same"
        )
    elif not has_negatives:
        faults.append("no pair has a negative: the documents are all answers, so there is no order to learn; add more")
    faults.extend(_precision_faults(recipe.train, precisions))
    if recipe.reranker.num_negatives >= recipe.search.rerank.depth:
        faults.append(
            f"reranker.num_negatives = {recipe.reranker.num_negatives} of the {recipe.search.rerank.depth} documents "
            "that are read leaves no room for the positive: lower it, or raise search.rerank.depth"
        )
    return faults


def validate_settings(
    recipe: Recipe,
    *,
    num_examples: int,
    num_dev_queries: int,
    precisions: Collection[str],
    max_seq_length: int,
    dimension: int,
    most_rank: int = 0,
) -> list[str]:
    """Each reason why training with these settings cannot work, with the setting to change; empty when it can.

    ``precisions`` are the hardware's; ``max_seq_length`` and ``dimension`` are the encoder's own; ``most_rank`` is the
    largest that LoRA can use in its layers, 0 where it can adapt none.
    Source: faults reported by users of other tools: sentence-transformers #1206, #3388, #3394;
    FlagEmbedding #713, #823, #353.
    """
    train, faults = recipe.train, []
    if train.batch_size < 2:
        faults.append("train.batch_size = 1 leaves no in-batch negatives, so the loss is 0: use 16 or more")
    if 0 < num_examples < 2:
        faults.append("only one training pair: a batch of one has no negatives; add judgments or pairs")
    if num_examples == 0:
        faults.append("no training pairs: add judgments of at least the positive grade to the train split, or pairs")
    if num_dev_queries == 0:
        faults.append("no dev queries with a relevant document: the best checkpoint cannot be chosen")
    faults.extend(_precision_faults(train, precisions))
    if train.max_seq_length and train.max_seq_length > max_seq_length:
        faults.append(
            f"train.max_seq_length = {train.max_seq_length} is more than the {max_seq_length} tokens that the encoder "
            f"reads: the model would learn from text it never sees in search"
        )
    if too_many := [each for each in train.matryoshka_dims if each >= dimension]:
        faults.append(
            f"train.matryoshka_dims has {too_many[0]}, and vectors have {dimension} dimensions, which are always "
            "learned: name fewer"
        )
    return [*faults, *_lora_faults(train, most_rank=most_rank), *_mining_faults(recipe)]


def _mining_faults(recipe: Recipe) -> list[str]:
    train, mining, faults = recipe.train, recipe.mining, []
    if train.is_distilled and mining.reranker is None:
        faults.append(f'train.loss = "{train.loss}" learns from a cross-encoder: name one in mining.reranker')
    if mining.num_drawn > mining.top_k:
        twice = ", twice which are drawn for mining.reranker to choose from," if mining.reranker else ""
        faults.append(f"mining.num_negatives{twice} is more than mining.top_k: raise top_k")
    return faults


def _precision_faults(train: TrainRecipe, precisions: Collection[str]) -> list[str]:
    """Why a precision cannot be had here, or would only be slower."""
    if train.precision in precisions:
        return []
    faster = " or ".join(f'"{each}"' for each in precisions)
    return [f'train.precision = "{train.precision}" is slow here, or not to be had: use {faster}']


def _lora_faults(train: TrainRecipe, *, most_rank: int) -> list[str]:
    """Why LoRA cannot work with the other settings, or with this model."""
    if not train.lora_rank:
        return []
    faults = []
    if not most_rank:
        faults.append("train.lora_rank: the model has no linear layers to adapt: leave it out")
    elif train.lora_rank > most_rank:
        faults.append(
            f"train.lora_rank = {train.lora_rank} is more than the {most_rank} of the model's largest layer, which has "
            "no more to learn: use less, or leave it out and train all weights"
        )
    for key, value in (("freeze_layers", train.freeze_layers), ("freeze_embeddings", train.freeze_embeddings)):
        if value:
            faults.append(f"train.{key} says nothing beside train.lora_rank, which freezes all weights: leave one out")
    if train.l2_sp:
        faults.append(
            "train.l2_sp holds weights near the start, and train.lora_rank does not train them: leave one out, or "
            "lower train.lora_alpha"
        )
    return faults
