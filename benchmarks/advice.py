"""Is the advice right? The verdict, made without test, beside what every remedy does on test.

    python benchmarks/advice.py --work FOLDER --data FOLDER [SET]... [--documents N] [--train N] [--dev N] [--test N]
    python benchmarks/advice.py --work FOLDER --data FOLDER nl2bash --documents 10000 --dev 300 --time

SET is demo, filter, or a BEIR folder below --data (medquad, nl2bash, banking77, pubmedqa); all six by default. "filter"
is made from the demo: every function is there in three editions, in the same words, and a query knows its edition.
Each step of each set leaves FOLDER/SET/STEP.json and is not run again. Fine-tuning is trained in one pass and measured
on test like the others. A verdict is right when its remedy is, on test, the cheapest within 0.01 nDCG@10 of the best.
For banking77 there is also the F1 of duplicate pairs before and after fine-tuning. With --time only the advice is run.
"""

import argparse
import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nearer
from nearer.cli import Watch
from nearer.core.errors import NearerError
from nearer.flows.advise.confirm import build
from nearer.flows.advise.ground import MAIN, Ground
from nearer.flows.demo import GROUP, Size, choose, held_out
from nearer.flows.demo.corpus import stdlib_functions
from nearer.flows.measuring.judged_split import read_judged_split
from nearer.flows.measuring.ranking import measure
from nearer.flows.systems import open_system
from nearer.measure.verdict import FINE_TUNE
from quality import cell, write_lines, write_subset

SETS = ("demo", "filter", "medquad", "nl2bash", "banking77", "pubmedqa")
EDITIONS = ("north", "south", "west")
GROUPS = {"medquad": "label_focus", "demo": GROUP, "filter": GROUP}
"""Query fields whose groups are resampled, and dealt into folds, whole."""


def main() -> None:
    """Run what is missing and print the table."""
    arguments = parse_arguments()
    rows = [run(name, arguments) for name in arguments.sets or SETS]
    if arguments.time:
        print("\n".join(rows))
        return
    print(
        f"Up to {arguments.documents} documents, {arguments.train} train, {arguments.dev} dev and {arguments.test} "
        f"test queries, {arguments.max_length} tokens, seed 0, {os.cpu_count()} cores ({platform.machine()}), "
        f"{datetime.date.today().isoformat()}.\n"
    )
    print(
        "| set | base | verdict | its value on test | best on test | cheapest within 0.01 of it | right | advice took |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(row)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET")
    parser.add_argument("--work", type=Path, required=True, help="where steps and workspaces are kept")
    parser.add_argument("--data", type=Path, help="the folder of the BEIR folders")
    parser.add_argument("--documents", type=int, default=2500)
    parser.add_argument("--train", type=int, default=1000, help="training queries")
    parser.add_argument("--dev", type=int, default=200, help="dev queries")
    parser.add_argument("--test", type=int, default=400, help="test queries")
    parser.add_argument("--max-length", type=int, default=128, help="tokens; documents are truncated, not chunked")
    parser.add_argument("--time", action="store_true", help="only how long the advice takes")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    return parser.parse_args()


def run(name: str, arguments: argparse.Namespace) -> str:
    """One set: import, advice, truth; its row of the table."""
    work: Path = arguments.work / name
    work.mkdir(parents=True, exist_ok=True)
    workspace = open_workspace(name, work, arguments)
    advice = cell(work / "advice.json", lambda: nearer.advise(workspace, confirm_on_test=False, progress=Watch()))
    if arguments.time:
        return f"{name}: {advice['num_queries']} queries, {advice['verdict']}, {advice['duration_s']:.0f} s"
    trained = cell(work / "train.json", lambda: nearer.train(workspace, progress=Watch()))
    truth = cell(work / "truth.json", lambda: values_on_test(workspace, advice, trained["model_id"]))
    if name == "banking77":
        dedup = cell(work / "dedup.json", lambda: duplicates(workspace, trained["model_id"]))
        print(f"banking77, dedup by intent on test: {json.dumps(dedup['values'])}\n")
    workspace.close()
    return table_row(name, workspace.recipe.advise.cheapest_first, advice, truth["values"])


