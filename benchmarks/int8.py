"""What int8 weights lose and gain on a CPU: every sensible recipe beside SentenceTransformer.encode, in one run.

    python benchmarks/int8.py --work FOLDER --data DIR [--sets medquad nl2bash] [--documents N] [--threads 1]

For each set, a subset of `sets.py` with nDCG@10 on dev. A recipe is a way to quantise (torch's dynamic int8;
onnxruntime's dynamic int8, whole tensors or channels, 8 or 7 bits, matrices alone or embeddings too, fused operators;
static, calibrated on 64 documents of the corpus) and a batch of texts. Speeds are of 64 documents, and of one query at
a time, all recipes alternating with SentenceTransformer.encode; the least of --runs counts. Cells are kept below FOLDER
and run once.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from sentence_transformers import SentenceTransformer

from nearer.core.arrays import Floats32
from nearer.core.progress import Silent
from nearer.encode.embedded import EmbeddedCorpus
from nearer.encode.encoder import Encoder
from nearer.encode.onnx_graph import export_graph
from nearer.evaluation.exclusions import find_exclusions
from nearer.evaluation.judged_split import read_judged_split
from nearer.measure.metrics import Measure, score
from nearer.systems import open_system
from nearer.vectors.topk import top_k
from sets import add_size_arguments, cell, open_workspace

MEASURE = Measure.parse("nDCG@10")
NUM_TIMED, NUM_QUERIES, NUM_CALIBRATED = 64, 20, 64
_IN_BATCHES = ("onnxruntime float32", "dynamic s8, channels, 7 bits", "static QDQ")
Encode = Callable[[Sequence[str], int], Floats32]
"""Texts and the size of a batch to vectors of length 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to compute vectors: its name, the function, and the sizes of batches that are tried."""

    name: str
    encode: Encode
    batches: tuple[int, ...] = (1,)


def main() -> None:
    """Run what is not there yet and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size_arguments(parser, documents=1000, train=200, test=50)
    parser.add_argument("--sets", nargs="+", default=["medquad", "nl2bash"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    for name in arguments.sets:
        work = arguments.work / name
        rows = cell(work / "int8.json", lambda name=name, work=work: measured(name, work, arguments))["rows"]
        print(f"\n{name}, dev: nDCG@10 and speed beside SentenceTransformer.encode\n")
        print("| recipe | batch | cosine | overlap@10 | nDCG@10 | documents/s | ratio | query ms | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for row in rows:
            quality = f"{row['cosine']:.4f} | {row['overlap']:.3f} | {row['ndcg']:.4f}"
            speed = f"{row['documents_s']:.1f} | {row['ratio']:.2f} | {row['query_ms']:.1f} | {row['query_ratio']:.2f}"
            print(f"| {row['recipe']} | {row['batch']} | {quality} | {speed} |", flush=True)


def measured(name: str, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every recipe on a set."""
    workspace = open_workspace(name, work, arguments)
    judged = read_judged_split(workspace, "dev")
    encoder = open_system(workspace, "base").encoder
    assert isinstance(encoder, Encoder)
    embedded = EmbeddedCorpus.read(workspace, encoder, progress=Silent())
    texts, queries = list(embedded.corpus.passages), [each.text for each in judged.queries]
    excluded = find_exclusions(workspace, judged.queries, embedded.corpus.documents).pairs
    order = np.random.default_rng(0).permutation(len(texts))
    some = [texts[row] for row in order[:NUM_TIMED]]
    recipes = recipes_of(encoder, work / "graphs", [texts[row] for row in order[-NUM_CALIBRATED:]])
    full_emb_PD: Floats32 | None = None
    full_rows: Any = None
    found: list[dict[str, Any]] = []
    for recipe in recipes:
        for batch in recipe.batches:
            emb_PD, query_emb_QD = recipe.encode(texts, batch), recipe.encode(queries, 1)
            rows_QK = top_k(query_emb_QD, emb_PD, k=10, starts_N=embedded.corpus.starts_N, excluded=excluded).rows_QK
            full_emb_PD = emb_PD if full_emb_PD is None else full_emb_PD
            full_rows = rows_QK if full_rows is None else full_rows
            shared = [
                len({*ours} & {*theirs}) / len({*theirs}) for ours, theirs in zip(rows_QK, full_rows, strict=True)
            ]
            found.append(
                {
                    "recipe": recipe.name,
                    "batch": batch,
                    "cosine": float(np.einsum("pd,pd->p", emb_PD, full_emb_PD).mean()),
                    "overlap": float(np.mean(shared)),
                    "ndcg": float(score([MEASURE], rows_QK, judged.qrels)[MEASURE].mean()),
                }
            )
            print(json.dumps(found[-1]), flush=True)
    sides = [(recipe, batch) for recipe in recipes for batch in recipe.batches]
    for row, speed in zip(found, speeds(sides, some, queries[:NUM_QUERIES], runs=arguments.runs), strict=True):
        row |= speed
    workspace.close()
    return {"rows": found, "threads": arguments.threads, "num_queries": len(queries), "num_documents": len(texts)}


def speeds(
    sides: Sequence[tuple[Recipe, int]], texts: Sequence[str], queries: Sequence[str], *, runs: int
) -> list[dict[str, float]]:
    """Documents a second and the milliseconds of one query, each beside the first side's, alternating."""
    documents_s: list[list[float]] = [[] for _ in sides]
    query_s: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for place, (recipe, batch) in enumerate(sides):
            began = time.perf_counter()
            recipe.encode(texts, batch)
            documents_s[place].append(time.perf_counter() - began)
        for query in queries:
            for place, (recipe, _) in enumerate(sides):
                began = time.perf_counter()
                recipe.encode([query], 1)
                query_s[place].append(time.perf_counter() - began)
    return [
        {
            "documents_s": len(texts) / min(own),
            "ratio": min(documents_s[0]) / min(own),
            "query_ms": 1000 * median(asked),
            "query_ratio": median(query_s[0]) / median(asked),
        }
        for own, asked in zip(documents_s, query_s, strict=True)
    ]


def recipes_of(encoder: Encoder, folder: Path, calibration: Sequence[str]) -> list[Recipe]:
    """SentenceTransformer.encode first, then all others."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, prepared, fused = folder / "plain.onnx", folder / "prepared.onnx", folder / "fused.onnx"
    export_graph(encoder, plain)
    quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
    _fuse(encoder, fused)
    made = {"onnxruntime float32": plain, "onnxruntime float32, fused": fused}
    matrices = ["MatMul", "Attention", "Gemm"]
    dynamic: dict[str, tuple[Path, dict[str, Any]]] = {
        "dynamic s8": (prepared, {"weight_type": QuantType.QInt8}),
        "dynamic u8": (prepared, {"weight_type": QuantType.QUInt8}),
        "dynamic s8, 7 bits": (prepared, {"weight_type": QuantType.QInt8, "reduce_range": True}),
        "dynamic s8, channels": (prepared, {"weight_type": QuantType.QInt8, "per_channel": True}),
        "dynamic u8, channels": (prepared, {"weight_type": QuantType.QUInt8, "per_channel": True}),
        "dynamic s8, channels, 7 bits": (
            prepared,
            {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True},
        ),
        "dynamic s8, channels, 7 bits, matrices alone": (
            prepared,
            {
                "weight_type": QuantType.QInt8,
                "per_channel": True,
                "reduce_range": True,
                "op_types_to_quantize": matrices,
            },
        ),
        "dynamic s8, channels, 7 bits, fused": (
            fused,
            {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True},
        ),
    }
    for name, (source, options) in dynamic.items():
        made[name] = folder / f"{name.replace(' ', '-').replace(',', '')}.onnx"
        extra_options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(str(source), str(made[name]), extra_options=extra_options, **options)
    for channels in (False, True):
        name = "static QDQ" + (", channels, 7 bits" if channels else "")
        made[name] = folder / f"static-{channels}.onnx"
        quantize_static(
            str(prepared),
            str(made[name]),
            _Calibration(encoder, calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=channels,
            reduce_range=channels,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
    model = encoder.model
    quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    return [
        Recipe(name="SentenceTransformer.encode", encode=_by_torch(model), batches=(32,)),
        Recipe(name="torch dynamic int8", encode=_by_torch(quantised), batches=(32,)),
        *(
            Recipe(name=name, encode=_by_onnx(encoder, path), batches=(1, 8) if name in _IN_BATCHES else (1,))
            for name, path in made.items()
        ),
    ]


def _fuse(encoder: Encoder, path: Path) -> None:
    """The graph with attention, layer norms and activations as one operator each, as a BERT has them."""
    config = encoder.model[0].auto_model.config
    attention, plain = config._attn_implementation, path.with_suffix(".plain.onnx")
    encoder.model[0].auto_model.set_attn_implementation("eager")
    export_graph(encoder, plain)
    encoder.model[0].auto_model.set_attn_implementation(attention)
    sizes = {"num_heads": config.num_attention_heads, "hidden_size": config.hidden_size}
    fused = optimize_model(str(plain), "bert", **sizes, optimization_options=FusionOptions("bert"), opt_level=0)
    fused.save_model_to_file(str(path))


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """The inputs of some documents, one a step."""

    def __init__(self, encoder: Encoder, texts: Sequence[str]) -> None:
        self._rest = iter([_inputs(encoder, [text]) for text in texts])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._rest, None)


def _inputs(encoder: Encoder, texts: list[str]) -> dict[str, Any]:
    features = encoder.model.preprocess(texts)
    return {name: value.numpy() for name, value in features.items() if isinstance(value, torch.Tensor)}


def _by_torch(model: SentenceTransformer) -> Encode:
    def encode(texts: Sequence[str], batch: int) -> Floats32:
        found = model.encode(list(texts), batch_size=batch, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, np.float32)

    return encode


def _by_onnx(encoder: Encoder, path: Path) -> Encode:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def encode(texts: Sequence[str], batch: int) -> Floats32:
        emb_ND = np.empty((len(texts), encoder.dimension), np.float32)
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            inputs = _inputs(encoder, [texts[row] for row in rows])
            emb_ND[rows] = session.run(None, {name: inputs[name] for name in names})[0]
        return emb_ND

    return encode


if __name__ == "__main__":
    main()
