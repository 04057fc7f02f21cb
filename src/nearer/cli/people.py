"""Verbs of judgments that people make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, PoolDepth, PooledSystems, Seed, UsageFault, app, run
from nearer.core.escape import escape_controls
from nearer.core.extras import extra
from nearer.printing.progress import ConsoleProgress

if TYPE_CHECKING:
    from nearer.core.results.people import LabelPlan
    from nearer.store.workspace import Workspace

labels = typer.Typer(invoke_without_command=True, help="Have people judge what is found for queries.")
app.add_typer(labels, name="label")
Name = Annotated[str, typer.Option(help="The label set.")]
LabelFile = Annotated[Path, typer.Argument(metavar="FILE")]
Format = Annotated[
    str | None, typer.Option(help="jsonl, csv, qrels, label-studio or argilla; what the file shows unless given.")
]


@app.command()
def agreement(
    source: Annotated[str, typer.Option(help="Whose raters: human, import or llm.")] = "human",
    write: Annotated[bool, typer.Option("--write", help="Weigh each rater's judgments by reliability.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Say how far raters agree, by rater and grade, and who is far from the rest."""
    from nearer.flows.agreement import agreement as flow

    run(folder, None, as_json, printing.agreed, lambda w: flow(w, source=source, write=write))


@labels.callback()
def label(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Serve the pages here; 0 for any that is free.", min=0, max=65535)] = 8081,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    terminal: Annotated[bool, typer.Option("--terminal", help="Judge in this terminal.")] = False,
    rater: Annotated[str, typer.Option(help="Who judges in the terminal.")] = "",
    name: Annotated[str | None, typer.Option(help="The label set to judge in the terminal.")] = None,
    folder: Folder = HERE,
) -> None:
    """Have people judge pairs: pages in a browser until told to end, or in the terminal; see also its verbs."""
    if context.invoked_subcommand is not None:
        return
    if terminal:
        from nearer.flows.label_terminal import label as flow

        def ask(question: str) -> str:
            typer.echo(question, nl=False)
            return input()

        run(
            folder,
            None,
            False,
            printing.label_progress,
            lambda w: flow(w, rater=rater, ask=ask, say=lambda text: typer.echo(escape_controls(text)), name=name),
        )
        return
    if rater or name:
        raise UsageFault("--rater and --name are for the terminal", hint="nearer label --terminal --rater ANN")
    with extra("serve", used_for="nearer label"):
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    from nearer.store.workspace import Workspace
    from nearer.web.label.alone import serve_labels

    with Workspace.open(folder) as workspace:
        serve_labels(workspace, host=host, port=port, say=ConsoleProgress().say)


@labels.command("start")
def label_start(
    queries: Annotated[Path | None, typer.Argument(metavar="[QUERIES]")] = None,
    split: Annotated[str, typer.Option(help="Whose queries, where no file is given.")] = "dev",
    systems: PooledSystems = None,
    depth: PoolDepth = 10,
    count: Annotated[int | None, typer.Option(help="How many pairs; all of the pool unless given.")] = None,
    strategy: Annotated[str, typer.Option(help="Which pairs: random, depth or disagreement.")] = "random",
    cap: Annotated[int, typer.Option(help="Ratings a pair, at most.")] = 1,
    overlap: Annotated[float, typer.Option(help="The share of pairs that get one rating more.")] = 0.15,
    gold: Annotated[int, typer.Option(help="Judged pairs that check the raters.")] = 0,
    guideline: Annotated[Path | None, typer.Option(help="A file that says how to judge, a line a grade.")] = None,
    name: Name = "labels",
    seed: Seed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many, and what they cost.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Pool what systems find for queries, and choose the pairs that people judge."""
    from nearer.flows.label import LabelOptions, start_labels

    def flow(workspace: "Workspace") -> "LabelPlan":
        options = LabelOptions(
            split=split,
            systems=tuple(systems or ()),
            depth=depth,
            count=count,
            strategy=strategy,
            cap=cap,
            overlap=overlap,
            gold=gold,
            guideline=guideline,
            name=name,
            seed=seed,
        )
        return start_labels(workspace, queries, options=options, dry_run=dry_run, progress=ConsoleProgress())

    run(folder, overrides, as_json, printing.label_plan, flow)


@labels.command("status")
def label_status(
    name: Annotated[str | None, typer.Option(help="The label set; all unless given.")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Say how far label sets are, who judged how much, and how far intervals narrowed."""
    from nearer.flows.label_status import label_status as flow

    run(folder, None, as_json, printing.label_progress, lambda w: flow(w, name))


@labels.command("export")
def label_export(
    file: LabelFile,
    name: Name = "labels",
    format: Format = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Write a label set to a file, unrated pairs too."""
    from nearer.flows.label_exchange import export_labels

    run(folder, None, as_json, printing.labels_exchanged, lambda w: export_labels(w, file, name=name, format=format))


@labels.command("import")
def label_import(
    file: LabelFile,
    name: Name = "labels",
    format: Format = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Read ratings and pairs from a file into a label set."""
    from nearer.flows.label_exchange import import_labels

    run(folder, None, as_json, printing.labels_exchanged, lambda w: import_labels(w, file, name=name, format=format))
