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


def guide_id(workspace: Workspace) -> str:
    """The id of the encoder that guides a training; "none" without one. Raises as ``open_system`` does."""
    name = workspace.recipe.train.guide
    return _open(workspace, name).encoder_id if name else "none"


def guide_of(workspace: Workspace, *, progress: Progress) -> Guiding | None:
    """What embeds the anchors and texts of a pass for its guide, through the cache; None without a guide.

    It is opened for each pass, so that it takes no memory beside the model that is trained.
    """
    name, margin = workspace.recipe.train.guide, workspace.recipe.train.guide_margin
    if name is None:
        return None

    def guide(anchors: Sequence[str], texts: Sequence[str]) -> Guide:
        encoder = _open(workspace, name)
        text_TD, _ = embed_passages(workspace, encoder, texts, progress, label="encode for the guide")
        asked = [Query(query_id=str(row), text=text) for row, text in enumerate(anchors)]
        anchor_AD = embed_queries(workspace, encoder, asked, progress)
        if not (np.isfinite(text_TD).all() and np.isfinite(anchor_AD).all()):
            raise ModelRefused(
                f"{name}: as a guide it gives vectors that are not numbers",
                hint="name another model in train.guide, or leave it out",
            )
        return Guide(anchor_AD=anchor_AD, text_TD=text_TD, margin=margin)

    return guide


def _open(workspace: Workspace, name: str) -> TextEncoder:
    model, stages = parse_name(name)
    if stages:
        raise InputError(
            f"train.guide = {name!r} is more than a model: a guide compares vectors",
            hint=f'name the model itself: train.guide = "{model}"',
        )
    return open_system(workspace, name).encoder
