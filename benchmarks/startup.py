"""Seconds and seconds of CPU that `nearer status` and `nearer search` take, from start to end of their process.

    python benchmarks/startup.py

1,000 documents of made-up words, the default model, the exact index; the best of several runs of each. Modules are
compiled before, as pip does when it installs them.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMANDS = {"version": ["--version"], "status": ["status"], "search": ["search", "rotate a log file"]}


def nearer(folder: Path, *arguments: str) -> None:
    """Run one command in a workspace; what it compiles is kept beside that."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "nearer", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)


def make_workspace(folder: Path, *, num_documents: int, seed: int) -> None:
    """A workspace with the base live."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("bdfgklmnprst", k=2)) + rng.choice("aeiou") + rng.choice("nrst") for _ in range(3000)]
    data = folder / "data"
    (data / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(num_documents)]
    rows = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(texts)]
    queries = [
        json.dumps({"_id": f"q{row}", "text": " ".join(text.split()[:4])}) for row, text in enumerate(texts[:20])
    ]
    judgments = ["query-id\tcorpus-id\tscore", *(f"q{row}\td{row}\t1" for row in range(20))]
    (data / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    (data / "queries.jsonl").write_text("\n".join(queries) + "\n")
    (data / "qrels" / "test.tsv").write_text("\n".join(judgments) + "\n")
    nearer(folder, "init", ".")
    nearer(folder, "add", "beir", "data")
    nearer(folder, "promote", "base")


def measure(folder: Path, arguments: list[str], *, repeats: int) -> dict[str, float]:
    """The least seconds and seconds of CPU of several runs, after one that compiles."""
    nearer(folder, *arguments)
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        nearer(folder, *arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"seconds": round(min(seconds), 2), "cpu_seconds": round(min(cpu_seconds), 2)}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-documents", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_workspace(folder, num_documents=arguments.num_documents, seed=arguments.seed)
        result: dict[str, Any] = {"num_documents": arguments.num_documents, "cores": os.cpu_count()}
        for command, given in COMMANDS.items():
            result[command] = measure(folder, given, repeats=arguments.repeats)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
