"""What would keep the systems of a workspace from being opened, found without loading a model or asking a service."""

import os
from collections.abc import Iterator

from nearer.core.errors import NearerError
from nearer.core.results.doctor import Finding, fault, note, ok
from nearer.core.sections import EncoderRecipe
from nearer.encode.base_model import DEFAULT_MODEL, locate
from nearer.retrieval.index import differences, open_index
from nearer.store.workspace import Workspace
from nearer.systems.reranker import is_reranker_id
from nearer.systems.space_index import entry_hashes, folder_of


def check_encoders(workspace: Workspace) -> Iterator[Finding]:
    """Whether the recipe's encoders are here, and of those behind an API whether there is a key."""
    others = {f"advise.encoders ({each.name})": each for each in workspace.recipe.advise.encoders}
    for key, recipe in {"encoder": workspace.recipe.encoder, **others}.items():
        if recipe.api.endpoint is not None:
            yield _key(key, recipe)
        else:
            yield _base_model(workspace, key, recipe.model)


def _key(key: str, recipe: EncoderRecipe) -> Finding:
    """Whether the variable of a service's key is set; the key is not looked at, and nobody is asked."""
    name = recipe.api.key_env
    if name is not None and not os.environ.get(name, "").strip():
        return fault(key, f"the environment variable {name} holds no key for {recipe.api.endpoint}", f"export {name}=")
    return ok(key, f"{recipe.model} at {recipe.api.endpoint}, which was not asked")


def _base_model(workspace: Workspace, key: str, model: str) -> Finding:
    """Whether a model's files are here; of a Hub name, whether they are in the cache."""
    beside = workspace.folder / model
    try:
        source = locate(str(beside.resolve()) if beside.is_dir() else model)
    except NearerError as error:
        return fault(key, error.message, error.hint or None)
    if model == DEFAULT_MODEL or os.path.isdir(source):
        return ok(key, f"{model} is here")
    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(source, "config.json"), str):
        return ok(key, f"{model} is in the Hub's cache")
    sentence = f"{model} is not in the Hub's cache"
    if constants.HF_HUB_OFFLINE:
        return fault(key, f"{sentence}, and HF_HUB_OFFLINE is set", f"HF_HUB_OFFLINE=0 hf download {model}")
    return note(key, f"{sentence}: it is downloaded when it is first used", f"hf download {model}")


def check_reranker(workspace: Workspace) -> Iterator[Finding]:
    """Whether the recipe's reranker is here. Raises NotFound for one that was never trained here."""
    name = workspace.recipe.search.rerank.model
    if name is not None and is_reranker_id(name):
        workspace.registry.reranker(name)  # raises where it is unknown
    elif name is not None:
        yield _base_model(workspace, "search.rerank.model", name)


def check_models(workspace: Workspace) -> Iterator[Finding]:
    """Models and rerankers whose folders are gone."""
    registry = workspace.registry
    made = [each for each in registry.models() if each.parent_model_id and "compressed" not in each.encoder]
    named = [(each.model_id, each.encoder_id) for each in made]
    named += [(each.reranker_id, each.cross_encoder_id) for each in registry.rerankers()]
    gone = [part_id for part_id, name in named if not (workspace.models / name).is_dir()]
    if gone and (files := workspace.recipe.store.files):
        yield note("models", f"{', '.join(gone)} are fetched from {files} when they are first used")
    else:
        yield from (fault("models", f"the folder of {each} is gone: restore it, or train again") for each in gone)
    if not gone:
        yield ok("models", f"{len(named)} made here, all in {workspace.models}")


def check_index(workspace: Workspace) -> Iterator[Finding]:
    """Whether the index of what is live is there, and follows the documents."""
    live = workspace.registry.live()
    if live is None:
        yield note("index", "nothing is live yet", "nearer promote base")
        return
    try:
        index = open_index(folder_of(workspace, live.space_id), space_id=live.space_id)
        differing = differences(index.hashes(), entry_hashes(workspace.collection, index.manifest.spec.fields))
    except NearerError as error:
        yield fault("index", error.message, "nearer index")
        return
    yield from (fault("index", each, "nearer index") for each in differing)
    if not differing:
        kind = index.manifest.kind
        yield ok("index", f"{kind}, of {index.manifest.num_documents:,} documents, follows them; nothing else was read")
