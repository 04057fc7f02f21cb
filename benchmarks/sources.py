"""What each source of judgments brings: human pairs, written queries (by rules, by a local model), clicks, blends.

    python benchmarks/sources.py --work FOLDER --data FOLDER [--set-name medquad] [--seeds 3] [--model FOLDER] ...

All train by the same recipe, and are measured on the same human judgments of test, query by query; the synthetic ones
choose their checkpoint on dev as the others do. Clicks are simulated as in ``click_training.py``. ``--model`` is a
folder with a language model; without one its rows are left out. TSDAE learns from the documents alone, to restore what
was deleted of them: sentence-transformers' loss, with the settings of Wang et al. (2021, arXiv 2104.06979), section 4.
Each cell is kept and not run again.
"""

import argparse
import os
import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nearer
from click_training import click, difference, keep_human, mean, on_test, opened
from nearer.printing.progress import ConsoleProgress
from sets import add_size_arguments, cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Whose judgments a model learns from, of how many human queries, and who writes queries."""

    sources: str
    human: float = 1.0
    writer: str | None = None
    clicks: bool = False


OFFLINE, LOCAL, TSDAE = "offline", "local", "tsdae"
DELETED = 0.6
"""Share of the words that TSDAE deletes."""
WAYS: Mapping[str, Way] = {
    "human": Way(sources="import"),
    "TSDAE": Way(sources="", writer=TSDAE),
    "human, a quarter": Way(sources="import", human=0.25),
    "offline": Way(sources="synthetic", writer=OFFLINE),
    "offline and a quarter": Way(sources="import,synthetic", writer=OFFLINE, human=0.25),
    "offline and all": Way(sources="import,synthetic", writer=OFFLINE),
    "local model": Way(sources="synthetic", writer=LOCAL),
    "local model and a quarter": Way(sources="import,synthetic", writer=LOCAL, human=0.25),
    "clicks": Way(sources="clicks", clicks=True),
    "clicks and a quarter": Way(sources="import,clicks", clicks=True, human=0.25),
    "clicks, offline and a quarter": Way(sources="import,clicks,synthetic", clicks=True, writer=OFFLINE, human=0.25),
}


def main() -> None:
    """Run what is missing, and print the table of the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size_arguments(parser, documents=1000, train=200, test=300)
    parser.add_argument("--set-name", default="medquad")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--each", type=int, default=5, help="written queries a document")
    parser.add_argument("--model", help="a folder with a language model")
    asked = parser.parse_args()
    ways = {name: way for name, way in WAYS.items() if way.writer != LOCAL or asked.model}
    print(f"{os.cpu_count()} cores, {asked.set_name}, {asked.documents} documents, {asked.each} queries each\n")
    print("\n".join(table([measure(seed, ways, asked) for seed in range(asked.seeds)])))


def measure(seed: int, ways: Mapping[str, Way], asked: argparse.Namespace) -> dict[str, Any]:
    """Train every way with one seed, and measure all models and base on test."""
    folder = asked.work / asked.set_name / f"seed-{seed}"
    with closing(opened(folder, seed, asked)) as workspace:
        cell(folder / "simulated.json", partial(click, workspace, folder, seed, asked))
    found = {
        name: cell(folder / f"{name}.json", partial(learn, folder, name, way, seed, asked), asdict(way))
        for name, way in ways.items()
    }
    base = cell(folder / "base.json", partial(on_test, folder, "base", seed, asked))
    return {"base": base["values"], "found": found, "date": base["date"]}


def learn(folder: Path, name: str, way: Way, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Make the judgments of a way, train, and measure on test; in a copy of the workspace, which goes afterwards."""
    copy = folder / "copies" / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    shutil.copytree(folder / "workspace", copy / "workspace")
    shutil.copy(folder / "import.json", copy / "import.json")
    progress = ConsoleProgress()
    with closing(opened(copy, seed, asked)) as workspace:
        if way.writer == TSDAE:
            restored = restore(workspace, copy / "tsdae", seed, asked)
            return {**on_test(copy, str(copy / "tsdae"), seed, asked), "num_pairs": restored, "num_written": 0}
        keep_human(workspace, way.human)
        if way.clicks:
            nearer.judge_clicks(workspace)
        written = 0
        if way.writer:
            options = nearer.SynthesizeOptions(each=asked.each, seed=seed, parallel=1)
            by = {"offline": True} if way.writer == OFFLINE else {"model": asked.model}
            written = nearer.synthesize(workspace, **by, options=options, progress=progress).num_kept
        trained = nearer.train(workspace, sources=way.sources, progress=progress)
    values = on_test(copy, trained.model_id, seed, asked)
    shutil.rmtree(copy)
    return {**values, "num_pairs": trained.num_pairs, "num_written": written}


def restore(workspace: nearer.Workspace, target: Path, seed: int, asked: argparse.Namespace) -> int:
    """Train base for one epoch to restore its documents, into a folder; how many documents there were."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss

    nearer.export_model(workspace, target.with_name("base"), system="base")
    model = SentenceTransformer(str(target.with_name("base")), local_files_only=True)
    model.max_seq_length = asked.max_length
    rng = random.Random(seed)
    texts = [document.text for document in workspace.collection.documents() if document.text.strip()]
    damaged = [" ".join([w for w in text.split() if rng.random() >= DELETED] or text.split()[:1]) for text in texts]
    settings = SentenceTransformerTrainingArguments(
        output_dir=str(target.with_name("checkpoints")),
        per_device_train_batch_size=8,
        learning_rate=3e-5,
        lr_scheduler_type="constant",
        num_train_epochs=1,
        seed=seed,
        report_to=[],
        save_strategy="no",
    )
    SentenceTransformerTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_dict({"damaged": damaged, "text": texts}),
        loss=DenoisingAutoEncoderLoss(model, tie_encoder_decoder=True),
    ).train()
    model.save(str(target))
    return len(texts)


def table(measured: list[dict[str, Any]]) -> Iterator[str]:
    """A row for each way: its mean over seeds and queries, and its difference from base and from human pairs."""
    bases = [one["base"] for one in measured]
    human = [one["found"]["human"]["values"] for one in measured]
    yield f"{len(measured)} seeds, {len(bases[0])} queries of test, {measured[0]['date']}\n"
    yield "| learned from | pairs | nDCG@10 | minus base | minus human |"
    yield "| --- | --- | --- | --- | --- |"
    yield f"| base | | {np.mean([mean(each) for each in bases]):.3f} | | |"
    for name in measured[0]["found"]:
        values = [one["found"][name]["values"] for one in measured]
        beside = "" if name == "human" else difference(values, human)
        yield (
            f"| {name} | {measured[0]['found'][name]['num_pairs']} | {np.mean([mean(each) for each in values]):.3f} "
            f"| {difference(values, bases)} | {beside} |"
        )


if __name__ == "__main__":
    main()
