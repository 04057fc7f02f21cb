"""Base, pass 1 and pass 2 on any BEIR folder, cell by cell; a finished cell is not run again.

    python benchmarks/quality.py DIR --work FOLDER [--documents N] [--train N] [--test N] [--group-field F] [--set K=V]

Each cell (the base model, one pass of training, a second pass with mined negatives) leaves FOLDER/NAME.json.
The subset is drawn by a hash of ids: test, dev and training queries first, then every document judged for one of
them, then others up to --documents. Give the same arguments to go on after an interruption.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nearer
from nearer.cli import Watch
from nearer.core.errors import NearerError

METRICS = ("nDCG@10", "Recall@1", "Recall@10", "Recall@50", "Precision@10", "MRR@10", "MAP")


def main() -> None:
    """Run the cells that are missing and print the table."""
    arguments = parse_arguments()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    refuse_other_arguments(arguments)
    workspace = open_workspace(arguments)
    pass1 = cell(work / "pass-1.json", lambda: train(workspace, "base"))
    if not pass1["improved"]:
        raise SystemExit("pass 1 was no better than the base on dev, so there is no pass 2 to measure")
    pass2 = cell(work / "pass-2.json", lambda: train(workspace, pass1["model_id"]))
    systems = ["base", pass1["model_id"], pass2["model_id"]]
    for split in splits_to_judge(workspace):
        measured = cell(
            work / f"evaluate-{split}.json",
            lambda split=split: nearer.evaluate(workspace, systems, split=split, progress=Watch(), purpose="benchmark"),
        )
        print(table(arguments, measured, pass1, pass2))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder in BEIR layout")
    parser.add_argument("--work", type=Path, required=True, help="where cells and the workspace are kept")
    parser.add_argument("--documents", type=int, default=None)
    parser.add_argument("--train", type=int, default=None, help="training queries")
    parser.add_argument("--dev", type=int, default=200, help="dev queries")
    parser.add_argument("--test", type=int, default=None, help="queries of every test split")
    parser.add_argument("--max-length", type=int, default=128, help="tokens; documents are truncated, not chunked")
    parser.add_argument("--group-field", default=None, help="resample whole groups of this query field")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    return parser.parse_args()


def refuse_other_arguments(arguments: argparse.Namespace) -> None:
    """Stop when the folder holds cells that were made with other arguments."""
    given = {key: str(value) for key, value in sorted(vars(arguments).items()) if key != "work"}
    stored = cell(arguments.work / "arguments.json", lambda: given)
    differing = [key for key, value in given.items() if stored[key] != value]
    if differing:
        raise SystemExit(f"{arguments.work} was made with another {', '.join(differing)}: choose another --work")


def cell(path: Path, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The stored result of a cell, or run it and store what it gave."""
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    began = time.monotonic()
    result = {**run(), "cell_s": round(time.monotonic() - began, 1), "date": datetime.date.today().isoformat()}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result), encoding="utf-8")
    os.replace(temporary, path)
    return result


def open_workspace(arguments: argparse.Namespace) -> nearer.Workspace:
    """The benchmark's workspace, with the subset imported and its leaks set aside."""
    overrides = (
        f"encoder.max_seq_length={arguments.max_length}",
        "chunk.enabled=false",
        "train.passes=1",
        f"train.seed={arguments.seed}",
        *((f"evaluate.group_field={arguments.group_field}",) if arguments.group_field else ()),
        *arguments.set,
    )
    folder = arguments.work / "workspace"
    try:
        workspace = nearer.Workspace.open(folder, overrides=overrides)
    except NearerError:
        nearer.Workspace.init(folder).close()
        workspace = nearer.Workspace.open(folder, overrides=overrides)
    cell(arguments.work / "import.json", lambda: fill(workspace, arguments))
    return workspace


def fill(workspace: nearer.Workspace, arguments: argparse.Namespace) -> dict[str, Any]:
    """Import the subset and set leaking training queries aside."""
    subset = arguments.work / "subset"
    write_subset(arguments, subset)
    nearer.add(workspace, "beir", subset, progress=Watch())
    checked = nearer.check(workspace, drop=True, progress=Watch())
    return {key: checked[key] for key in ("counts", "splits", "num_dropped", "num_truncated", "num_passages")}


