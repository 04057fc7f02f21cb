"""Where a model came from, or an answer that the service gave."""

from collections import Counter
from dataclasses import replace

import pyarrow.compute as pc

from nearer.core.errors import NotFound
from nearer.core.results.serving import Lineage, Link, MergedShare, ServedAnswer
from nearer.signals.log import read_log
from nearer.store.events.salt import QUERY_PREFIX
from nearer.store.events.sharing import event_folder
from nearer.store.registered import Model, Release
from nearer.store.registry import Registry
from nearer.store.workspace import Workspace
from nearer.systems import BASE, LIVE, open_system
from nearer.systems.reranker import is_reranker_id


def lineage(workspace: Workspace, system: str = LIVE) -> Lineage:
    """Where a system's model came from: itself first, its parents after it, with data, seed and releases of each.

    A reranker that was trained here has a name too; ``reranker`` tells of that of what is live. The id of a query is
    that of an answer: then it is told which release gave it and where that came from. Raises NotFound for an unknown
    name.
    """
    registry = workspace.registry
    if system.startswith(QUERY_PREFIX):
        answer = _answer(workspace, system)
        return replace(_of_release(registry, registry.release(answer.release_id)), answer=answer)
    live = registry.live()
    if system == LIVE and live is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    if live and system == LIVE:
        return _of_release(registry, live)
    base = open_system(workspace, BASE).model if system == BASE else None
    return Lineage(lineage=_chain(registry, base.model_id if base else system, base=base), reranker=())


def _of_release(registry: Registry, release: Release) -> Lineage:
    reranker = release.reranker
    return Lineage(
        lineage=_chain(registry, release.model_id),
        reranker=_chain(registry, reranker) if reranker and is_reranker_id(reranker) else (),
    )


def _answer(workspace: Workspace, query_id: str) -> ServedAnswer:
    """What the event log says of an answer. Raises NotFound where it has none of that id, or one that failed."""
    log = read_log(event_folder(workspace))
    shown = log.impressions.filter(pc.equal(log.impressions["query_id"], query_id)).to_pylist()
    if not shown or not shown[0]["release_id"]:
        raise NotFound(f"the event log has no answer {query_id!r}", hint="see what came in: nearer events")
    done = log.events.filter(pc.equal(log.events["query_id"], query_id))["action"].to_pylist()
    [row] = shown
    return ServedAnswer(
        query_id=query_id,
        at=row["at"].isoformat(timespec="milliseconds"),
        query=row["query"],
        arm=row["arm"],
        release_id=row["release_id"],
        space_id=row["space_id"],
        doc_ids=tuple(row["doc_ids"]),
        events=dict(sorted(Counter(done).items())),
    )


def _chain(registry: Registry, part_id: str, *, base: Model | None = None) -> tuple[Link, ...]:
    """A model or reranker, and what it was made from after it; ``base`` may not be entered yet."""
    chain, found = [], [part_id]
    for each in found:  # grows while it is read
        link, parents = _link(registry, each, base)
        found += [parent for parent in dict.fromkeys(parents) if parent and parent not in found]
        chain.append(link)
    return tuple(chain)


def _link(registry: Registry, part_id: str, base: Model | None) -> tuple[Link, list[str | None]]:
    """What is known of a model or reranker, and the ids of what it was made from."""
    training = registry.training_of(part_id)
    if is_reranker_id(part_id):
        reranker = registry.reranker(part_id)
        link = Link(
            reranker_id=part_id,
            cross_encoder_id=reranker.cross_encoder_id,
            start=training.start if training else None,
            source=reranker.source,
            created_at=reranker.created_at,
            data=training.data if training else None,
            seed=training.recipe["reranker"]["seed"] if training else None,
            releases=_releases(registry, part_id),
        )
        return link, [reranker.parent_id]
    model = base if base and base.model_id == part_id else registry.model(part_id)
    merged, distilled = (training.merged, training.distilled) if training else (None, None)
    link = Link(
        model_id=part_id,
        encoder_id=model.encoder_id,
        encoder=dict(model.encoder),
        merged=MergedShare(model_id=merged.model_id, weight=merged.weight) if merged else None,
        distilled=distilled,
        source=model.source,
        created_at=model.created_at,
        data=training.data if training else None,
        seed=training.recipe["train"]["seed"] if training else None,
        releases=_releases(registry, part_id),
    )
    return link, [model.parent_model_id, *(each.model_id for each in (merged, distilled) if each)]


def _releases(registry: Registry, part_id: str) -> tuple[str, ...]:
    return tuple(registry.releases(part_id))
