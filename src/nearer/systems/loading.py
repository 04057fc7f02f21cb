"""Registered models, each checked to be the one that was registered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nearer.core.errors import ModelRefused, NotFound
from nearer.core.sections import ApiRecipe, ChunkRecipe
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter
from nearer.encode.api import ApiEncoder
from nearer.encode.compressed import CompressedEncoder
from nearer.encode.encoder import Encoder, EncoderSettings
from nearer.encode.int8 import Int8Encoder
from nearer.encode.paired import PairedEncoder
from nearer.store.objects import model_folder
from nearer.store.registered import Model
from nearer.store.usage import Meter
from nearer.store.workspace import Workspace
from nearer.systems.remote import open_remote
from nearer.systems.system import System


def load(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    """The system of a registered model, checked to be the one that was registered."""
    system = _loaded(workspace, model, name=name, chunk=chunk)
    encoder = system.encoder
    for made, registered in ((encoder.encoder_id, model.encoder_id), (encoder.space_id, model.space_id)):
        if made != registered:
            raise ModelRefused(
                f"{model.model_id}: what is in {model.source} now makes {made}, not {registered}",
                hint="restore the files, or train again: nearer train",
            )
    return system


def _loaded(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    if "adapter" in model.encoder:
        return _load_adapted(workspace, model, name=name, chunk=chunk)
    if "queries" in model.encoder:
        return _load_paired(workspace, model, name=name, chunk=chunk)
    if "int8" in model.encoder:
        folder = model_folder(workspace, model.encoder_id)
        return System(name=name, model=model, encoder=Int8Encoder.load(folder), chunk=chunk)
    if "compressed" in model.encoder:
        return _load_compressed(workspace, model, name=name, chunk=chunk)
    meter, encoder = (
        _load_remote(workspace, model)
        if "api" in model.encoder
        else (None, _load_local(workspace, model, settings=model.encoder))
    )
    return System(name=name, model=model, encoder=encoder, chunk=chunk, meter=meter)


def _load_adapted(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    """The system of the model that was adapted, with the adapter over its encoder."""
    parent = workspace.registry.model(model.parent_model_id or "none")
    system = load(workspace, parent, name=name, chunk=chunk)
    try:
        adapter = Adapter.load(model_folder(workspace, model.encoder_id))
    except NotFound as error:
        raise ModelRefused(error.message, hint="restore the model's folder, or train again: nearer train") from error
    return replace(system, model=model, encoder=AdaptedEncoder(system.encoder, adapter))


def _load_paired(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    """The system of the model that documents keep, with the weights that were trained for queries beside it."""
    parent = workspace.registry.model(model.parent_model_id or "none")
    system = load(workspace, parent, name=name, chunk=chunk)
    queries = _load_local(workspace, model, settings=model.encoder["queries"])
    return replace(system, model=model, encoder=PairedEncoder(queries, system.encoder))


def _load_compressed(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    """The system of the model that was compressed, with fewer dimensions."""
    parent = workspace.registry.model(model.parent_model_id or "none")
    system = load(workspace, parent, name=name, chunk=chunk)
    encoder = CompressedEncoder(system.encoder, model.encoder["compressed"]["dimension"])
    return replace(system, model=model, encoder=encoder)


def _load_local(workspace: Workspace, model: Model, *, settings: Mapping[str, Any]) -> Encoder:
    trained = model_folder(workspace, model.encoder_id)
    if model.parent_model_id and not trained.is_dir():
        raise ModelRefused(f"{trained}: the model's folder is gone", hint="restore it, or train again: nearer train")
    return Encoder.load(
        str(trained) if model.parent_model_id else model.source,
        **settings,
        batch_size=workspace.recipe.encoder.batch_size,
    )


def _load_remote(workspace: Workspace, model: Model) -> tuple[Meter, ApiEncoder]:
    """The registered encoder, asked as today's recipe says if that names the same endpoint and model."""
    api = ApiRecipe.model_validate(model.encoder["api"])
    for today in (workspace.recipe.encoder, *workspace.recipe.advise.encoders):
        if (today.api.endpoint, today.model) == (api.endpoint, model.source):
            api = today.api.model_copy(update={"dimensions": api.dimensions, "revision": api.revision})
            break
    settings = EncoderSettings(**{key: value for key, value in model.encoder.items() if key != "api"})
    return open_remote(workspace, api, model=model.source, settings=settings)
