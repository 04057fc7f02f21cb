"""The first hour of somebody new: each command's seconds, from two files of rows to a trained model that answers.

    python benchmarks/first_hour.py SET --data DIR --work DIR [--documents N --queries N --budget 5m]

The files are as people have them: a CSV with semicolons, a byte order mark and an empty last column, grades such as
1.0. ``banking77``: messages to a bank as rows of an FAQ, judged by intent. ``nl2bash``: commands, judged for their
descriptions. ``medquad``, ``pubmedqa``: answers and abstracts. Queries are drawn by hash of those of the train split;
judged documents come first. With ``--queries 30`` it is the hour of somebody who has judged a few.
"""

import argparse
import csv
import datetime
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SETS = ("banking77", "nl2bash", "medquad", "pubmedqa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """A command, what it took, how it ended and the line that says most."""

    command: str
    seconds: float
    cpu_seconds: float
    exit_code: int
    said: str


def main() -> None:
    """Print a table of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the BEIR folders")
    parser.add_argument("--work", type=Path, required=True, help="where files, workspace and outputs are kept")
    parser.add_argument("--documents", type=int, default=1773)
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--budget", default="5m")
    parser.add_argument(
        "--only", default="", help="the commands that begin so, with commas between; the workspace stays"
    )
    arguments = parser.parse_args()
    folder = (arguments.work / f"{arguments.set}-{arguments.documents}-{arguments.queries}").resolve()
    if not arguments.only:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    asked = write_files(arguments.data / arguments.set, folder, arguments.documents, arguments.queries)
    print(
        f"{arguments.set}: {arguments.documents:,} documents, {arguments.queries:,} queries at most, drawn by hash; "
        f"{os.cpu_count()} cores ({platform.machine()}), {datetime.date.today().isoformat()}\n\n"
        "| command | seconds | CPU-seconds | exit | load | it says |\n| --- | --- | --- | --- | --- | --- |"
    )
    wanted = tuple(filter(None, arguments.only.split(",")))
    for command in commands(asked, arguments.budget):
        if wanted and not " ".join(command).startswith(wanted):
            continue
        load = os.getloadavg()[0]
        took = run(command, folder)
        print(
            f"| `nearer {took.command}` | {took.seconds:.1f} | {took.cpu_seconds:.1f} | {took.exit_code} "
            f"| {load:.1f} | {took.said} |",
            flush=True,
        )


def commands(asked: str, budget: str) -> list[list[str]]:
    """What is done, in order."""
    return [
        ["init", "."],
        ["add", "corpus", "faq.csv"],
        ["promote", "base"],
        ["search", asked],
        ["evaluate"],
        ["add", "queries", "queries.jsonl"],
        ["add", "judgments", "judgments.csv"],
        ["check"],
        ["evaluate", "base", "bm25"],
        ["diagnose", "base"],
        ["advise"],
        ["train", "--budget", budget],
        ["evaluate"],
        ["promote"],
        ["search", asked],
        ["report"],
    ]


def run(command: Sequence[str], folder: Path) -> Took:
    """One command as a process of its own, its output kept."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    made = subprocess.run(
        [sys.executable, "-m", "nearer", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (folder / "outputs.txt").open("a", encoding="utf-8") as log:
        log.write(f"$ nearer {' '.join(command)}\n{made.stdout}{made.stderr}\n")
    lines = [each for each in (made.stdout if made.returncode in (0, 3) else made.stderr).splitlines() if each.strip()]
    return Took(
        command=" ".join(command)[:60],
        seconds=seconds,
        cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        exit_code=made.returncode,
        said=(lines[0] if lines else "").replace("|", "\\|")[:110],
    )


def write_files(data: Path, folder: Path, num_documents: int, num_queries: int) -> str:
    """Write the files; a query that is asked."""
    corpus, queries = rows(data / "corpus.jsonl"), rows(data / "queries.jsonl")
    lines = (data / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    answers: dict[str, dict[str, str]] = {}
    for query_id, doc_id, grade in (line.split("\t") for line in lines):
        answers.setdefault(query_id, {})[doc_id] = grade
    chosen = by_hash(answers)[:num_queries]
    judged = dict.fromkeys(doc_id for query_id in chosen for doc_id in by_hash(answers[query_id]))
    kept = set([*judged, *(each for each in by_hash(corpus) if each not in judged)][:num_documents])
    with (folder / "faq.csv").open("w", encoding="utf-8-sig", newline="") as file:
        written = csv.writer(file, delimiter=";")
        written.writerow(["doc_id", "title", "text", ""])
        written.writerows([each, corpus[each].get("title", ""), corpus[each]["text"], ""] for each in sorted(kept))
    known = [each for each in chosen if kept & answers[each].keys()]
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"_id": each, "text": queries[each]["text"]}) + "\n" for each in known)
    with (folder / "judgments.csv").open("w", encoding="utf-8-sig", newline="") as file:
        written = csv.writer(file)
        written.writerow(["query_id", "doc_id", "grade"])
        for query_id in known:
            written.writerows(
                [query_id, doc_id, f"{float(grade):.1f}"]
                for doc_id, grade in sorted(answers[query_id].items())
                if doc_id in kept
            )
    return str(queries[known[0]]["text"])


def rows(path: Path) -> dict[str, dict]:
    """The rows of a JSONL file, by id."""
    with path.open(encoding="utf-8") as lines:
        return {row["_id"]: row for row in map(json.loads, lines)}


def by_hash(ids: Iterable[str]) -> list[str]:
    """Ids in the order of their hashes."""
    return sorted(ids, key=lambda key: hashlib.sha256(key.encode()).digest())


if __name__ == "__main__":
    main()
