"""Verbs that make models."""

from typing import TYPE_CHECKING, Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, UsageFault, app, run, time_limit
from nearer.core.progress import phase
from nearer.printing.progress import ConsoleProgress

if TYPE_CHECKING:
    from nearer.core.results.training import Trained, TrainedReranker
    from nearer.core.results.vectors import Distilled, Int8, Merged
    from nearer.store.workspace import Workspace


@app.command()
def train(
    start: Annotated[str, typer.Option("--from", help="The system to train further.", metavar="SYSTEM")] = "base",
    adapter: Annotated[
        str | None,
        typer.Option(help="Map its vectors instead, in seconds: query, shared, separate.", metavar="SIDES"),
    ] = None,
    reranker: Annotated[
        bool, typer.Option("--reranker", help="Train a cross-encoder that ranks anew what the system finds.")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(help="Fit the training into a time: 90s, 20m, 2h.", metavar="TIME")
    ] = None,
    search: Annotated[int, typer.Option(help="Try so many settings; dev chooses.", metavar="TRIALS")] = 0,
    seeds: Annotated[int, typer.Option(help="Train with so many seeds; dev picks one.")] = 1,
    resume: Annotated[
        str | None,
        typer.Option(help="Go on with an unfinished run: its id, or newest.", metavar="RUN"),
    ] = None,
    sources: Annotated[
        str,
        typer.Option(
            help="Whose judgments to learn from: some of human (and files), import, llm, clicks.", metavar="SOURCES"
        ),
    ] = "",
    engine: Annotated[
        str, typer.Option(help="What encodes: local, or ray for the machines of a Ray cluster.")
    ] = "local",
    discard: Annotated[str | None, typer.Option(help="Give an unfinished run up.", metavar="RUN")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Train a candidate model."""
    from nearer.training.unfinished import discard_run

    if discard is not None:
        run(folder, overrides, as_json, printing.discarded, lambda w: discard_run(w, discard))
        return
    if resume and adapter is not None:
        raise UsageFault("--adapter takes no --resume", hint="an adapter is trained in seconds: train it anew")
    if reranker and adapter is not None:
        raise UsageFault("--reranker and --adapter do not go together", hint="train one, then the other")
    kind = "--reranker" if reranker else "--adapter" if adapter is not None else None
    if kind and (budget is not None or search or seeds != 1 or engine != "local"):
        hint = "leave them out: they are of an encoder's training"
        raise UsageFault(f"{kind} takes no --budget, --search, --seeds or --engine", hint=hint)
    limit, progress = time_limit(budget), ConsoleProgress()

    def of_reranker(workspace: "Workspace") -> "TrainedReranker":
        learned = _ready(workspace, sources, resume)
        with phase(progress, "load libraries"):
            from nearer.flows.train_reranker import train_reranker

        return train_reranker(learned, start, resume=resume, progress=progress)

    def of_adapter(workspace: "Workspace", sides: str) -> "Trained":
        learned = _ready(workspace, sources)
        with phase(progress, "load libraries"):
            from nearer.flows.adapt import adapt

        return adapt(learned, sides, start, progress=progress)

    def of_encoder(workspace: "Workspace") -> "Trained":
        _ready(workspace, sources, resume)
        with phase(progress, "load libraries"):
            from nearer.flows.train import train as flow

        return flow(
            workspace,
            start,
            sources=sources,
            budget=limit,
            search=search,
            seeds=seeds,
            resume=resume,
            engine=engine,
            progress=progress,
        )

    if reranker:
        run(folder, overrides, as_json, printing.trained_reranker, of_reranker)
    elif adapter is not None:
        run(folder, overrides, as_json, printing.trained, lambda w: of_adapter(w, adapter))
    else:
        run(folder, overrides, as_json, printing.trained, of_encoder)


def _ready(workspace: "Workspace", sources: str, resume: str | None = None) -> "Workspace":
    """The workspace with these sources, refused before the libraries of models are loaded; a run has its own recipe."""
    from nearer.evaluation.ready import ready_to_train
    from nearer.training.sources import refuse_absent, with_sources

    if resume:
        return workspace
    learned = with_sources(workspace, sources)
    refuse_absent(learned)
    ready_to_train(learned)
    return learned


@app.command()
def merge(
    system: Annotated[str, typer.Argument(metavar="MODEL")],
    weight: Annotated[float, typer.Option(help="MODEL's share of every weight, 0 to 1.")],
    other: Annotated[str, typer.Option("--with", help="The model to merge it with.", metavar="SYSTEM")] = "base",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Merge a trained model with the base, against forgetting: each weight between the two models' own."""
    from nearer.evaluation.ready import ready_to_measure, refuse_unjudged

    def of(workspace: "Workspace") -> "Merged":
        ready_to_measure(workspace)
        refuse_unjudged(workspace, "dev")  # before the libraries of models are loaded
        with phase(ConsoleProgress(), "load libraries"):
            from nearer.flows.merge import merge as flow

        return flow(workspace, system, other, weight=weight, progress=ConsoleProgress())

    run(folder, overrides, as_json, printing.merged, of)


@app.command()
def compress(
    system: Annotated[str, typer.Argument(metavar="SYSTEM")],
    dimension: Annotated[
        int | None, typer.Option(help="Register the model of so many dimensions; else every size is measured.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Where sizes are measured; dev unless said otherwise.")] = None,
    rotated: Annotated[
        bool, typer.Option("--rotated", help="Turn its vectors first, by the training pairs: cut ones lose less.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Register the model of int8 weights, if it is worth it on this machine.")
    ] = False,
    layers: Annotated[
        int | None, typer.Option(help="Register a model of so many layers, which learns SYSTEM's vectors.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="With --layers: whose layers; SYSTEM's own, if not said.")
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure a model's vectors at fewer dimensions and bits, or make a model of fewer dimensions, bits or layers."""
    from nearer.evaluation.ready import ready_to_measure
    from nearer.flows.compress import compress as flow
    from nearer.flows.compress import compression_curve

    def of(workspace: "Workspace") -> str:
        if not rotated:
            return system
        ready_to_measure(workspace)  # before the libraries of models are loaded
        from nearer.flows.rotate import rotate

        return rotate(workspace, system, progress=ConsoleProgress()).model_id

    if layers is None and start is not None:
        raise UsageFault("--from is of --layers", hint="name a number of layers: --layers 3")
    if layers is not None and (dimension is not None or rotated or int8):
        hint = "make the model of fewer layers first, then compress that: nearer compress MODEL --int8"
        raise UsageFault("--layers takes neither --dimension nor --rotated nor --int8", hint=hint)
    if layers is not None:
        of_layers = layers
        run(
            folder,
            overrides,
            as_json,
            printing.distilled,
            lambda w: _distilled(w, system, of_layers, start, split or "dev"),
        )
        return
    if int8 and (dimension is not None or rotated):
        hint = "make the int8 model first, then compress that: nearer compress MODEL --dimension 128"
        raise UsageFault("--int8 takes neither --dimension nor --rotated", hint=hint)
    if int8:
        run(folder, overrides, as_json, printing.int8, lambda w: _int8(w, system, split or "dev"))
        return
    if dimension is None:
        chosen = split or "dev"
        run(
            folder,
            overrides,
            as_json,
            printing.compression,
            lambda w: compression_curve(w, of(w), split=chosen, progress=ConsoleProgress()),
        )
        return
    if split is not None:
        raise UsageFault("--dimension and --split do not go together", hint="measure what it made: nearer evaluate")
    run(folder, overrides, as_json, printing.compressed, lambda w: flow(w, of(w), dimension=dimension))


def _refuse_unmeasurable(workspace: "Workspace", split: str) -> None:
    """Refuse what cannot be measured before the libraries of models are loaded."""
    from nearer.evaluation.ready import ready_to_measure, refuse_unjudged

    ready_to_measure(workspace)
    refuse_unjudged(workspace, split)


def _int8(workspace: "Workspace", system: str, split: str) -> "Int8":
    _refuse_unmeasurable(workspace, split)
    with phase(ConsoleProgress(), "load libraries"):
        from nearer.flows.int8 import compress_int8

    return compress_int8(workspace, system, split=split, progress=ConsoleProgress())


def _distilled(workspace: "Workspace", system: str, layers: int, start: str | None, split: str) -> "Distilled":
    _refuse_unmeasurable(workspace, split)
    progress = ConsoleProgress()
    with phase(progress, "load libraries"):
        from nearer.flows.distil import distil

    return distil(workspace, system, layers=layers, start=start, split=split, progress=progress)
