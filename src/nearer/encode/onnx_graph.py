"""A local model as an ONNX graph, from tokens to vectors of length 1, and the graph with int8 weights.

Arrays: N texts x D dimensions.
"""

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearer.core.errors import InputError
from nearer.core.extras import extra
from nearer.encode.encoder import Encoder
from nearer.encode.int8 import (
    FORMAT_VERSION,
    GRAPH,
    SETTINGS,
    TOKENIZER,
    USED_FOR,
    Int8Encoder,
    Int8Settings,
)
from nearer.store.files import write_atomic

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

QUANTISATION = "dynamic, int8 of 7 bits a channel"
"""Of what is offered. With 7 bits no product of two neighbours overflows 16 bits, so that every CPU computes the same.

Source: ONNX Runtime, Quantize ONNX Models, "reduce_range"; the table of benchmarks/int8.py in docs/results-archive.md.
"""
MOST_APART = 1e-5
"""Of 1 minus the cosine between the graph's float32 vectors and the model's. Our rule: rounding of float32."""
_OPSET = 17


def export_graph(encoder: Encoder, path: Path) -> None:
    """Write the model as an ONNX graph of float32.

    Raises InputError for one that cannot be traced.
    """
    with extra("onnx", used_for=USED_FOR):
        import onnx  # noqa: F401
    import torch

    features = encoder.model.preprocess(["a text", "another that is longer"])
    names = [name for name, value in features.items() if isinstance(value, torch.Tensor)]
    axes = {name: {0: "texts", 1: "tokens"} for name in names}
    try:
        with _quiet(), torch.inference_mode():
            torch.onnx.export(
                _traced(encoder.model, names),
                tuple(features[name].to(encoder.model.device) for name in names),
                str(path),
                input_names=names,
                output_names=["vectors"],
                dynamic_axes={**axes, "vectors": {0: "texts"}},
                opset_version=_OPSET,
                dynamo=False,
            )
    except (RuntimeError, ValueError, TypeError, KeyError) as error:  # torch.onnx has errors of RuntimeError's family
        raise InputError(
            f"{encoder.model_id} cannot be written as ONNX: {str(error).partition(chr(10))[0]:.200}",
            hint="serve it as it is; nearer compress measures smaller vectors of it",
        ) from error


def quantise_graph(source: Path, target: Path) -> None:
    """Write the graph with int8 weights, as ``QUANTISATION`` says."""
    with extra("onnx", used_for=USED_FOR):
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.shape_inference import quant_pre_process
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder, "prepared.onnx"))
        quant_pre_process(str(source), prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, str(target), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


def save_int8(encoder: Encoder, folder: Path, texts: Sequence[str]) -> None:
    """Write an encoder of int8 weights into an empty folder.

    Before it is quantised, its graph is compared with the model on ``texts``, as queries and as documents.

    Raises InputError for a model that cannot be traced, or whose graph gives other vectors; OSError.
    """
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch)
        export_graph(encoder, full / GRAPH)
        _describe(encoder, full, quantisation="none")
        _refuse_unlike(encoder, Int8Encoder.load(full), texts)
        quantise_graph(full / GRAPH, folder / GRAPH)
    _describe(encoder, folder, quantisation=QUANTISATION)


def _describe(encoder: Encoder, folder: Path, *, quantisation: str) -> None:
    """Write all but the graph."""
    settings = Int8Settings(
        of_encoder_id=encoder.encoder_id,
        quantisation=quantisation,
        dimension=encoder.dimension,
        tokenizer_id=encoder.tokenizer_id,
        truncation_side=str(encoder.model.tokenizer.truncation_side),
        settings=encoder.settings,
    )
    write_atomic(folder / TOKENIZER, encoder.whole_tokenizer.to_str())
    content = {"format_version": FORMAT_VERSION, **asdict(settings)}
    write_atomic(folder / SETTINGS, json.dumps(content, indent=2) + "\n")


def _refuse_unlike(encoder: Encoder, graph: Int8Encoder, texts: Sequence[str]) -> None:
    for ours, theirs in (
        (graph.encode_queries, encoder.encode_queries),
        (graph.encode_documents, encoder.encode_documents),
    ):
        cosines_N = np.einsum("nd,nd->n", ours(texts).astype(np.float64), theirs(texts).astype(np.float64))
        if not (apart := float(np.max(1 - cosines_N, initial=0.0))) < MOST_APART:
            raise InputError(
                f"{encoder.model_id} as ONNX gives other vectors: cosines are up to {apart:.1e} below 1",
                hint="serve it as it is; nearer compress measures smaller vectors of it",
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the tracer and the quantiser say of every model."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _traced(model: "SentenceTransformer", names: Sequence[str]) -> Any:
    """A module that gives a model's vectors of tensors, in the order of ``names``."""
    import torch

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            vectors_ND = model(dict(zip(names, tensors, strict=True)))["sentence_embedding"]
            return torch.nn.functional.normalize(vectors_ND[:, : model.truncate_dim].float(), dim=1)

    return Traced().eval()
