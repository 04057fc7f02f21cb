"""The guide of a training: a model that stays as it is and says which texts of a batch are no negatives.

Arrays: A anchors, T texts, D dimensions.
"""

from collections.abc import Callable, Sequence

import numpy as np

from nearer.core.errors import InputError, ModelRefused
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.encode.corpus import embed_passages, embed_queries
from nearer.encode.encoder import TextEncoder
from nearer.learn.guide import Guide
from nearer.store.workspace import Workspace
from nearer.systems import open_system, parse_name

Guiding = Callable[[Sequence[str], Sequence[str]], Guide]


def guide_id(workspace: Workspace, *, start: str) -> str:
    """The id of the encoder that guides a training of ``start``; "none" without one. Raises as ``open_system`` does."""
    return _open(workspace, start).encoder_id if workspace.recipe.train.is_guided else "none"


def guide_of(workspace: Workspace, *, start: str, progress: Progress) -> Guiding | None:
    """What embeds the anchors and texts of a pass for its guide, through the cache; None without a guide.

    It is the recipe's, or the model called ``start`` as it was before training where only a neighbourhood is asked for.
    It is opened for each pass, so that it takes no memory beside the model that is trained.
    """
    recipe = workspace.recipe.train
    if not recipe.is_guided:
        return None

    def guide(anchors: Sequence[str], texts: Sequence[str]) -> Guide:
        encoder = _open(workspace, start)
        text_TD, _ = embed_passages(workspace, encoder, texts, progress, label="encode for the guide")
        asked = [Query(query_id=str(row), text=text) for row, text in enumerate(anchors)] if recipe.guide else []
        anchor_AD = embed_queries(workspace, encoder, asked, progress)
        if not (np.isfinite(text_TD).all() and np.isfinite(anchor_AD).all()):
            raise ModelRefused(
                f"{recipe.guide or start}: as a guide it gives vectors that are not numbers",
                hint="name another model in train.guide, or leave it out",
            )
        return Guide(
            anchor_AD=anchor_AD,
            text_TD=text_TD,
            margin=recipe.guide_margin if recipe.guide else None,
            neighbourhood=recipe.neighbourhood,
        )

    return guide


def _open(workspace: Workspace, start: str) -> TextEncoder:
    name = workspace.recipe.train.guide or start
    model, stages = parse_name(name)
    if stages:
        raise InputError(
            f"train.guide = {name!r} is more than a model: a guide compares vectors",
            hint=f'name the model itself: train.guide = "{model}"',
        )
    return open_system(workspace, name).encoder
