"""Verbs that show all of it: the report, and the demo on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, UsageFault, app, run, show
from nearer.printing.progress import ConsoleProgress


@app.command()
def report(folder: Folder = HERE, as_json: AsJson = False, overrides: Overrides = None) -> None:
    """Write one HTML page of what was measured, decided and shipped."""
    from nearer.flows.report import report as flow

    run(folder, overrides, as_json, printing.reported, flow)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--dir", "-C", help="Where to work; made anew.", metavar="DIR")] = Path(
        "demo"
    ),
    full: Annotated[bool, typer.Option("--full", help="Use every function; takes half an hour.")] = False,
    loop: Annotated[
        bool, typer.Option("--loop", help="Two turns on what simulated users click; a quarter hour.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Do the whole job on the Python standard library of this machine: offline, on a CPU, in minutes."""
    if loop:
        from nearer.flows.demo.turns import demo_loop

        if full:
            raise UsageFault("--loop and --full do not go together", hint="choose one")
        show(demo_loop(folder, progress=ConsoleProgress()), as_json, printing.looped)
        return
    from nearer.flows.demo import demo as flow

    show(flow(folder, full=full, progress=ConsoleProgress()), as_json, printing.demonstrated)
