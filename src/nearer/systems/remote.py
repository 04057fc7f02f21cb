"""Encoders behind an API, asked with the key and at the price that the recipe names."""

import os

from nearer.core.errors import InputError
from nearer.core.sections import ApiRecipe
from nearer.encode.api import ApiEncoder
from nearer.encode.encoder import EncoderSettings
from nearer.encode.endpoint import Endpoint
from nearer.store.usage import Meter
from nearer.store.workspace import Workspace


def open_remote(
    workspace: Workspace, api: ApiRecipe, *, model: str, settings: EncoderSettings
) -> tuple[Meter, ApiEncoder]:
    """Ask the service for the probe, and compare it with the one that was kept, if one was."""
    assert api.endpoint is not None
    meter = Meter(
        workspace.database,
        endpoint=api.endpoint,
        model=model,
        price_per_million_tokens=api.price_per_million_tokens,
        purse=workspace.purse,
    )
    endpoint = Endpoint(api, model=model, key=_key(api), request=meter.request)
    encoder = ApiEncoder.open(endpoint, settings=settings)
    kept = workspace.registry.keep_probe(encoder.declaration_id, encoder.probe)
    return meter, encoder.registered(kept)


def _key(api: ApiRecipe) -> str | None:
    """The key in the variable that the recipe names. Raises InputError, which never shows it."""
    if api.key_env is None:
        return None
    key = os.environ.get(api.key_env, "").strip()
    if not key:
        hint = f"set it: export {api.key_env}=...; a service that wants no key: leave encoder.api.key_env out"
        raise InputError(f"the environment variable {api.key_env} holds no key for {api.endpoint}", hint=hint)
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"the environment variable {api.key_env} holds what cannot be a key", hint="set it anew")
    return key
