import pytest

from nearer.core.recipe import Recipe
from nearer.learn.validate_settings import validate_settings


def faults_of(recipe=None, **changes):
    facts = {
        "num_examples": 100,
        "num_dev_queries": 10,
        "precisions": ("float32",),
        "max_seq_length": 256,
        "dimension": 384,
    }
    return validate_settings(Recipe.model_validate(recipe or {}), **{**facts, **changes})


def test_the_default_recipe_has_no_fault():
    assert faults_of() == []


@pytest.mark.parametrize(
    ("recipe", "facts", "wanted"),
    [
        ({"train": {"batch_size": 1}}, {}, "train.batch_size"),
        ({}, {"num_examples": 1}, "only one training pair"),
        ({}, {"num_examples": 0}, "no training pairs"),
        ({}, {"num_dev_queries": 0}, "no dev queries"),
        ({"train": {"precision": "float16"}}, {}, "train.precision"),
        ({"train": {"precision": "bfloat16"}}, {}, 'use "float32"'),
        ({"train": {"max_seq_length": 128}}, {"max_seq_length": 64}, "train.max_seq_length"),
        ({"train": {"precision": "tf32"}}, {}, "train.precision"),
        (
            {"train": {"matryoshka_dims": [32, 64]}},
            {"dimension": 64},
            "train.matryoshka_dims has 64, and vectors have 64",
        ),
        ({"train": {"lora_rank": 8}}, {}, "train.lora_rank: the model has no linear layers"),
        ({"train": {"lora_rank": 400}}, {"most_rank": 384}, "train.lora_rank = 400 is more than the 384"),
        ({"train": {"lora_rank": 8, "freeze_layers": 1}}, {"most_rank": 384}, "train.freeze_layers"),
        ({"train": {"lora_rank": 8, "freeze_embeddings": True}}, {"most_rank": 384}, "train.freeze_embeddings"),
        ({"train": {"lora_rank": 8, "l2_sp": 0.1}}, {"most_rank": 384}, "train.l2_sp"),
        ({"mining": {"num_negatives": 5, "top_k": 4}}, {}, "mining.top_k"),
        ({"train": {"loss": "margin_mse"}}, {}, "name one in mining.reranker"),
    ],
)
def test_each_fault_is_found_alone_and_names_its_setting(recipe, facts, wanted):
    (fault,) = faults_of(recipe, **facts)
    assert wanted in fault


def test_what_would_work_is_no_fault():
    assert faults_of({"train": {"precision": "bfloat16"}}, precisions=("float32", "bfloat16")) == []
    assert faults_of({"train": {"precision": "tf32"}}, precisions=("float32", "tf32")) == []
    assert faults_of({"train": {"lora_rank": 384, "sides": "query"}}, most_rank=384) == []
    assert faults_of({"train": {"max_seq_length": 64}, "encoder": {"max_seq_length": 64}}) == []


def test_all_faults_are_reported_at_once():
    assert len(faults_of({"train": {"batch_size": 1, "precision": "float16"}}, num_examples=0)) == 3
