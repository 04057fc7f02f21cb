"""The sets that benchmarks measure on: subsets of BEIR folders and of the demo, each in a workspace; and stored cells.

A subset is drawn by a hash of ids: the chosen queries of every split first, then every document judged for one of them,
then others. The demo's are functions of this machine's Python standard library, whole modules held out; "filter" has
every function in three editions of the same words, and a query that knows its edition. "graded" is made of whole
diseases of medquad, with grades derived from its structure: the answer itself 4, others about the same disease 1.
"""

import argparse
import datetime
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nearer
from nearer.core.errors import NearerError
from nearer.core.results.base import Result
from nearer.flows.demo.corpus import stdlib_functions
from nearer.flows.demo.rows import GROUP, DemoSize, choose, held_out
from nearer.printing.progress import ConsoleProgress

EDITIONS = ("north", "south", "west")
GROUPS = {"medquad": "label_focus", "graded": "label_focus", "demo": GROUP, "filter": GROUP}
"""Query fields whose groups are resampled, and dealt into folds, whole."""


def add_size_arguments(parser: argparse.ArgumentParser, **defaults: int | None) -> None:
    """What says how large a subset is, and how it is encoded."""
    parser.add_argument("--work", type=Path, required=True, help="where cells and workspaces are kept")
    parser.add_argument("--data", type=Path, help="the folder of the BEIR folders")
    parser.add_argument("--documents", type=int, default=defaults["documents"])
    parser.add_argument("--train", type=int, default=defaults["train"], help="training queries")
    parser.add_argument("--dev", type=int, default=200, help="dev queries")
    parser.add_argument("--test", type=int, default=defaults["test"], help="queries of every test split")
    parser.add_argument("--max-length", type=int, default=128, help="tokens; documents are truncated, not chunked")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")


def cell(
    path: Path, run: Callable[[], Result | dict[str, Any]], of: dict[str, Any] | None = None, *, renews: bool = False
) -> dict[str, Any]:
    """The stored result of a cell, or run it and store what it gave.

    ``of`` says what it is the result of. That of something else is run again where it ``renews``, else refused.
    """
    if path.exists():
        stored = dict(json.loads(path.read_text(encoding="utf-8")))
        if stored.get("of") == of:
            return stored
        if not renews:
            raise SystemExit(f"{path} is of {stored.get('of')}, and {of} was asked for: name another --work")
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    made = run()
    result = {
        **(made.to_dict() if isinstance(made, Result) else made),
        "of": of,
        "cell_s": round(time.monotonic() - began, 1),
        "date": datetime.date.today().isoformat(),
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result), encoding="utf-8")
    os.replace(temporary, path)
    return result


def open_workspace(name: str, work: Path, arguments: argparse.Namespace, *overrides: str) -> nearer.Workspace:
    """The set's workspace below ``work``, filled."""
    group = GROUPS.get(name)
    overrides = (
        f"encoder.max_seq_length={arguments.max_length}",
        "chunk.enabled=false",
        *((f"evaluate.group_field={group}",) if group else ()),
        *(('search.query_time_fields=["edition"]',) if name == "filter" else ()),
        *overrides,
        *arguments.set,
    )
    folder = work / "workspace"
    try:
        workspace = nearer.Workspace.open(folder, overrides=overrides)
    except NearerError:
        nearer.Workspace.init(folder, recipe=_recipe_of(name)).close()
        workspace = nearer.Workspace.open(folder, overrides=overrides)
    sizes = {key: getattr(arguments, key) for key in ("documents", "train", "dev", "test", "max_length")}
    cell(work / "import.json", lambda: _fill(workspace, name, work, arguments), {"set": name, **sizes})
    return workspace


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file of these lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _recipe_of(name: str) -> dict[str, object]:
    """What a set needs before it is imported: how the functions of the demo are divided."""
    if name not in ("demo", "filter"):
        return {}
    sides = held_out()
    return {"split": {"by": "group", "field": GROUP, "dev_groups": sides["dev"], "test_groups": sides["test"]}}


