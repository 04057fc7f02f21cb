"""What a student of half the layers loses and gains beside the fine-tuned model that teaches it.

    python benchmarks/student.py --work FOLDER --data DIR [--sets medquad nl2bash] [--layers 3] ...

For each set, a subset of `sets.py`: a teacher is trained on the pairs of train; a student learns its vectors
(`nearer compress TEACHER --layers 3`); the student is trained for one more pass, on the team's own pairs. All stand on
dev beside base, query by query; documents a second and the milliseconds of a query are the student's and its teacher's,
in turns, in the run that made it. Cells are kept below FOLDER and run once.
"""

import argparse
import platform
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import nearer
from nearer.printing.progress import ConsoleProgress
from sets import add_size_arguments, cell, open_workspace

MAIN = "nDCG@10"


def main() -> None:
    """Run what is not there yet and print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size_arguments(parser, documents=1500, train=300, test=50)
    parser.add_argument("--sets", nargs="+", default=["medquad", "nl2bash"])
    parser.add_argument("--layers", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.sets:
        print("\n".join(table(name, arguments)), flush=True)


def table(name: str, arguments: argparse.Namespace) -> Iterator[str]:
    """A set's rows."""
    work, progress = arguments.work / name, ConsoleProgress()
    layers = arguments.layers
    with closing(open_workspace(name, work, arguments)) as workspace:
        teacher = cell(work / "teacher.json", partial(nearer.train, workspace, progress=progress))["model_id"]
        learn = partial(nearer.distil, workspace, teacher, layers=layers, progress=progress)
        student = cell(work / f"student-{layers}.json", learn)
    with closing(open_workspace(name, work, arguments, "train.passes=1")) as workspace:
        further = partial(nearer.train, workspace, student["model_id"], progress=progress)
        trained = cell(work / f"trained-{layers}.json", further)["model_id"]
        systems = {"teacher": teacher, "student": student["model_id"], "student, trained": trained, "base": "base"}
        run = partial(nearer.evaluate, workspace, [*systems.values()], split="dev", progress=progress)
        measured = cell(work / f"dev-{layers}.json", run, {"systems": [*systems.values()]}, renews=True)
    speed = student["speed"]
    yield f"\n{name}, {student['num_queries']} queries and {student['num_passages']} passages learned from, "
    yield f"{student['num_steps']} steps, {student['cell_s']:.0f} s; layers {student['layers']} of "
    yield f"{student['num_layers']}; {platform.machine()}, {speed['num_threads']} threads, {measured['date']}\n"
    yield "| model | nDCG@10 on dev | beside the teacher | documents/s | ratio | query ms |"
    yield "| --- | --- | --- | --- | --- | --- |"
    differences = [each for each in measured["comparisons"] if each["metric"] == MAIN]
    for place, (label, result) in enumerate(zip(systems, measured["results"], strict=True)):
        beside = "" if not place else _difference(differences[place - 1])
        timed = {"teacher": _speed(speed, "full_", 1.0), "student": _speed(speed, "", speed["ratio"])}
        yield f"| {label} | {result['metrics'][MAIN]['value']:.4f} | {beside} | {timed.get(label, ' | | ')} |"


def _difference(found: dict[str, float]) -> str:
    return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def _speed(speed: dict[str, float], side: str, ratio: float) -> str:
    return f"{speed[f'{side}passages_per_second']:.1f} | {ratio:.2f} | {speed[f'{side}query_ms']:.1f}"


if __name__ == "__main__":
    main()
