"""Verbs that make models."""

from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, UsageFault, app, run, time_limit
from nearer.core.progress import phase
from nearer.printing.progress import ConsoleProgress
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
    discard: Annotated[str | None, typer.Option(help="Give an unfinished run up.", metavar="RUN")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Train a candidate model."""
    with phase(ConsoleProgress(), "load libraries"):
        from nearer.flows.adapt import adapt
        from nearer.flows.train import train as flow
        from nearer.flows.train_reranker import train_reranker
        from nearer.training.sources import with_sources
        from nearer.training.unfinished import discard_run

    if discard is not None:
        run(folder, overrides, as_json, printing.discarded, lambda w: discard_run(w, discard))
        return
    if resume and adapter is not None:
        raise UsageFault("--adapter takes no --resume", hint="an adapter is trained in seconds: train it anew")
    if reranker and adapter is not None:
        raise UsageFault("--reranker and --adapter do not go together", hint="train one, then the other")
    if (reranker or adapter is not None) and (budget is not None or search or seeds != 1):
        raise UsageFault(
            f"{'--reranker' if reranker else '--adapter'} takes no --budget, --search or --seeds",
            hint="leave them out: they are of an encoder's training",
        )
    if reranker:
        run(
            folder,
            overrides,
            as_json,
            printing.trained_reranker,
            lambda w: train_reranker(with_sources(w, sources), start, resume=resume, progress=ConsoleProgress()),
        )
        return
    if adapter is not None:
        run(
            folder,
            overrides,
            as_json,
            printing.trained,
            lambda w: adapt(with_sources(w, sources), adapter, start, progress=ConsoleProgress()),
        )
        return
    run(
        folder,
        overrides,
        as_json,
        printing.trained,
        lambda w: flow(
            w,
            start,
            sources=sources,
            budget=time_limit(budget),
            search=search,
            seeds=seeds,
            resume=resume,
            progress=ConsoleProgress(),
        ),
    )


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
    from nearer.flows.merge import merge as flow

    run(
        folder,
        overrides,
        as_json,
        printing.merged,
        lambda w: flow(w, system, other, weight=weight, progress=ConsoleProgress()),
    )


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
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure a model's vectors at fewer dimensions and bits, or make a model of fewer dimensions."""
    from nearer.flows.compress import compress as flow
    from nearer.flows.compress import compression_curve
    from nearer.flows.rotate import rotate

    def of(workspace: Workspace) -> str:
        return rotate(workspace, system, progress=ConsoleProgress()).model_id if rotated else system

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
