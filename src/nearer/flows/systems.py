"""Names of systems, and the encoders behind them."""

from dataclasses import asdict, dataclass

from nearer.core.errors import InputError, ModelRefused, NotFound
from nearer.core.recipe import ChunkRecipe
from nearer.encode.encoder import Encoder
from nearer.store.registry import Model, Registry, Release
from nearer.store.workspace import Workspace

BASE = "base"
LIVE = "live"
RUN = "run:"
"""What the name of a ranking from elsewhere begins with: ``run:FILE``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What a name meant when it was resolved: a model, an encoder ready to run it, and how documents are cut for it."""

    name: str
    model: Model
    encoder: Encoder
    chunk: ChunkRecipe


def open_system(workspace: Workspace, name: str) -> System:
    """The system called ``base``, ``live``, or by a model id.

    Raises NotFound when nothing is live or the id is unknown, ModelRefused when the files are not what they were,
    InputError for a run.
    """
    if name.startswith(RUN):
        hint = f"it can only be measured: nearer evaluate base {name}"
        raise InputError(f"{name} is a ranking, not a model", hint=hint)
    if name == BASE:
        return _open_base(workspace)
    registry = Registry(workspace.database)
    if name == LIVE:
        release = registry.live()
        if release is None:
            raise NotFound("nothing is live yet", hint="make something live: nearer promote base")
        return open_release(workspace, release, name=LIVE)
    return System(name=name, model=registry.model(name), encoder=load(workspace, name), chunk=workspace.recipe.chunk)


def open_release(workspace: Workspace, release: Release, *, name: str) -> System:
    """The system that a release pins, whatever the recipe says by now.

    Raises ModelRefused when the files are not what they were.
    """
    return System(
        name=name,
        model=Registry(workspace.database).model(release.model_id),
        encoder=load(workspace, release.model_id),
        chunk=ChunkRecipe.model_validate(release.system["chunk"]),
    )


def load(workspace: Workspace, model_id: str) -> Encoder:
    """The encoder of a registered model, checked to be the one that was registered."""
    model = Registry(workspace.database).model(model_id)
    trained = workspace.models / model.encoder_id
    if model.parent_model_id and not trained.is_dir():
        raise ModelRefused(f"{trained}: the model's folder is gone", hint="restore it, or train again: nearer train")
    encoder = Encoder.load(
        str(trained) if model.parent_model_id else model.source,
        **model.encoder,
        batch_size=workspace.recipe.encoder.batch_size,
    )
    if encoder.encoder_id != model.encoder_id:
        raise ModelRefused(
            f"{model_id}: the files in {model.source} now make {encoder.encoder_id}, not {model.encoder_id}",
            hint="restore the files, or train again: nearer train",
        )
    return encoder


def _open_base(workspace: Workspace) -> System:
    recipe = workspace.recipe.encoder
    beside = workspace.folder / recipe.model
    source = str(beside.resolve()) if beside.is_dir() else recipe.model
    encoder = Encoder.load(
        source,
        max_seq_length=recipe.max_seq_length,
        query_prompt=recipe.query_prompt,
        document_prompt=recipe.document_prompt,
        batch_size=recipe.batch_size,
    )
    model = Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=source,
        encoder=asdict(encoder.settings),
    )
    return System(
        name=BASE,
        model=Registry(workspace.database).add_model(model),
        encoder=encoder,
        chunk=workspace.recipe.chunk,
    )
