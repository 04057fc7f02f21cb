"""Names of cross-encoders: the id of one trained here, a folder, or a Hub name."""

import re
from collections.abc import Sequence

from nearer.core.errors import ModelRefused
from nearer.core.progress import Progress
from nearer.core.sections import RerankRecipe
from nearer.encode.cross_encoder import CrossEncoder
from nearer.store.objects import model_folder
from nearer.store.workspace import Workspace

_ID = re.compile(r"reranker-[0-9a-f]{12}")
_BLOCK = 512  # pairs scored between two steps of a progress bar


def is_reranker_id(name: str) -> bool:
    """Whether a name is the id of a cross-encoder trained here, of this workspace or another."""
    return _ID.fullmatch(name) is not None


def open_reranker(workspace: Workspace, name: str, *, max_length: int | None = None) -> CrossEncoder:
    """The cross-encoder of that name, which reads at most ``max_length`` tokens, or as many as it was made for.

    Raises NotFound for an id that this workspace does not know, ModelRefused when the files are not what was
    registered, or no reranker that may be loaded, InputError for a length that it cannot read.
    """
    if not is_reranker_id(name):
        return CrossEncoder.load(name, max_length=max_length)
    registered = workspace.registry.reranker(name)
    folder = model_folder(workspace, registered.cross_encoder_id)
    if not folder.is_dir():
        hint = "restore it, or train again: nearer train --reranker"
        raise ModelRefused(f"{folder}: the reranker's folder is gone", hint=hint)
    found = CrossEncoder.load(str(folder))
    if found.cross_encoder_id != registered.cross_encoder_id:
        raise ModelRefused(
            f"{name}: what is in {registered.source} now makes {found.cross_encoder_id}",
            hint="restore the files, or train again: nearer train --reranker",
        )
    return found.limited(max_length)


def scored(reranker: CrossEncoder, pairs: Sequence[tuple[str, str]], *, label: str, progress: Progress) -> list[float]:
    """The scores of pairs, a block at a time, so that progress is seen."""
    blocks = [pairs[first : first + _BLOCK] for first in range(0, len(pairs), _BLOCK)]
    tracked = progress.track(blocks, label=label, total=len(pairs), size=len)
    return [float(score) for block in tracked for score in reranker.scores(block)]


def named_reranker(workspace: Workspace, named: RerankRecipe) -> CrossEncoder | None:
    """The cross-encoder that the recipe's search names; None when it names none. Raises as ``open_reranker`` does."""
    return open_reranker(workspace, named.model, max_length=named.max_seq_length) if named.model else None


def was_trained_here(workspace: Workspace, named: RerankRecipe, reranker: CrossEncoder) -> bool:
    """Whether a cross-encoder, by its id or from a folder, learned from this workspace's training queries."""
    known = workspace.registry.knows_cross_encoder(reranker.cross_encoder_id)
    return is_reranker_id(named.model or "") or known
