"""Where two guesses about encoders behind an API come from: when two probes are of one model, and how long a token is.

    python benchmarks/remote_encoders.py DIR

DIR is a folder in BEIR layout. The probe's cosines are those of all-MiniLM-L6-v2 with itself, changed a little; the
tokens are those of its tokenizer, over (at most) 2,000 documents drawn with seed 0.
"""

import argparse
import copy
import json
import platform
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearer.encode.api import PROBE, rough_spans
from nearer.encode.encoder import Encoder


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder in BEIR layout, with qrels/train.tsv")
    data: Path = parser.parse_args().data
    encoder = Encoder.load("all-MiniLM-L6-v2")
    print(f"{platform.machine()}, torch {torch.__version__}, {encoder.model.device}")
    texts = {kind: read(data / f"{kind}.jsonl") for kind in ("corpus", "queries")}
    tokens(encoder, list(texts["corpus"].values()))
    changes(encoder.model, read_pairs(data / "qrels" / "train.tsv", texts))


def tokens(encoder: Encoder, texts: list[str]) -> None:
    """Our pieces for each token of the model's."""
    drawn = random.Random(0).sample(texts, min(2000, len(texts)))
    ratio = sum(len(rough_spans(text)) for text in drawn) / sum(len(encoder.token_spans(text)) for text in drawn)
    print(f"pieces a token: {ratio:.2f}")


def changes(model: Any, pairs: list[tuple[str, str]]) -> None:
    """The probe's smallest cosine after each change."""
    original_PD = probe(model)

    def tell(name: str, changed: Any) -> None:
        print(f"{name}: {np.einsum('pd,pd->p', original_PD, probe(changed)).min():.6f}", flush=True)

    for precision in (torch.float16, torch.bfloat16):
        tell(str(precision), copy.deepcopy(model).to(precision))
    tell("int8", torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8))
    trained = copy.deepcopy(model)
    torch.manual_seed(0)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=6e-5)
    random.Random(0).shuffle(pairs)
    for step in range(1, 11):
        trained.train()
        queries, documents = zip(*pairs[32 * (step - 1) : 32 * step], strict=True)
        scores = 20 * encode(trained, queries) @ encode(trained, documents).T
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(scores, torch.arange(len(queries))).backward()
        optimiser.step()
        if step in (1, 3, 10):
            tell(f"{step} training steps", trained.eval())


def encode(model: Any, texts: Any) -> torch.Tensor:
    """Unit vectors that can be differentiated."""
    return torch.nn.functional.normalize(model(model.preprocess(list(texts)))["sentence_embedding"], dim=1)


def probe(model: Any) -> Any:
    """The probe's unit vectors."""
    vectors_PD = model.encode(list(PROBE), show_progress_bar=False, convert_to_numpy=False, convert_to_tensor=True)
    return torch.nn.functional.normalize(vectors_PD.float(), dim=1).cpu().numpy()


def read(path: Path) -> dict[str, str]:
    """Texts by id."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["_id"]: row["text"] for row in rows}


def read_pairs(path: Path, texts: dict[str, dict[str, str]]) -> list[tuple[str, str]]:
    """Relevant pairs of query and document."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [(texts["queries"][query], texts["corpus"][document]) for query, document, grade in rows if int(grade) > 0]


if __name__ == "__main__":
    main()
