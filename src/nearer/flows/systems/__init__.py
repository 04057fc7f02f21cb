"""Names of systems, and the encoders behind them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

from nearer.core.errors import InputError, ModelRefused, NotFound
from nearer.core.sections import ApiRecipe, ChunkRecipe, EncoderRecipe, SearchRecipe
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter
from nearer.encode.api import DEFAULT_MAX_TOKENS, ApiEncoder
from nearer.encode.base_model import DEFAULT_MODEL
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder, EncoderSettings, TextEncoder
from nearer.encode.endpoint import Endpoint
from nearer.encode.paired import PairedEncoder
from nearer.encode.shortened import ShortenedEncoder
from nearer.flows.systems.reranker import is_reranker_id, named_reranker
from nearer.measure.quantise import Precision
from nearer.store.files import inside
from nearer.store.registry import Model, Registry, Release
from nearer.store.usage import Meter, Usage
from nearer.store.workspace import Workspace

BASE = "base"
LIVE = "live"
RUN = "run:"
"""What the name of a ranking from elsewhere begins with: ``run:FILE``."""

STAGES = {
    "filter": "only documents that pass search.filters",
    "bm25": "words instead of vectors",
    "rrf": "vectors and words, by reciprocal rank fusion",
    "hybrid": "vectors and words, by a weighted sum of their scores",
    "boost": "search.boosts added to the scores",
    "rerank": "the best read anew by the cross-encoder of search.rerank",
}
"""What may follow the name of an encoder after a plus sign, in the order in which it is done."""
_RANKINGS = ("bm25", "rrf", "hybrid")
_PARTS = {
    "filter": ("query_time_fields", "filters"),
    "bm25": (),
    "rrf": ("depth",),
    "hybrid": ("depth", "dense_weight"),
    "boost": ("depth", "boosts"),
    "rerank": ("depth", "rerank"),
}
"""The keys of the recipe's search that say what a stage does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What a name meant when it was resolved: a model, an encoder ready to run it, and how documents are cut for it.

    ``precision`` is that of the vectors in its index. ``stages``, in their order, turn what the encoder finds into the
    answer, as ``search`` says.
    """

    name: str
    model: Model
    encoder: TextEncoder
    chunk: ChunkRecipe
    stages: tuple[str, ...] = ()
    search: SearchRecipe = field(default_factory=SearchRecipe)
    reranker: CrossEncoder | None = None
    precision: Precision = "float32"
    meter: Meter | None = None

    @property
    def pinned(self) -> dict[str, Any]:
        """What a release keeps of it beside its model: how documents are cut, the stages, and what describes these."""
        parts = {part for stage in self.stages for part in _PARTS[stage]}
        return {
            "chunk": self.chunk.model_dump(mode="json"),
            "stages": list(self.stages),
            "search": self.search.model_dump(mode="json", include=parts),
            "cross_encoder_id": self.reranker.cross_encoder_id if self.reranker else None,
            "precision": self.precision,
        }

    def is_released_as(self, release: Release) -> bool:
        """Whether a release answers as this system does: from the same model and index, in the same stages."""
        before = {"stages": [], "search": {}, "cross_encoder_id": None, **release.system}
        is_alike = all(before[name] == self.pinned[name] for name in ("stages", "search", "cross_encoder_id"))
        return is_alike and self.shares_index(release) and release.model_id == self.model.model_id

    def shares_index(self, release: Release) -> bool:
        """Whether a release searches the same index: vectors of one space in one precision."""
        return (release.space_id, precision_of(release)) == (self.model.space_id, self.precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSystem(System):
    """A system whose weights are here, so that it can be trained."""

    encoder: Encoder


def open_system(workspace: Workspace, name: str) -> System:
    """The system called ``base``, ``live``, by a model id, or by a model's folder or Hub name.

    Stages may follow, as in ``base+hybrid+rerank``; a stage alone stands on the base: ``hybrid``.

    Raises NotFound when nothing is live or the name is unknown, ModelRefused when the files are not what they were, or
    no model that may be loaded, InputError for a run, and for stages that are none, do not go together, or that the
    recipe does not describe.
    """
    encoder_name, stages = parse_name(name)
    _refuse_undescribed(stages, workspace.recipe.search)
    system = _open_encoder(workspace, encoder_name)
    if encoder_name != LIVE:
        system = replace(system, precision=workspace.recipe.index.precision)
    if not stages:
        return system
    own = {part: getattr(system.search, part) for stage in system.stages for part in _PARTS[stage]}
    search = workspace.recipe.search.model_copy(update=own)
    return _composed(workspace, replace(system, name=name), (*system.stages, *stages), search)


def _composed(workspace: Workspace, system: System, stages: Iterable[str], search: SearchRecipe) -> System:
    """A system with stages. Raises ModelRefused when its reranker cannot be had."""
    stages = in_order(stages)
    reranker = named_reranker(workspace, search.rerank) if "rerank" in stages else None
    return replace(system, stages=stages, search=search, reranker=reranker)


def parse_name(name: str) -> tuple[str, tuple[str, ...]]:
    """The name of the encoder in a system's name, and the stages.

    >>> parse_name("live+rerank"), parse_name("hybrid")
    (('live', ('rerank',)), ('base', ('hybrid',)))
    """
    first, *rest = name.split("+")
    stages = (first, *rest) if first in STAGES else tuple(rest)
    unknown = [stage for stage in stages if stage not in STAGES]
    if stages and len(unknown) == len(stages):  # a folder or a model with a plus sign in its name
        return name, ()
    if unknown:
        raise InputError(f"{name}: {unknown[0]!r} is no stage", hint=f"the stages are: {', '.join(STAGES)}")
    return (BASE if first in STAGES else first), in_order(stages)


def in_order(stages: Iterable[str]) -> tuple[str, ...]:
    """Stages in the order in which they are done, each once. Raises InputError for two that do not go together."""
    found = set(stages)
    if len(ranking := found.intersection(_RANKINGS)) > 1:
        raise InputError(f"{' and '.join(sorted(ranking))} do not go together", hint="name one of them")
    return tuple(stage for stage in STAGES if stage in found)


def _refuse_undescribed(stages: Iterable[str], search: SearchRecipe) -> None:
    examples = {
        "filter": ("filters", search.filters, '["jurisdiction=query.jurisdiction"]'),
        "boost": ("boosts", search.boosts, "{ year = { weight = 0.1, low = 2000, high = 2026 } }"),
        "rerank": ("rerank.model", search.rerank.model, '"cross-encoder/ms-marco-MiniLM-L6-v2"'),
    }
    for stage in stages:
        key, value, example = examples.get(stage, ("", True, ""))
        if not value:
            hint = f"for example, in nearer.toml: search.{key} = {example}; nearer advise finds out what is worth it"
            raise InputError(f"+{stage} needs search.{key}, and the recipe has none", hint=hint)


def _open_encoder(workspace: Workspace, name: str) -> System:
    _refuse_run(name)
    if name == BASE:
        return open_described(workspace, workspace.recipe.encoder, name=BASE)
    registry = Registry(workspace.database)
    if name == LIVE:
        release = registry.live()
        if release is None:
            raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
        return open_release(workspace, release, name=LIVE)
    known = {model.model_id: model for model in registry.models()}
    if name in known:
        return _load(workspace, known[name], name=name, chunk=workspace.recipe.chunk)
    if name in workspace.recipe.other_encoders:
        return open_described(workspace, workspace.recipe.other_encoders[name], name=name)
    if name == DEFAULT_MODEL or "/" in name or os.path.isdir(name):
        return _open_elsewhere(workspace, name)
    if is_reranker_id(name):
        hint = f'it ranks anew what a system finds: search.rerank.model = "{name}", then base+rerank'
        raise NotFound(f"{name} is a reranker, and no system of its own", hint=hint)
    hint = "train one: nearer train; or name a folder, or a Hub name with its owner: OWNER/MODEL"
    raise NotFound(f"no system {name!r}; models: {', '.join(known) or 'none'}", hint=hint)


def open_local(workspace: Workspace, name: str) -> LocalSystem:
    """The system of that name, to be trained.

    Raises InputError, before it is opened, when it is behind an API, an adapter, for queries alone, or shortened.
    """
    _refuse_run(name)
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
    if _is_a(workspace, name, "shortened"):
        raise InputError(
            f"{name} is shortened: it has no weights of its own to be trained further",
            hint=f"train what it shortens (see: nearer lineage {name}), and shorten that; or adapt it: "
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
    return LocalSystem(name=name, model=system.model, encoder=system.encoder, chunk=system.chunk)


def refuse_stages(name: str) -> None:
    """Raise InputError for a name of more than a model, where only that can be trained."""
    encoder_name, stages = parse_name(name)
    if stages:
        raise InputError(f"{name} is more than a model", hint=f"train the model itself: --from {encoder_name}")


def open_release(workspace: Workspace, release: Release, *, name: str) -> System:
    """The system that a release pins, whatever the recipe says by now.

    Raises ModelRefused when the files, or the service's model, are not what they were.
    """
    model = Registry(workspace.database).model(release.model_id)
    system = _load(workspace, model, name=name, chunk=chunk_of(release))
    search = SearchRecipe.model_validate(release.system.get("search", {}))
    system = replace(system, precision=precision_of(release))
    system = _composed(workspace, system, release.system.get("stages", ()), search)
    if system.pinned["cross_encoder_id"] != release.system.get("cross_encoder_id"):
        raise ModelRefused(
            f"{release.release_id}: what is in {search.rerank.model} now is another reranker",
            hint="restore its files, or promote the system anew",
        )
    return system


def chunk_of(release: Release) -> ChunkRecipe:
    """How a release pins that documents are cut."""
    return ChunkRecipe.model_validate(release.system["chunk"])


def precision_of(release: Release) -> Precision:
    """The precision that a release pins for the vectors of its index; float32 before there were others."""
    return cast(Precision, release.system.get("precision", "float32"))


def spent(systems: Iterable[System]) -> dict[str, Any]:
    """``{"api": {...}}`` with what these systems have asked of services since they were opened; empty without any."""
    meters = {system.meter for system in systems if system.meter}
    if not meters:
        return {}
    total = sum((meter.total for meter in meters), Usage())
    return {"api": {**asdict(total), "is_recorded": all(meter.is_recorded for meter in meters)}}


def _refuse_run(name: str) -> None:
    if name.startswith(RUN):
        hint = f"it can only be measured: nearer evaluate base {name}"
        raise InputError(f"{name} is a ranking, not a model", hint=hint)


def _load(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
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
    if "shortened" in model.encoder:
        return _load_shortened(workspace, model, name=name, chunk=chunk)
    meter, encoder = (
        _load_remote(workspace, model)
        if "api" in model.encoder
        else (None, _load_local(workspace, model, settings=model.encoder))
    )
    return System(name=name, model=model, encoder=encoder, chunk=chunk, meter=meter)


def _load_adapted(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    """The system of the model that was adapted, with the adapter over its encoder."""
    parent = Registry(workspace.database).model(model.parent_model_id or "none")
    system = _load(workspace, parent, name=name, chunk=chunk)
    try:
        adapter = Adapter.load(inside(workspace.models, model.encoder_id))
    except NotFound as error:
        raise ModelRefused(error.message, hint="restore the model's folder, or train again: nearer train") from error
    return replace(system, model=model, encoder=AdaptedEncoder(system.encoder, adapter))


def _load_paired(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    """The system of the model that documents keep, with the weights that were trained for queries beside it."""
    parent = Registry(workspace.database).model(model.parent_model_id or "none")
    system = _load(workspace, parent, name=name, chunk=chunk)
    queries = _load_local(workspace, model, settings=model.encoder["queries"])
    return replace(system, model=model, encoder=PairedEncoder(queries, system.encoder))


def _load_shortened(workspace: Workspace, model: Model, *, name: str, chunk: ChunkRecipe) -> System:
    """The system of the model that was shortened, with fewer dimensions."""
    parent = Registry(workspace.database).model(model.parent_model_id or "none")
    system = _load(workspace, parent, name=name, chunk=chunk)
    encoder = ShortenedEncoder(system.encoder, model.encoder["shortened"]["dimension"])
    return replace(system, model=model, encoder=encoder)


def _load_local(workspace: Workspace, model: Model, *, settings: Mapping[str, Any]) -> Encoder:
    trained = inside(workspace.models, model.encoder_id)
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
    return _open_remote(workspace, api, model=model.source, settings=settings)


def _open_remote(
    workspace: Workspace, api: ApiRecipe, *, model: str, settings: EncoderSettings
) -> tuple[Meter, ApiEncoder]:
    """Ask the service for the probe, and compare it with the one that was kept, if one was."""
    assert api.endpoint is not None
    meter = Meter(
        workspace.database,
        endpoint=api.endpoint,
        model=model,
        price_per_million_tokens=api.price_per_million_tokens,
    )
    endpoint = Endpoint(api, model=model, key=_key(api), on_answer=meter.add)
    encoder = ApiEncoder.open(endpoint, settings=settings)
    kept = Registry(workspace.database).keep_probe(encoder.declaration_id, encoder.probe)
    return meter, encoder.registered(kept)


def _is_a(workspace: Workspace, name: str, kind: Literal["api", "adapter", "queries", "shortened"]) -> bool:
    """Whether a name means an encoder behind an API, an adapter, one for queries alone, or a shortened one.

    Nobody is asked.
    """
    described = {**workspace.recipe.other_encoders, BASE: workspace.recipe.encoder}
    if name in described:
        return kind == "api" and described[name].api.endpoint is not None
    registry = Registry(workspace.database)
    live = registry.live()
    if name == LIVE and live is None:
        return False
    known = {model.model_id: model.encoder for model in registry.models()}
    return kind in known.get(live.model_id if live and name == LIVE else name, {})


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
    return _entered(workspace, encoder, name=name, source=source, settings=asdict(encoder.settings))


def _open_elsewhere(workspace: Workspace, name: str) -> System:
    """A model of a folder or of the Hub with the settings that it declares, entered into the registry."""
    source = os.path.realpath(os.path.expanduser(name)) if os.path.isdir(os.path.expanduser(name)) else name
    encoder = Encoder.load(source, batch_size=workspace.recipe.encoder.batch_size)
    registry = Registry(workspace.database)
    entered = next((model for model in registry.models() if model.model_id == encoder.model_id), None)
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
    meter, encoder = _open_remote(workspace, recipe.api, model=recipe.model, settings=settings)
    declared = {**asdict(settings), "api": recipe.api.model_dump(mode="json")}
    system = _entered(workspace, encoder, name=name, source=recipe.model, settings=declared)
    return replace(system, meter=meter)


def _entered(workspace: Workspace, encoder: TextEncoder, *, name: str, source: str, settings: dict[str, Any]) -> System:
    """The system of an encoder, which is entered into the registry."""
    model = Model(model_id=encoder.model_id, encoder_id=encoder.encoder_id, source=source, encoder=settings)
    entered = Registry(workspace.database).add_model(model)
    return System(name=name, model=entered, encoder=encoder, chunk=workspace.recipe.chunk)
