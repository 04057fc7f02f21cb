"""What a choice in training gains: the same training with and without it.

    python benchmarks/training.py graded --work FOLDER --data FOLDER [--train N] [--test N] [--seeds N]
    python benchmarks/training.py matryoshka --work FOLDER --data FOLDER [--set-name nl2bash] ...
    python benchmarks/training.py settings --work FOLDER --data FOLDER [--set-name medquad] ...
    python benchmarks/training.py linear --work FOLDER --data FOLDER [--set-name nl2bash] ...
    python benchmarks/training.py options --work FOLDER --data FOLDER [--set-name nl2bash] ...

graded      judgments of several grades learned from as such, and the same made binary. The set is medquad, its grades
            derived from its structure: the answer itself 4, other answers about the same disease 1, all else 0.
matryoshka  vectors that may be cut to 64 and 128 dimensions, started from turned vectors and not; the same training
            without, whose vectors are cut as they are, and turned afterwards; and base likewise.
settings    on dev alone, and in seconds: as the defaults are, with the model's dropout, with half of the tokens, with
            the lower half of the layers frozen. What the defaults and `--budget` rest on.
linear      on dev alone, over all documents: one pass and two, begun with a linear map where dev proves it better, and
            without.
options     on dev alone, over all documents: the defaults, and each option that has to earn its place: training
            the queries' side alone, a cross-encoder as teacher (both losses), settings that are searched for, and
            beside them the adapter of the queries' side, which takes seconds.
The first two are compared on test, query by query. Each training and each measurement leaves
FOLDER/PART/seed-N/NAME.json and is not run again.
"""

import argparse
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import nearer
from nearer.printing.progress import ConsoleProgress
from sets import add_size_arguments, cell, open_workspace

MAIN = "nDCG@10"
DIMENSIONS = (64, 128)


def main() -> None:
    """Run what is missing of a part and print its table."""
    arguments = parse_arguments()
    part = PARTS[arguments.part]
    print(f"\n{os.cpu_count()} cores ({platform.machine()}), at most {arguments.test} queries of test\n")
    for seed in range(arguments.seeds):
        print("\n".join(part(seed, arguments)))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    add_size_arguments(parser, documents=3000, train=600, test=400)
    parser.add_argument("--set-name", default="nl2bash", help="the set of all but graded")
    parser.add_argument("--seeds", type=int, default=1)
    return parser.parse_args()


def graded(seed: int, arguments: argparse.Namespace) -> Iterator[str]:
    """Both trainings, then what they do on test."""
    ways = {"binary": ("train.graded=false",), "graded": ()}
    models = trained("graded", seed, ways, arguments)
    measured = on_test("graded", seed, [*models.values(), "base"], arguments)
    yield from values_of(measured, [*models, "base"])
    yield from differences_of(measured, [*models, "base"])


def matryoshka(seed: int, arguments: argparse.Namespace) -> Iterator[str]:
    """Every training, whole and cut, as a share of the whole vectors of the training without.

    Intervals are of the differences, query by query; the whole is taken as it is.
    """
    may_be_cut = f"train.matryoshka_dims={list(DIMENSIONS)}"
    ways = {"without": (), "with": (may_be_cut,)}
    models = {**trained("matryoshka", seed, ways, arguments), "base": "base"}
    with closing(opened("matryoshka", seed, arguments)) as workspace:
        for name in ("without", "base"):
            turned = nearer.rotate(workspace, models[name], progress=ConsoleProgress())
            models[f"{name}, turned afterwards"] = turned["model_id"]
        systems = {(name, None): model_id for name, model_id in models.items()}
        for name, model_id in models.items():
            for size in DIMENSIONS:
                systems[name, size] = nearer.compress(workspace, model_id, dimension=size)["model_id"]
    measured = on_test("matryoshka", seed, list(systems.values()), arguments)
    whole = measured["results"][0]["metrics"][MAIN]["value"]
    lost = [(0.0, 0.0, 0.0)]
    lost += [(c["difference"], c["low"], c["high"]) for c in measured["comparisons"] if c["metric"] == MAIN]
    lost_of = dict(zip(systems, lost, strict=True))
    yield f"seed {seed}, {measured['num_queries']} queries, {measured['date']}\n"
    yield f"| | whole | {' | '.join(map(str, DIMENSIONS))} |\n| --- |{' --- |' * (1 + len(DIMENSIONS))}"
    for name in models:
        cells = []
        for size in (None, *DIMENSIONS):
            value, low, high = (whole + each for each in lost_of[name, size])
            cells.append(f"{value:.3f}, {value / whole:.1%} [{low / whole:.1%}, {high / whole:.1%}]")
        yield f"| {name} | {' | '.join(cells)} |"


def settings(seed: int, arguments: argparse.Namespace) -> Iterator[str]:
    """Each way on dev: the measurements of its first pass, and how long training took."""
    ways = {
        "defaults": (),
        "dropout": ('train.dropout="model"',),
        "half the tokens": (f"train.max_seq_length={arguments.max_length // 2}",),
        "half the layers": ("train.freeze_layers=3",),
    }
    trained("settings", seed, ways, arguments)
    for name in ways:
        told = told_of("settings", seed, name, arguments)
        points = " ".join(f"{point['value']:.4f}" for each in told["passes"] for point in each["fit"]["dev"])
        yield f"seed {seed}, {name}: dev {points}; {told['num_pairs']} pairs, {told['duration_s']:.0f} s"