def _fill(workspace: nearer.Workspace, name: str, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Import the subset and set leaking queries aside."""
    if name in ("demo", "filter"):
        for kind, rows in _demo_rows(arguments, in_editions=name == "filter").items():
            write_lines(work / f"{kind}.jsonl", (json.dumps(row) for row in rows))
            nearer.add(workspace, kind, work / f"{kind}.jsonl", progress=ConsoleProgress())
    else:
        write = _write_graded if name == "graded" else write_subset
        write(arguments.data / ("medquad" if name == "graded" else name), work / "subset", arguments)
        nearer.add(workspace, "beir", work / "subset", progress=ConsoleProgress())
    checked = nearer.check(workspace, drop=True, progress=ConsoleProgress())
    return {key: checked[key] for key in ("counts", "splits", "num_dropped", "num_truncated", "num_passages")}


def _demo_rows(arguments: argparse.Namespace, *, in_editions: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows of functions of the standard library, in one edition or in three of the same words."""
    sides = held_out()
    side_of = {module: side for side, modules in sides.items() for module in modules}
    num_queries = {"train": arguments.train, "dev": arguments.dev, "test": arguments.test}
    most = arguments.documents // (len(EDITIONS) if in_editions else 1)
    size = DemoSize(num_documents=most, num_queries=num_queries, max_seq_length=arguments.max_length, train={})
    rows = choose(list(stdlib_functions()), size, side_of=lambda module: side_of.get(module, "train"))
    if not in_editions:
        return {kind: rows[kind] for kind in ("corpus", "queries", "judgments")}
    edition_of = {row["_id"]: EDITIONS[place % len(EDITIONS)] for place, row in enumerate(rows["queries"])}
    return {
        "corpus": [
            {**row, "_id": f"{row['_id']}-{edition}", "metadata": {"edition": edition}}
            for row in rows["corpus"]
            for edition in EDITIONS
        ],
        "queries": [
            {**row, "metadata": {**row["metadata"], "edition": edition_of[row["_id"]]}} for row in rows["queries"]
        ],
        "judgments": [{**row, "doc_id": f"{row['doc_id']}-{edition_of[row['query_id']]}"} for row in rows["judgments"]],
    }


def write_subset(source: Path, target: Path, arguments: argparse.Namespace) -> None:
    """A BEIR folder with the chosen queries and documents of another."""
    (target / "qrels").mkdir(parents=True, exist_ok=True)
    kept_documents: set[str] = set()
    kept_queries: set[str] = set()
    for qrels in sorted((source / "qrels").glob("*.tsv")):
        rows = [line.split("\t") for line in qrels.read_text(encoding="utf-8").splitlines()]
        header = rows.pop(0) if not rows[0][2].lstrip("-").isdigit() else ["query-id", "corpus-id", "score"]
        dev_names = dict.fromkeys(("dev", "val", "validation"), arguments.dev)
        limit = {"train": arguments.train, **dev_names}.get(qrels.stem, arguments.test)
        chosen = set(_by_hash({row[0] for row in rows})[:limit])
        rows = [row for row in rows if row[0] in chosen]
        kept_queries |= chosen
        kept_documents |= {row[1] for row in rows}
        write_lines(target / "qrels" / qrels.name, ("\t".join(row) for row in [header, *rows]))
    corpus, queries = read_rows(source / "corpus.jsonl"), read_rows(source / "queries.jsonl")
    _write_kept(target, corpus, queries, kept_documents, kept_queries, most=arguments.documents)


def _write_graded(source: Path, target: Path, arguments: argparse.Namespace) -> None:
    """Questions about diseases with several answers, each with the grade of every answer about its disease."""
    (target / "qrels").mkdir(parents=True, exist_ok=True)
    corpus, queries = read_rows(source / "corpus.jsonl"), read_rows(source / "queries.jsonl")
    about: dict[str, list[str]] = {}
    for doc_id, row in corpus.items():
        about.setdefault(json.loads(row)["metadata"]["focus"].casefold(), []).append(doc_id)
    disease_of = {key: json.loads(row)["metadata"]["label_focus"].casefold() for key, row in queries.items()}
    kept_documents: set[str] = set()
    kept_queries: set[str] = set()
    for split, number in (("train", arguments.train), ("dev", arguments.dev), ("test", arguments.test)):
        answers: dict[str, set[str]] = {}
        for line in (source / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            query_id, doc_id, _ = line.split("\t")
            if len(about.get(disease_of[query_id], ())) > 1:
                answers.setdefault(query_id, set()).add(doc_id)
        lines = ["query-id\tcorpus-id\tscore"]
        for query_id in _by_hash(answers)[:number]:
            right, others = answers[query_id], about[disease_of[query_id]]
            lines += [f"{query_id}\t{doc_id}\t4" for doc_id in sorted(right)]
            lines += [f"{query_id}\t{doc_id}\t1" for doc_id in others if doc_id not in right]
            kept_queries.add(query_id)
            kept_documents |= right.union(others)
        write_lines(target / "qrels" / f"{split}.tsv", lines)
    _write_kept(target, corpus, queries, kept_documents, kept_queries, most=arguments.documents)


def _write_kept(
    target: Path,
    corpus: dict[str, str],
    queries: dict[str, str],
    kept_documents: set[str],
    kept_queries: set[str],
    *,
    most: int,
) -> None:
    """Write these queries, and these documents with as many others as make ``most``."""
    others = [doc_id for doc_id in _by_hash(corpus) if doc_id not in kept_documents]
    kept = kept_documents.union(others[: max(0, most - len(kept_documents))])
    write_lines(target / "corpus.jsonl", (row for key, row in corpus.items() if key in kept))
    write_lines(target / "queries.jsonl", (row for key, row in queries.items() if key in kept_queries))


def read_rows(path: Path) -> dict[str, str]:
    """The lines of a JSONL file, by id."""
    with path.open(encoding="utf-8") as file:
        return {json.loads(line)["_id"]: line.rstrip("\n") for line in file}


def _by_hash(ids: Iterable[str]) -> list[str]:
    """Ids in the order of their hashes."""
    return sorted(ids, key=lambda key: hashlib.sha256(key.encode()).digest())
