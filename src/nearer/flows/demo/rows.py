"""The rows that the demo imports: which functions and first sentences, on which side, and how many."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypedDict

from nearer.flows.demo.corpus import StdlibFunction, text_id
from nearer.store.files import write_atomic
from nearer.store.workspace import Workspace

GROUP = "label_module"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSize:
    """How much of the standard library is used, and how it is trained; none means all."""

    num_documents: int | None
    num_queries: dict[str, int] | None
    max_seq_length: int
    train: dict[str, object]


QUICK = DemoSize(
    num_documents=3000,
    num_queries={"train": 1200, "dev": 150, "test": 400},
    max_seq_length=96,
    train={
        "freeze_embeddings": True,
        "max_seq_length": 64,
        "evals_per_pass": 1,
        "max_dev_queries": 150,
        "num_dev_distractors": 300,
    },
)
"""Fits in minutes on two CPU cores; chosen on the dev modules, see docs/results.md."""

FULL = DemoSize(
    num_documents=None,
    num_queries=None,
    max_seq_length=128,
    train={"freeze_embeddings": True, "max_seq_length": 96, "evals_per_pass": 2},
)


class DemoRows(TypedDict):
    """Documents, queries and judgments as rows for import, and how many sentences were left out."""

    num_excluded: int
    corpus: list[dict[str, object]]
    queries: list[dict[str, object]]
    judgments: list[dict[str, object]]


def choose(functions: Sequence[StdlibFunction], size: DemoSize, *, side_of: Callable[[str], str]) -> DemoRows:
    """Documents, queries and judgments as rows for import.

    A first sentence is one query, with every function that has it as a positive. Sentences of functions in several
    top-level modules are left out, since their answer would be on more than one side.
    """
    answers: dict[str, set[str]] = {}
    modules: dict[str, set[str]] = {}
    sources: dict[str, StdlibFunction] = {}
    for function in functions:
        doc_id = text_id("d", function.source)
        sources.setdefault(doc_id, function)
        answers.setdefault(function.sentence, set()).add(doc_id)
        modules.setdefault(function.sentence, set()).add(function.top_module)
    single = {sentence: next(iter(found)) for sentence, found in modules.items() if len(found) == 1}
    chosen = _first_of_each_side(sorted(single, key=lambda s: text_id("q", s)), single, size, side_of=side_of)
    wanted = dict.fromkeys(doc_id for sentence in chosen for doc_id in sorted(answers[sentence]))
    others = sorted(doc_id for doc_id in sources if doc_id not in wanted)
    num_others = len(others) if size.num_documents is None else max(0, size.num_documents - len(wanted))
    kept = [*wanted, *others[:num_others]]
    return {
        "num_excluded": len(modules) - len(single),
        "corpus": [
            {"_id": doc_id, "text": sources[doc_id].source, "metadata": {"name": sources[doc_id].name}}
            for doc_id in kept
        ],
        "queries": [{"_id": text_id("q", s), "text": s, "metadata": {GROUP: single[s]}} for s in chosen],
        "judgments": [
            {"query_id": text_id("q", sentence), "doc_id": doc_id, "grade": 1}
            for sentence in chosen
            for doc_id in sorted(answers[sentence])
        ],
    }


def held_out() -> dict[str, list[str]]:
    """The top-level modules kept for dev and for test, from the list in this package."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in (files(__package__) / "held_out.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            names = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            names.append(line)
    return found


def _first_of_each_side(
    sentences: Sequence[str], module_of: dict[str, str], size: DemoSize, *, side_of: Callable[[str], str]
) -> list[str]:
    taken = {"train": 0, "dev": 0, "test": 0}
    chosen = []
    for sentence in sentences:
        side = side_of(module_of[sentence])
        if size.num_queries is None or taken[side] < size.num_queries[side]:
            taken[side] += 1
            chosen.append(sentence)
    return chosen


def write_rows(workspace: Workspace, rows: DemoRows) -> dict[str, Path]:
    """Write rows as files beside the workspace, in the order of their import; where they lie, by kind."""
    data, found = workspace.folder / "data", dict[str, Path]()
    data.mkdir(exist_ok=True)
    files = {"corpus": rows["corpus"], "queries": rows["queries"], "judgments": rows["judgments"]}
    for kind, lines in files.items():
        found[kind] = data / f"{kind}.jsonl"
        write_atomic(found[kind], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines))
    return found