def linear(seed: int, arguments: argparse.Namespace) -> Iterator[str]:
    """What either way comes to, after one pass and after two; and what dev said of the map."""
    epochs = {"without": "train.warm_start_epochs=0", "with": "train.warm_start_epochs=5"}
    for passes in (1, 2):
        ways = {f"{passes} {name}": (f"train.passes={passes}", chosen) for name, chosen in epochs.items()}
        models = trained("linear", seed, ways, arguments)
        with closing(opened("linear", seed, arguments)) as workspace:
            path = folder_of("linear", seed, arguments) / f"dev-{passes}.json"
            run = partial(nearer.evaluate, workspace, [*models.values()], split="dev", progress=ConsoleProgress())
            measured = cell(path, run, {"systems": list(models.values())}, renews=True)
        yield from values_of(measured, [*models])
        yield from differences_of(measured, [*models])
    gain = told_of("linear", seed, "1 with", arguments)["passes"][0]["gain"]
    yield f"the map alone: {gain['difference']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}] on the small dev"


def options(seed: int, arguments: argparse.Namespace) -> Iterator[str]:
    """What each option comes to on all of dev against the defaults, and how long it took as a share of theirs."""
    models = trained("options", seed, {"defaults": (), **ONE_KEY}, arguments)
    with closing(opened("options", seed, arguments)) as workspace:
        folder, progress = folder_of("options", seed, arguments), ConsoleProgress()
        runs = {
            "query adapter": partial(nearer.adapt, workspace, "query", progress=progress),
            "search": partial(nearer.train, workspace, search=TRIALS, progress=progress),
            "teacher": partial(nearer.train_reranker, workspace, progress=progress),
        }
        made = {name: cell(folder / f"{name}.json", run, {"of": name}) for name, run in runs.items()}
        models |= {name: made[name]["model_id"] for name in ("query adapter", "search")}
    if (teacher := made["teacher"]["reranker_id"]) is None:
        yield "no cross-encoder was better than the retriever, so none taught"
    else:
        use = f'mining.reranker="{teacher}"'
        taught = {f"teacher, {loss}": (f'train.loss="{loss}"', use) for loss in ("kl", "margin_mse")}
        models |= trained("options", seed, taught, arguments)
    with closing(opened("options", seed, arguments)) as workspace:
        run = partial(nearer.evaluate, workspace, [*models.values()], split="dev", progress=ConsoleProgress())
        measured = cell(folder / "dev.json", run, {"systems": list(models.values())}, renews=True)
    yield from values_of(measured, [*models])
    yield from differences_of(measured, [*models])
    took = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["cell_s"] for name in models}
    yield "time: " + ", ".join(f"{name} {seconds / took['defaults']:.2f}" for name, seconds in took.items())


PARTS = {"graded": graded, "matryoshka": matryoshka, "settings": settings, "linear": linear, "options": options}
ONE_KEY = {"query side": ('train.sides="query"',)}
TRIALS = 4


def opened(part: str, seed: int, arguments: argparse.Namespace, *overrides: str) -> nearer.Workspace:
    """The workspace of a part under the recipe of a seed."""
    name = part if part == "graded" else arguments.set_name
    return open_workspace(name, arguments.work / part / name, arguments, f"train.seed={seed}", *overrides)


def trained(part: str, seed: int, ways: Mapping[str, Sequence[str]], arguments: argparse.Namespace) -> dict[str, str]:
    """The models of every way to train, by its name."""
    found = {}
    for name, overrides in ways.items():
        with closing(opened(part, seed, arguments, *overrides)) as workspace:
            path = folder_of(part, seed, arguments) / f"{name}.json"
            of = {"overrides": [*overrides, *arguments.set]}
            found[name] = cell(path, partial(nearer.train, workspace, progress=ConsoleProgress()), of)["model_id"]
    return found


def on_test(part: str, seed: int, systems: Sequence[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """The evaluation of these systems on test, the first against the others."""
    with closing(opened(part, seed, arguments)) as workspace:
        path = folder_of(part, seed, arguments) / "test.json"
        run = partial(
            nearer.evaluate, workspace, systems, split="test", progress=ConsoleProgress(), purpose="benchmark"
        )
        return cell(path, run, {"systems": list(systems)}, renews=True)


def folder_of(part: str, seed: int, arguments: argparse.Namespace) -> Path:
    """Where the cells of a seed are kept."""
    name = part if part == "graded" else arguments.set_name
    return Path(arguments.work) / part / name / f"seed-{seed}"


def told_of(part: str, seed: int, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a training came to."""
    path = folder_of(part, seed, arguments) / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def values_of(measured: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """A line for each system."""
    yield f"seed {measured['settings']['seed']}, {measured['num_queries']} queries, {measured['date']}"
    for name, result in zip(names, measured["results"], strict=True):
        found = result["metrics"][MAIN]
        yield f"{name}: {found['value']:.4f} [{found['low']:.3f}, {found['high']:.3f}]"


def differences_of(measured: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """A line for each comparison of the first with another, in the main measure."""
    for name, each in zip(names[1:], [c for c in measured["comparisons"] if c["metric"] == MAIN], strict=True):
        yield (
            f"{name} - {names[0]}: {each['difference']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}], "
            f"p = {each['p_value']:.4f}; {each['num_wins']} won, {each['num_losses']} lost"
        )


if __name__ == "__main__":
    main()
