"""The main job, end to end, on the functions of this machine's Python standard library."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TypedDict

from nearer.core.errors import WorkspaceError
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import RECIPE_FILE
from nearer.core.results.measuring import Evaluation
from nearer.core.results.releases import Demo, Promotion, WrittenReport
from nearer.flows.add import add
from nearer.flows.check import check
from nearer.flows.demo.corpus import StdlibFunction, stdlib_functions, text_id
from nearer.flows.promote import promote
from nearer.flows.report import report
from nearer.flows.rollback import rollback
from nearer.flows.search import search
from nearer.flows.train import train
from nearer.store.files import write_atomic
from nearer.store.workspace import STATE_FOLDER, Workspace

NAME = "python-standard-library"
GROUP = "label_module"
EXAMPLE = "Return the path of a file, made relative to another folder."


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


def demo(
    folder: Path,
    *,
    full: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Demo:
    """Import, check, measure, train in two passes, gate, release, search, roll back and forward, and report.

    ``folder`` is made anew if it holds an earlier demo. Raises WorkspaceError when it holds anything else.
    """
    progress, size, began = progress or Silent(), FULL if full else QUICK, clock()
    workspace = new_workspace(folder, size)
    _import_functions(workspace, size, progress=progress)
    first = promote(workspace, "base", progress=progress)
    assert first.evaluation is not None, "a model was measured"
    _tell_metrics(first.evaluation, progress)
    trained = train(workspace, progress=progress)
    decision = promote(workspace, trained["model_id"], progress=progress) if trained["improved"] else None
    if decision and decision.release_id:
        _show_search_and_undo(workspace, decision.release_id, progress=progress)
    page = report(workspace)
    workspace.close()
    return _summary(first.evaluation, decision, page, duration_s=clock() - began)


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


def new_workspace(folder: Path, size: DemoSize) -> Workspace:
    """An empty workspace, over that of an earlier demo. Raises WorkspaceError when the folder holds anything else."""
    if folder.exists() and any(folder.iterdir()):
        recipe = folder / RECIPE_FILE
        if not recipe.is_file() or f'name = "{NAME}"' not in recipe.read_text(encoding="utf-8", errors="replace"):
            raise WorkspaceError(f"{folder} holds something else than a demo", hint="choose another: --dir DIR")
        shutil.rmtree(folder / STATE_FOLDER, ignore_errors=True)
        recipe.unlink()
    sides = held_out()
    recipe_values: dict[str, object] = {
        "name": NAME,
        "encoder": {"max_seq_length": size.max_seq_length},
        "chunk": {"enabled": False},
        "split": {"by": "group", "field": GROUP, "dev_groups": sides["dev"], "test_groups": sides["test"]},
        "train": size.train,
    }
    return Workspace.init(folder, recipe=recipe_values)


def _import_functions(workspace: Workspace, size: DemoSize, *, progress: Progress) -> None:
    sides = held_out()
    side_of = {module: side for side, modules in sides.items() for module in modules}
    rows = choose(list(stdlib_functions()), size, side_of=lambda module: side_of.get(module, "train"))
    for kind, path in write_rows(workspace, rows).items():
        added = add(workspace, kind, path, progress=progress)
    checked = check(workspace, progress=progress)
    splits = ", ".join(f"{name} {count}" for name, count in checked["splits"].items())
    progress.say(
        f"{added['counts']['documents']} functions, {added['counts']['queries']} queries "
        f"({rows['num_excluded']} that span modules left out); by whole modules: {splits}"
    )
    progress.say(f"check: {checked['verdict']}, {checked['num_leaks']} leaks; " + "; ".join(checked["notes"]))


def write_rows(workspace: Workspace, rows: DemoRows) -> dict[str, Path]:
    """Write rows as files beside the workspace, in the order of their import; where they lie, by kind."""
    data, found = workspace.folder / "data", dict[str, Path]()
    data.mkdir(exist_ok=True)
    files = {"corpus": rows["corpus"], "queries": rows["queries"], "judgments": rows["judgments"]}
    for kind, lines in files.items():
        found[kind] = data / f"{kind}.jsonl"
        write_atomic(found[kind], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines))
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


def _tell_metrics(evaluation: Evaluation, progress: Progress) -> None:
    progress.say(f"base on {evaluation.num_queries} queries of {evaluation.num_groups} unseen modules:")
    metrics = evaluation.results[0].metrics
    width = max(map(len, metrics))
    for name, interval in metrics.items():
        progress.say(f"  {name:{width}} {interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]")


def _show_search_and_undo(workspace: Workspace, release_id: str, *, progress: Progress) -> None:
    """Search the new release, roll back, and go forward again, each with the same query."""

    def answer(who: str) -> None:
        found = search(workspace, EXAMPLE, k=1)
        best = found["results"][0]
        progress.say(f"{who} ({found['release_id']}) answers: {best['score']:.3f} {best['text'].splitlines()[0]}")

    answer("the candidate")
    rollback(workspace, progress=progress)
    answer("rolled back, the base")
    promote(workspace, release_id, progress=progress)
    answer("forward again, the candidate")


def _summary(first: Evaluation, decision: Promotion | None, page: WrittenReport, *, duration_s: float) -> Demo:
    evaluation = decision.evaluation if decision and decision.evaluation else first
    comparison = next((each for each in evaluation.comparisons if each.metric == "nDCG@10"), None)
    return Demo(
        base=first.results[0],
        candidate=evaluation.results[-1],
        comparison=replace(comparison, baseline="base") if comparison else None,  # live is the base until now
        num_test_uses=evaluation.ledger.num_test_uses,
        verdict=decision.verdict if decision else "kept the base",
        reasons=decision.reasons if decision else ("nothing was better on training dev",),
        report=page.report,
        duration_s=round(duration_s, 1),
    )
