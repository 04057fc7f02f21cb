"""The model that training to vectors that may be cut begins with: its first dimensions already say the most."""

from collections.abc import Sequence

import numpy as np

from nearer.core.errors import ModelRefused
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.encode.encoder import Encoder
from nearer.flows.embedding import embed_passages, embed_queries
from nearer.learn.axes import axes, is_turned, turn, why_not_turned
from nearer.learn.examples import Example
from nearer.learn.losses import UNLIKE
from nearer.store.workspace import Workspace


def turned(workspace: Workspace, encoder: Encoder, examples: Sequence[Example], *, progress: Progress) -> Encoder:
    """The encoder, its model turned in place onto the axes of these examples, through the cache.

    It stays as it is without ``train.dimensions`` and ``train.turn``, where documents keep their vectors, when it was
    turned before, and, with the reason said, where it cannot be. Raises ModelRefused for vectors that are not numbers.
    """
    recipe = workspace.recipe.train
    alike = [each for each in examples if each.score is None or each.score >= UNLIKE]
    if not (recipe.dimensions and recipe.turn and recipe.sides == "both" and alike) or is_turned(encoder.model):
        return encoder
    if reason := why_not_turned(encoder.model):
        progress.say(f"the model is not turned before it learns: {reason}")
        return encoder
    asked = [Query(query_id=str(row), text=example.anchor) for row, example in enumerate(alike)]
    query_emb_ED = embed_queries(workspace, encoder, asked, progress)
    positive_emb_ED, _ = embed_passages(workspace, encoder, [example.positive for example in alike], progress)
    if not (np.isfinite(query_emb_ED).all() and np.isfinite(positive_emb_ED).all()):
        raise ModelRefused("the model gives vectors that are not numbers", hint="train another: nearer train --from")
    weight_E = np.array([example.weight for example in alike], np.float32)
    turn(encoder.model, axes(query_emb_ED, positive_emb_ED, positive_emb_ED, weight_E=weight_E))
    progress.say("vectors are turned, so that their first dimensions say the most of what pairs have in common")
    return Encoder(encoder.model, settings=encoder.settings, batch_size=encoder.batch_size)
