"""Settings and data that training cannot work with, refused before it begins."""

from nearer.core.errors import RecipeError
from nearer.core.extras import extra
from nearer.encode.encoder import Encoder
from nearer.learn.lora import most_rank
from nearer.learn.lower_layers import layers_of
from nearer.learn.precision import precisions_of
from nearer.learn.validate_settings import validate_settings
from nearer.store.workspace import Workspace


def refuse_hopeless(workspace: Workspace, encoder: Encoder, *, num_examples: int, num_dev_queries: int) -> None:
    """Raise RecipeError, with every reason, when training with these settings and so much data cannot work.

    Raises InputError when what LoRA needs is not installed.
    """
    if workspace.recipe.train.lora_rank:
        with extra("lora", used_for="train.lora_rank"):
            import peft  # noqa: F401
    faults = validate_settings(
        workspace.recipe,
        num_examples=num_examples,
        num_dev_queries=num_dev_queries,
        precisions=precisions_of(encoder.model.device),
        max_seq_length=encoder.settings.max_seq_length,
        dimension=encoder.dimension,
        most_rank=_most_rank(encoder) if workspace.recipe.train.lora_rank else 0,
    )
    if faults:
        raise RecipeError("; ".join(faults), hint="correct nearer.toml, or for one run: --set KEY=VALUE")


def _most_rank(encoder: Encoder) -> int:
    transformer = encoder.model.transformers_model
    return most_rank(layers_of(transformer)) if transformer is not None else 0
