"""Where a model came from."""

from nearer.core.errors import NotFound
from nearer.core.results.serving import Lineage, Link, MergedShare
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, open_system
from nearer.systems.reranker import is_reranker_id


def lineage(workspace: Workspace, system: str = LIVE) -> Lineage:
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
    return Lineage(
        lineage=_chain(registry, model_id),
        reranker=_chain(registry, reranker) if reranker and is_reranker_id(reranker) else (),
    )


def _chain(registry: Registry, part_id: str | None) -> tuple[Link, ...]:
    """A model or reranker, and what it was made from after it."""
    chain, found = [], [part_id] if part_id else []
    for each in found:  # grows while it is read
        link, parents = _link(registry, each)
        found += [parent for parent in dict.fromkeys(parents) if parent and parent not in found]
        chain.append(link)
    return tuple(chain)


def _link(registry: Registry, part_id: str) -> tuple[Link, list[str | None]]:
    """What is known of a model or reranker, and the ids of what it was made from."""
    if is_reranker_id(part_id):
        reranker = registry.reranker(part_id)
        link = Link(
            reranker_id=part_id,
            cross_encoder_id=reranker.cross_encoder_id,
            start=reranker.training.start,
            source=reranker.source,
            created_at=reranker.created_at,
            data=reranker.training.data,
            seed=reranker.training.recipe["reranker"]["seed"],
            releases=_releases(registry, part_id),
        )
        return link, [reranker.parent_id]
    model = registry.model(part_id)
    training = model.training
    merged = training.merged if training else None
    link = Link(
        model_id=part_id,
        encoder_id=model.encoder_id,
        encoder=dict(model.encoder),
        merged=MergedShare(model_id=merged.model_id, weight=merged.weight) if merged else None,
        source=model.source,
        created_at=model.created_at,
        data=training.data if training else None,
        seed=training.recipe["train"]["seed"] if training else None,
        releases=_releases(registry, part_id),
    )
    return link, [model.parent_model_id, merged.model_id if merged else None]


def _releases(registry: Registry, part_id: str) -> tuple[str, ...]:
    return tuple(release.release_id for release in registry.releases(part_id))
