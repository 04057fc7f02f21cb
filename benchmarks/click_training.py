"""What models learn from clicks: from human pairs, raw clicks, COEC, debiased clicks, and blends of several sizes.

    python benchmarks/click_training.py --work FOLDER --data FOLDER [--set-name medquad] [--seeds 3] [--documents N] ...

Base answers the training queries, with neighbours swapped in a share of the answers; simulated users click by position
and with noise, as the human judgments and their seed say. Each way to judge those clicks trains a model by the same
recipe. All are measured on human judgments of test, query by query. Each cell is kept and not run again.
"""

import argparse
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nearer
from nearer.printing.progress import ConsoleProgress
from nearer.store import tables
from sets import add_size_arguments, cell, open_workspace

MAIN = "nDCG@10"
SWAPPED = 0.2
"""The share of answers in which neighbours are swapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Whose judgments a model learns from: which sources, how clicks are judged, and of how many human queries."""

    sources: str
    model: str | None = None
    human: float = 1.0


WAYS = {
    "human": Way(sources="import"),
    "raw clicks": Way(sources="clicks", model="ctr"),
    "COEC": Way(sources="clicks", model="coec"),
    "debiased": Way(sources="clicks", model="auto"),
    "human, a quarter": Way(sources="import", human=0.25),
    "debiased and a quarter": Way(sources="import,clicks", model="auto", human=0.25),
    "human, half": Way(sources="import", human=0.5),
    "debiased and half": Way(sources="import,clicks", model="auto", human=0.5),
    "debiased and all": Way(sources="import,clicks", model="auto"),
}


def main() -> None:
    """Run what is missing, and print the table of the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size_arguments(parser, documents=1000, train=200, test=300)
    parser.add_argument("--set-name", default="medquad")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=20_000)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores ({platform.machine()}), {arguments.set_name}, {arguments.sessions:,} sessions\n")
    measured = [measure(seed, arguments) for seed in range(arguments.seeds)]
    print("\n".join(table(measured)))


def measure(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train every way with one seed, and measure all models and base on test."""
    folder = arguments.work / arguments.set_name / f"seed-{seed}"
    with closing(opened(folder, seed, arguments)) as workspace:
        cell(folder / "clicks.json", partial(click, workspace, folder, seed, arguments))
    values, pairs = {}, {}
    for name, way in WAYS.items():
        found = cell(folder / f"{name}.json", partial(learn, folder, name, way, seed, arguments), asdict(way))
        values[name], pairs[name] = found["values"], found["num_pairs"]
    base = cell(folder / "base.json", partial(on_test, folder, "base", seed, arguments))
    return {"base": base["values"], "models": values, "pairs": pairs, "date": base["date"]}


def opened(folder: Path, seed: int, arguments: argparse.Namespace) -> nearer.Workspace:
    """The workspace of a seed, filled."""
    settings = (f"train.seed={seed}", f"search.explore={SWAPPED}", "train.passes=1")
    return open_workspace(arguments.set_name, folder, arguments, *settings)


def click(workspace: nearer.Workspace, folder: Path, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Base goes live; users ask it for the training queries and click."""
    progress = ConsoleProgress()
    nearer.promote(workspace, "base", force_reason="simulated users need an answer", progress=progress)
    log = folder / "log.csv"
    log.unlink(missing_ok=True)
    done = nearer.simulate(
        workspace, log, split="train", sessions=arguments.sessions, noise=0.1, seed=seed, progress=progress
    )
    nearer.add(workspace, "events", log, progress=progress)
    return done.to_dict()


def learn(folder: Path, name: str, way: Way, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Judge the clicks in this way, train, and measure on test; in a copy of the workspace, which goes afterwards."""
    copy = folder / "copies" / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    shutil.copytree(folder / "workspace", copy / "workspace")
    shutil.copy(folder / "import.json", copy / "import.json")
    with closing(opened(copy, seed, arguments)) as workspace:
        keep_human(workspace, way.human)
        judged = nearer.judge_clicks(workspace, model=way.model).to_dict() if way.model else {}
        trained = nearer.train(workspace, sources=way.sources, progress=ConsoleProgress()).to_dict()
    found = on_test(copy, trained["model_id"], seed, arguments)
    shutil.rmtree(copy)
    return {**found, "num_pairs": trained["num_pairs"], "judged": judged}


def keep_human(workspace: nearer.Workspace, share: float) -> None:
    """Leave the imported judgments of this share of the training queries, the first by their ids' hashes."""
    queries = [query.query_id for query in workspace.collection.queries("train")]
    gone = np.random.default_rng(0).permutation(queries)[round(share * len(queries)) :].tolist()
    with workspace.write("benchmark") as connection:
        table = tables.judgments
        connection.execute(table.delete().where(table.c.query_id.in_(gone) & (table.c.source == "import")))


def on_test(folder: Path, system: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """The main measure of every test query."""
    with closing(opened(folder, seed, arguments)) as workspace:
        told = nearer.evaluate(
            workspace, [system], split="test", progress=ConsoleProgress(), purpose="benchmark"
        ).to_dict()
    return {"values": told["results"][0]["by_query"][MAIN], "model_id": system}


def table(measured: list[dict[str, Any]]) -> Iterator[str]:
    """A row for each way: its mean over seeds and queries, and its difference from base and from human pairs."""
    seeds = [f"{each:.3f}" for each in (mean(one["base"]) for one in measured)]
    yield f"{len(measured)} seeds, {len(measured[0]['base'])} queries of test, {measured[0]['date']}\n"
    yield "| learned from | pairs | nDCG@10 | each seed | minus base | minus human |"
    yield "| --- | --- | --- | --- | --- | --- |"
    yield f"| base | | {np.mean([mean(one['base']) for one in measured]):.3f} | {', '.join(seeds)} | | |"
    for name in WAYS:
        values = [one["models"][name] for one in measured]
        seeds = [f"{mean(each):.3f}" for each in values]
        yield (
            f"| {name} | {measured[0]['pairs'][name]} | {np.mean([mean(each) for each in values]):.3f} "
            f"| {', '.join(seeds)} | {difference(values, [one['base'] for one in measured])} "
            f"| {difference(values, [one['models']['human'] for one in measured]) if name != 'human' else ''} |"
        )


def mean(values: Mapping[str, float]) -> float:
    """The mean over queries."""
    return float(np.mean(list(values.values())))


def difference(left: list[Mapping[str, float]], right: list[Mapping[str, float]]) -> str:
    """Their mean difference, with a 95 % bootstrap interval over queries, each the mean of its seeds."""
    queries = sorted(left[0])
    paired = np.mean([[a[q] - b[q] for q in queries] for a, b in zip(left, right, strict=True)], axis=0)
    rng = np.random.default_rng(0)
    means = rng.choice(paired, (5_000, len(paired))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{paired.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    main()
