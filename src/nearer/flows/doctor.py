"""Say what is installed, missing and misconfigured, without loading a model or asking a service."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from nearer.core.errors import NearerError
from nearer.core.installed import PACKAGE, packages
from nearer.core.recipe import Recipe
from nearer.core.results.doctor import Checkup, Finding, Package
from nearer.core.sections import EncoderRecipe
from nearer.encode.base_model import DEFAULT_MODEL, locate
from nearer.retrieval.index import differences, open_index
from nearer.retrieval.manifest import LOCK
from nearer.store.files import bytes_in
from nearer.store.leases import holder_in, is_held
from nearer.store.workspace import Workspace, is_workspace
from nearer.systems.reranker import is_reranker_id
from nearer.systems.space_index import entry_hashes, folder_of
from nearer.training.unfinished import unfinished_runs

LEAST_FREE_BYTES = 1_000_000_000
"""Room that a small training takes: our rule, three copies of a model of 90 MB and the trainer's states, rounded up."""
Findings = Iterator[Finding]


def doctor(folder: Path | str = ".", *, overrides: tuple[str, ...] = ()) -> Checkup:
    """What is installed, and what would keep the workspace in ``folder`` from working.

    Nothing is written, no model is loaded, and no service is asked.
    """
    folder = Path(folder)
    installed = packages()
    findings = [*_missing(installed)]
    has_workspace = is_workspace(folder)
    if not has_workspace:
        findings.append(_note("workspace", f"{folder.resolve()} is not a workspace", f"nearer init {folder}"))
    else:
        findings += _of_workspace(folder, overrides, installed)
    return Checkup(
        verdict="faults" if any(each.level == "fault" for each in findings) else "ok",
        findings=tuple(findings),
        packages=installed,
        workspace=str(folder.resolve()) if has_workspace else None,
        version=version(PACKAGE),
        python=sys.version.split()[0],
        platform=platform.platform(terse=True),
    )


def _ok(what: str, sentence: str) -> Finding:
    return Finding(what=what, level="ok", sentence=sentence, command=None)


def _note(what: str, sentence: str, command: str | None = None) -> Finding:
    return Finding(what=what, level="note", sentence=sentence, command=command)


def _fault(what: str, sentence: str, command: str | None = None) -> Finding:
    return Finding(what=what, level="fault", sentence=sentence, command=command)


def _missing(installed: tuple[Package, ...]) -> Findings:
    """Requirements that are always needed and not here, in the version that is wanted."""
    wrong = [each for each in installed if each.extra is None and not each.fits]
    yield from (
        _fault("packages", f"{each.name}{each.wanted}: {each.installed or 'none'} is installed", each.command)
        for each in wrong
    )
    if not wrong:
        yield _ok("packages", "all that is always needed is installed")


def _of_workspace(folder: Path, overrides: tuple[str, ...], installed: tuple[Package, ...]) -> Findings:
    try:
        workspace = Workspace.open(folder, overrides=overrides)
    except NearerError as error:
        yield _fault("workspace" if error.code != "bad_recipe" else "recipe", error.message, error.hint or None)
        return
    with workspace:
        yield _ok("recipe", "nearer.toml can be read, and no value in it is refused")
        checks: tuple[tuple[str, Callable[[], Findings]], ...] = (
            ("extras", lambda: _extras(workspace.recipe, installed)),
            ("encoders", lambda: _encoders(workspace)),
            ("reranker", lambda: _reranker(workspace)),
            ("models", lambda: _models(workspace)),
            ("index", lambda: _index(workspace)),
            ("trainings", lambda: _trainings(workspace)),
            ("locks", lambda: _locks(workspace)),
            ("disk", lambda: _disk(workspace)),
        )
        for what, check in checks:
            try:
                yield from check()
            except NearerError as error:
                yield _fault(what, error.message, error.hint or None)


def _extras(recipe: Recipe, installed: tuple[Package, ...]) -> Findings:
    """Extras that the recipe needs, and that are not all here."""
    needed = {
        "lance": recipe.index.kind == "lancedb" and "index.kind",
        "postgres": (recipe.store.url and "store.url") or (recipe.index.kind == "pgvector" and "index.kind"),
        "api": any(each.api.endpoint for each in (recipe.encoder, *recipe.advise.encoders)) and "encoder.api.endpoint",
        "s3": recipe.store.files is not None and "store.files",
        "lora": bool(recipe.train.lora_rank) and "train.lora_rank",
    }
    for extra, key in needed.items():
        lacking = [each.name for each in installed if each.extra == extra and not each.fits]
        if key and lacking:
            yield _fault("extras", f"{key} needs {', '.join(lacking)}", f"pip install '{PACKAGE}[{extra}]'")


def _encoders(workspace: Workspace) -> Findings:
    for key, recipe in {"encoder": workspace.recipe.encoder, **_others(workspace.recipe)}.items():
        if recipe.api.endpoint is not None:
            yield _key(key, recipe)
        else:
            yield _base_model(workspace, key, recipe.model)