def open_workspace(name: str, work: Path, arguments: argparse.Namespace) -> nearer.Workspace:
    """The set's workspace, filled."""
    group = GROUPS.get(name)
    overrides = (
        f"encoder.max_seq_length={arguments.max_length}",
        "chunk.enabled=false",
        "train.passes=1",
        *((f"evaluate.group_field={group}",) if group else ()),
        *(('search.query_time_fields=["edition"]',) if name == "filter" else ()),
        *arguments.set,
    )
    folder = work / "workspace"
    try:
        workspace = nearer.Workspace.open(folder, overrides=overrides)
    except NearerError:
        nearer.Workspace.init(folder, recipe=recipe_of(name)).close()
        workspace = nearer.Workspace.open(folder, overrides=overrides)
    cell(work / "import.json", lambda: fill(workspace, name, work, arguments))
    return workspace


def recipe_of(name: str) -> dict[str, object]:
    """What a set needs before it is imported: how the functions of the demo are divided."""
    if name not in ("demo", "filter"):
        return {}
    sides = held_out()
    split = {"by": "group", "field": GROUP, "dev_groups": sides["dev"], "test_groups": sides["test"]}
    return {"split": split}


def fill(workspace: nearer.Workspace, name: str, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Import the subset and set leaking queries aside."""
    if name in ("demo", "filter"):
        for kind, rows in demo_rows(arguments, in_editions=name == "filter").items():
            write_lines(work / f"{kind}.jsonl", (json.dumps(row) for row in rows))
            nearer.add(workspace, kind, work / f"{kind}.jsonl", progress=Watch())
    else:
        source = argparse.Namespace(**{**vars(arguments), "data": arguments.data / name})
        write_subset(source, work / "subset")
        nearer.add(workspace, "beir", work / "subset", progress=Watch())
    checked = nearer.check(workspace, drop=True, progress=Watch())
    return {key: checked[key] for key in ("counts", "splits", "num_dropped")}


def demo_rows(arguments: argparse.Namespace, *, in_editions: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows of functions of the standard library, in one edition or in three of the same words."""
    sides = held_out()
    side_of = {module: side for side, modules in sides.items() for module in modules}
    num_queries = {"train": arguments.train, "dev": arguments.dev, "test": arguments.test}
    most = arguments.documents // (len(EDITIONS) if in_editions else 1)
    size = Size(num_documents=most, num_queries=num_queries, max_seq_length=arguments.max_length, train={})
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


def values_on_test(workspace: nearer.Workspace, advice: Mapping[str, Any], model_id: str) -> dict[str, Any]:
    """nDCG@10 of every remedy on test, fitted on all of train and dev; the trained model's is fine-tuning's."""
    progress = Watch()
    ground, judged = Ground(workspace, progress), read_judged_split(workspace, "test")
    systems = {"base": ground.system, FINE_TUNE: open_system(workspace, model_id)}
    for row in advice["remedies"][1:]:
        if advised := build(workspace, ground, row["name"], row["changes"], write=False):
            systems[row["name"]] = advised.system
    values = {
        name: float(measure(workspace, system, judged, progress=progress).values[str(MAIN)].mean())
        for name, system in systems.items()
    }
    return {"values": values, "num_queries": len(judged.queries)}


def duplicates(workspace: nearer.Workspace, model_id: str) -> dict[str, Any]:
    """The F1 of duplicate pairs on test, with the threshold that was best on dev, before and after training."""
    result = nearer.evaluate_task(
        workspace, ["base", model_id], task="dedup", label="label_intent", split="test", progress=Watch()
    )
    before, after = (each["metrics"] for each in result["results"])
    return {"values": {"base": before, "fine-tuned": after}, "comparisons": result["comparisons"]}


def table_row(name: str, cheapest_first: Sequence[str], advice: Mapping[str, Any], values: Mapping[str, float]) -> str:
    """A line of the table."""
    order = ["leave", *cheapest_first]
    word_of = {row["name"]: row["word"] for row in advice["remedies"]} | {FINE_TUNE: FINE_TUNE}
    words = {each: word_of[each] if word_of[each] in order else order[-1] for each in values}
    best = max(values, key=lambda each: values[each])
    near = [each for each in values if values[best] - values[each] <= 0.01]
    cheapest = min((words[each] for each in near), key=order.index)
    taken = advice["remedy"] or "base"
    stands = "fine_tune" if advice["verdict"] == "fine_tune_and_pipeline" else word_of.get(taken, "leave")
    return (
        f"| {name} | {values['base']:.3f} | {advice['verdict']} ({taken}) | {values[taken]:.3f} | "
        f"{best} {values[best]:.3f} | {cheapest} | {'yes' if stands == cheapest else 'no'} | "
        f"{advice['duration_s']:.0f} s |"
    )


if __name__ == "__main__":
    main()
