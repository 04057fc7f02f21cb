"""The main job, end to end, on the functions of this machine's Python standard library."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nearer.core.errors import WorkspaceError
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import RECIPE_FILE
from nearer.core.results.measuring import Evaluation
from nearer.core.results.releases import Demo, Promotion, WrittenReport
from nearer.flows.add import add
from nearer.flows.check import check
from nearer.flows.demo.corpus import stdlib_functions
from nearer.flows.demo.rows import FULL, GROUP, QUICK, DemoSize, choose, held_out, write_rows
from nearer.flows.promote import promote
from nearer.flows.report import report
from nearer.flows.rollback import rollback
from nearer.flows.search import search
from nearer.flows.train import train
from nearer.store.workspace import STATE_FOLDER, Workspace

NAME = "python-standard-library"
EXAMPLE = "Return the path of a file, made relative to another folder."


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
