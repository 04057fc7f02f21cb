"""What a model computes, as a digest: the same for the same computation, wherever its files are."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nearer.core.ids import canonical_json
from nearer.core.results.base import JSON

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer


def fingerprint(model: "SentenceTransformer | CrossEncoder", settings: Mapping[str, object]) -> str:
    """32 hex digits over weights, tokenizer, architecture, modules, and the settings that it is used with."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{array.dtype}|{tuple(array.shape)}|".encode())
        digest.update(array.view(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    digest.update(tokenizer_text(model.tokenizer).encode())
    digest.update(canonical_json(_architecture(model)).encode())
    digest.update(canonical_json([_module_config(module) for module in model]).encode())
    digest.update(canonical_json(settings).encode())
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """What must be the same in two models for their weights to mean the same."""

    config: JSON
    shapes: Mapping[str, tuple[int, ...]]
    tokenizer: str
    modules: Sequence[JSON]


def parts_of(model: "SentenceTransformer") -> ModelParts:
    """The parts of a model."""
    return ModelParts(
        config=_architecture(model),
        shapes={name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
        tokenizer=tokenizer_text(model.tokenizer),
        modules=[_module_config(module) for module in model],
    )


def _architecture(model: "SentenceTransformer | CrossEncoder") -> JSON:
    """The transformer's own configuration, without names, versions and what only saving or loading sets."""
    config = getattr(model, "config", None)
    values = config.to_dict() if config is not None else {}
    ignored = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype")
    return {key: value for key, value in json.loads(json.dumps(values, default=str)).items() if key not in ignored}


def tokenizer_text(tokenizer: Any) -> str:
    """The tokenizer as text, without the lengths that each call sets anew, and the side that truncation cuts."""
    side = getattr(tokenizer, "truncation_side", "right")
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return canonical_json({"vocabulary": dict(tokenizer.get_vocab()), "truncation_side": side})
    return canonical_json(
        {**json.loads(backend.to_str()), "truncation": None, "padding": None, "truncation_side": side}
    )


def _module_config(module: Any) -> JSON:
    """What a module's class and settings are, without paths and lengths (those are in the encoder's settings)."""
    config = module.get_config_dict() if hasattr(module, "get_config_dict") else {}
    kept = {key: value for key, value in config.items() if key not in ("max_seq_length", "name_or_path")}
    return {"module": type(module).__name__, "config": json.loads(json.dumps(kept, default=str, sort_keys=True))}
