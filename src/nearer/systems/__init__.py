"""Names of systems, and the encoders behind them."""

import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Literal

from nearer.core.errors import InputError, ModelRefused, NotFound
from nearer.core.results.base import JSON
from nearer.core.sections import EncoderRecipe, SearchRecipe
from nearer.encode.api import DEFAULT_MAX_TOKENS
from nearer.encode.base_model import DEFAULT_MODEL
from nearer.encode.encoder import Encoder, EncoderSettings, TextEncoder
from nearer.encode.portable import is_routed
from nearer.store.registered import Model, Release
from nearer.store.workspace import Workspace
from nearer.systems.loading import load
from nearer.systems.names import (
    BASE,
    LIVE,
    RUN,
    STAGES,
    in_order,
    parse_name,
    refuse_run,
    refuse_stages,
    refuse_undescribed,
    unknown_system,
)
from nearer.systems.remote import open_remote
from nearer.systems.reranker import is_reranker_id, named_reranker
from nearer.systems.system import PARTS, LocalSystem, System, api_use, chunk_of

__all__ = [
    "BASE",
    "LIVE",
    "RUN",
    "STAGES",
    "LocalSystem",
    "System",
    "api_use",
    "chunk_of",
    "in_order",
    "open_described",
    "open_local",
    "open_release",
    "open_system",
    "parse_name",
    "refuse_stages",
    "refuse_unknown",
]


def open_system(workspace: Workspace, name: str) -> System:
    """The system called ``base``, ``live``, by a model id, or by a model's folder or Hub name.

    Stages may follow, as in ``base+hybrid+rerank``; a stage alone stands on the base: ``hybrid``.

    Raises NotFound when nothing is live or the name is unknown, ModelRefused when the files are not what they were, or
    no model that may be loaded, InputError for a run, and for stages that are none, do not go together, or that the
    recipe does not describe.
    """
    encoder_name, stages = parse_name(name)
    refuse_undescribed(stages, workspace.recipe.search)
    system = _open_encoder(workspace, encoder_name)
    if not stages:
        return system
    own = {part: getattr(system.search, part) for stage in system.stages for part in PARTS[stage]}
    search = workspace.recipe.search.model_copy(update=own)
    return _composed(workspace, replace(system, name=name), (*system.stages, *stages), search)


def _composed(workspace: Workspace, system: System, stages: Iterable[str], search: SearchRecipe) -> System:
    """A system with stages. Raises ModelRefused when its reranker cannot be had."""
    stages = in_order(stages)
    reranker = named_reranker(workspace, search.rerank) if "rerank" in stages else None
    return replace(system, stages=stages, search=search, reranker=reranker)


def refuse_unknown(workspace: Workspace, names: Iterable[str]) -> None:
    """Raise, before a model is opened, what ``open_system`` raises for a name that no system has."""
    for name in names:
        encoder_name, stages = parse_name(name)
        refuse_undescribed(stages, workspace.recipe.search)
        _refuse_unknown(workspace, encoder_name)


def _refuse_unknown(workspace: Workspace, name: str) -> None:
    refuse_run(name)
    registry, others = workspace.registry, workspace.recipe.other_encoders
    if name == LIVE and registry.live() is None:
        raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
    if name in (BASE, LIVE, *others) or _is_elsewhere(name) or registry.find_model(name):
        return
    if is_reranker_id(name):
        hint = f'it ranks anew what a system finds: search.rerank.model = "{name}", then base+rerank'
        raise NotFound(f"{name} is a reranker, and no system of its own", hint=hint)
    raise unknown_system(name, [BASE, LIVE, *others, *registry.model_ids()])


def _is_elsewhere(name: str) -> bool:
    """Whether a name means a folder, or a model of the Hub."""
    return name == DEFAULT_MODEL or "/" in name or os.path.isdir(name)


def _open_encoder(workspace: Workspace, name: str) -> System:
    _refuse_unknown(workspace, name)
    if name == BASE:
        return open_described(workspace, workspace.recipe.encoder, name=BASE)
    registry = workspace.registry
    if name == LIVE and (release := registry.live()):
        return open_release(workspace, release, name=LIVE)
    if model := registry.find_model(name):
        return load(workspace, model, name=name, chunk=workspace.recipe.chunk)
    if name in workspace.recipe.other_encoders:
        return open_described(workspace, workspace.recipe.other_encoders[name], name=name)
    return _open_elsewhere(workspace, name)


