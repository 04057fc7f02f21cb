"""Where a model came from."""

from typing import Any

from nearer.core.errors import NotFound
from nearer.store.registry import Model, Registry, Reranker
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, open_system
from nearer.systems.reranker import is_reranker_id


def lineage(workspace: Workspace, system: str = LIVE) -> dict[str, Any]:
    """Where a system's model came from: itself first, its parents after it, with data, seed and releases of each.

    A reranker that was trained here has a name too; ``reranker`` tells of that of what is live. Raises NotFound for an
    unknown name.
    """
    registry = workspace.registry
    live = registry.live()
    if system == LIVE and live is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    model_id: str | None = live.model_id if live and system == LIVE else system
    if system == BASE:
        model_id = open_system(workspace, BASE).model.model_id
    reranker = live.reranker if live and system == LIVE else None
    return {
        "lineage": _chain(registry, model_id),
        "reranker": _chain(registry, reranker) if reranker and is_reranker_id(reranker) else [],
    }


def _chain(registry: Registry, part_id: str | None) -> list[dict[str, Any]]:
    """A model or reranker, and what it was made from after it."""
    chain, found = [], [part_id] if part_id else []
    for each in found:  # grows while it is read
        link, parents = _link(registry, each)
        found += [parent for parent in dict.fromkeys(parents) if parent and parent not in found]
        chain.append(link)
    return chain


def _link(registry: Registry, part_id: str) -> tuple[dict[str, Any], list[str | None]]:
    """What is known of a model or reranker, and the ids of what it was made from."""
    if is_reranker_id(part_id):
        reranker = registry.reranker(part_id)
        own = {
            "reranker_id": part_id,
            "cross_encoder_id": reranker.cross_encoder_id,
            "start": reranker.training["start"],
        }
        return {**own, **_making(registry, part_id, reranker, section="reranker")}, [reranker.parent_id]
    model = registry.model(part_id)
    merged = (model.training or {}).get("merged")
    own = {
        "model_id": part_id,
        "encoder_id": model.encoder_id,
        "encoder": dict(model.encoder),
        "merged": {"with": merged["with"], "weight": merged["weight"]} if merged else None,
    }
    parents = [model.parent_model_id, merged["with"] if merged else None]
    return {**own, **_making(registry, part_id, model, section="train")}, parents


def _making(registry: Registry, part_id: str, made: Model | Reranker, *, section: str) -> dict[str, Any]:
    training = made.training or {}
    return {
        "source": made.source,
        "created_at": made.created_at,
        "data": training.get("data"),
        "seed": training["recipe"][section]["seed"] if training else None,
        "releases": [release.release_id for release in registry.releases(part_id)],
    }
