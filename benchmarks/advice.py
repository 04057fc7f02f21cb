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
from nearer.advice.advice_data import MAIN, AdviceData
from nearer.advice.confirm import build
from nearer.advice.verdict import FINE_TUNE
from nearer.encode.embedded import Corpora
from nearer.evaluation.judged_split import read_judged_split
from nearer.evaluation.ranking import measure
from nearer.printing.progress import ConsoleProgress
from nearer.systems import open_system
from sets import add_size_arguments, cell, open_workspace

SETS = ("demo", "filter", "medquad", "nl2bash", "banking77", "pubmedqa")


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
    add_size_arguments(parser, documents=2500, train=1000, test=400)
    parser.add_argument("--time", action="store_true", help="only how long the advice takes")
    return parser.parse_args()


def run(name: str, arguments: argparse.Namespace) -> str:
    """One set: import, advice, truth; its row of the table."""
    work: Path = arguments.work / name
    workspace = open_workspace(name, work, arguments, "train.passes=1")
    advice = cell(
        work / "advice.json", lambda: nearer.advise(workspace, confirm_on_test=False, progress=ConsoleProgress())
    )
    if arguments.time:
        return f"{name}: {advice['num_queries']} queries, {advice['verdict']}, {advice['duration_s']:.0f} s"
    trained = cell(work / "train.json", lambda: nearer.train(workspace, progress=ConsoleProgress()))
    truth = cell(work / "truth.json", lambda: values_on_test(workspace, advice, trained["model_id"]))
    if name == "banking77":
        dedup = cell(work / "dedup.json", lambda: duplicates(workspace, trained["model_id"]))
        print(f"banking77, dedup by intent on test: {json.dumps(dedup['values'])}\n")
    workspace.close()
    return table_row(name, workspace.recipe.advise.cheapest_first, advice, truth["values"])


def values_on_test(workspace: nearer.Workspace, advice: Mapping[str, Any], model_id: str) -> dict[str, Any]:
    """nDCG@10 of every remedy on test, fitted on all of train and dev; the trained model's is fine-tuning's."""
    progress = ConsoleProgress()
    data, judged = AdviceData(workspace, progress), read_judged_split(workspace, "test")
    corpora = Corpora(workspace, progress)
    systems = {"base": data.system, FINE_TUNE: open_system(workspace, model_id)}
    for row in advice["remedies"][1:]:
        if advised := build(workspace, data, row["name"], row["changes"], write=False):
            systems[row["name"]] = advised.system
    values = {
        name: float(measure(corpora, system, judged).values[str(MAIN)].mean()) for name, system in systems.items()
    }
    return {"values": values, "num_queries": len(judged.queries)}


def duplicates(workspace: nearer.Workspace, model_id: str) -> dict[str, Any]:
    """The F1 of duplicate pairs on test, with the threshold that was best on dev, before and after training."""
    result = nearer.evaluate_task(
        workspace, ["base", model_id], task="dedup", label="label_intent", split="test", progress=ConsoleProgress()
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
