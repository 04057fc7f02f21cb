"""Nearer beside the stock recipe of sentence-transformers, in equal time: base, stock, Nearer on test, query by query.

    python benchmarks/quality.py --work FOLDER --data FOLDER [SET]... [--seconds N] [--seeds N] [--half]

SET is demo or a BEIR folder below --data (medquad, nl2bash, banking77); these four by default, and all that they have,
unless --documents and --train say how much. Both sides start from the same base and have the same pairs, the same dev
queries and the same seconds of wall time for all they do: mining, training, measuring, choosing on dev. Where an epoch
of all pairs does not fit, each takes as many as do. They run at the same time, with half of the cores each, so that
whatever else the machine does slows both. The stock side is benchmarks/stock.py. Nearer's is `nearer train --budget
--seeds 3`, of which there are fewer where the time is short. That the base was measured before, whose vectors Nearer
keeps, is counted for neither. Neither side searches learning rates first: each begins with its library's default, the
stock side tries others where time is left, and Nearer has --trials for it. Nearer's default, 6e-5, and its two epochs
were chosen before, on dev of nl2bash, medquad and demo; that it begins with a linear map, on dev of nl2bash; where
that mines, on dev of medquad and demo. With --half both sides also run with half of the seconds.

Each cell (set, seed, system) and each measured split leaves FOLDER/SET/seed-N/NAME.json and is not run again. Test is
measured in the end; --dev-only leaves it alone, to choose settings by.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nearer
from nearer.core.ids import canonical_json
from nearer.encode.embedded import Corpora, EmbeddedCorpus
from nearer.evaluation.comparison import compare_measured
from nearer.evaluation.judged_split import JudgedSplit, read_judged_split
from nearer.evaluation.ranking import Measured, measure
from nearer.measure.significance import holm
from nearer.printing.progress import ConsoleProgress
from nearer.systems import open_local, open_system
from nearer.training.dev_set import DevSet, build_dev_set
from nearer.training.examples import find_excluded, read_examples
from sets import add_size_arguments, cell, open_workspace
from stock import Stock

MAIN = "nDCG@10"
ALL = 1_000_000
"""Documents, and training queries: more than any set has."""
SLICES = {
    "medquad": ("label_source", "label_question_type"),
    "nl2bash": ("label_utility",),
    "banking77": ("label_intent",),
    "demo": ("label_module",),
}
"""The sets, and the query fields that are sliced by."""
Cell = tuple[str, int, str]
"""A set, a seed and a system."""
FEWEST = 50
"""Queries of a slice that may be called worse than the base."""
ALPHA = 0.05
RECIPE = ("train.epochs=2",)
"""Nearer's: epochs of each pass, where there is time for as many."""
HALF = "-half"
"""What a system is called after, that had half of the seconds."""
SEEDS = 3
"""Seeds of one training of Nearer's, of which dev picks one, where there is time for as many."""
SMALL_DEV = ("train.max_dev_queries=150", "train.num_dev_distractors=300", "train.alarms=false")
"""What chooses on both sides, so small that the time goes into training."""


def main() -> None:
    """Run what is missing and print the tables; with --run, one cell."""
    arguments = parse_arguments()
    if arguments.run:
        name, seed, system = arguments.run.split(":")
        run_cell((name, int(seed), system), arguments)
        return
    sets = arguments.sets or list(SLICES)
    for name in sets:
        prepare(name, arguments)
    runs = [(name, seed) for seed in range(arguments.seeds) for name in sets]
    for name, seed in runs:
        for ending in ("", HALF) if arguments.half else ("",):
            together([(name, seed, f"{side}{ending}") for side in ("stock", "nearer")], arguments)
    print_tables([row for name, seed in runs for row in measured(name, seed, arguments)], arguments)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET")
    add_size_arguments(parser, documents=ALL, train=ALL, test=500)
    parser.add_argument("--seconds", type=float, default=1200, help="wall time of each side")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=0, help="trainings among which Nearer's search chooses")
    parser.add_argument("--half", action="store_true", help="both sides with half of the time too")
    parser.add_argument("--dev-only", action="store_true", help="measure dev, and leave test alone")
    parser.add_argument("--run", metavar="SET:SEED:SYSTEM", help="one cell, as this script asks of itself")
    return parser.parse_args()


def prepare(name: str, arguments: argparse.Namespace) -> None:
    """Import a set and measure the base on dev."""
    workspace = opened(name, 0, arguments)
    path = arguments.work / name / "base.json"
    cell(path, partial(nearer.evaluate, workspace, ["base"], split="dev", progress=ConsoleProgress()))
    workspace.close()


def opened(name: str, seed: int, arguments: argparse.Namespace, *more: str) -> nearer.Workspace:
    """The set's workspace under the recipe of a seed."""
    overrides = (f"train.seed={seed}", f"evaluate.slice_fields={json.dumps(SLICES[name])}")
    return open_workspace(name, arguments.work / name, arguments, *overrides, *SMALL_DEV, *more)


