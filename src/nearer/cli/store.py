"""Verbs of the database that holds what a workspace knows."""

from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, app, run
from nearer.printing.progress import ConsoleProgress

store = typer.Typer(no_args_is_help=True, help="Move what a workspace knows to another database.")
app.add_typer(store, name="store")


@store.command()
def copy(
    to: Annotated[str, typer.Option("--to", help="An empty PostgreSQL, or a workspace.", metavar="ADDRESS")],
    write: Annotated[bool, typer.Option("--write", help="Name the copy in the recipe.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Copy the database into PostgreSQL, or back: all or nothing, every row compared."""
    from nearer.flows.copy_store import copy_store as flow

    run(
        folder,
        None,
        as_json,
        printing.store_copied,
        lambda w: flow(w, to, write=write, progress=ConsoleProgress()),
    )
