"""Verbs that measure systems, say why queries fail and what would help."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, UsageFault, app, numbers, run, show, time_limit
from nearer.core.progress import phase
from nearer.printing.progress import ConsoleProgress

if TYPE_CHECKING:
    from nearer.core.results.advice import Advice
    from nearer.store.workspace import Workspace


@app.command()
def evaluate(
    systems: Annotated[list[str] | None, typer.Argument(metavar="[SYSTEM]...")] = None,
    split: Annotated[str, typer.Option(help="Uses of test splits are counted.")] = "dev",
    task: Annotated[
        str | None, typer.Option(help="Another task than search: dedup, clustering, classification, recommendation.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The metadata field that says what belongs together.", metavar="FIELD")
    ] = None,
    judgments: Annotated[
        str, typer.Option(help="Whose judgments count: some of human, import, llm, clicks.", metavar="SOURCES")
    ] = "human,import",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure systems (base, live, a model's id, folder or Hub name, run:FILE); compare each with the first."""
    from nearer.flows.evaluate import evaluate as flow
    from nearer.flows.evaluate_task import evaluate_task

    named = systems or ["base"]
    if (task is None) != (label is None):
        raise UsageFault("--task TASK and --label FIELD go together", hint="see: nearer evaluate --help")
    if task and label:
        run(
            folder,
            overrides,
            as_json,
            printing.evaluated_task,
            lambda w: evaluate_task(w, named, task=task, label=label, split=split, progress=ConsoleProgress()),
        )
        return
    run(
        folder,
        overrides,
        as_json,
        printing.evaluated,
        lambda w: flow(w, named, split=split, judgments=judgments, progress=ConsoleProgress()),
    )


@app.command()
def diagnose(
    system: Annotated[str | None, typer.Argument(metavar="[SYSTEM]")] = None,
    split: Annotated[str, typer.Option(help="Uses of test splits are counted.")] = "dev",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Find the one cause of every query that failed, and what would mend it; live's unless a system is named."""
    from nearer.flows.diagnose import diagnose as flow

    run(
        folder,
        overrides,
        as_json,
        printing.diagnosed,
        lambda w: flow(w, system, split=split, progress=ConsoleProgress()),
    )


@app.command()
def suite(
    systems: Annotated[list[str] | None, typer.Argument(metavar="[SYSTEM]...")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="The cases, as TOML; gate.suite of the recipe unless given.")
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Run the cases that must keep working for systems: live, or else base, unless some are named."""
    from nearer.flows.suite import suite as flow

    run(
        folder,
        overrides,
        as_json,
        printing.suite_run,
        lambda w: flow(w, systems, file=file, progress=ConsoleProgress()),
    )


@app.command()
def advise(
    write: Annotated[
        bool, typer.Option("--write", help="Put the advice into nearer.toml; register an adapter if one is advised.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Train on all pairs instead of forecasting from a few; takes long.")
    ] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not use the test split to confirm.")] = False,
    next_source: Annotated[
        float | None, typer.Option(help="Instead: which source of judgments to buy for so much.", metavar="DOLLARS")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Leave out what does not fit into a time: 5m, 1h.", metavar="TIME")
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure every remedy on the judged queries of train and dev; say which to take, what it costs, and why."""
    if next_source is not None:
        if write or measure or no_test or budget:
            raise UsageFault("--next-source goes alone", hint="nearer advise --next-source 100")
        from nearer.flows.next_source import next_source as sources

        bought = partial(sources, dollars=next_source, progress=ConsoleProgress())
        run(folder, overrides, as_json, printing.next_source, bought)
        return
    from nearer.advice.queries import read_advice_queries

    limit = time_limit(budget)

    def of(workspace: "Workspace") -> "Advice":
        read_advice_queries(workspace)  # too few are refused before the libraries of models are loaded
        with phase(ConsoleProgress(), "load libraries"):
            from nearer.flows.advise import advise as flow

        return flow(
            workspace,
            write=write,
            measure=measure,
            confirm_on_test=not no_test,
            budget=limit,
            progress=ConsoleProgress(),
        )

    run(folder, overrides, as_json, printing.advised, of)


@app.command()
def cost(
    documents: Annotated[str, typer.Option(help="How many: 100_000_000, 100M, 1.5B, 10k.", metavar="COUNT")],
    dims: Annotated[str, typer.Option(help="Dimensions, with commas between.", metavar="N,...")] = "384",
    precision: Annotated[
        str, typer.Option(help="float32, float16, int8, binary, with commas between.", metavar="NAME,...")
    ] = "float32",
    documents_per_second: Annotated[
        str | None, typer.Option(help="What one machine encodes; else it is measured here.", metavar="RATE,...")
    ] = None,
    passages_per_document: Annotated[float, typer.Option(help="Vectors that a document takes.")] = 1.0,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Estimate storage, index, re-embedding hours and relative search cost; no workspace is needed."""
    from nearer.core.recipe import load_recipe
    from nearer.flows.cost import cost as flow
    from nearer.store.workspace import Workspace, is_workspace

    sizes, rates = numbers(dims, int, "--dims"), numbers(documents_per_second or "", float, "--documents-per-second")
    settings = tuple(overrides or ())
    workspace = None if folder == HERE and not is_workspace(folder) else Workspace.open(folder, overrides=settings)
    try:
        result = flow(
            documents,
            dims=sizes,
            precisions=[name.strip() for name in precision.split(",")],
            documents_per_second=rates,
            passages_per_document=passages_per_document,
            workspace=workspace,
            recipe=workspace.recipe if workspace else load_recipe(None, overrides=settings),
            progress=ConsoleProgress(),
        )
    finally:
        if workspace:
            workspace.close()
    show(result, as_json, printing.costed)