def together(cells: Sequence[Cell], arguments: argparse.Namespace) -> None:
    """Two cells at the same time, with half of the cores each; those that have run are not run again."""
    missing = [":".join(map(str, each)) for each in cells if not path_of(each, arguments).exists()]
    if missing:
        forget_queries(cells[0], arguments)
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    command = [sys.executable, __file__, *sys.argv[1:], "--run"]
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    started = [subprocess.Popen([*command, each], env=environment) for each in missing]
    codes = [process.wait() for process in started]
    if any(codes):
        raise SystemExit(f"{' and '.join(missing)} did not end well; repeat the command")


def forget_queries(wanted: Cell, arguments: argparse.Namespace) -> None:
    """Remove the vectors of queries, so that each race encodes its own, in its own time."""
    name, seed, _ = wanted
    with closing(opened(name, seed, arguments)) as workspace:
        for path in workspace.embeddings.glob("*.queries.sqlite*"):
            path.unlink()


def path_of(wanted: Cell, arguments: argparse.Namespace) -> Path:
    """Where what a cell gave is kept."""
    name, seed, system = wanted
    return Path(arguments.work) / name / f"seed-{seed}" / f"{system}.json"


def run_cell(wanted: Cell, arguments: argparse.Namespace) -> None:
    """One side of a race."""
    name, seed, system = wanted
    workspace, path = opened(name, seed, arguments, *RECIPE), path_of(wanted, arguments)
    seconds, trials = arguments.seconds / (2 if system.endswith(HALF) else 1), arguments.trials
    if system.startswith("stock"):
        run = partial(run_stock, workspace, path.with_suffix(""), seed, seconds, arguments)
        cell(path, run, {"seconds": seconds})
    else:
        of = {"seconds": seconds, "trials": trials, "seeds": SEEDS, "recipe": " ".join(RECIPE)}
        cell(path, partial(run_nearer, workspace, seconds, trials), of)
    workspace.close()