def _others(recipe: Recipe) -> Mapping[str, EncoderRecipe]:
    return {f"advise.encoders ({each.name})": each for each in recipe.advise.encoders}


def _key(key: str, recipe: EncoderRecipe) -> Finding:
    """Whether the variable of a service's key is set; the key is not looked at, and nobody is asked."""
    name = recipe.api.key_env
    if name is not None and not os.environ.get(name, "").strip():
        return _fault(key, f"the environment variable {name} holds no key for {recipe.api.endpoint}", f"export {name}=")
    return _ok(key, f"{recipe.model} at {recipe.api.endpoint}, which was not asked")


def _base_model(workspace: Workspace, key: str, model: str) -> Finding:
    """Whether a model's files are here; of a Hub name, whether they are in the cache."""
    beside = workspace.folder / model
    try:
        source = locate(str(beside.resolve()) if beside.is_dir() else model)
    except NearerError as error:
        return _fault(key, error.message, error.hint or None)
    if model == DEFAULT_MODEL or os.path.isdir(source):
        return _ok(key, f"{model} is here")
    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(source, "config.json"), str):
        return _ok(key, f"{model} is in the Hub's cache")
    sentence = f"{model} is not in the Hub's cache"
    if constants.HF_HUB_OFFLINE:
        return _fault(key, f"{sentence}, and HF_HUB_OFFLINE is set", f"HF_HUB_OFFLINE=0 hf download {model}")
    return _note(key, f"{sentence}: it is downloaded when it is first used", f"hf download {model}")


def _reranker(workspace: Workspace) -> Findings:
    name = workspace.recipe.search.rerank.model
    if name is not None and is_reranker_id(name):
        workspace.registry.reranker(name)  # raises where it is unknown
    elif name is not None:
        yield _base_model(workspace, "search.rerank.model", name)


def _models(workspace: Workspace) -> Findings:
    """Models and rerankers whose folders are gone."""
    registry = workspace.registry
    made = [each for each in registry.models() if each.parent_model_id and "compressed" not in each.encoder]
    named = [(each.model_id, each.encoder_id) for each in made]
    named += [(each.reranker_id, each.cross_encoder_id) for each in registry.rerankers()]
    gone = [part_id for part_id, name in named if not (workspace.models / name).is_dir()]
    if gone and (files := workspace.recipe.store.files):
        yield _note("models", f"{', '.join(gone)} are fetched from {files} when they are first used")
    else:
        yield from (_fault("models", f"the folder of {each} is gone: restore it, or train again") for each in gone)
    if not gone:
        yield _ok("models", f"{len(named)} made here, all in {workspace.models}")


def _index(workspace: Workspace) -> Findings:
    """Whether the index of what is live is there, and follows the documents."""
    live = workspace.registry.live()
    if live is None:
        yield _note("index", "nothing is live yet", "nearer promote base")
        return
    try:
        index = open_index(folder_of(workspace, live.space_id), space_id=live.space_id)
        differing = differences(index.hashes(), entry_hashes(workspace.collection, index.manifest.spec.fields))
    except NearerError as error:
        yield _fault("index", error.message, "nearer index")
        return
    yield from (_fault("index", each, "nearer index") for each in differing)
    if not differing:
        kind = index.manifest.kind
        yield _ok(
            "index", f"{kind}, of {index.manifest.num_documents:,} documents, follows them; nothing else was read"
        )


def _trainings(workspace: Workspace) -> Findings:
    for each in unfinished_runs(workspace):
        if each.is_running:
            yield _note("trainings", f"{each.run_id} is running since {each.started_at}")
        else:
            command = f"nearer train --resume {each.run_id}; or: nearer train --discard {each.run_id}"
            yield _note(
                "trainings", f"{each.run_id}, begun at {each.started_at or 'a time unknown'}, has not ended", command
            )


def _locks(workspace: Workspace) -> Findings:
    """Who is at work; a lock goes with its process, so that none is ever left over."""
    files = [path for path in workspace.locks.glob("*.lock") if not path.name.startswith("process-")]
    for path in [*sorted(files), *sorted(workspace.indexes.glob(f"*/{LOCK}"))]:
        if is_held(path):
            yield _note("locks", f"{path} is held by {holder_in(path.with_suffix('.holder'))}")


def _disk(workspace: Workspace) -> Findings:
    """Whether there is room for a training, and to build the largest index beside itself."""
    free = shutil.disk_usage(workspace.state).free
    largest = max((bytes_in(path) for path in workspace.indexes.glob("*")), default=0)
    wanted = max(LEAST_FREE_BYTES, 2 * largest)
    sentence = f"{free / 1e9:,.1f} GB are free at {workspace.state}"
    if free < wanted:
        reason = "a training and the largest index, built anew beside itself, take"
        yield _fault("disk", f"{sentence}; {reason} {wanted / 1e9:,.1f} GB", "nearer prune --dry-run")
    else:
        yield _ok("disk", sentence)