def write_subset(arguments: argparse.Namespace, target: Path) -> None:
    """A BEIR folder with the chosen queries and documents."""
    (target / "qrels").mkdir(parents=True, exist_ok=True)
    kept_documents: set[str] = set()
    kept_queries: set[str] = set()
    for qrels in sorted((arguments.data / "qrels").glob("*.tsv")):
        rows = [line.split("\t") for line in qrels.read_text(encoding="utf-8").splitlines()]
        header = rows.pop(0) if not rows[0][2].lstrip("-").isdigit() else ["query-id", "corpus-id", "score"]
        dev_names = dict.fromkeys(("dev", "val", "validation"), arguments.dev)
        limit = {"train": arguments.train, **dev_names}.get(qrels.stem, arguments.test)
        chosen = set(by_hash({row[0] for row in rows})[:limit])
        rows = [row for row in rows if row[0] in chosen]
        kept_queries |= chosen
        kept_documents |= {row[1] for row in rows}
        write_lines(target / "qrels" / qrels.name, ("\t".join(row) for row in [header, *rows]))
    corpus = read_rows(arguments.data / "corpus.jsonl")
    others = [doc_id for doc_id in by_hash(corpus) if doc_id not in kept_documents]
    num_others = len(others) if arguments.documents is None else max(0, arguments.documents - len(kept_documents))
    kept_documents |= set(others[:num_others])
    queries = read_rows(arguments.data / "queries.jsonl")
    write_lines(target / "corpus.jsonl", (row for key, row in corpus.items() if key in kept_documents))
    write_lines(target / "queries.jsonl", (row for key, row in queries.items() if key in kept_queries))


def read_rows(path: Path) -> dict[str, str]:
    """The lines of a JSONL file, by id."""
    with path.open(encoding="utf-8") as file:
        return {json.loads(line)["_id"]: line.rstrip("\n") for line in file}


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file of these lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def by_hash(ids: Iterable[str]) -> list[str]:
    """Ids in the order of their hashes."""
    return sorted(ids, key=lambda key: hashlib.sha256(key.encode()).digest())


def train(workspace: nearer.Workspace, start: str) -> dict[str, Any]:
    """One pass."""
    return nearer.train(workspace, start, progress=Watch())


def splits_to_judge(workspace: nearer.Workspace) -> list[str]:
    """Every test split."""
    from nearer.store.collection import Collection

    return [split for split in Collection(workspace.database).splits() if split.startswith("test")]


def table(arguments: argparse.Namespace, measured: dict[str, Any], pass1: dict[str, Any], pass2: dict[str, Any]) -> str:
    """The result in Markdown, with what is needed to repeat it."""
    imported = json.loads((arguments.work / "import.json").read_text(encoding="utf-8"))
    names = ("base", "pass 1", "pass 2")
    lines = [
        f"### {arguments.data.name}, {measured['split']}",
        "",
        f"{imported['counts']['documents']} documents, {measured['num_queries']} {measured['split']} queries, "
        f"{pass1['num_pairs']} training pairs, {arguments.max_length} tokens "
        f"({imported['num_truncated'] / imported['num_passages']:.0%} of documents truncated), seed {arguments.seed}, "
        f"{imported['num_dropped']} leaking queries set aside, look {measured['ledger']['num_looks']}. "
        f"Training: {pass1['duration_s']:.0f} s and "
        f"{pass2['duration_s']:.0f} s, on {os.cpu_count()} cores ({platform.machine()}), {measured['date']}.",
        "",
        f"| | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for metric in METRICS:
        cells = [result["metrics"][metric] for result in measured["results"]]
        lines.append(
            f"| {metric} | " + " | ".join(f"{c['value']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells) + " |"
        )
    for comparison, name in zip(
        [c for c in measured["comparisons"] if c["metric"] == "nDCG@10"], names[1:], strict=True
    ):
        lines += [
            "",
            f"{name} - base, nDCG@10: {comparison['difference']:+.3f} "
            f"[{comparison['low']:+.3f}, {comparison['high']:+.3f}], p = {comparison['p_value']:.4f}; "
            f"{comparison['num_wins']} queries won, {comparison['num_losses']} lost, {comparison['num_ties']} tied",
        ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
