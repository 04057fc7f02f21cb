"""Write a model as a plain sentence-transformers folder with its card, compare its vectors with ours, and publish it.

Arrays: N texts x D dimensions.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.errors import InputError, ModelRefused, ServiceError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.data import ExportedModel
from nearer.encode.encoder import TextEncoder
from nearer.encode.portable import is_routed, portable
from nearer.store.files import bytes_in, move_into_place, scratch_folder
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from nearer.training.published_card import write_published_card

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOLERANCE = 1e-6
"""The most that a number of a vector may differ. Our rule: rounding of float32, and no more."""
_NUM_COMPARED = 16
_TEXTS = (
    "a",
    "What is the capital of France?",
    "Zürich, 東京, القاهرة, Київ",
    "one text much longer than a query " * 40,
)


def export_model(
    workspace: Workspace,
    folder: Path,
    *,
    system: str = "live",
    push: str | None = None,
    public: bool = False,
    hub: "HfApi | None" = None,
    progress: Progress | None = None,
) -> ExportedModel:
    """Write the model of a ``system`` into ``folder``, which must be new or empty, as sentence-transformers reads it.

    It is loaded again there, and gives our vectors to ``TOLERANCE``, or nothing is written. With ``push`` it goes to
    that repository of the Hugging Face Hub, which is made where there is none: private, unless ``public``. The token is
    the user's own, as ``hf auth login`` or HF_TOKEN keep it. ``hub`` is asked, and is the real one unless given.

    Raises InputError for a system with stages, an encoder behind an API, a folder that is not empty or cannot be
    written, and a repository without OWNER/NAME or token; ServiceError where the Hub refuses: the folder then stays.
    """
    progress, folder = progress or Silent(), Path(folder)
    _refuse_folder(folder)
    hub = _signed_in(push, hub)
    opened = open_system(workspace, system)
    if opened.stages:
        hint = f"export the model itself: nearer export model {opened.model.model_id} {folder}"
        raise InputError(f"{system} is more than a model: {', '.join(opened.stages)}", hint=hint)
    model = portable(opened.encoder)
    texts = [*_TEXTS, *(each.text for each in _some_documents(workspace)), *_some_queries(workspace)]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder.parent) as scratch:
            model.save_pretrained(str(scratch), create_model_card=False, safe_serialization=True)
            difference = _difference(scratch, opened.encoder, texts)
            measured = write_published_card(
                workspace, scratch, opened.model, opened.encoder, is_routed=is_routed(model)
            )
            scratch.chmod(0o755)
            if folder.is_dir():
                folder.rmdir()
            move_into_place(scratch, folder)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written: {error.strerror}", hint="check the path and the disk"
        ) from error
    failpoint("export.model")
    progress.say(f"{folder}: {len(texts)} texts differ by at most {difference:.1e} when sentence-transformers reads it")
    return ExportedModel(
        folder=str(folder),
        model_id=opened.model.model_id,
        encoder_id=opened.encoder.encoder_id,
        space_id=opened.encoder.space_id,
        dimension=opened.encoder.dimension,
        num_bytes=bytes_in(folder),
        sha256={str(path.relative_to(folder)): _sha256(path) for path in sorted(folder.rglob("*.safetensors"))},
        num_compared=len(texts),
        max_difference=difference,
        is_routed=is_routed(model),
        measured_on=tuple(each.evaluation.split for each in measured),
        url=_push(hub, push, folder, model_id=opened.model.model_id, public=public) if push and hub else None,
    )


def _refuse_folder(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputError(f"{folder} is there, and not an empty folder", hint="name a new folder")


def _some_documents(workspace: Workspace) -> list[Any]:
    doc_ids = list(workspace.collection.document_hashes())[:_NUM_COMPARED]
    return [each for each in workspace.collection.documents(doc_ids) if each.text.strip()]


def _some_queries(workspace: Workspace) -> list[str]:
    return [each.text for each in workspace.collection.queries()[:_NUM_COMPARED]]


def _difference(folder: Path, encoder: TextEncoder, texts: list[str]) -> float:
    """The most that a number of a vector differs, between ours and the folder's. Raises ModelRefused beyond tolerance.

    Texts are read one at a time, so that no padding differs.
    """
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)
    differences = [
        np.abs(ours([text])[0] - np.asarray(theirs(text, show_progress_bar=False), np.float32)).max()
        for ours, theirs in (
            (encoder.encode_queries, loaded.encode_query),
            (encoder.encode_documents, loaded.encode_document),
        )
        for text in texts
    ]
    most = float(np.max(differences))
    if not most <= TOLERANCE:
        raise ModelRefused(
            f"sentence-transformers gives vectors that differ by {most:.2g} from ours, more than {TOLERANCE:g}",
            hint="please report this, with the name of the base model; nothing was written",
        )
    return most


def _signed_in(repository: str | None, hub: "HfApi | None") -> "HfApi | None":
    """The Hub, where something is to be pushed: asked before anything is written."""
    if repository is None:
        return None
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # exported, but not by name

    try:
        if repository.count("/") != 1:
            raise HFValidationError("no owner before the name")
        validate_repo_id(repository)
    except HFValidationError as error:
        raise InputError(f"--push {repository}: {error}", hint="name it as OWNER/NAME") from error
    if hub is not None:
        return hub
    if get_token() is None:
        raise InputError("no token of the Hugging Face Hub is known", hint="hf auth login, or set HF_TOKEN")
    return HfApi(library_name="nearer")


def _push(hub: "HfApi", repository: str, folder: Path, *, model_id: str, public: bool) -> str:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"{model_id}, from Nearer")
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).partition("\n")[0]
        hint = f"the model is in {folder}: hf upload {repository} {folder}"
        raise ServiceError(f"the Hugging Face Hub has not taken {repository}: {reason}", hint=hint) from error
    return str(commit.commit_url)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
