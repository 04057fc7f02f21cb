"""An adapter: a small map of vectors that are there already, so that no text is encoded again.

    <folder>/adapter.safetensors   the weights
    <folder>/adapter.json          what they are, their id, and the space they were trained in; written last

Shapes: N vectors x D dimensions.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError, ModelRefused, NotFound
from nearer.core.failpoints import failpoint
from nearer.core.ids import canonical_json
from nearer.store.files import write_atomic

FORMAT_VERSION = 1
_WEIGHTS, _MANIFEST = "adapter.safetensors", "adapter.json"
_SHARED = "shared"

LINEAR = "linear"
"""What a map is called in the manifest of an adapter: a product with one matrix."""
_MATRIX = "matrix"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Map:
    """A map of vectors: a product with one matrix.

    ``weights`` holds ``matrix`` (D, D), a NumPy array, or a torch tensor while it is trained.
    """

    weights: Mapping[str, Any]

    @classmethod
    def identity(cls, dimension: int) -> "Map":
        """A map that changes nothing yet."""
        return cls(weights={_MATRIX: np.eye(dimension, dtype=np.float32)})

    def __call__(self, vectors_ND: Any) -> Any:
        """The vectors mapped, not normalised (N, D); arrays give arrays and tensors tensors."""
        return vectors_ND @ self.weights[_MATRIX].T

    @property
    def dimension(self) -> int:
        """D, the length of a vector."""
        return int(self.weights[_MATRIX].shape[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adapter:
    """A map of queries, and where ``document`` is given one of documents, for vectors of the space ``space_id``.

    Without ``document`` the stored vectors and their index stay as they are. With it they are mapped too, by one
    product, into a space of their own; ``document`` may be the same object as ``query``.
    """

    space_id: str
    query: Map
    document: Map | None = None

    @property
    def target_space_id(self) -> str:
        """The space that its queries search: that of the stored vectors, or of the vectors it makes of them."""
        return self.space_id if self.document is None else f"space-{self._digest}"

    @property
    def adapter_id(self) -> str:
        """The fingerprint of the weights and of the space they were trained in."""
        return f"adapter-{self._digest}"

    def apply_queries(self, emb_QD: ArrayLike) -> Floats32:
        """Unit vectors (float32) for queries, to be compared with documents in ``target_space_id``.

        Raises InputError for vectors of another dimension, not finite, or of length 0.
        """
        return _unit(self.query(_checked(emb_QD, dimension=self.query.dimension)))

    def apply_documents(self, emb_PD: ArrayLike) -> Floats32:
        """Unit vectors (float32) for documents or passages; without a map of documents those given, to the bit.

        Raises InputError as ``apply_queries`` does.
        """
        checked = _checked(emb_PD, dimension=self.query.dimension)
        return checked if self.document is None else _unit(self.document(checked))

    def save(self, folder: Path) -> None:
        """Write the adapter; a killed call leaves no adapter, and may be repeated.

        Raises InputError when the folder holds another one, and OSError when the files cannot be written.
        """
        from safetensors.numpy import save

        if (folder / _MANIFEST).exists() and Adapter.load(folder).adapter_id != self.adapter_id:
            raise InputError(f"{folder} holds another adapter", hint="save this one in a folder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {**self._description, "format_version": FORMAT_VERSION, "adapter_id": self.adapter_id}
        write_atomic(folder / _WEIGHTS, save(self._tensors))
        failpoint("adapter.weights")
        write_atomic(folder / _MANIFEST, json.dumps(manifest, indent=2) + "\n")
        failpoint("adapter.manifest")

    @classmethod
    def load(cls, folder: Path) -> "Adapter":
        """The adapter of a folder.

        Raises NotFound when there is none, and ModelRefused when it is damaged or of a newer format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            if manifest["format_version"] != FORMAT_VERSION:
                raise ModelRefused(f"{folder} holds an adapter of another format", hint="upgrade nearer, or train anew")
            adapter = cls._assemble(manifest, load((folder / _WEIGHTS).read_bytes()))
            if adapter.adapter_id != manifest["adapter_id"]:
                raise ValueError(f"its weights are those of {adapter.adapter_id}")
        except FileNotFoundError as error:
            raise NotFound(f"{folder} holds no adapter", hint="train one") from error
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelRefused(f"the adapter in {folder} is damaged: {error}", hint="train it again") from error
        return adapter

    @classmethod
    def _assemble(cls, manifest: Mapping[str, Any], tensors: Mapping[str, Floats32]) -> "Adapter":
        def assembled(side: str) -> Map:
            if manifest[side] != LINEAR:
                raise ValueError(f"its map of the {side} side is of another kind: {manifest[side]}")
            return Map(weights={_MATRIX: tensors[f"{side}.{_MATRIX}"]})

        query = assembled("query")
        without_own_weights = {None: None, _SHARED: query}
        kind = manifest["document"]
        document = without_own_weights[kind] if kind in without_own_weights else assembled("document")
        _refuse_misshapen(query, *([document] if document else []))
        return cls(space_id=manifest["space_id"], query=query, document=document)

    @property
    def _description(self) -> dict[str, str | None]:
        shared = _SHARED if self.document is self.query else None
        document = shared or (LINEAR if self.document else None)
        return {"space_id": self.space_id, "query": LINEAR, "document": document}

    @property
    def _tensors(self) -> dict[str, Floats32]:
        """All weights by side and name, a shared map once."""
        sides = {"query": self.query, "document": None if self.document is self.query else self.document}
        return {
            f"{side}.{_MATRIX}": np.ascontiguousarray(each.weights[_MATRIX], dtype="<f4")
            for side, each in sides.items()
            if each is not None
        }

    @property
    def _digest(self) -> str:
        digest = hashlib.sha256(canonical_json(self._description).encode())
        for name, weight in self._tensors.items():
            digest.update(f"|{name}|{weight.shape}|".encode())
            digest.update(weight.tobytes())
        return digest.hexdigest()[:16]


def _refuse_misshapen(*maps: Map) -> None:
    """Raise ValueError for matrices of shapes that do not fit together, or that are not numbers."""
    shape = (maps[0].weights[_MATRIX].shape[:1]) * 2
    for each in maps:
        weight = each.weights[_MATRIX]
        if weight.shape != shape or not np.isfinite(weight).all():
            raise ValueError(f"{_MATRIX} of shape {weight.shape} does not fit the other weights, or is not finite")


def _checked(emb: ArrayLike, *, dimension: int) -> Floats32:
    emb_ND = np.asarray(emb, dtype=np.float32)
    if emb_ND.ndim != 2 or emb_ND.shape[1] != dimension:
        raise InputError(
            f"vectors of shape {emb_ND.shape} met an adapter of {dimension} dimensions",
            hint="apply it to vectors of the encoder that it was trained with",
        )
    if not np.isfinite(emb_ND).all():
        raise InputError("a vector is not finite", hint="encode the texts again; try precision float32")
    return emb_ND


def _unit(mapped_ND: Floats32) -> Floats32:
    lengths_N = np.linalg.norm(mapped_ND, axis=1, keepdims=True)
    if not ((lengths_N > 0) & np.isfinite(lengths_N)).all():
        raise InputError("a vector has no direction after the adapter", hint="give vectors of length 1")
    unit_ND: Floats32 = mapped_ND / lengths_N
    return unit_ND