def run_stock(
    workspace: nearer.Workspace, folder: Path, seed: int, seconds: float, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The stock recipe; what it is given (pairs, passages, the dev set) is read before the clock starts."""
    base, excluded, progress = open_local(workspace, "base"), find_excluded(workspace), ConsoleProgress()
    embedded = EmbeddedCorpus.read(workspace, base.encoder, progress=progress)
    dev = build_dev_set(embedded, excluded=excluded.query_ids)
    examples = read_examples(embedded, excluded=excluded)
    return Stock(
        base=base.model.source,
        pairs=[(example.anchor, example.positive) for example in examples],
        passages=embedded.corpus.passages,
        measure=partial(value_of, dev),
        seconds=seconds,
        seed=seed,
        max_length=arguments.max_length,
        folder=folder,
    ).run()


def value_of(dev: DevSet, model: Any) -> float:
    """What dev says of a model of sentence-transformers."""
    from nearer.encode.encoder import Encoder, EncoderSettings

    return dev.measure(Encoder(model, settings=EncoderSettings(max_seq_length=model.max_seq_length)))


def run_nearer(workspace: nearer.Workspace, seconds: float, num_trials: int) -> dict[str, Any]:
    """Training fitted to the time."""
    began = time.monotonic()
    trained = nearer.train(
        workspace, budget=seconds, search=num_trials, seeds=1 if num_trials else SEEDS, progress=ConsoleProgress()
    )
    plain = trained.to_dict()
    told = {key: plain.get(key) for key in ("budget", "trials", "seeds", "dev", "num_pairs", "duration_s")}
    return {
        "model_id": trained["model_id"],
        "training": json.loads(canonical_json(told)),
        "seconds": time.monotonic() - began,
    }


def measured(name: str, seed: int, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What each split says of the systems of a seed."""
    workspace = opened(name, seed, arguments)
    folder = path_of((name, seed, ""), arguments).parent
    splits = ["dev", *(split for split in workspace.collection.splits() if split.startswith("test"))]
    for split in splits[: 1 if arguments.dev_only else None]:
        systems = systems_of(folder)
        run = partial(measured_on, workspace, split, systems)
        found = cell(folder / f"measured-{split}.json", run, {"systems": systems}, renews=True)
        yield {"set": name, "seed": seed, "split": split, **found, "seconds": seconds_of(folder)}
    workspace.close()


def seconds_of(folder: Path) -> str:
    """What either side took."""
    took = [
        json.loads((folder / f"{side}.json").read_text(encoding="utf-8"))["seconds"] for side in ("stock", "nearer")
    ]
    return ", ".join(f"{each:.0f}" for each in took)


def systems_of(folder: Path) -> dict[str, str]:
    """What is measured, by how the tables call it."""
    found = {"base": "base"}
    for ending in ("", HALF):
        if (folder / f"nearer{ending}.json").exists():
            told = json.loads((folder / f"nearer{ending}.json").read_text(encoding="utf-8"))
            found |= {f"stock{ending}": str(folder / f"stock{ending}"), f"nearer{ending}": told["model_id"]}
    return found


def measured_on(workspace: nearer.Workspace, split: str, systems: Mapping[str, str]) -> dict[str, Any]:
    """nDCG@10 of every system, each compared with stock; Nearer's slices compared with the base."""
    judged, corpora = read_judged_split(workspace, split), Corpora(workspace, ConsoleProgress())
    workspace.registry.use_test_split(split=split, systems=list(systems.values()), purpose="benchmark")
    values = {name: measure(corpora, open_system(workspace, system), judged) for name, system in systems.items()}
    recipe = workspace.recipe.evaluate
    compare = partial(compare_measured, metrics=(MAIN,), judged=judged, recipe=recipe)
    sides = [("base", "stock"), ("nearer", "stock"), (f"nearer{HALF}", "stock"), (f"nearer{HALF}", f"stock{HALF}")]
    against = {f"{name} - {other}": compare(values[other], values[name])[0] for name, other in sides if name in values}
    compared = {
        name: {key: getattr(each, key) for key in ("difference", "low", "high", "p_value", "num_wins", "num_losses")}
        for name, each in against.items()
    }
    return {
        "num_queries": len(judged.queries),
        "values": {name: float(each.values[MAIN].mean()) for name, each in values.items()},
        "compared": compared,
        "slices": slices_of(values["base"], values["nearer"], judged, compare),
    }


def slices_of(base: Measured, candidate: Measured, judged: JudgedSplit, compare: Any) -> dict[str, Any]:
    """How many slices are large enough, and which of them are proven worse than the base, after Holm."""
    found = {
        name: compare(base, candidate, mask=mask)[0] for name, mask in judged.slices.items() if mask.sum() >= FEWEST
    }
    adjusted = holm([each.p_value for each in found.values()]) if found else ()
    worse = [
        name
        for (name, each), p_value in zip(found.items(), adjusted, strict=True)
        if each.difference < 0 and p_value <= ALPHA
    ]
    return {"num": len(found), "worse": worse}


def print_tables(rows: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> None:
    """What was measured, one line a set, seed and split; then means over the sets."""
    print(
        f"{arguments.seconds:.0f} s of wall time a side, both at once on half of {os.cpu_count()} cores "
        f"({platform.machine()}), {arguments.max_length} tokens, up to {arguments.test} queries a split.\n"
    )
    columns = ("set", "split", "seed", "queries", "base", "stock", "Nearer", "Nearer - stock", "won, lost")
    columns += ("gap closed", "worse slices", "seconds of each")
    if arguments.half:
        columns += ("stock, half", "Nearer, half", "half - stock's half", "half - stock's whole")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in rows:
        print(table_row(row))
    for split in ("dev", "test"):
        print_means([row for row in rows if row["split"] == split], split)


def table_row(row: Mapping[str, Any]) -> str:
    """A line of the table."""
    values, slices = row["values"], row["slices"]
    worse = f"{len(slices['worse'])} of {slices['num']}" + "".join(f", {name}" for name in slices["worse"])
    closed = (values["nearer"] - values["base"]) / (1 - values["base"])
    cells = [row["set"], row["split"], f"{row['seed']}", f"{row['num_queries']}"]
    cells += [f"{values[name]:.3f}" for name in ("base", "stock", "nearer")]
    cells += [*difference_of(row, "nearer - stock"), f"{closed:.0%}", worse, row["seconds"]]
    if f"nearer{HALF}" in values:
        cells += [f"{values[f'stock{HALF}']:.3f}", f"{values[f'nearer{HALF}']:.3f}"]
        cells += [difference_of(row, f"nearer{HALF} - {other}")[0] for other in (f"stock{HALF}", "stock")]
    return f"| {' | '.join(cells)} |"


def difference_of(row: Mapping[str, Any], name: str) -> tuple[str, str]:
    """A comparison: the difference with its interval and p, and the queries won and lost."""
    found = row["compared"][name]
    interval = f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}], p = {found['p_value']:.4f}"
    return interval, f"{found['num_wins']}, {found['num_losses']}"


def print_means(rows: Sequence[Mapping[str, Any]], split: str) -> None:
    """The mean of each system over sets and seeds."""
    for name in ("stock", "nearer", f"stock{HALF}", f"nearer{HALF}"):
        values = [row["values"][name] for row in rows if name in row["values"]]
        if values:
            print(f"\n{split}, mean of {len(values)}, {name}: {np.mean(values):.4f}", end="")
    print()


if __name__ == "__main__":
    main()