def open_local(workspace: Workspace, name: str) -> LocalSystem:
    """The system of that name, to be trained.

    Raises InputError, before it is opened, when it is behind an API, an adapter, for queries alone, compressed, or of
    int8.
    """
    refuse_run(name)
    refuse_stages(name)
    if _is_a(workspace, name, "adapter"):
        raise InputError(
            f"{name} is an adapter: it has no weights to be trained further",
            hint=f"train what it adapts (see: nearer lineage {name}), or adapt it: --adapter query --from {name}",
        )
    if _is_a(workspace, name, "queries"):
        raise InputError(
            f"{name} was trained for queries alone: it cannot be trained further",
            hint=f"train what its documents use (see: nearer lineage {name}) for longer, or adapt it: "
            f"nearer train --adapter query --from {name}",
        )
    if _is_a(workspace, name, "compressed"):
        raise InputError(
            f"{name} is compressed: it has no weights of its own to be trained further",
            hint=f"train what it compresses (see: nearer lineage {name}), and compress that; or adapt it: "
            f"nearer train --adapter query --from {name}",
        )
    if _is_a(workspace, name, "int8"):
        raise InputError(
            f"{name} has weights of int8, which cannot be trained further",
            hint=f"train what it was made from (see: nearer lineage {name}), and compress that; or adapt it: "
            f"nearer train --adapter query --from {name}",
        )
    if _is_a(workspace, name, "api"):
        raise InputError(
            f"{name} is behind an API: its weights are not here to be trained",
            hint="map its vectors: nearer train --adapter query; or train a local one: take [encoder.api] out of "
            "nearer.toml and name it in encoder.model",
        )
    system = open_system(workspace, name)
    assert isinstance(system.encoder, Encoder)
    if is_routed(system.encoder.model):
        raise InputError(
            f"{name}: queries and documents take different ways through it (a Router), which is not trained here",
            hint=f"adapt it: nearer train --adapter query --from {name}; or train the model that it was made from",
        )
    return LocalSystem(name=name, model=system.model, encoder=system.encoder, chunk=system.chunk)


def _is_a(workspace: Workspace, name: str, kind: Literal["api", "adapter", "queries", "compressed", "int8"]) -> bool:
    """Whether a name means an encoder behind an API, an adapter, one for queries alone, a compressed one, or of int8.

    Nobody is asked.
    """
    described = {**workspace.recipe.other_encoders, BASE: workspace.recipe.encoder}
    if name in described:
        return kind == "api" and described[name].api.endpoint is not None
    registry = workspace.registry
    live = registry.live()
    if name == LIVE and live is None:
        return False
    model = registry.find_model(live.model_id if live and name == LIVE else name)
    return model is not None and kind in model.encoder


def open_release(workspace: Workspace, release: Release, *, name: str) -> System:
    """The system that a release pins, whatever the recipe says by now.

    Raises ModelRefused when the files, or the service's model, are not what they were.
    """
    model = workspace.registry.model(release.model_id)
    system = load(workspace, model, name=name, chunk=workspace.recipe.chunk)
    system = replace(system, chunk=chunk_of(release, system.encoder))
    search = SearchRecipe.model_validate(release.system.get("search", {}))
    system = _composed(workspace, system, release.system.get("stages", ()), search)
    if system.pinned["cross_encoder_id"] != release.system.get("cross_encoder_id"):
        raise ModelRefused(
            f"{release.release_id}: what is in {search.rerank.model} now is another reranker",
            hint="restore its files, or promote the system anew",
        )
    return system


def open_described(workspace: Workspace, recipe: EncoderRecipe, *, name: str) -> System:
    """The system of an encoder as the recipe describes it: the base, or one to set beside it.

    Raises ModelRefused for what is no model that may be loaded, InputError without a service's key, ServiceError when
    the service does not answer.
    """
    if recipe.api.endpoint is not None:
        return _open_described_remote(workspace, recipe, name=name)
    beside = workspace.folder / recipe.model
    source = str(beside.resolve()) if beside.is_dir() else recipe.model
    encoder = Encoder.load(
        source,
        max_seq_length=recipe.max_seq_length,
        query_prompt=recipe.query_prompt,
        document_prompt=recipe.document_prompt,
        batch_size=recipe.batch_size,
    )
    return _described_as(workspace, encoder, name=name, source=source, settings=asdict(encoder.settings))


def _open_elsewhere(workspace: Workspace, name: str) -> System:
    """A model of a folder or of the Hub with the settings that it declares, entered into the registry."""
    source = os.path.realpath(os.path.expanduser(name)) if os.path.isdir(os.path.expanduser(name)) else name
    encoder = Encoder.load(source, batch_size=workspace.recipe.encoder.batch_size)
    registry = workspace.registry
    entered = registry.find_model(encoder.model_id)
    if entered is None or (os.path.isabs(entered.source) and not os.path.isdir(entered.source)):
        settings = asdict(encoder.settings)
        entered = registry.add_model(
            Model(model_id=encoder.model_id, encoder_id=encoder.encoder_id, source=source, encoder=settings)
        )
    return System(name=name, model=entered, encoder=encoder, chunk=workspace.recipe.chunk)


def _open_described_remote(workspace: Workspace, recipe: EncoderRecipe, *, name: str) -> System:
    settings = EncoderSettings(
        max_seq_length=recipe.max_seq_length or DEFAULT_MAX_TOKENS,
        query_prompt=recipe.query_prompt or "",
        document_prompt=recipe.document_prompt or "",
    )
    meter, encoder = open_remote(workspace, recipe.api, model=recipe.model, settings=settings)
    declared = {**asdict(settings), "api": recipe.api.model_dump(mode="json")}
    system = _described_as(workspace, encoder, name=name, source=recipe.model, settings=declared)
    return replace(system, meter=meter)


def _described_as(workspace: Workspace, encoder: TextEncoder, *, name: str, source: str, settings: JSON) -> System:
    """The system of an encoder. What is made of it enters it; where it is known, it says anew how it is called."""
    model = Model(model_id=encoder.model_id, encoder_id=encoder.encoder_id, source=source, encoder=settings)
    if workspace.registry.find_model(model.model_id):
        model = workspace.registry.add_model(model)
    return System(name=name, model=model, encoder=encoder, chunk=workspace.recipe.chunk)
