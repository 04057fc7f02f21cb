"""The model that training to vectors that may be cut begins with: its first dimensions already say the most."""

from collections.abc import Sequence

from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.encode.encoder import Encoder
from nearer.flows.embedding import embed_passages, embed_queries
from nearer.learn.axes import axes, is_turned, turn
from nearer.learn.examples import Example
from nearer.store.workspace import Workspace


def turned(workspace: Workspace, encoder: Encoder, examples: Sequence[Example], *, progress: Progress) -> Encoder:
    """The encoder, its model turned in place onto the axes of these examples, through the cache.

    It stays as it is without ``train.dimensions`` and ``train.turn``, where documents keep their vectors, and when it
    was turned before.
    """
    recipe = workspace.recipe.train
    if not (recipe.dimensions and recipe.turn and recipe.sides == "both") or is_turned(encoder.model):
        return encoder
    asked = [Query(query_id=str(row), text=example.anchor) for row, example in enumerate(examples)]
    query_emb_ED = embed_queries(workspace, encoder, asked, progress)
    positive_emb_ED, _ = embed_passages(workspace, encoder, [example.positive for example in examples], progress)
    turn(encoder.model, axes(query_emb_ED, positive_emb_ED))
    progress.say("vectors are turned, so that their first dimensions say the most of what pairs have in common")
    return Encoder(encoder.model, settings=encoder.settings, batch_size=encoder.batch_size)
