"""Seconds and seconds of CPU that `nearer status` and `nearer search` take, from start to end of their process.

    python benchmarks/startup.py

1,000 documents of made-up words, the default model, the exact index; the best of several runs of each. Modules are
compiled before, as pip does when it installs them. ``--before SRC`` names the src folder of another version, which is
measured in turns with this one; its workspace is its own.
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

SOURCE = Path(__file__).resolve().parents[1] / "src"
COMMANDS = {"version": ["--version"], "status": ["status"], "search": ["search", "rotate a log file"]}


def nearer(folder: Path, *arguments: str, source: Path = SOURCE) -> None:
    """Run one command of a version in a workspace; what it compiles is kept beside that."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONPATH": str(source)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "nearer", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)


def make_workspace(folder: Path, *, num_documents: int, seed: int, source: Path) -> None:
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
    nearer(folder, "init", ".", source=source)
    nearer(folder, "add", "beir", "data", source=source)
    nearer(folder, "promote", "base", source=source)


def measure(folders: dict[Path, Path], arguments: list[str], *, repeats: int) -> list[dict[str, float]]:
    """The least seconds and seconds of CPU of several runs, after one that compiles, of each version in its folder."""
    found: dict[Path, list[tuple[float, float]]] = {source: [] for source in folders}
    for source, folder in folders.items():
        nearer(folder, *arguments, source=source)
    for _ in range(repeats):
        for source, folder in folders.items():
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            nearer(folder, *arguments, source=source)
            seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            found[source].append((seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return [
        {"seconds": round(min(wall), 2), "cpu_seconds": round(min(cpu), 2)}
        for wall, cpu in (zip(*runs, strict=True) for runs in found.values())
    ]


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-documents", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    sources = [SOURCE, *([given.before.resolve()] if given.before else [])]
    with tempfile.TemporaryDirectory() as name:
        folders = {source: Path(name) / str(number) for number, source in enumerate(sources)}
        for source, folder in folders.items():
            make_workspace(folder, num_documents=given.num_documents, seed=given.seed, source=source)
        result: dict[str, Any] = {"num_documents": given.num_documents, "cores": os.cpu_count()}
        for command, arguments in COMMANDS.items():
            now, *before = measure(folders, arguments, repeats=given.repeats)
            result[command] = now
            for each in before:
                result[command]["before"] = each
                result[command]["ratio"] = round(each["seconds"] / now["seconds"], 2)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
