"""How fast training is on the device at hand, and what share of its arithmetic that is: a GPU, or else the CPU.

    python benchmarks/device.py --work FOLDER [--pairs N] [--batch-size N] [--precision P] [--runs N]
        [--sizes SIZE ...]

SIZE is minilm (6 layers of 384) or bert-base (12 of 768); both by default, with random weights, for speed alone is
measured. Pairs are functions of this machine's Python standard library, a first sentence and its source, cut at 128
tokens. Our trainer and that of sentence-transformers train on the same pairs in the same batches and precision, in
turns, after a run that is not counted; the least time of each side counts.

The share is that of model arithmetic, 6 N + 12 L D T operations a token (Chowdhery et al., PaLM, arXiv 2204.02311,
appendix B; N weights in the layers, L layers, D wide, T tokens in the text) for real tokens only, so that padding is
waste, in what the device does at best: the fastest product of two square matrices in this run, or --peak in TFLOP/s.
"where" is the time on the device of the operators of ours, and what is left, in which it waits. It leaves
FOLDER/device.json and prints it.
"""

import argparse
import datetime
import json
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from nearer.core.sections import TrainRecipe
from nearer.encode.encoder import Encoder
from nearer.flows.demo.corpus import stdlib_functions
from nearer.learn.precision import matmul_precision, multiplying
from speed import SEED, train_ours
from stock import fit_stock

SIZES: dict[str, dict[str, int]] = {
    "minilm": {"num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536},
    "bert-base": {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
}
MAX_LENGTH = 128
TYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
STOCK = {"float32": {}, "tf32": {"tf32": True}, "bfloat16": {"bf16": True}, "float16": {"fp16": True}}
"""What the stock trainer calls a precision."""
Pairs = Sequence[tuple[str, str]]


def main() -> None:
    """Measure every size and print what was found."""
    arguments = parse_arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pairs = [(each.sentence, each.source) for each in islice(stdlib_functions(), arguments.pairs)]
    peak = arguments.peak * 1e12 if arguments.peak else best_product(device, arguments.precision)
    result = {
        "date": datetime.date.today().isoformat(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()}, CPU",
        "torch": torch.__version__,
        "seed": SEED,
        "precision": arguments.precision,
        "num_pairs": len(pairs),
        "batch_size": arguments.batch_size,
        "peak_tflops": round(peak / 1e12, 2),
        "peak_is": "given" if arguments.peak else "measured",
        "sizes": {size: measured(size, pairs, device, peak, arguments) for size in arguments.sizes},
    }
    (arguments.work / "device.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--pairs", type=int, default=4096)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", choices=TYPES, default="bfloat16")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peak", type=float, help="TFLOP/s that the maker states, instead of a measured product")
    return parser.parse_args()


def measured(
    size: str, pairs: Pairs, device: torch.device, peak: float, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Both sides in turns, then where our time goes."""
    sides = {"ours": partial(ours, pairs, arguments), "stock": partial(stock, pairs, arguments)}
    for run in sides.values():
        run(model_of(size, arguments.work, device))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    memory: dict[str, int] = {}
    for _ in range(arguments.runs):
        for name, run in sides.items():
            took, memory[name] = timed(run, model_of(size, arguments.work, device), device)
            seconds[name].append(took)
    useful = operations(size, pairs, arguments.work)
    least = {name: min(found) for name, found in seconds.items()}
    return {
        "speedup": round(least["stock"] / least["ours"], 2),
        **{
            name: {
                "pairs_per_s": round(len(pairs) / took, 1),
                "share_of_peak": round(useful / took / peak, 4),
                "runs_s": [round(each, 3) for each in seconds[name]],
                "peak_bytes": memory[name] or None,
            }
            for name, took in least.items()
        },
        "where": where(sides["ours"], model_of(size, arguments.work, device), device),
    }


def model_of(size: str, work: Path, device: torch.device) -> Any:
    """A fresh model of random weights, the same each time, with the tokens of the default base."""
    from sentence_transformers import SentenceTransformer, models

    folder = work / f"model-{size}"
    if not folder.exists():
        torch.manual_seed(SEED)
        tokenizer = Encoder.load("all-MiniLM-L6-v2", max_seq_length=MAX_LENGTH).model.tokenizer
        BertModel(BertConfig(vocab_size=len(tokenizer), **SIZES[size])).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    body = models.Transformer(str(folder))
    pooling = models.Pooling(body.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[body, pooling, models.Normalize()], device=str(device))
    model.max_seq_length = MAX_LENGTH
    return model


def ours(pairs: Pairs, arguments: argparse.Namespace, model: Any) -> None:
    """An epoch of our trainer."""
    options = {"epochs": 1, "batch_size": arguments.batch_size, "precision": arguments.precision}
    train_ours(model, pairs, {**options, "dropout": "model"})


def stock(pairs: Pairs, arguments: argparse.Namespace, model: Any) -> None:
    """An epoch of the trainer of sentence-transformers."""
    rows = {"anchor": [pair[0] for pair in pairs], "positive": [pair[1] for pair in pairs]}
    others = {"per_device_train_batch_size": arguments.batch_size, **STOCK[arguments.precision]}
    fit_stock(model, rows, rate=TrainRecipe().learning_rate, epochs=1, seed=SEED, **others)


def timed(run: Callable[[Any], None], model: Any, device: torch.device) -> tuple[float, int]:
    """Seconds of a training, and the most memory of the device that it had; 0 on a CPU, where nobody counts."""
    synchronise(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    run(model)
    synchronise(device)
    return time.perf_counter() - began, torch.cuda.max_memory_allocated() if device.type == "cuda" else 0


def synchronise(device: torch.device) -> None:
    """Wait for all that the device has been asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def operations(size: str, pairs: Pairs, work: Path) -> float:
    """Floating-point operations that an epoch on these pairs needs, forward and backward."""
    layers, wide, inner = (SIZES[size][key] for key in ("num_hidden_layers", "hidden_size", "intermediate_size"))
    weights = layers * (4 * wide * wide + 2 * wide * inner)
    tokenizer = AutoTokenizer.from_pretrained(work / f"model-{size}")
    texts = [text for pair in pairs for text in pair]
    lengths = [len(each) for each in tokenizer(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]]
    return float(sum(length * (6 * weights + 12 * layers * wide * length) for length in lengths))


def best_product(device: torch.device, precision: str) -> float:
    """Operations a second of the fastest product of two square matrices in this precision."""
    best, dtype = 0.0, TYPES[precision]
    with multiplying(matmul_precision(precision)):
        for size in (2048, 4096, 8192) if device.type == "cuda" else (512, 1024):
            left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
            for _ in range(5):
                synchronise(device)
                began = time.perf_counter()
                left @ right
                synchronise(device)
                best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def where(run: Callable[[Any], None], model: Any, device: torch.device) -> dict[str, Any]:
    """Shares of one more training, which the profiler makes slower: the ten operators that took most, and waiting."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        took, _ = timed(run, model, device)
    own = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    operators = [each for each in profiler.key_averages() if each.device_type == torch.autograd.DeviceType.CPU]
    microseconds = {each.key: float(getattr(each, own)) for each in operators}
    total = sum(microseconds.values())
    most = sorted(microseconds.items(), key=lambda each: -each[1])[:10]
    waits = max(0.0, 1 - total / 1e6 / took) if device.type == "cuda" else None
    return {
        "operators": {name: round(each / max(total, 1e-9), 3) for name, each in most},
        "share_waiting": None if waits is None else round(waits, 3),
    }


if __name__ == "__main__":
    main()
