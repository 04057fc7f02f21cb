"""An encoder as one sentence-transformers model, which needs no Nearer: every map a Dense module, lengths 1 at the end.

Shapes: D dimensions of the vectors of a text's encoder, E of those asked for.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.compressed import CompressedEncoder
from nearer.encode.encoder import Encoder, Side, TextEncoder
from nearer.encode.int8 import Int8Encoder
from nearer.encode.paired import PairedEncoder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def portable(encoder: TextEncoder) -> "SentenceTransformer":
    """The model whose ``encode_query`` and ``encode_document`` give the encoder's vectors.

    Where the two sides differ, by an adapter or by weights, a Router tells them apart, and ``encode`` alone is refused
    by it. Raises InputError for an encoder behind an API, and for maps of vectors that are not float32.
    """
    from sentence_transformers import SentenceTransformer

    (queries, query_map), (documents, document_map) = (_parts(encoder, side) for side in ("queries", "documents"))
    if queries is documents and _are_equal(query_map, document_map):
        modules = _with_map(queries, query_map)
    elif queries is documents:
        modules = [*queries.model, _routed(_mapped(queries, query_map), _mapped(queries, document_map))]
    else:
        modules = [_routed(_with_map(queries, query_map), _with_map(documents, document_map))]
    prompts = {"query": queries.settings.query_prompt, "document": documents.settings.document_prompt}
    return SentenceTransformer(modules=modules, prompts=prompts, device=str(queries.model.device))


def is_routed(model: "SentenceTransformer") -> bool:
    """Whether queries and documents take different ways through a model."""
    return any(type(module).__name__ == "Router" for module in model)


def _parts(encoder: TextEncoder, side: Side) -> tuple[Encoder, Floats32 | None]:
    """What reads the texts of a side, and the one matrix (E, D) of all that follows it; lengths are made 1 last."""
    match encoder:
        case Encoder():
            return encoder, None
        case PairedEncoder():
            return _parts(encoder.queries if side == "queries" else encoder.documents, side)
        case AdaptedEncoder():
            reader, matrix = _parts(encoder.base, side)
            own = encoder.adapter.query if side == "queries" else encoder.adapter.document
            return reader, matrix if own is None else _product(own.weights["matrix"], matrix)
        case CompressedEncoder():
            reader, matrix = _parts(encoder.base, side)
            before = np.eye(encoder.base.dimension, dtype=np.float32) if matrix is None else matrix
            return reader, before[: encoder.dimension]
        case Int8Encoder():
            raise InputError(
                f"{encoder.model_id} has weights of int8, which onnxruntime reads and sentence-transformers does not",
                hint=f"export what it was made from (see: nearer lineage {encoder.model_id})",
            )
    raise InputError(
        f"{encoder.model_id} is behind an API: its weights are not here",
        hint="export its vectors instead: nearer export vectors",
    )


def _product(outer: Floats32, inner: Floats32 | None) -> Floats32:
    return outer if inner is None else (outer.astype(np.float64) @ inner).astype(np.float32)


def _are_equal(left: Floats32 | None, right: Floats32 | None) -> bool:
    return left is right or (left is not None and right is not None and np.array_equal(left, right))


def _with_map(encoder: Encoder, matrix: Floats32 | None) -> list[Any]:
    modules = list(encoder.model)
    ends_in_unit = type(modules[-1]).__name__ == "Normalize"
    return modules if matrix is None and ends_in_unit else [*modules, *_mapped(encoder, matrix)]


def _mapped(encoder: Encoder, matrix: Floats32 | None) -> list[Any]:
    """Modules that apply a map and make lengths 1."""
    import torch
    from sentence_transformers.base.modules import Dense, Normalize

    if matrix is None:
        return [Normalize()]
    if encoder.model.dtype != torch.float32:
        raise InputError(
            f"the model's weights are {str(encoder.model.dtype).removeprefix('torch.')}: its vectors cannot be mapped "
            "exactly outside of Nearer",
            hint="export the model that was mapped: nearer lineage names it",
        )
    weight = torch.from_numpy(np.ascontiguousarray(matrix, np.float32))
    dense = Dense(matrix.shape[1], matrix.shape[0], bias=False, activation_function=None, init_weight=weight)
    return [dense.to(encoder.model.device), Normalize()]


def _routed(query_modules: list[Any], document_modules: list[Any]) -> Any:
    from sentence_transformers.base.modules import Router

    return Router({"query": query_modules, "document": document_modules}, allow_empty_key=False)
