"""Verbs that keep a workspace safe."""

from pathlib import Path
from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, app, run, show
from nearer.printing.progress import ConsoleProgress


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE")], folder: Folder = HERE, as_json: AsJson = False
) -> None:
    """Write all of a workspace into one file, while others work in it."""
    from nearer.flows.backup import backup as flow

    run(folder, None, as_json, printing.backed_up, lambda w: flow(w, file, progress=ConsoleProgress()))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    target: Annotated[Path, typer.Argument(metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Make a workspace of a backup, in a folder that is not there yet; what was live is live."""
    from nearer.flows.backup import restore as flow

    show(flow(file, target, progress=ConsoleProgress()), as_json, printing.restored)
